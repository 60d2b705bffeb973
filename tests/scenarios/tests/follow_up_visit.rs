//! The online follow-up visit from sign-in to rating, over the public APIs, every part real.

use std::sync::Arc;

use scenarios::journey::{self, Calm};
use scenarios::{books, client};
use site::{Options, Site};
use tokio::sync::Mutex;

/// A patient renews a prescription: booked in the HIS, paid, seen, prescribed, signed, reviewed, paid, printed, verified,
/// rated; afterwards the three books agree and the line has applied every entry once.
#[tokio::test(flavor = "multi_thread")]
async fn a_patient_renews_a_prescription_online_and_the_books_agree() {
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let site = Arc::new(Mutex::new(
        Site::start(folder.path(), Options::free_ports().unwrap())
            .await
            .unwrap(),
    ));
    let addresses = site.lock().await.addresses().clone();
    let told = async {
        let cast = journey::gather(&addresses).await?;
        let made = journey::follow_up_visit(&addresses, &cast, "calm", &mut Calm).await?;
        let differences = books::compare(&addresses, &cast, std::slice::from_ref(&made)).await?;
        anyhow::ensure!(differences.is_empty(), "{}", differences.join("\n"));
        let slips = client::slips(&addresses).await?;
        anyhow::ensure!(slips == 1, "{slips} slips were printed for one prescription");
        anyhow::Ok(())
    }
    .await;
    let killed = site.lock().await.stop().await;
    told.unwrap();
    assert!(killed.is_empty(), "did not stop when asked: {killed:?}");
}
