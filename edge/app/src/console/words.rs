//! What the hospital's staff call a state.

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
