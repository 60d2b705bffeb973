//! One act at a time on the TPM.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use tss_esapi::attributes::{ObjectAttributesBuilder, SessionAttributesBuilder};
use tss_esapi::constants::response_code::Tss2ResponseCodeKind;
use tss_esapi::constants::{CapabilityType, SessionType};
use tss_esapi::handles::{KeyHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    CapabilityData, Digest, EccPoint, EccScheme, KeyDerivationFunctionScheme, Public, PublicBuilder,
    PublicEccParametersBuilder, SymmetricDefinition, SymmetricDefinitionObject,
};
use tss_esapi::{Context, TctiNameConf, WrapperErrorKind};

/// Why the TPM did not do it.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// The configured name of the TPM cannot be read.
    #[error("TPM connection {0:?} is not understood")]
    Configuration(String),
    /// No answer from the TPM.
    #[error("TPM is absent: {0}")]
    Absent(String),
    /// What is stored was made by another TPM, or by this one before it was cleared.
    #[error("TPM is another one than the one that made this key")]
    Replaced,
    /// The machine's measured state (PCR) is not the one the secret was sealed to.
    #[error("the machine's measured state has changed since the secret was sealed")]
    StateChanged,
    /// The TPM's own lockout against guessing.
    #[error("TPM is in dictionary-attack lockout")]
    LockedOut,
    /// The stored bytes are not a TPM object.
    #[error("stored TPM object cannot be read")]
    Malformed,
    /// Anything else, with the act that failed.
    #[error("TPM refused to {act}: {reason}")]
    Refused {
        /// What was being done.
        act: &'static str,
        /// The TPM's words.
        reason: String,
    },
}

impl TpmError {
    /// Stable name of the state, for status pages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "misconfigured",
            Self::Absent(_) => "absent",
            Self::Replaced => "replaced",
            Self::StateChanged => "state_changed",
            Self::LockedOut => "locked_out",
            Self::Malformed => "malformed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Plain words for the person.
    #[must_use]
    pub fn person(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "安全芯片的连接配置有误，请联系管理员。",
            Self::Absent(_) => "安全芯片没有响应，暂时无法签名，请联系管理员。",
            Self::Replaced => "安全芯片已被更换，密钥无法使用，请联系管理员。",
            Self::StateChanged => "设备的启动状态与登记时不一致，密钥已锁定，请联系管理员。",
            Self::LockedOut => "安全芯片因多次错误尝试已锁定，请稍后再试。",
            Self::Malformed => "密钥存储已损坏，请联系管理员。",
            Self::Refused { .. } => "安全芯片拒绝了操作，请联系管理员。",
        }
    }

    /// Reads a TPM error met while doing `act`.
    #[must_use]
    pub fn of(act: &'static str, error: tss_esapi::Error) -> Self {
        let tss_esapi::Error::Tss2Error(code) = error else {
            return Self::Refused {
                act,
                reason: error.to_string(),
            };
        };
        match code.kind() {
            Some(Tss2ResponseCodeKind::Integrity) => Self::Replaced,
            Some(Tss2ResponseCodeKind::PolicyFail | Tss2ResponseCodeKind::PcrChanged) => Self::StateChanged,
            Some(Tss2ResponseCodeKind::Lockout) => Self::LockedOut,
            Some(_) => Self::Refused {
                act,
                reason: error.to_string(),
            },
            // Codes of the layers below the TPM: the line to it is down.
            None => Self::Absent(format!("{act}: {error}")),
        }
    }
}

/// Names an act in the errors of the calls it makes.
pub(crate) trait During<T> {
    fn during(self, act: &'static str) -> Result<T, TpmError>;
}

impl<T> During<T> for Result<T, tss_esapi::Error> {
    fn during(self, act: &'static str) -> Result<T, TpmError> {
        self.map_err(|error| TpmError::of(act, error))
    }
}

/// The way to the TPM. Acts are done one after another; each opens and closes its own connection.
#[derive(Debug)]
pub struct Tpm {
    name: TctiNameConf,
    /// A direct connection (the bench's software TPM) has no resource manager: processes take turns by locking this
    /// file, and what a killed process left behind is flushed.
    direct: Option<PathBuf>,
    turn: Mutex<()>,
}

impl Tpm {
    /// `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321` for the software TPM of the bench.
    pub fn new(tcti: &str) -> Result<Self, TpmError> {
        let name = TctiNameConf::from_str(tcti).map_err(|_| TpmError::Configuration(tcti.to_owned()))?;
        let direct = matches!(name, TctiNameConf::Swtpm(_) | TctiNameConf::Mssim(_)).then(|| {
            let plain: String = tcti.chars().filter(char::is_ascii_alphanumeric).collect();
            std::env::temp_dir().join(format!("tpm-{plain}.lock"))
        });
        Ok(Self {
            name,
            direct,
            turn: Mutex::new(()),
        })
    }

    /// Does one act. Blocks: call it outside the asynchronous threads.
    pub fn act<T>(&self, act: impl FnOnce(&mut Open) -> Result<T, TpmError>) -> Result<T, TpmError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.direct.as_deref().map(lock).transpose()?;
        let context = Context::new(self.name.clone()).map_err(|error| TpmError::Absent(error.to_string()))?;
        let mut open = Open {
            context,
            loaded: Vec::new(),
        };
        if self.direct.is_some() {
            open.flush_left_behind()?;
        }
        let result = act(&mut open);
        open.close();
        result
    }

    /// Asks the TPM for a random number, to see that it answers.
    pub fn answers(&self) -> Result<(), TpmError> {
        self.act(|open| {
            open.context
                .execute_without_session(|c| c.get_random(8))
                .during("answer")?;
            Ok(())
        })
    }
}

fn lock(path: &Path) -> Result<File, TpmError> {
    let absent = |error: std::io::Error| TpmError::Absent(format!("{}: {error}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(absent)?;
    file.lock().map_err(absent)?;
    Ok(file)
}

/// A connection in use. Everything loaded through it is flushed at the end of the act.
pub struct Open {
    /// The library's context.
    pub context: Context,
    loaded: Vec<ObjectHandle>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("loaded", &self.loaded.len())
            .finish_non_exhaustive()
    }
}

impl Open {
    /// Flushes this handle when the act ends.
    pub fn flush_later(&mut self, handle: impl Into<ObjectHandle>) {
        self.loaded.push(handle.into());
    }

    /// Flushes it at once: a TPM without a resource manager has room for three.
    pub(crate) fn flush_now(&mut self, handle: impl Into<ObjectHandle>) {
        let handle = handle.into();
        self.loaded.retain(|kept| *kept != handle);
        let _ = self.context.flush_context(handle);
    }

    /// The digest of the policy that this makes.
    pub(crate) fn policy(
        &mut self,
        act: &'static str,
        parent: KeyHandle,
        make: impl FnOnce(&mut Context, PolicySession) -> tss_esapi::Result<()>,
    ) -> Result<Digest, TpmError> {
        let session = self.session(SessionType::Trial, parent)?;
        let trial = PolicySession::try_from(session).during(act)?;
        let made = self.context.execute_without_session(|c| {
            make(c, trial)?;
            c.policy_get_digest(trial)
        });
        self.flush_now(tss_esapi::handles::SessionHandle::from(session));
        made.during(act)
    }

    fn close(&mut self) {
        self.context.clear_sessions();
        for handle in self.loaded.drain(..).rev() {
            // A session that was used up is gone already.
            let _ = self.context.flush_context(handle);
        }
    }

    fn flush_left_behind(&mut self) -> Result<(), TpmError> {
        for first in [0x8000_0000u32, 0x0200_0000, 0x0300_0000] {
            let (data, _) = self
                .context
                .execute_without_session(|c| c.get_capability(CapabilityType::Handles, first, 32))
                .during("list handles")?;
            let CapabilityData::Handles(handles) = data else {
                continue;
            };
            for handle in handles.into_inner() {
                if !matches!(
                    handle,
                    TpmHandle::Transient(_) | TpmHandle::HmacSession(_) | TpmHandle::PolicySession(_)
                ) {
                    continue;
                }
                let found = self.context.execute_without_session(|c| c.tr_from_tpm_public(handle));
                let Ok(found) = found else { continue };
                match self.context.flush_context(found) {
                    // Flushed: it is only the library that has no book of a session that it did not begin.
                    Ok(()) | Err(tss_esapi::Error::WrapperError(WrapperErrorKind::InvalidHandleState)) => {}
                    Err(error) => return Err(TpmError::of("flush what was left behind", error)),
                }
            }
        }
        Ok(())
    }

    /// The storage key under the owner hierarchy: the same at every start, as long as the TPM is the same.
    pub fn storage_key(&mut self) -> Result<KeyHandle, TpmError> {
        let public = storage_template().during("describe the storage key")?;
        let made = self
            .context
            .execute_with_nullauth_session(|c| c.create_primary(Hierarchy::Owner, public, None, None, None, None))
            .during("make the storage key")?;
        self.flush_later(made.key_handle);
        Ok(made.key_handle)
    }

    /// A session whose parameters are encrypted under a secret only this TPM can read (salted by `salt`).
    pub fn session(&mut self, kind: SessionType, salt: KeyHandle) -> Result<AuthSession, TpmError> {
        let session = self
            .context
            .execute_without_session(|c| {
                c.start_auth_session(
                    Some(salt),
                    None,
                    None,
                    kind,
                    SymmetricDefinition::AES_128_CFB,
                    HashingAlgorithm::Sha256,
                )
            })
            .during("open a session")?
            .ok_or(TpmError::Malformed)?;
        if kind != SessionType::Trial {
            let (attributes, mask) = SessionAttributesBuilder::new()
                .with_continue_session(true)
                .with_decrypt(true)
                .with_encrypt(true)
                .build();
            self.context
                .tr_sess_set_attributes(session, attributes, mask)
                .during("open a session")?;
        }
        self.flush_later(tss_esapi::handles::SessionHandle::from(session));
        Ok(session)
    }
}

/// TCG "H-2"-like storage template: ECC P-256, restricted decryption, AES-128-CFB.
fn storage_template() -> Result<Public, tss_esapi::Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(
            PublicEccParametersBuilder::new()
                .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
                .with_ecc_scheme(EccScheme::Null)
                .with_curve(EccCurve::NistP256)
                .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
                .with_is_decryption_key(true)
                .with_restricted(true)
                .build()?,
        )
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}
