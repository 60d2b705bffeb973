//! What the hospital's staff call a state.

use link::{Alarm, DownReason, Outage};

use super::page::escape;

/// Charging of a recorder in its bay.
pub(super) fn charge_word(charge: &str) -> &'static str {
    match charge {
        "idle" => "未充电",
        "charging" => "充电中",
        "full" => "已充满",
        "fault" => "故障",
        _ => "",
    }
}

/// State of a part or an endpoint, coloured.
pub(super) fn state_word(state: &str) -> String {
    let (class, word) = match state {
        "ok" => ("ok", "正常"),
        "ready" => ("ok", "就绪"),
        "slow" => ("warn", "缓慢"),
        "open" => ("bad", "已熔断"),
        "half_open" => ("warn", "试探中"),
        "paper_low" => ("warn", "纸将用尽"),
        "printing" => ("ok", "打印中"),
        "head_hot" => ("warn", "打印头过热"),
        "cutter" => ("bad", "切刀卡住"),
        "unknown" => ("bad", "应答无法识别"),
        "out_of_paper" => ("bad", "缺纸"),
        "cover_open" => ("bad", "上盖未合"),
        "offline" => ("bad", "未联机"),
        "error" => ("bad", "故障"),
        other => ("bad", other),
    };
    format!("<b class={class}>{}</b>", escape(word))
}

/// Why the line to the cloud is down. What a network said is told as it was said, for the engineer.
pub(super) fn outage_word(outage: &Outage) -> String {
    match outage {
        Outage::Line(DownReason::Disconnected) => "连接中断，正在重连".to_owned(),
        Outage::Line(DownReason::Silent) => "云端长时间无应答，正在重连".to_owned(),
        Outage::Line(DownReason::Fenced) => "另一台设备正以本机身份连接云端".to_owned(),
        Outage::Line(DownReason::Refused) => "云端拒绝接入：身份或版本不符".to_owned(),
        Outage::Line(DownReason::PeerRestarted) => "云端正在重启，稍后自动恢复".to_owned(),
        Outage::Wire(said) => format!("连接不上云端，正在重试（{said}）"),
    }
}

/// What an operator must know of the line.
pub(super) fn alarm_word(alarm: &Alarm) -> String {
    match alarm {
        Alarm::RolledBack { ours, theirs, .. } => format!(
            "本机数据盘曾被还原或复制：自第 {ours} 条起与云端所收（至第 {theirs} 条）不同，本机数据已另行编号补传，请核对磁盘来历"
        ),
        Alarm::Cloned => "有两台设备以同一身份运行，请停用其中一台".to_owned(),
        Alarm::Fenced => "另一台设备曾以本机身份连接云端，请查明本机磁盘是否被复制".to_owned(),
        Alarm::WrongIdentity { claimed } => format!("接入时所报身份（{claimed}）与证书不符"),
        Alarm::Version => "本机与云端没有共同的协议版本，请升级本机".to_owned(),
        Alarm::ClockOffset(microseconds) => format!(
            "本机与云端时钟相差 {} 秒，请检查对时",
            microseconds.unsigned_abs() / 1_000_000
        ),
    }
}

/// State of a command in the journal.
pub(super) fn journal_word(state: his::journal::State) -> &'static str {
    use his::journal::State;
    match state {
        State::Queued => "待发送",
        State::Sending => "发送中",
        State::Waiting => "待重发",
        State::Unknown => "结果核实中",
        State::Done => "已办理",
        State::Refused => "院方未予办理",
        State::NeedsHand => "需人工处理",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_line_is_plain_chinese() {
        use records::Lane;
        let outages = [
            DownReason::Disconnected,
            DownReason::Silent,
            DownReason::Fenced,
            DownReason::Refused,
            DownReason::PeerRestarted,
        ];
        let alarms = [
            Alarm::RolledBack {
                lane: Lane::Clinical,
                ours: 6,
                theirs: 9,
            },
            Alarm::Cloned,
            Alarm::Fenced,
            Alarm::Version,
            Alarm::ClockOffset(-7_200_000_000),
        ];
        let told = outages.map(|reason| outage_word(&Outage::Line(reason)));
        for word in told.into_iter().chain(alarms.iter().map(alarm_word)) {
            assert!(!word.contains(|c: char| c.is_ascii_alphabetic()), "{word}");
        }
        assert!(alarm_word(&alarms[0]).contains("自第 6 条起与云端所收（至第 9 条）不同"));
        assert!(alarm_word(&alarms[4]).contains("相差 7200 秒"));
        let wire = outage_word(&Outage::Wire("connection refused".to_owned()));
        assert!(wire.contains("正在重试（connection refused）"), "{wire}");
    }
}
