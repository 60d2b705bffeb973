//! 「HIS窗口」: the page where a person of the hospital sees orders, stops a clinic and hands out drugs.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use crate::house::{House, Keep, OpError};
use crate::notice;
use crate::wire::escape;

const SHOWN: i64 = 40;

#[derive(Debug, Deserialize)]
struct Chosen {
    id: String,
    #[serde(default)]
    reason: String,
}

/// The page and its two buttons.
pub(crate) fn routes(house: Arc<House>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/desk/stop", post(stop))
        .route("/desk/dispense", post(dispense))
        .with_state(house)
}

fn status(code: i64) -> &'static str {
    match code {
        1 => "未付（锁号）",
        2 => "已付",
        3 => "取消",
        4 => "超时",
        5 => "已取号",
        6 => "已就诊",
        7 => "过期",
        8 => "已退费",
        _ => "未知",
    }
}

fn recipe_status(code: i64) -> &'static str {
    match code {
        1 => "已开立",
        2 => "已审核，待缴费",
        3 => "审核不通过",
        4 => "已撤销",
        5 => "已缴费，待发药",
        6 => "已发药",
        7 => "已退费",
        _ => "未知",
    }
}

fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

/// Table rows of the orders, with a button for each session that can still be stopped.
fn orders(house: &House) -> Result<String, OpError> {
    house.within(Keep::Yes, |call| {
        let mut statement = call.tx.prepare(
            "SELECT r.his_ord, p.name, d.name, e.name, s.date || ' ' || r.begin, r.status, r.reg_fee + r.treat_fee, s.work_id, s.stopped
               FROM reg r JOIN patient p ON p.id = r.patient JOIN session s ON s.work_id = r.work_id
               JOIN doctor d ON d.code = s.doctor JOIN dept e ON e.code = s.dept ORDER BY r.rowid DESC LIMIT ?1",
        )?;
        let mut out = String::new();
        let mut rows = statement.query([SHOWN])?;
        while let Some(row) = rows.next()? {
            let text = |at: usize| row.get::<_, String>(at).map(|t| escape(&t));
            let (state, stopped): (i64, bool) = (row.get(5)?, row.get(8)?);
            let act = if stopped {
                "已停诊".to_owned()
            } else if matches!(state, 1 | 2) {
                format!(
                    "<form method=\"post\" action=\"/desk/stop\"><input type=\"hidden\" name=\"id\" value=\"{}\"><button>停诊</button></form>",
                    text(7)?
                )
            } else {
                String::new()
            };
            let _infallible = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td><td>{act}</td></tr>",
                text(0)?, text(1)?, text(3)?, text(2)?, text(4)?, status(state), yuan(row.get(6)?)
            );
        }
        Ok(out)
    })
}

fn recipes(house: &House) -> Result<String, OpError> {
    house.within(Keep::Yes, |call| {
        let mut statement = call.tx.prepare(
            "SELECT r.id, p.name, d.name, r.status, r.total, r.fee_id,
                    (SELECT group_concat(name, '、') FROM recipe_item WHERE recipe = r.id)
               FROM recipe r JOIN patient p ON p.id = r.patient JOIN doctor d ON d.code = r.doctor
              WHERE r.rx_no <> '' ORDER BY r.rowid DESC LIMIT ?1",
        )?;
        let mut out = String::new();
        let mut rows = statement.query([SHOWN])?;
        while let Some(row) = rows.next()? {
            let text = |at: usize| row.get::<_, Option<String>>(at).map(|t| escape(&t.unwrap_or_default()));
            let state: i64 = row.get(3)?;
            let act = if state == 5 {
                format!(
                    "<form method=\"post\" action=\"/desk/dispense\"><input type=\"hidden\" name=\"id\" value=\"{}\"><button>发药</button></form>",
                    text(5)?
                )
            } else {
                String::new()
            };
            let _infallible = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{act}</td></tr>",
                text(0)?, text(1)?, text(2)?, text(6)?, recipe_status(state), yuan(row.get(4)?)
            );
        }
        Ok(out)
    })
}

async fn page(State(house): State<Arc<House>>) -> Html<String> {
    let rows = |found: Result<String, OpError>| match found {
        Ok(rows) if rows.is_empty() => "<tr><td colspan=\"7\">暂无</td></tr>".to_owned(),
        Ok(rows) => rows,
        Err(error) => format!("<tr><td colspan=\"7\">{}</td></tr>", escape(&error.to_string())),
    };
    Html(format!(
        r#"<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="10"><title>HIS窗口</title><style>
body{{margin:0;background:#f2f4f6;color:#1b2126;font:15px/1.6 system-ui,"Noto Sans CJK SC",sans-serif}} main{{max-width:1080px;margin:0 auto;padding:20px 16px}}
h1{{font-size:22px;margin:0}} h2{{font-size:17px;margin:24px 0 8px}} p{{margin:0;color:#5a646d}} .wide{{overflow-x:auto;background:#fff;border-radius:8px}}
table{{width:100%;border-collapse:collapse}} td,th{{padding:8px 10px;border-bottom:1px solid #e3e7ea;text-align:left;vertical-align:top}} th{{font-weight:600;white-space:nowrap}}
form{{margin:0}} button{{min-height:36px;padding:4px 14px;border:1px solid #b9c2c9;border-radius:6px;background:#fff;font:inherit;cursor:pointer}}
</style><main><h1>永州示范医院 HIS窗口</h1><p>医院自己的系统，时间 {}</p>
<h2>互联网挂号</h2><div class="wide"><table><tr><th>挂号单<th>患者<th>科室 医生<th>就诊时间<th>状态<th>金额<th></tr>{}</table></div>
<h2>互联网处方</h2><div class="wide"><table><tr><th>处方<th>患者<th>医生<th>药品<th>状态<th>金额<th></tr>{}</table></div></main></html>"#,
        house.clock.moment(),
        rows(orders(&house)),
        rows(recipes(&house))
    ))
}

async fn stop(State(house): State<Arc<House>>, Form(chosen): Form<Chosen>) -> Response {
    let reason = if chosen.reason.is_empty() {
        "医生临时停诊"
    } else {
        &chosen.reason
    };
    match notice::stop(&house, &json!({"workId": chosen.id, "reason": reason})) {
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => Html(escape(&error.to_string())).into_response(),
    }
}

async fn dispense(State(house): State<Arc<House>>, Form(chosen): Form<Chosen>) -> Response {
    let done = house.within(Keep::Yes, |call| {
        let sql = "UPDATE recipe SET status = 6 WHERE fee_id = ?1 AND status = 5";
        Ok(call.tx.execute(sql, [&chosen.id])?)
    });
    match done {
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => Html(escape(&error.to_string())).into_response(),
    }
}
