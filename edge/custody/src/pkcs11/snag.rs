//! What a module answers when it does not do what was asked.

use cryptoki::error::{Error, RvError};

use crate::Fault;

/// Why work in a session ended: as the module said it, or as we did.
pub(super) enum Snag {
    Module(&'static str, Error),
    Fault(Fault),
}

impl From<Fault> for Snag {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Names the function in what the module answered.
pub(super) fn by<T>(function: &'static str) -> impl FnOnce(Error) -> Result<T, Snag> {
    move |error| Err(Snag::Module(function, error))
}

pub(super) type Worked<T> = Result<T, Snag>;

impl Snag {
    /// The session or the sign-in is gone: nothing was done.
    pub(super) fn stale(&self) -> bool {
        matches!(
            self,
            Self::Module(
                _,
                Error::Pkcs11(
                    RvError::SessionHandleInvalid
                        | RvError::SessionClosed
                        | RvError::UserNotLoggedIn
                        | RvError::KeyHandleInvalid
                        | RvError::ObjectHandleInvalid
                        | RvError::CryptokiNotInitialized
                        | RvError::DeviceRemoved
                        | RvError::DeviceError
                        | RvError::TokenNotPresent
                        | RvError::TokenNotRecognized
                        | RvError::SlotIdInvalid,
                    _
                )
            )
        )
    }

    pub(super) fn fault(self) -> Fault {
        let (function, error) = match self {
            Self::Fault(fault) => return fault,
            Self::Module(function, error) => (function, error),
        };
        let Error::Pkcs11(code, _) = error else {
            let what = "something its interface does not allow";
            return Fault::BadReply { function, what };
        };
        let words = match code {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => return Fault::PinWrong,
            RvError::PinLocked => return Fault::PinLocked,
            RvError::SessionCount => return Fault::Busy,
            RvError::MechanismInvalid | RvError::FunctionNotSupported => return Fault::NotOffered("此算法或机制"),
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange => return Fault::Ciphertext,
            RvError::PinExpired => "口令已过期，请用厂商工具修改口令",
            RvError::UserPinNotInitialized => "用户口令尚未初始化，请先用厂商工具设置",
            RvError::KeyFunctionNotPermitted | RvError::KeyTypeInconsistent => "密钥不允许用于此运算",
            RvError::DeviceMemory | RvError::HostMemory => "存储空间不足",
            RvError::TokenWriteProtected | RvError::SessionReadOnly => "设备为只读，不能产生或销毁密钥",
            RvError::DeviceError => "设备自身故障",
            _ => "设备拒绝了此操作，请查阅设备手册",
        };
        let vendor = match code {
            RvError::VendorDefined(number) => number,
            _ => 0,
        };
        Fault::Device {
            function,
            name: format!("{code:?}"),
            code: vendor,
            words,
        }
    }
}
