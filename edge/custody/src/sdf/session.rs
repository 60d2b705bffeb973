//! The calls a session makes. Every `unsafe` here stands on the proof at the head of `library.rs`.

use std::sync::Arc;

use super::layout::{DEVICE_INFO, Layout};
use super::library::{
    DecryptFive, DecryptSix, Functions, Handle, Opened, SM2_ENCRYPT, SM2_SIGN, SM3, WORD, counted, handle, judge,
    length, pointer,
};
use super::room::Room;
use crate::Fault;

/// A session, used by one thread at a time. Handles are kept as numbers: they are the library's tokens, not our memory.
pub(super) struct Session {
    device: Arc<Opened>,
    handle: usize,
    /// Indices whose private keys this session may use.
    pub(super) rights: Vec<u32>,
}

impl Drop for Session {
    #[expect(unsafe_code, reason = "foreign call")]
    fn drop(&mut self) {
        // SAFETY: see the head of this file; the session is ours alone.
        unsafe { (self.functions().SDF_CloseSession)(pointer(self.handle)) };
    }
}

/// Modulus and exponent.
type RsaNumbers = (Vec<u8>, Vec<u8>);

/// Which public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) index: u32,
    pub(super) encrypt: bool,
}

impl Session {
    pub(super) fn new(device: Arc<Opened>, handle: usize) -> Self {
        Self {
            device,
            handle,
            rights: Vec::new(),
        }
    }

    fn functions(&self) -> &Functions {
        &self.device.library.functions
    }

    fn layout(&self) -> Layout {
        self.device.library.layout
    }

    fn at(&self) -> Handle {
        pointer(self.handle)
    }

    /// `SDF_GetDeviceInfo`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn info(&mut self) -> Result<Room, Fault> {
        let mut room = Room::new(DEVICE_INFO);
        // SAFETY: see the head of this file.
        let code = unsafe { (self.functions().SDF_GetDeviceInfo)(self.at(), room.pointer()) };
        judge("SDF_GetDeviceInfo", code, &[&room])?;
        Ok(room)
    }

    /// `SDF_GenerateRandom`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn random(&mut self, bytes: u16) -> Result<Room, Fault> {
        let mut room = Room::new(bytes.into());
        // SAFETY: see the head of this file.
        let code = unsafe { (self.functions().SDF_GenerateRandom)(self.at(), bytes.into(), room.pointer()) };
        judge("SDF_GenerateRandom", code, &[&room])?;
        Ok(room)
    }

    /// `SDF_GetPrivateKeyAccessRight`: answers the code, for the caller to tell a wrong password from other trouble.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn ask_right(&mut self, index: u32, password: &[u8]) -> Result<u32, Fault> {
        let length = length(password)?;
        let ask = self.functions().SDF_GetPrivateKeyAccessRight;
        // SAFETY: see the head of this file.
        Ok(unsafe { ask(self.at(), index, password.as_ptr(), length) })
    }

    /// `SDF_ReleasePrivateKeyAccessRight`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn release_right(&mut self, index: u32) {
        self.rights.retain(|held| *held != index);
        // SAFETY: see the head of this file. What it answers changes nothing: the right is taken as gone.
        unsafe { (self.functions().SDF_ReleasePrivateKeyAccessRight)(self.at(), index) };
    }

    /// `SDF_ExportSignPublicKey_ECC`, `SDF_ExportEncPublicKey_ECC`: the point `04 ‖ x ‖ y`, not yet held against the curve.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn export_point(&mut self, which: Export) -> Result<Option<Vec<u8>>, Fault> {
        let (name, export) = if which.encrypt {
            (
                "SDF_ExportEncPublicKey_ECC",
                self.functions().SDF_ExportEncPublicKey_ECC,
            )
        } else {
            (
                "SDF_ExportSignPublicKey_ECC",
                self.functions().SDF_ExportSignPublicKey_ECC,
            )
        };
        let mut room = Room::new(self.layout().public_key_len());
        // SAFETY: see the head of this file.
        let code = unsafe { export(self.at(), which.index, room.pointer()) };
        judge(name, code, &[&room])?;
        Ok(self.layout().read_public_key(room.bytes()))
    }

    /// `SDF_ExportSignPublicKey_RSA`, `SDF_ExportEncPublicKey_RSA`: modulus and exponent.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn export_rsa(&mut self, which: Export) -> Result<Option<RsaNumbers>, Fault> {
        let (name, export) = if which.encrypt {
            (
                "SDF_ExportEncPublicKey_RSA",
                self.functions().SDF_ExportEncPublicKey_RSA,
            )
        } else {
            (
                "SDF_ExportSignPublicKey_RSA",
                self.functions().SDF_ExportSignPublicKey_RSA,
            )
        };
        let export = export.ok_or(Fault::NotOffered("RSA"))?;
        let mut room = Room::new(self.layout().rsa_key_len());
        // SAFETY: see the head of this file.
        let code = unsafe { export(self.at(), which.index, room.pointer()) };
        judge(name, code, &[&room])?;
        let numbers = self.layout().read_rsa_key(room.bytes());
        Ok(numbers.map(|(modulus, exponent)| (modulus.to_vec(), exponent.to_vec())))
    }

    /// `SDF_InternalSign_ECC` over e: r ‖ s.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn sign(&mut self, index: u32, e: &[u8]) -> Result<[u8; 64], Fault> {
        const NAME: &str = "SDF_InternalSign_ECC";
        let size = length(e)?;
        let mut room = Room::new(self.layout().signature_len());
        // SAFETY: see the head of this file.
        let code =
            unsafe { (self.functions().SDF_InternalSign_ECC)(self.at(), index, e.as_ptr(), size, room.pointer()) };
        judge(NAME, code, &[&room])?;
        self.layout().read_signature(room.bytes()).ok_or(Fault::BadReply {
            function: NAME,
            what: "r or s does not fit its field",
        })
    }

    /// `SDF_ExternalVerify_ECC`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn verify(&mut self, point: &[u8; 65], e: &[u8], signature: &[u8; 64]) -> Result<(), Fault> {
        let verify = self
            .functions()
            .SDF_ExternalVerify_ECC
            .ok_or(Fault::NotOffered("SM2 验签"))?;
        let size = length(e)?;
        let mut key = Room::of(&self.layout().write_public_key(point));
        let mut signature = Room::of(&self.layout().write_signature(signature));
        let (key_at, signature_at) = (key.pointer::<u8>(), signature.pointer::<u8>());
        // SAFETY: see the head of this file.
        let code = unsafe { verify(self.at(), SM2_SIGN, key_at, e.as_ptr(), size, signature_at) };
        judge("SDF_ExternalVerify_ECC", code, &[&key, &signature])
    }

    /// `SDF_InternalDecrypt_ECC` of an `ECCCipher` that holds `size` encrypted bytes.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn decrypt(&mut self, index: u32, cipher: &[u8], size: usize) -> Result<Room, Fault> {
        const NAME: &str = "SDF_InternalDecrypt_ECC";
        let decrypt = self
            .functions()
            .SDF_InternalDecrypt_ECC
            .ok_or(Fault::NotOffered("SM2 解密"))?;
        // Room behind the ciphertext, for libraries that copy their whole fixed-size structure.
        let mut input = Room::of(cipher);
        let mut count = Room::of(&(size as u64).to_le_bytes());
        let mut room = Room::new(size);
        let code = if self.layout().decrypt_names_algorithm {
            // SAFETY: a pointer to a function, seen with the type the configuration says it has.
            let decrypt: DecryptSix = unsafe { std::mem::transmute(decrypt) };
            // SAFETY: see the head of this file.
            unsafe {
                decrypt(
                    self.at(),
                    index,
                    SM2_ENCRYPT,
                    input.pointer::<u8>(),
                    room.pointer(),
                    count.pointer(),
                )
            }
        } else {
            // SAFETY: as above.
            let decrypt: DecryptFive = unsafe { std::mem::transmute(decrypt) };
            // SAFETY: see the head of this file.
            unsafe { decrypt(self.at(), index, input.pointer::<u8>(), room.pointer(), count.pointer()) }
        };
        judge(NAME, code, &[&input, &room, &count])?;
        // The plaintext of SM2 is as long as its ciphertext.
        if counted(NAME, &room, &count)?.len() != size {
            return Err(Fault::BadReply {
                function: NAME,
                what: "length of the plaintext",
            });
        }
        Ok(room)
    }

    /// `SDF_InternalPrivateKeyOperation_RSA`: a number as long as the input.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn rsa(&mut self, index: u32, input: &[u8]) -> Result<Room, Fault> {
        const NAME: &str = "SDF_InternalPrivateKeyOperation_RSA";
        let operate = self.functions().SDF_InternalPrivateKeyOperation_RSA;
        let operate = operate.ok_or(Fault::NotOffered("RSA"))?;
        let size = length(input)?;
        let mut room = Room::new(input.len());
        let mut count = Room::of(&u64::from(size).to_le_bytes());
        // SAFETY: see the head of this file.
        let code = unsafe { operate(self.at(), index, input.as_ptr(), size, room.pointer(), count.pointer()) };
        judge(NAME, code, &[&room, &count])?;
        if counted(NAME, &room, &count)?.len() != input.len() {
            return Err(Fault::BadReply {
                function: NAME,
                what: "length of the number",
            });
        }
        Ok(room)
    }

    /// `SDF_GenerateKeyPair_ECC`: the structures of the public and the private key.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn pair(&mut self) -> Result<(Room, Room), Fault> {
        let generate = self
            .functions()
            .SDF_GenerateKeyPair_ECC
            .ok_or(Fault::NotOffered("产生 SM2 密钥对"))?;
        let mut public = Room::new(self.layout().public_key_len());
        let mut private = Room::new(self.layout().private_key_len());
        // SAFETY: see the head of this file.
        let code = unsafe { generate(self.at(), SM2_SIGN, 256, public.pointer(), private.pointer()) };
        judge("SDF_GenerateKeyPair_ECC", code, &[&public, &private])?;
        Ok((public, private))
    }

    /// `SDF_ImportKey`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn import(&mut self, key: &[u8]) -> Result<usize, Fault> {
        let import = self
            .functions()
            .SDF_ImportKey
            .ok_or(Fault::NotOffered("导入会话密钥"))?;
        let size = length(key)?;
        let mut room = Room::new(WORD);
        // SAFETY: see the head of this file.
        let code = unsafe { import(self.at(), key.as_ptr(), size, room.pointer()) };
        judge("SDF_ImportKey", code, &[&room])?;
        handle("SDF_ImportKey", &room)
    }

    /// `SDF_DestroyKey`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn forget(&mut self, key: usize) -> Result<(), Fault> {
        let destroy = self
            .functions()
            .SDF_DestroyKey
            .ok_or(Fault::NotOffered("销毁会话密钥"))?;
        // SAFETY: see the head of this file.
        let code = unsafe { destroy(self.at(), pointer(key)) };
        judge("SDF_DestroyKey", code, &[])
    }

    /// `SDF_Encrypt`, `SDF_Decrypt`: as many bytes as went in.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn crypt(&mut self, key: usize, how: Crypting, data: &[u8]) -> Result<Room, Fault> {
        let functions = self.functions();
        let (name, crypt) = if how.encrypt {
            ("SDF_Encrypt", functions.SDF_Encrypt)
        } else {
            ("SDF_Decrypt", functions.SDF_Decrypt)
        };
        let crypt = crypt.ok_or(Fault::NotOffered("对称运算"))?;
        let size = length(data)?;
        let mut iv = Room::of(&how.iv);
        let mut room = Room::new(data.len());
        let mut count = Room::of(&u64::from(size).to_le_bytes());
        let (key, to) = (pointer(key), room.pointer());
        // SAFETY: see the head of this file.
        let code = unsafe {
            let (iv, count) = (iv.pointer(), count.pointer());
            crypt(self.at(), key, how.algorithm, iv, data.as_ptr(), size, to, count)
        };
        judge(name, code, &[&iv, &room, &count])?;
        if counted(name, &room, &count)?.len() != data.len() {
            return Err(Fault::BadReply {
                function: name,
                what: "length of the output",
            });
        }
        Ok(room)
    }

    /// `SDF_HashInit`, `SDF_HashUpdate`, `SDF_HashFinal` with SM3.
    #[expect(unsafe_code, reason = "foreign calls")]
    pub(super) fn sm3(&mut self, data: &[u8]) -> Result<[u8; 32], Fault> {
        const NAME: &str = "SDF_HashFinal";
        let functions = self.functions();
        let all = functions
            .SDF_HashInit
            .zip(functions.SDF_HashUpdate)
            .zip(functions.SDF_HashFinal);
        let ((begin, update), finish) = all.ok_or(Fault::NotOffered("SM3"))?;
        let none = std::ptr::null();
        // SAFETY: see the head of this file; without a key the pointers to key and user id are null by the standard.
        let code = unsafe { begin(self.at(), SM3, none, none, 0) };
        judge("SDF_HashInit", code, &[])?;
        for chunk in data.chunks(super::CHUNK) {
            let size = length(chunk)?;
            // SAFETY: see the head of this file.
            let code = unsafe { update(self.at(), chunk.as_ptr(), size) };
            judge("SDF_HashUpdate", code, &[])?;
        }
        let mut room = Room::new(32);
        let mut count = Room::of(&32u64.to_le_bytes());
        // SAFETY: see the head of this file.
        let code = unsafe { finish(self.at(), room.pointer(), count.pointer()) };
        judge(NAME, code, &[&room, &count])?;
        counted(NAME, &room, &count)?.try_into().map_err(|_| Fault::BadReply {
            function: NAME,
            what: "length of the digest",
        })
    }
}

/// How to encrypt.
#[derive(Clone, Copy)]
pub(super) struct Crypting {
    pub(super) algorithm: u32,
    pub(super) iv: [u8; 16],
    pub(super) encrypt: bool,
}
