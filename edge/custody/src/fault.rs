//! What can go wrong with a device, and what to do about it.

/// Why a device did not do what was asked. [`std::fmt::Display`] is for the operator's log, [`Fault::person`] for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The library cannot be loaded, or lacks a function.
    #[error("library: {0}")]
    Library(String),
    /// There is no such token or device.
    #[error("no device: {0}")]
    Absent(String),
    /// The device went away or was reset, and opening it again did not help.
    #[error("device gone: {0}")]
    Gone(String),
    /// No answer within the deadline. The call may still have its effect. Not called again until reset.
    #[error("no answer from the device within {after_ms} ms")]
    Silent {
        /// The deadline, in milliseconds.
        after_ms: u64,
    },
    /// The device did not answer earlier and was not reset since: this call did not reach it.
    #[error("device stopped answering earlier; not called")]
    Withheld,
    /// All sessions are taken: this call did not reach the device.
    #[error("all sessions of the device are taken")]
    Busy,
    /// No PIN or password was given.
    #[error("no PIN given")]
    PinMissing,
    /// Others than the service may change the file with the PIN, or anyone may read it: it is not used.
    #[error("PIN file: {0}")]
    PinFile(&'static str),
    /// The PIN or password was refused. It is not tried again by itself.
    #[error("PIN refused by the device; not tried again until another is given")]
    PinWrong,
    /// One try is left before the device locks: a person must give the PIN.
    #[error("one try left before the PIN locks; not tried by itself")]
    PinLastTry,
    /// The device has locked the PIN.
    #[error("PIN locked")]
    PinLocked,
    /// The session has no right to the private key.
    #[error("no right to use key {0}")]
    NoRight(String),
    /// There is no such key.
    #[error("no key {0}")]
    NoKey(String),
    /// The reference fits several keys.
    #[error("{0} names several keys")]
    Ambiguous(String),
    /// The device has a key of another kind under this reference.
    #[error("key {key} is not for {wanted}")]
    WrongKey {
        /// The reference.
        key: String,
        /// What it was asked for.
        wanted: &'static str,
    },
    /// The device, or its interface, has no such operation.
    #[error("not offered by the device: {0}")]
    NotOffered(&'static str),
    /// What the caller gave cannot be worked on.
    #[error("input: {0}")]
    Input(&'static str),
    /// A ciphertext that does not decrypt. No more is said: more would help whoever forges ciphertexts.
    #[error("ciphertext does not decrypt")]
    Ciphertext,
    /// The key reference cannot be read.
    #[error("key reference: {0}")]
    Reference(&'static str),
    /// The device answered something that cannot be true. Its session was thrown away.
    #[error("{function} answered nonsense: {what}")]
    BadReply {
        /// The function called.
        function: &'static str,
        /// What is wrong with its answer.
        what: &'static str,
    },
    /// The device reports an error of its own.
    #[error("{function}: {name} ({code:#010x})")]
    Device {
        /// The function called.
        function: &'static str,
        /// The error's name in the standard.
        name: String,
        /// The error's number.
        code: u64,
        /// What the number means, in Chinese.
        words: &'static str,
    },
}

impl Fault {
    /// A stable name, for logs and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Library(_) => "device_library",
            Self::Absent(_) => "device_absent",
            Self::Gone(_) => "device_gone",
            Self::Silent { .. } => "device_silent",
            Self::Withheld => "device_withheld",
            Self::Busy => "device_busy",
            Self::PinMissing => "device_pin_missing",
            Self::PinFile(_) => "device_pin_file",
            Self::PinWrong => "device_pin_wrong",
            Self::PinLastTry => "device_pin_last_try",
            Self::PinLocked => "device_pin_locked",
            Self::NoRight(_) => "device_no_right",
            Self::NoKey(_) => "device_no_key",
            Self::Ambiguous(_) => "device_key_ambiguous",
            Self::WrongKey { .. } => "device_wrong_key",
            Self::NotOffered(_) => "device_not_offered",
            Self::Input(_) => "device_input",
            Self::Ciphertext => "device_ciphertext",
            Self::Reference(_) => "device_reference",
            Self::BadReply { .. } => "device_bad_reply",
            Self::Device { .. } => "device_error",
        }
    }

    /// What happened and what to do, for a person.
    #[must_use]
    pub fn person(&self) -> String {
        match self {
            Self::Library(_) => "密码设备的接口库无法加载，请检查配置中的路径与厂商驱动是否已安装。".into(),
            Self::Absent(_) => "没有找到配置的密码设备，请检查设备是否插好、标签或序列号是否正确。".into(),
            Self::Gone(_) => "密码设备已被拔出或复位，请插好设备后重试。".into(),
            Self::Silent { .. } => "密码设备没有应答，操作结果不明。请检查设备，处理后在管理页面复位。".into(),
            Self::Withheld => "密码设备此前没有应答，本次未执行。请检查设备后在管理页面复位。".into(),
            Self::Busy => "密码设备正忙，本次未执行，请稍后再试。".into(),
            Self::PinMissing => "尚未输入密码设备的口令，请由管理员输入。".into(),
            Self::PinFile(what) => format!("密码设备的口令文件不能使用：{what}。"),
            Self::PinWrong => "密码设备口令错误，系统不会自动重试。请由管理员重新输入正确的口令。".into(),
            Self::PinLastTry => "密码设备口令只剩最后一次机会，系统不会自动尝试。请由管理员核对后输入。".into(),
            Self::PinLocked => "密码设备口令已锁定，请用设备的管理员口令（SO PIN）或厂商工具解锁。".into(),
            Self::NoRight(key) => format!("没有密钥 {key} 的私钥使用权限，请检查私钥访问口令。"),
            Self::NoKey(key) => format!("密码设备中没有密钥 {key}，请检查密钥索引或标签。"),
            Self::Ambiguous(key) => format!("{key} 对应多个密钥，请在配置中补充 id 以唯一确定。"),
            Self::WrongKey { key, wanted } => format!("密钥 {key} 不能用于 {wanted}，请检查密钥类型与用途。"),
            Self::NotOffered(what) => format!("密码设备不提供此功能：{what}。"),
            Self::Input(what) => format!("输入数据不正确：{what}。"),
            Self::Ciphertext => "密文无法解密，请确认密文完整且由对应的公钥加密。".into(),
            Self::Reference(what) => format!("密钥引用写法不正确：{what}。"),
            Self::BadReply { function, .. } => {
                format!("密码设备的应答不正确（{function}），结果已丢弃。若反复出现，请停用设备并联系厂商。")
            }
            Self::Device {
                function, code, words, ..
            } => format!("密码设备报错：{words}（{function}，0x{code:08X}）。"),
        }
    }

    /// Whether the call certainly had no effect, so that it may be asked again.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        !matches!(
            self,
            Self::Silent { .. } | Self::Gone(_) | Self::BadReply { .. } | Self::Device { .. }
        )
    }
}
