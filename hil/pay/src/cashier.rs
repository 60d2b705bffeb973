//! The page where a person pays.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::books::{NotPayable, Trade};
use crate::channel::Channel;

#[derive(Debug, Deserialize)]
struct Visit {
    prepay_id: String,
    #[serde(default)]
    redirect_url: String,
}

pub(crate) fn routes(channel: Arc<Channel>) -> Router {
    Router::new()
        .route("/h5/checkmweb", get(show))
        .route("/h5/pay", post(pay))
        .route("/h5/cancel", post(cancel))
        .with_state(channel)
}

async fn show(State(channel): State<Arc<Channel>>, Query(visit): Query<Visit>) -> Response {
    let found = Trade::find_any(&channel.db(), &visit.prepay_id);
    let Ok(Some(trade)) = found else {
        return message("订单不存在", "请返回商户重新下单。", &visit);
    };
    match trade.state.as_str() {
        "NOTPAY" => {}
        "CLOSED" => return message("订单已关闭", "请返回商户重新下单。", &visit),
        _ => return message("订单已支付", "无需重复支付。", &visit),
    }
    let body = format!(
        r#"<p class="what">{}</p><p class="sum"><small>¥</small>{}.{:02}</p>
<dl><dt>收款方</dt><dd>永州示范医院（{}）</dd><dt>商户单号</dt><dd>{}</dd></dl>
<form method="post" action="/h5/pay">{hidden}<button class="go" id="confirm">确认支付</button></form>
<form method="post" action="/h5/cancel">{hidden}<button id="cancel">取消</button></form>"#,
        escape(&trade.description),
        trade.total / 100,
        trade.total % 100,
        escape(&trade.mchid),
        escape(&trade.out_trade_no),
        hidden = hidden(&visit),
    );
    page("微信支付", &body).into_response()
}

async fn pay(State(channel): State<Arc<Channel>>, Form(visit): Form<Visit>) -> Response {
    match channel.pay(&visit.prepay_id, None) {
        Ok(Ok(_) | Err(NotPayable::Paid)) => back(&visit, "支付成功"),
        Ok(Err(NotPayable::Closed)) => message("订单已关闭", "没有扣款，请返回商户重新下单。", &visit),
        Ok(Err(NotPayable::Expired)) => message("订单已过期", "没有扣款，请返回商户重新下单。", &visit),
        Ok(Err(NotPayable::Unknown)) => message("订单不存在", "请返回商户重新下单。", &visit),
        Err(error) => {
            tracing::error!("{error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "系统繁忙").into_response()
        }
    }
}

async fn cancel(Form(visit): Form<Visit>) -> Response {
    back(&visit, "已取消支付")
}

/// Back to the merchant, or a closing word when it named no page.
fn back(visit: &Visit, words: &str) -> Response {
    let url = visit.redirect_url.as_str();
    if url.starts_with("http://") || url.starts_with("https://") {
        return Redirect::to(url).into_response();
    }
    message(words, "请返回商户页面查看结果。", visit)
}

fn message(title: &str, words: &str, visit: &Visit) -> Response {
    let url = visit.redirect_url.as_str();
    let link = if url.starts_with("http://") || url.starts_with("https://") {
        format!(r#"<p><a class="go" href="{}">返回商户</a></p>"#, escape(url))
    } else {
        String::new()
    };
    page(
        title,
        &format!("<p class=\"what\">{}</p><p>{}</p>{link}", escape(title), escape(words)),
    )
    .into_response()
}

fn hidden(visit: &Visit) -> String {
    format!(
        r#"<input type="hidden" name="prepay_id" value="{}"><input type="hidden" name="redirect_url" value="{}">"#,
        escape(&visit.prepay_id),
        escape(&visit.redirect_url)
    )
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        r#"<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>
body{{margin:0;background:#ededed;color:#191919;font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;text-align:center}}
main{{max-width:420px;margin:0 auto;padding:32px 20px}}
.what{{margin:8px 0 0;font-size:18px}} .sum{{margin:0 0 24px;font-size:44px;font-weight:600}} .sum small{{font-size:26px;margin-right:4px}}
dl{{display:grid;grid-template-columns:auto 1fr;gap:8px 16px;text-align:left;background:#fff;border-radius:8px;padding:16px;margin:0 0 28px;font-size:14px}}
dt{{color:#666}} dd{{margin:0;text-align:right;overflow-wrap:anywhere}}
button,.go{{display:block;box-sizing:border-box;width:100%;min-height:48px;margin:0 0 12px;padding:11px;border:0;border-radius:8px;font:inherit;font-size:17px;background:#fff;color:#191919;text-decoration:none;cursor:pointer}}
.go{{background:#07834a;color:#fff}} footer{{color:#666;font-size:13px;margin-top:24px}}
</style><main>{body}<footer>演示收银台：不会产生真实扣款</footer></main></html>"#
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
