//! Calls of the cloud about printers: the queue, decisions, test pages, what is there.

use hub::Hub;
use records::his::Operation;
use records::paper::{Decision, PrintDecide, PrintFind, PrintQueue, PrintTest, TestPage};
use records::{Outcome, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::StoreError;

/// Answers one call.
pub(crate) async fn call(hub: &Hub, method: &str, body: Value, now: Timestamp) -> Outcome<Value> {
    match method {
        PrintQueue::METHOD => said(hub.queue().await),
        PrintFind::METHOD => done(&hub.find().await),
        PrintDecide::METHOD => match read::<Decision>(body) {
            Ok(asked) => match hub.decide_by(&asked.key, hub::step_of(asked.act), &asked.by).await {
                Ok(Ok(job)) => done(&hub::view(&job)),
                Ok(Err(refusal)) if refusal.blanked => {
                    Outcome::refused("print_blanked", "打印内容已按规定清除，请从原业务页面重新打印")
                }
                Ok(Err(_)) => Outcome::refused("print_state", "打印任务的状态已变化，请刷新后重试"),
                Err(error) => failed(&error),
            },
            Err(refused) => refused,
        },
        PrintTest::METHOD => match read::<TestPage>(body) {
            Ok(asked) => match hub.test_page(&asked, &now.local_text()).await {
                Ok(Some(job)) => done(&job),
                Ok(None) => Outcome::refused("no_printer", "没有这台打印机"),
                Err(error) => failed(&error),
            },
            Err(refused) => refused,
        },
        _ => Outcome::refused("unknown_method", "前置机不支持这项操作，请升级"),
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Outcome<Value>> {
    serde_json::from_value(body).map_err(|_| Outcome::refused("unreadable", "请求内容有误"))
}

fn done(answer: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(answer).map_or(Outcome::Unknown, Outcome::Done)
}

fn said(answer: Result<impl Serialize, StoreError>) -> Outcome<Value> {
    match answer {
        Ok(answer) => done(&answer),
        Err(error) => failed(&error),
    }
}

/// Nothing was done: the database is busy or broken.
fn failed(error: &StoreError) -> Outcome<Value> {
    tracing::error!(%error, "spool cannot be used");
    Outcome::Later { after_ms: 1_000 }
}
