//! What goes wrong with an outside server, and what that says of the signature that was wanted.

use records::Timestamp;

use crate::fault::Code;
use crate::keys::device::Trouble;
use crate::vault::OutsideOutcome;

/// Why there is no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection came about: nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// It is known not to answer: nothing was sent.
    #[error("withheld, the server is down")]
    Withheld,
    /// All places are taken: nothing was sent.
    #[error("busy")]
    Busy,
    /// No answer within the time: it may have signed.
    #[error("no answer in time")]
    Silent,
    /// The connection ended before the answer: it may have signed.
    #[error("broken: {0}")]
    Broken(String),
    /// It says no, by a number of the standard or of its maker, or by a status of HTTP.
    #[error("refused {number:#010x} {words}")]
    Refused {
        /// The number; the status where HTTP alone answered.
        number: u32,
        /// Its own words, where it has any.
        words: String,
    },
    /// What it answered is no answer of the standard.
    #[error("garbage: {0}")]
    Garbage(&'static str),
    /// The signature does not verify with the accepted certificate.
    #[error("the signature does not verify")]
    WrongSignature,
}

impl Fault {
    /// The stable name.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "outside_absent",
            Self::Withheld => "outside_withheld",
            Self::Busy => "outside_busy",
            Self::Silent | Self::Broken(_) => "outside_silent",
            Self::Refused { .. } => "outside_refused",
            Self::Garbage(_) => "outside_garbage",
            Self::WrongSignature => "outside_wrong_signature",
        }
    }

    /// Plain words: what happened and what to do.
    pub(crate) fn person(&self) -> String {
        match self {
            Self::Unreachable(why) => format!("无法连接（{why}），未签名，请稍后重试或检查网络。"),
            Self::Withheld => "暂时无法使用，正在自动重试连接，未签名，请稍后再试。".to_owned(),
            Self::Busy => "正忙，未签名，请稍后重试。".to_owned(),
            Self::Silent | Self::Broken(_) => "没有及时答复，本次签名未生效，请稍后重新签名。".to_owned(),
            Self::Refused { number, words } => {
                let known = Code::ALL.iter().find(|code| code.number() == *number);
                let ours = known.map_or("对方拒绝了请求", |code| code.person());
                let words = if words.is_empty() {
                    String::new()
                } else {
                    format!("；对方说明：{words}")
                };
                match number {
                    0..1000 => format!("{ours}（HTTP {number}{words}）。"),
                    _ => format!("{ours}（{number:#010x}{words}）。"),
                }
            }
            Self::Garbage(what) => format!("答复无法识别（{what}），已丢弃，请联系对方维护人员。"),
            Self::WrongSignature => "返回的签名未通过验证，已丢弃并告警，请联系管理员。".to_owned(),
        }
    }

    /// As the trouble of a server rather than of a signature.
    pub(super) fn trouble(&self, at: Timestamp, about: &str) -> Trouble {
        let text = match self {
            Self::Unreachable(why) => format!("无法连接（{why}）。"),
            Self::Silent | Self::Broken(_) => "没有及时答复。".to_owned(),
            other => other.person(),
        };
        Trouble {
            at,
            code: self.code(),
            text: format!("{about}{text}"),
        }
    }

    /// The server itself is the trouble, rather than what was asked of it.
    pub(super) fn lost(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent | Self::Broken(_))
    }

    /// What it says of a signature that was asked for; `None` when nobody knows.
    pub(super) fn outcome(&self) -> Option<OutsideOutcome> {
        match self {
            Self::Unreachable(_) | Self::Withheld | Self::Busy => Some(OutsideOutcome::Unsent),
            Self::Refused { .. } => Some(OutsideOutcome::Refused),
            Self::WrongSignature => Some(OutsideOutcome::Wrong),
            Self::Silent | Self::Broken(_) | Self::Garbage(_) => None,
        }
    }

    /// The access password was refused: it is not tried again, for the other end may lock the key.
    pub(super) fn of_password(&self) -> bool {
        matches!(self, Self::Refused { number, .. } if *number == Code::KeyValue.number())
    }
}

impl From<Fault> for gm::Refused {
    fn from(fault: Fault) -> Self {
        Self::Device {
            code: fault.code(),
            text: fault.person(),
        }
    }
}
