use serde::Deserialize;

/// What a server said no with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// The number of GB/T 38629, or the server's own.
    pub number: u32,
    /// The stable name: `key_index`.
    pub code: String,
    /// Plain words.
    pub text: String,
}

/// Why a call gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used.
    #[error("签名服务器客户端设置有误：{0}。")]
    Settings(String),
    /// The request cannot be written as JSON.
    #[error("请求无法编码：{0}。")]
    Request(String),
    /// A server refused it: asking again changes nothing.
    #[error("签名服务器 {server} 拒绝了请求：{}（{}）。", refusal.text, refusal.code)]
    Refused {
        /// Which one.
        server: String,
        /// Its words.
        refusal: Refusal,
    },
    /// A server answered with something that is not its answer. What was asked may have been done.
    #[error("签名服务器 {server} 的应答无法识别：{reason}。")]
    Answer {
        /// Which one.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No server did it within the deadline, and certainly none did: it may be asked again at any time.
    #[error("在限定时间内没有签名服务器可用，操作没有进行，可稍后重试：{0}。")]
    NotDone(String),
    /// No answer came within the deadline, but a server may have done it: its log tells. A signature that may have been
    /// made was given to nobody; asking again makes another one.
    #[error("在限定时间内没有得到应答，操作可能已经进行（签名日志中可查）：{0}。")]
    Unknown(String),
}
