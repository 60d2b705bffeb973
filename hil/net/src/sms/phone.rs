//! 「演示手机」: what arrived, and the authenticator's codes.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;

use super::{Gateway, totp};

const SHOWN: usize = 100;

/// The page; it renews itself every few seconds.
pub(super) async fn page(State(gateway): State<Arc<Gateway>>) -> Html<String> {
    let now = gateway.clock.unix();
    let mut codes = String::new();
    match totp::secrets(gateway.settings.totp.as_deref()) {
        Ok(secrets) => {
            for (login, secret) in secrets {
                let code = totp::code(&secret, now).unwrap_or_else(|| "密钥无效".into());
                let _infallible = write!(
                    codes,
                    "<li><span>{}</span><b>{}</b></li>",
                    escape(&login),
                    escape(&code)
                );
            }
        }
        Err(why) => codes = format!("<li>{}</li>", escape(&why)),
    }
    if codes.is_empty() {
        codes = "<li>没有登记的账号</li>".into();
    }
    let mut list = String::new();
    for message in gateway.messages().iter().rev().take(SHOWN) {
        let _infallible = write!(
            list,
            "<li><p><b>{}</b><time>{}</time></p><p class=\"text\">{}</p></li>",
            escape(&message.phone),
            escape(&message.at),
            escape(&message.text)
        );
    }
    if list.is_empty() {
        list = "<li class=\"none\">还没有短信</li>".into();
    }
    Html(format!(
        r#"<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="4"><title>演示手机</title><style>
body{{margin:0;background:#f2f4f6;color:#1b2126;font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif}}
main{{max-width:460px;margin:0 auto;padding:20px 16px}} h1{{font-size:22px;margin:0 0 4px}} h2{{font-size:16px;margin:24px 0 8px}}
ul{{list-style:none;margin:0;padding:0;display:grid;gap:8px}} li{{background:#fff;border-radius:12px;padding:12px 14px}}
p{{margin:0;display:flex;justify-content:space-between;gap:8px}} time{{color:#5a646d;font-size:13px}} .text{{display:block;overflow-wrap:anywhere;font-size:17px}}
.codes li{{display:flex;justify-content:space-between;align-items:center}} .codes b{{font:600 22px ui-monospace,monospace;letter-spacing:3px}} .none,.note{{color:#5a646d}}
</style><main><h1>演示手机</h1><p class="note">本机收到的短信和动态口令，仅供演示</p>
<h2>动态口令（还有 {} 秒）</h2><ul class="codes">{codes}</ul><h2>短信</h2><ul>{list}</ul></main></html>"#,
        totp::left(now)
    ))
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
