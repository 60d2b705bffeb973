//! Why an application was refused: a code of its own for every reason, the number of GB/T 38629 where the standard has
//! one, and plain words.

use std::fmt;

use crate::{Refusal, keys};

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal, $status:literal, $words:literal;)*) => {
        /// Reasons of refusal. Numbers up to `0x040000FF` are the standard's (GB/T 38629-2020, annex A); those from
        /// `0x04000100` are this server's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(
                #[doc = $words]
                $name,
            )*
        }

        impl Code {
            /// All of them, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number that is answered.
            #[must_use]
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status of the JSON interface.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Plain words for a person.
            #[must_use]
            pub fn person(self) -> &'static str {
                match self { $(Self::$name => $words),* }
            }
        }
    };
}

codes! {
    CertificateId = 0x0400_0001, "certificate_id", 404, "没有这个证书标识对应的证书";
    InfoType = 0x0400_0002, "info_type", 400, "不支持的证书信息类型";
    RevocationUnreachable = 0x0400_0003, "revocation_unreachable", 503, "CRL 或 OCSP 服务无法访问，证书状态未知";
    SignMethod = 0x0400_0004, "sign_method", 400, "不支持的签名算法";
    KeyIndex = 0x0400_0005, "key_index", 404, "没有这个索引的密钥，或该密钥不在使用中";
    KeyValue = 0x0400_0006, "key_value", 403, "密钥权限标识码错误";
    Certificate = 0x0400_0007, "certificate", 400, "证书非法或缺少证书";
    CertificateDecode = 0x0400_0008, "certificate_decode", 400, "证书无法解析";
    CertificateExpired = 0x0400_0009, "certificate_expired", 422, "证书已过期";
    CertificateNotYetValid = 0x0400_000a, "certificate_not_yet_valid", 422, "证书尚未生效";
    CertificateRevoked = 0x0400_000b, "certificate_revoked", 422, "证书已被吊销";
    SignatureInvalid = 0x0400_000c, "signature_invalid", 422, "签名无效";
    DataFormat = 0x0400_000d, "data_format", 400, "数据格式错误";
    Internal = 0x0400_000e, "internal", 500, "签名服务器内部错误";
    Unauthenticated = 0x0400_0100, "unauthenticated", 401, "应用系统身份未通过验证";
    ApplicationDisabled = 0x0400_0101, "application_disabled", 403, "该应用系统已停用";
    NotPermitted = 0x0400_0102, "not_permitted", 403, "访问策略不允许该应用系统使用此功能";
    KeyNotPermitted = 0x0400_0103, "key_not_permitted", 403, "访问策略不允许该应用系统使用此密钥";
    TooMany = 0x0400_0104, "too_many", 429, "请求过于频繁，超过该应用系统的限额";
    TooLarge = 0x0400_0105, "too_large", 413, "数据超过允许的长度";
    Replayed = 0x0400_0106, "replayed", 409, "请求已被使用过（重放）";
    RequestExpired = 0x0400_0107, "request_expired", 401, "请求时间与服务器时间相差过大";
    ChainUnknown = 0x0400_0108, "chain_unknown", 422, "证书不是由受信任的证书链签发";
    WrongUsage = 0x0400_0109, "wrong_usage", 422, "证书用途不符";
    ClockUntrusted = 0x0400_010a, "clock_untrusted", 503, "服务器时间不可信，暂停签名";
    SelfTest = 0x0400_010b, "self_test", 503, "自检未通过，已停止服务";
    Draining = 0x0400_010c, "draining", 503, "服务器正在退出服务，请改用其他服务器";
    DeviceAbsent = 0x0400_010d, "device_absent", 503, "密码设备不存在或没有应答";
    AlgorithmAbsent = 0x0400_010e, "algorithm_absent", 501, "没有提供该算法的密码设备";
    LogUnwritten = 0x0400_010f, "log_unwritten", 503, "签名日志无法写入，本次操作未生效";
    SessionUnknown = 0x0400_0110, "session_unknown", 404, "会话不存在或已超时";
    TooManySessions = 0x0400_0111, "too_many_sessions", 429, "未结束的会话过多";
    SignedInFuture = 0x0400_0112, "signed_in_future", 422, "签名时间晚于当前时间";
    NotFound = 0x0400_0113, "not_found", 404, "没有这个接口";
    Method = 0x0400_0114, "method", 405, "不支持的请求方法";
    SwitchedOff = 0x0400_0115, "switched_off", 403, "该接口已关闭";
    Busy = 0x0400_0116, "busy", 503, "服务器繁忙，请稍后重试";
    StampInvalid = 0x0400_0117, "stamp_invalid", 422, "时间戳无效";
    DeviceRefused = 0x0400_0119, "device_refused", 503, "密码设备拒绝了这项操作";
    KeyReused = 0x0400_011a, "key_reused", 422, "幂等键已用于另一个请求，请换一个新的";
    SignedBeforeStart = 0x0400_011b, "signed_before_start", 401, "请求签于服务器启动之前，为防重放不再接受，请重新签名后再发";
    OtherServer = 0x0400_011c, "other_server", 401, "请求是签给另一台签名服务器的，为防重放本机不予受理，请为本机重新签名后再发";
    RequestRejected = 0x0400_0118, "request_rejected", 400, "请求不正确";
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub code: Code,
    /// What exactly, and where; for the operator of the application.
    pub detail: String,
}

impl Fault {
    /// With particulars.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self::new(code, "")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.person())?;
        if !self.detail.is_empty() {
            write!(f, "：{}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::No {
                code: "clock_untrusted",
                ..
            } => Code::ClockUntrusted,
            Refusal::No { code: "self_test", .. } => Code::SelfTest,
            Refusal::No { .. } => Code::RequestRejected,
            Refusal::Tpm(_) => Code::DeviceAbsent,
            Refusal::Storage(_) | Refusal::LogUnwritten => Code::LogUnwritten,
            Refusal::Crypto(gm::Refused::Device { code, text }) => return keys::device::fault(code, text),
            Refusal::Damaged(_) | Refusal::Crypto(_) => Code::Internal,
        };
        let detail = match &refusal {
            Refusal::No { text, .. } => text.clone(),
            Refusal::Tpm(error) => error.person().to_owned(),
            _ => String::new(),
        };
        Self { code, detail }
    }
}
