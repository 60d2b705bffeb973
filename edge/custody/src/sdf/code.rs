//! Error codes of GM/T 0018, annex A.

use crate::Fault;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $standard:literal, $words:literal;)*) => {
        /// An error code of the standard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its number.
            #[must_use]
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// Its name in the standard.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $standard,)* }
            }

            /// What it means.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

codes! {
    /// Unknown error.
    Unknown = 0x0100_0001, "SDR_UNKNOWERR", "未知错误";
    /// Interface not supported.
    NotSupported = 0x0100_0002, "SDR_NOTSUPPORT", "不支持的接口调用";
    /// No communication with the device.
    Communication = 0x0100_0003, "SDR_COMMFAIL", "与设备通信失败";
    /// The module does not respond.
    Hardware = 0x0100_0004, "SDR_HARDFAIL", "运算模块无响应";
    /// Opening the device failed.
    OpenDevice = 0x0100_0005, "SDR_OPENDEVICE", "打开设备失败";
    /// Opening a session failed.
    OpenSession = 0x0100_0006, "SDR_OPENSESSION", "创建会话失败";
    /// No right to the private key.
    NoRight = 0x0100_0007, "SDR_PARDENY", "无私钥使用权限";
    /// No such key.
    NoKey = 0x0100_0008, "SDR_KEYNOTEXIST", "不存在的密钥调用";
    /// Algorithm not supported.
    Algorithm = 0x0100_0009, "SDR_ALGNOTSUPPORT", "不支持的算法调用";
    /// Mode not supported.
    AlgorithmMode = 0x0100_000A, "SDR_ALGMODNOTSUPPORT", "不支持的算法模式调用";
    /// Public key operation failed.
    PublicKey = 0x0100_000B, "SDR_PKOPERR", "公钥运算失败";
    /// Private key operation failed.
    PrivateKey = 0x0100_000C, "SDR_SKOPERR", "私钥运算失败";
    /// Signing failed.
    Sign = 0x0100_000D, "SDR_SIGNERR", "签名运算失败";
    /// Verifying failed.
    Verify = 0x0100_000E, "SDR_VERIFYERR", "验证签名失败";
    /// Symmetric operation failed.
    Symmetric = 0x0100_000F, "SDR_SYMOPERR", "对称算法运算失败";
    /// Steps in the wrong order.
    Step = 0x0100_0010, "SDR_STEPERR", "多步运算步骤错误";
    /// File too long.
    FileSize = 0x0100_0011, "SDR_FILESIZEERR", "文件长度超出限制";
    /// No such file.
    NoFile = 0x0100_0012, "SDR_FILENOEXIST", "指定的文件不存在";
    /// Wrong offset in a file.
    FileOffset = 0x0100_0013, "SDR_FILEOFSERR", "文件起始位置错误";
    /// Wrong kind of key.
    KeyType = 0x0100_0014, "SDR_KEYTYPEERR", "密钥类型错误";
    /// Wrong key.
    Key = 0x0100_0015, "SDR_KEYERR", "密钥错误";
    /// Wrong ECC ciphertext.
    Ciphertext = 0x0100_0016, "SDR_ENCDATAERR", "ECC 加密数据错误";
    /// Random generator failed.
    Random = 0x0100_0017, "SDR_RANDERR", "随机数产生失败";
    /// Getting the right to a private key failed.
    AccessRight = 0x0100_0018, "SDR_PRKRERR", "私钥使用权限获取失败";
    /// MAC failed.
    Mac = 0x0100_0019, "SDR_MACERR", "MAC 运算失败";
    /// The file exists.
    FileExists = 0x0100_001A, "SDR_FILEEXSITS", "指定文件已存在";
    /// Writing a file failed.
    FileWrite = 0x0100_001B, "SDR_FILEWERR", "文件写入失败";
    /// Not enough room.
    NoBuffer = 0x0100_001C, "SDR_NOBUFFER", "存储空间不足";
    /// Wrong input.
    Input = 0x0100_001D, "SDR_INARGERR", "输入参数错误";
    /// Wrong output.
    Output = 0x0100_001E, "SDR_OUTARGERR", "输出参数错误";
}

impl Code {
    /// The code with this number; vendors have their own beyond the standard's.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

/// The fault of an error code.
pub(super) fn fault(function: &'static str, number: u32) -> Fault {
    let code = Code::of(number);
    Fault::Device {
        function,
        name: code.map_or_else(|| "vendor's own code".into(), |code| code.name().into()),
        code: number.into(),
        words: code.map_or("厂商自定义错误，请查阅设备手册", Code::words),
    }
}

/// The standard's code a fault carries.
pub(super) fn of_fault(fault: &Fault) -> Option<Code> {
    match fault {
        Fault::Device { code, .. } => Code::of(u32::try_from(*code).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_codes_are_the_thirty_of_the_standard_in_order() {
        let numbers: Vec<u32> = Code::ALL.iter().map(|code| code.number()).collect();
        let wanted: Vec<u32> = (0x0100_0001..=0x0100_001E).collect();
        assert_eq!(numbers, wanted);
        assert_eq!(Code::of(0x0100_0100), None);
    }
}
