//! Log and call between real ends over the embedded broker with mutual TLS.

mod ward;

use std::time::{Duration, Instant};

use records::{Outcome, PeerId};
use serde_json::json;
use ward::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_entry_crosses_both_ways_and_a_call_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (open_store(&folder.path().join("edge.db")).await, open_store(&folder.path().join("cloud.db")).await);
    let authority = Authority::new("Device CA");
    let cloud = start_cloud(&there, &authority, LOCAL).await;
    let edge = edge_id(1);
    let appliance = start_edge(&here, &authority, &edge, cloud.broker_address().unwrap().port()).await;

    append(&here, &PeerId::cloud(), 0..3).await;
    append(&there, &PeerId::edge(&edge), 10..12).await;
    assert_eq!(wait_seen(&there, 3, Duration::from_secs(20)).await, [0, 1, 2]);
    assert_eq!(wait_seen(&here, 2, Duration::from_secs(20)).await, [10, 11]);

    let asked = Instant::now();
    let answer = cloud.call(&edge, "echo", Some("k1"), Duration::from_secs(5), &json!({"dept": "0301"})).await;
    assert_eq!(answer, Outcome::Done(json!({"said": {"dept": "0301"}, "key": "k1"})));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

    let status = wait_status(&mut appliance.status(), "drained and measured", |s| s.buffer_depth == 0 && s.rtt.is_some()).await;
    assert!(status.online);
    appliance.stop().await;
    cloud.stop().await;
}
