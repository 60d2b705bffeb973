//! A number, whatever becomes of the answer.

use serde_json::Value;

use crate::hall::Hall;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_takes_no_second_number_and_a_refusal_passes() {
    let hall = Hall::open().await;
    let number = |s: &Value| s["view"] == "ticket";

    // Done, and the answer was lost: it is asked about, not done again.
    hall.comes("P000001", "8000000001").await;
    hall.fault("result_after_commit", "-2", "接口异常").await;
    hall.tap("visit:0").await;
    let first = hall.until("a number", number).await;
    assert_eq!(hall.taken().await, 1);
    // There is no printer at this one: the number stands on the screen.
    assert!(
        hall.until("told", |s| s["lead"].to_string().contains("没有打印机"))
            .await["lead"]
            .to_string()
            .contains("记下号码")
    );
    hall.tap("leave").await;

    // Not done, and nobody knows: it is asked about, found absent, and done once.
    hall.comes("P000002", "8000000002").await;
    hall.fault("result", "-2", "接口异常").await;
    hall.tap("visit:0").await;
    let second = hall.until("a number", number).await;
    assert_ne!(first["big"], second["big"]);
    assert_eq!(hall.taken().await, 3);
    hall.tap("leave").await;

    // Refused in the hospital's words; what was too early is right later.
    hall.comes("P000003", "8000000003").await;
    hall.fault("result", "2", "未到报到时间，请稍后再来").await;
    hall.tap("visit:0").await;
    let refused = hall.until("the hospital's words", |s| s["view"] == "problem").await;
    assert_eq!(refused["lead"], "未到报到时间，请稍后再来");
    hall.tap("back").await;
    hall.tap("task:check_in").await;
    hall.until("the visit of today", |s| s["rows"][0]["state"] == "待报到")
        .await;
    hall.tap("visit:0").await;
    let third = hall.until("a number", number).await;
    assert_ne!(third["big"], second["big"]);
    assert_eq!(hall.taken().await, 5);
    hall.stop.cancel();
}
