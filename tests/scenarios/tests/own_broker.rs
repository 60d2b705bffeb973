//! A platform whose operator runs a broker of their own: Debian's Mosquitto with mutual TLS and our access list carries the
//! line between the real processes.

use std::time::Duration;

use scenarios::journey::{self, Calm};
use site::{Options, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_is_reached_over_a_broker_of_others_and_again_after_that_was_killed() {
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        mosquitto: true,
        ..Options::free_ports().unwrap()
    };
    let mut site = Site::start(folder.path(), options).await.unwrap();
    let addresses = site.addresses().clone();
    let cast = journey::gather(&addresses).await.unwrap();
    site.processes().kill("mosquitto").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    site.processes().restart("mosquitto").await.unwrap();
    // Calls (slots, signatures), commands and print jobs, all over the broker that came back.
    let made = journey::follow_up_visit(&addresses, &cast, "own-broker", &mut Calm)
        .await
        .unwrap();
    assert!(!made.prescription.is_empty());
    let log = std::fs::read_to_string(folder.path().join("logs/mosquitto.log")).unwrap();
    assert!(log.contains(":ctl") && log.contains(" as cloud"), "{log}");
    assert_eq!(site.stop().await, Vec::<&str>::new());
}
