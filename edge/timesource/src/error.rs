//! Why a source gave no time, in words for the administrator.

use std::io;

/// Why one source gave no usable time; the text is for the administrator and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The name does not resolve.
    #[error("域名“{host}”解析失败，请检查地址和 DNS 设置")]
    Name {
        /// As configured.
        host: String,
    },
    /// The operating system refused to send or receive.
    #[error("无法与时间源通信（{0}），请检查网络")]
    Network(String),
    /// The port is closed.
    #[error("对方未提供时间服务（端口拒绝连接），请检查地址和端口")]
    Closed,
    /// Nothing that could be believed came in time.
    #[error("时间源没有应答，请检查网络和防火墙（UDP 端口）")]
    Silent,
    /// Only answers that had to be thrown away came in time.
    #[error("{0}，已丢弃")]
    OnlyInvalid(Invalid),
    /// Kiss code RATE.
    #[error("时间源要求降低查询频率（RATE），已自动延长间隔")]
    TooOften,
    /// Kiss codes DENY and RSTR.
    #[error("时间源拒绝为本机服务（{code}），已停止查询；请联系其管理员，修改配置后会重新尝试")]
    Denied {
        /// `DENY` or `RSTR`.
        code: &'static str,
    },
    /// Another kiss code.
    #[error("时间源暂不提供时间（{0}）")]
    Kiss(String),
    /// Leap indicator 3, stratum 16 and above, or no time of its last setting.
    #[error("时间源自身尚未同步（层级 {stratum}），请更换时间源或稍后再试")]
    Unsynchronised {
        /// As it said.
        stratum: u8,
    },
    /// The timestamps contradict each other.
    #[error("时间源应答中的时间自相矛盾，请更换时间源")]
    Inconsistent,
    /// The time of the answer is known too badly.
    #[error("时间源误差过大（±{error_ms} 毫秒），请更换更近的时间源")]
    TooVague {
        /// Largest possible error in milliseconds.
        error_ms: u64,
    },
    /// The machine's clock was set while the answer was under way.
    #[error("测量过程中本机时钟被改动，本次结果作废")]
    ClockMoved,
    /// The key exchange could not be reached or broke off.
    #[error("NTS 密钥协商连接失败（{0}），请检查地址、端口（默认 4460）和防火墙")]
    KeyExchange(String),
    /// The server's certificate was refused.
    #[error("NTS 服务器证书不可信：{0}")]
    Certificate(String),
    /// The key exchange answered something else than RFC 8915 says.
    #[error("NTS 密钥协商应答不符合规范（{0}），请更换时间源")]
    KeyExchangeAnswer(&'static str),
    /// The key exchange answered with an error record.
    #[error("NTS 服务器拒绝密钥协商（错误码 {0}）")]
    KeyExchangeRefused(u16),
    /// NTS NAK.
    #[error("NTS 密钥已失效（NAK），正在重新协商")]
    Nak,
    /// The operating system gave no random numbers.
    #[error("系统随机数不可用，无法安全地查询时间")]
    NoRandom,
}

impl SourceError {
    pub(crate) fn network(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Closed,
            _ => Self::Network(plain(error)),
        }
    }
}

/// The kinds of input and output errors an administrator can act on, in Chinese.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "连接被拒绝".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "连接被对方断开".to_owned(),
        io::ErrorKind::UnexpectedEof => "对方提前断开".to_owned(),
        io::ErrorKind::TimedOut => "超时".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "网络不可达".to_owned(),
        io::ErrorKind::AddrNotAvailable => "本机没有可用地址".to_owned(),
        io::ErrorKind::PermissionDenied => "被本机防火墙禁止".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a datagram was thrown away while waiting for a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Shorter than a header, or a field reaches over its end.
    #[error("收到的应答不完整")]
    Truncated,
    /// Not an answer of NTP version 4 (3 without NTS).
    #[error("收到的不是时间应答")]
    NotAnAnswer,
    /// It answers another question: forged, replayed or late.
    #[error("收到的应答与请求不符（可能是伪造或重放）")]
    WrongOrigin,
    /// The protection is missing.
    #[error("收到的应答没有 NTS 保护（可能是伪造）")]
    Unprotected,
    /// The protection does not hold.
    #[error("收到的应答未通过 NTS 校验（可能是伪造）")]
    Forged,
}
