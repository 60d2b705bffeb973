//! Why a command did not succeed, in words for people.

use dock_link::Refusal;

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockError {
    /// The board is away; nothing was done.
    #[error("采集坞不在线：{0}")]
    Offline(String),
    /// The line was lost after the command had been sent: it may have been done. Repeating it is harmless.
    #[error("采集坞连接中断，指令可能已执行，请查看槽位状态后重试")]
    Unknown,
    /// The board said no; nothing was done.
    #[error("{}", words(*.0))]
    Refused(Refusal),
    /// The serial number is longer than the board can keep (24 bytes).
    #[error("记录仪编号过长（最多24个字节），无法写入采集坞")]
    LongSerial,
    /// The board answered something that does not belong to the question: its firmware is wrong.
    #[error("采集坞应答与指令不符，请升级采集坞固件")]
    Nonsense,
}

/// A refusal in plain words.
pub(crate) fn words(refusal: Refusal) -> String {
    let text = match refusal {
        Refusal::NoSession | Refusal::Stale => "采集坞刚刚重启，请重试",
        Refusal::NoSuchBay => "采集坞没有这个槽位",
        Refusal::Empty => "该槽位没有记录仪",
        Refusal::OutOfRange => "设置值超出允许范围",
        Refusal::Flash => "采集坞存储写入失败，请联系维护人员更换控制板",
        Refusal::Signature => "固件签名无效，不予升级",
        Refusal::OtherBoard => "固件不适用于该型号采集坞",
        Refusal::Older => "固件版本低于当前版本，不予升级",
        Refusal::TooBig => "固件过大，采集坞放不下",
        Refusal::Offset(_) => "固件传输顺序错误，请重新升级",
        Refusal::Hash => "固件传输后校验不符，请重新升级",
        Refusal::Order => "采集坞当前不能执行这一步，请稍后重试",
    };
    text.to_owned()
}
