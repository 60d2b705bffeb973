//! The foreign functions, called with room of ours and judged by what they leave there.
//!
//! The proof behind each `unsafe` block is the same: the function has the signature GM/T 0018 gives it (the configuration vouches
//! that the file is such a library; nothing else can); every input pointer is good for the length beside it, every output pointer
//! is a [`Room`] of the size of its structure with guard space behind; handles are those the library gave, used by one thread at
//! a time (a [`Session`] is owned by whoever calls); and the library is never unloaded.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

use super::code;
use super::layout::Layout;
use super::room::Room;
use super::session::Session;
use crate::Fault;

pub(super) type Handle = *mut c_void;
type Bytes = *const u8;
type Out = *mut u8;
type Count = *mut u32;

/// Declares the table of functions and how it is filled: those of the first list must be there.
macro_rules! functions {
    (needed { $($need:ident: $need_type:ty;)* } optional { $($more:ident: $more_type:ty;)* }) => {
        #[expect(non_snake_case, reason = "the names of the standard, as the library exports them")]
        pub(super) struct Functions {
            $(pub(super) $need: $need_type,)*
            $(pub(super) $more: Option<$more_type>,)*
        }

        impl Functions {
            #[expect(unsafe_code, reason = "symbols of a foreign library have the types of its standard, not of Rust")]
            fn find(library: &libloading::Library) -> Result<Self, Fault> {
                // SAFETY: see the head of this file; the pointers are copied out of their symbols and the library stays loaded.
                unsafe {
                    Ok(Self {
                        $($need: *library
                            .get(concat!(stringify!($need), "\0").as_bytes())
                            .map_err(|_| Fault::Library(concat!("lacks ", stringify!($need)).into()))?,)*
                        $($more: library.get(concat!(stringify!($more), "\0").as_bytes()).ok().map(|found| *found),)*
                    })
                }
            }
        }
    };
}

type ExportKey = unsafe extern "C" fn(Handle, u32, Out) -> u32;
type Crypt = unsafe extern "C" fn(Handle, Handle, u32, Out, Bytes, u32, Out, Count) -> u32;

functions! {
    needed {
        SDF_OpenDevice: unsafe extern "C" fn(*mut Handle) -> u32;
        SDF_CloseDevice: unsafe extern "C" fn(Handle) -> u32;
        SDF_OpenSession: unsafe extern "C" fn(Handle, *mut Handle) -> u32;
        SDF_CloseSession: unsafe extern "C" fn(Handle) -> u32;
        SDF_GetDeviceInfo: unsafe extern "C" fn(Handle, Out) -> u32;
        SDF_GenerateRandom: unsafe extern "C" fn(Handle, u32, Out) -> u32;
        SDF_GetPrivateKeyAccessRight: unsafe extern "C" fn(Handle, u32, Bytes, u32) -> u32;
        SDF_ReleasePrivateKeyAccessRight: unsafe extern "C" fn(Handle, u32) -> u32;
        SDF_ExportSignPublicKey_ECC: ExportKey;
        SDF_ExportEncPublicKey_ECC: ExportKey;
        SDF_InternalSign_ECC: unsafe extern "C" fn(Handle, u32, Bytes, u32, Out) -> u32;
    }
    optional {
        SDF_ExportSignPublicKey_RSA: ExportKey;
        SDF_ExportEncPublicKey_RSA: ExportKey;
        SDF_InternalPrivateKeyOperation_RSA: unsafe extern "C" fn(Handle, u32, Bytes, u32, Out, Count) -> u32;
        SDF_ExternalVerify_ECC: unsafe extern "C" fn(Handle, u32, Bytes, Bytes, u32, Bytes) -> u32;
        SDF_InternalDecrypt_ECC: unsafe extern "C" fn();
        SDF_GenerateKeyPair_ECC: unsafe extern "C" fn(Handle, u32, u32, Out, Out) -> u32;
        SDF_ImportKey: unsafe extern "C" fn(Handle, Bytes, u32, *mut Handle) -> u32;
        SDF_DestroyKey: unsafe extern "C" fn(Handle, Handle) -> u32;
        SDF_Encrypt: Crypt;
        SDF_Decrypt: Crypt;
        SDF_HashInit: unsafe extern "C" fn(Handle, u32, Bytes, Bytes, u32) -> u32;
        SDF_HashUpdate: unsafe extern "C" fn(Handle, Bytes, u32) -> u32;
        SDF_HashFinal: unsafe extern "C" fn(Handle, Out, Count) -> u32;
    }
}

/// `SDF_InternalDecrypt_ECC` of 2012, and without the algorithm.
pub(super) type DecryptSix = unsafe extern "C" fn(Handle, u32, u32, Bytes, Out, Count) -> u32;
pub(super) type DecryptFive = unsafe extern "C" fn(Handle, u32, Bytes, Out, Count) -> u32;

/// `SGD_SM2_1`, `SGD_SM2_3` (GM/T 0006): SM2 for signing and for encryption.
pub(super) const SM2_SIGN: u32 = 0x0002_0200;
pub(super) const SM2_ENCRYPT: u32 = 0x0002_0800;
/// `SGD_SM3`.
pub(super) const SM3: u32 = 1;
/// Bytes of a handle or count.
pub(super) const WORD: usize = 8;

/// A loaded library.
pub(super) struct Library {
    pub(super) functions: Functions,
    /// Never unloaded: vendors' libraries have threads of their own, and a thread that hangs in one must find its code.
    _library: ManuallyDrop<libloading::Library>,
    pub(super) layout: Layout,
}

/// An open device, closed after its last session.
pub(super) struct Opened {
    pub(super) library: Arc<Library>,
    handle: usize,
}

/// Judges a call: guard space first, then the code.
pub(super) fn judge(function: &'static str, code: u32, rooms: &[&Room]) -> Result<(), Fault> {
    if !rooms.iter().all(|room| room.intact()) {
        let what = "it wrote beyond its buffer; the layout configured may not be the vendor's";
        return Err(Fault::BadReply { function, what });
    }
    if code == 0 {
        Ok(())
    } else {
        Err(code::fault(function, code))
    }
}

pub(super) fn pointer(handle: usize) -> Handle {
    std::ptr::with_exposed_provenance_mut(handle)
}

/// A length as the library counts it.
pub(super) fn length(bytes: &[u8]) -> Result<u32, Fault> {
    u32::try_from(bytes.len()).map_err(|_| Fault::Input("数据过长"))
}

/// A handle the library gave.
pub(super) fn handle(function: &'static str, room: &Room) -> Result<usize, Fault> {
    match room.number() as usize {
        0 => Err(Fault::BadReply {
            function,
            what: "a null handle",
        }),
        handle => Ok(handle),
    }
}

/// What the library says it wrote, held against the room.
pub(super) fn counted<'a>(function: &'static str, room: &'a Room, count: &Room) -> Result<&'a [u8], Fault> {
    let count = usize::try_from(count.number()).unwrap_or(usize::MAX);
    room.bytes().get(..count).ok_or(Fault::BadReply {
        function,
        what: "a count beyond its buffer",
    })
}

impl Library {
    /// Loads it. The path must be absolute: no search path decides what runs beside the keys.
    #[expect(unsafe_code, reason = "loading a library runs its code")]
    pub(super) fn load(path: &Path, layout: Layout) -> Result<Arc<Self>, Fault> {
        if !path.is_absolute() {
            return Err(Fault::Library("the path must be absolute".into()));
        }
        // SAFETY: its initialisers run with our rights; that is what configuring a vendor's library means.
        let library = unsafe { libloading::Library::new(path) };
        let library = ManuallyDrop::new(library.map_err(|error| Fault::Library(error.to_string()))?);
        Ok(Arc::new(Self {
            functions: Functions::find(&library)?,
            _library: library,
            layout,
        }))
    }

    /// `SDF_OpenDevice`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn open(self: &Arc<Self>) -> Result<Arc<Opened>, Fault> {
        let mut room = Room::new(WORD);
        // SAFETY: see the head of this file.
        let code = unsafe { (self.functions.SDF_OpenDevice)(room.pointer()) };
        judge("SDF_OpenDevice", code, &[&room])?;
        Ok(Arc::new(Opened {
            library: Arc::clone(self),
            handle: handle("SDF_OpenDevice", &room)?,
        }))
    }
}

impl Opened {
    /// `SDF_OpenSession`.
    #[expect(unsafe_code, reason = "foreign call")]
    pub(super) fn session(self: &Arc<Self>) -> Result<Session, Fault> {
        let mut room = Room::new(WORD);
        // SAFETY: see the head of this file.
        let code = unsafe { (self.library.functions.SDF_OpenSession)(pointer(self.handle), room.pointer()) };
        judge("SDF_OpenSession", code, &[&room])?;
        let handle = handle("SDF_OpenSession", &room)?;
        Ok(Session::new(Arc::clone(self), handle))
    }
}

impl Drop for Opened {
    #[expect(unsafe_code, reason = "foreign call")]
    fn drop(&mut self) {
        // SAFETY: see the head of this file; the last session is gone, so nobody uses the handle.
        unsafe { (self.library.functions.SDF_CloseDevice)(pointer(self.handle)) };
    }
}
