//! What somebody should look at about signature servers of others.

use std::time::Duration;

use records::Timestamp;

use super::overview::{Severity, WARN_DAYS};
use crate::Refusal;
use crate::keys::device::DeviceState;
use crate::manage::Manage;
use crate::outside::{Beyond, Ending, How, Level, ServerView};

/// Signers named in one notice; of more, only how many there are.
const NAMED: usize = 10;

type Said = (Severity, &'static str, String);

/// What is the matter with an outside server and its signers' certificates, and how near its contract is to its end.
pub(super) fn notices(manage: &Manage, server: &ServerView, now: Timestamp) -> Result<Vec<Said>, Refusal> {
    let mut found = of_server(server);
    let (engine, lists) = (manage.engine(), manage.service.revocation.lists());
    let within = Duration::from_secs(WARN_DAYS.unsigned_abs() * 24 * 3600);
    let endings = engine.outside_endings(engine.outside.named(&server.name)?, &lists, (now, within))?;
    found.extend(of_certificates(&server.name, &endings));
    Ok(found)
}

fn of_server(server: &ServerView) -> Vec<Said> {
    let (name, used) = (&server.name, &server.used);
    let mut found = Vec::new();
    if server.state == DeviceState::Down {
        let why = server.trouble.as_ref().map_or("", |trouble| trouble.text.as_str());
        let text = format!("外部签名服务器 {name} 不可用：{why}");
        found.push((Severity::Error, "outside_down", text));
    }
    if server.stopped > 0 {
        let text = format!(
            "外部签名服务器 {name} 有 {} 位签名人暂停签名：证书或口令须管理员处理。",
            server.stopped
        );
        found.push((Severity::Error, "outside_stopped", text));
    }
    if used.wrong > 0 {
        let text = format!(
            "外部签名服务器 {name} 返回过 {} 个未通过验证的签名，均已丢弃，请联系对方查明。",
            used.wrong
        );
        found.push((Severity::Error, "outside_wrong_signature", text));
    }
    for (what, unit, count, agreed, level) in [
        (
            "本年度签名",
            "次",
            used.asked,
            used.signatures_agreed,
            used.signatures_level,
        ),
        ("签名人", "位", used.signers, used.signers_agreed, used.signers_level),
    ] {
        let Some(agreed) = agreed else { continue };
        let said = |words: &str| {
            format!("外部签名服务器 {name} {what}已用 {count} {unit}，{words}合同约定的 {agreed} {unit}。")
        };
        match level {
            Level::Calm => {}
            Level::Near => found.push((Severity::Warning, "outside_quota", said("超过 80%，"))),
            Level::Close => found.push((Severity::Warning, "outside_quota", said("超过 95%，即将用完"))),
            Level::Full if used.beyond == Beyond::Refuse => {
                found.push((Severity::Error, "outside_quota", said("已用完")));
            }
            Level::Full => found.push((Severity::Warning, "outside_quota", said("已达到或超过"))),
        }
    }
    found
}

/// One notice for all who cannot sign for the same reason.
fn of_certificates(server: &str, endings: &[Ending]) -> Vec<Said> {
    let kinds = [
        (
            How::Revoked,
            Severity::Error,
            "outside_revoked",
            "证书已被吊销，不能再签名",
        ),
        (
            How::Expired,
            Severity::Error,
            "outside_expires",
            "证书已过期，不能再签名",
        ),
        (
            How::Expires,
            Severity::Warning,
            "outside_expires",
            "证书将在 30 天内过期",
        ),
    ];
    let mut found = Vec::new();
    for (how, severity, code, words) in kinds {
        let these: Vec<&Ending> = endings.iter().filter(|ending| ending.how == how).collect();
        if these.is_empty() {
            continue;
        }
        let count = these.len();
        let named: Vec<String> = these.iter().take(NAMED).map(|ending| whose(ending)).collect();
        let more = if count > NAMED { "等" } else { "" };
        let text = format!(
            "外部签名服务器 {server} 上 {count} 位签名人的{words}：{}{more}。请联系对方换发证书，再重新登记。",
            named.join("、")
        );
        found.push((severity, code, text));
    }
    found
}

/// `王医生（sta_wang，密钥 7，自 2026-11-22 16:05:12 起）`
fn whose(ending: &Ending) -> String {
    let above = match &ending.above {
        Some(authority) => format!("其上级证书“{authority}”"),
        None => String::new(),
    };
    let when = match ending.how {
        How::Revoked | How::Expired => format!("自 {} 起", ending.at.local_text()),
        How::Expires => format!("到 {} 止", ending.at.local_text()),
    };
    let another = if ending.another {
        "，对方已有新证书待核对"
    } else {
        ""
    };
    format!(
        "{}（{}，密钥 {}，{above}{when}{another}）",
        ending.name, ending.signer, ending.key_index
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_seconds(1_795_334_400);

    fn ending(number: usize, how: How) -> Ending {
        Ending {
            signer: format!("sta_{number}"),
            name: "王医生".to_owned(),
            key_index: 7,
            how,
            at: END,
            above: None,
            another: false,
        }
    }

    #[test]
    fn each_end_is_said_once_with_names_and_since_when() {
        let mut authority = ending(2, How::Expired);
        authority.above = Some("省级 CA".to_owned());
        let mut replaced = ending(1, How::Revoked);
        replaced.another = true;
        let all = [replaced, authority, ending(3, How::Expires)];
        let said = of_certificates("province", &all);
        let words: Vec<&str> = said.iter().map(|(.., text)| text.as_str()).collect();
        assert_eq!(
            words,
            [
                "外部签名服务器 province 上 1 位签名人的证书已被吊销，不能再签名：王医生（sta_1，密钥 7，自 2026-11-22 16:00:00 \
                 起，对方已有新证书待核对）。请联系对方换发证书，再重新登记。",
                "外部签名服务器 province 上 1 位签名人的证书已过期，不能再签名：王医生（sta_2，密钥 7，其上级证书“省级 CA”自 \
                 2026-11-22 16:00:00 起）。请联系对方换发证书，再重新登记。",
                "外部签名服务器 province 上 1 位签名人的证书将在 30 天内过期：王医生（sta_3，密钥 7，到 2026-11-22 16:00:00 \
                 止）。请联系对方换发证书，再重新登记。",
            ]
        );
        let codes: Vec<_> = said.iter().map(|(severity, code, _)| (*severity, *code)).collect();
        let (error, warning) = (Severity::Error, Severity::Warning);
        assert_eq!(
            codes,
            [
                (error, "outside_revoked"),
                (error, "outside_expires"),
                (warning, "outside_expires")
            ]
        );
    }

    #[test]
    fn a_whole_ward_whose_certificates_end_is_one_notice() {
        let all: Vec<Ending> = (0..40).map(|number| ending(number, How::Expires)).collect();
        let said = of_certificates("province", &all);
        assert_eq!(said.len(), 1);
        let text = &said[0].2;
        assert!(
            text.contains("40 位签名人") && text.contains("sta_9，") && !text.contains("sta_10，"),
            "{text}"
        );
        assert!(of_certificates("province", &[]).is_empty());
    }
}
