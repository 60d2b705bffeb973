//! Days of a hospital in minutes: applications go on signing and verifying while lists change, certificates are imported
//! and the process is killed and started again. `SOAK_MINUTES=60` makes it an hour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bench_ca::Kind;
use serde_json::{Value, json};

use crate::ca::Ca;
use crate::site::{Authority, file};
use crate::works::Works;

const CALLERS: u32 = 4;
/// Days of a run, whatever it lasts; a slow machine has fewer.
const DAYS: u32 = 400;
/// An operator's phone shows a new code twice a minute.
const BETWEEN_KILLS: Duration = Duration::from_secs(60);
/// What a process may have taken more at the end than when it had warmed up, MiB.
const GROWTH: f64 = 6.0;

fn lasts() -> Duration {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    minutes.map_or(Duration::from_secs(10), |minutes: u64| {
        Duration::from_secs(minutes * 60)
    })
}

/// What the callers and the story know of each other.
#[derive(Default)]
struct Common {
    stop: AtomicBool,
    /// Grows when the process is killed, and again when it is back: odd while it is down.
    life: AtomicU32,
    done: AtomicU32,
    cut_off: AtomicU32,
}

/// Signs and has the signature verified until told to stop. Only what was in flight on a killed process may fail.
async fn caller(app: reqwest::Client, port: u16, number: u32, common: Arc<Common>) {
    for round in 0.. {
        if common.stop.load(Ordering::SeqCst) {
            return;
        }
        let life = common.life.load(Ordering::SeqCst);
        let data = file(format!("处方 {number}-{round}"));
        let both = async {
            let signed = ask(&app, port, "/v1/message/sign", json!({"data": data})).await?;
            ask(
                &app,
                port,
                "/v1/message/verify",
                json!({"data": data, "message": signed["message"]}),
            )
            .await
        };
        match both.await {
            Ok(_) => common.done.fetch_add(1, Ordering::SeqCst),
            Err(words) => {
                let now = common.life.load(Ordering::SeqCst);
                assert!(life % 2 == 1 || now != life, "caller {number}, round {round}: {words}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                common.cut_off.fetch_add(1, Ordering::SeqCst)
            }
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn ask(app: &reqwest::Client, port: u16, path: &str, body: Value) -> Result<Value, String> {
    let url = format!("https://127.0.0.1:{port}{path}");
    let answered = app
        .post(url)
        .json(&body)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = answered.status();
    let text = answered.text().await.map_err(|error| error.to_string())?;
    if status.is_success() {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        Err(format!("{status} {text}"))
    }
}

fn memory(works: &Works) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", works.site.signd.id())).expect("process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("number") / 1024.0
}

/// A certificate is imported, one of the authority's is revoked, and the new list is in force.
async fn a_day(works: &Works, ca: &Ca, number: u32) {
    let (imported, _) = Authority::new("导入").token(&format!("U{number}"));
    let asked = json!({"files": [{"name": "u.cer", "content": file(&imported.der)}]});
    works.operator.post("certificates", asked).await.done();
    let (leaves, stays) = (ca.person(&format!("a{number}")), ca.person(&format!("b{number}")));
    works.accepts(&leaves).await;
    ca.revoke(&leaves, "superseded");
    ca.publish("full");
    // A fetch that was under way already brings the list before.
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        works.fetch().await;
        let judged = works.judge(&leaves.certificate).await;
        if !judged.status.is_success() {
            assert_eq!(judged.refused().0, "certificate_revoked");
            break;
        }
        assert!(Instant::now() < end, "the new list does not come into force");
    }
    works.accepts(&stays).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_go_on_over_days_of_new_lists_imports_and_restarts() {
    let ca = Ca::new(Kind::Sm2);
    let mut works = Works::new(&[&ca]).await;
    works.rule("crl", true).await;
    let common = Arc::new(Common::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(caller(works.app.clone(), works.port, number, Arc::clone(&common))))
        .collect();
    let (begun, lasts) = (Instant::now(), lasts());
    let (mut days, mut kill_at) = (0.., begun);
    // In the first half the process is killed now and then; in the second one its memory is watched.
    while begun.elapsed() < lasts / 2 || days.start < 2 {
        a_day(&works, &ca, days.next().expect("a day")).await;
        tokio::time::sleep(lasts / DAYS).await;
        if days.start >= 2 && Instant::now() >= kill_at {
            kill_at = Instant::now() + BETWEEN_KILLS;
            common.life.fetch_add(1, Ordering::SeqCst);
            works.power_cut().await;
            // Its keys are open when it signs again.
            while ask(&works.app, works.port, "/v1/message/sign", json!({"data": file("x")}))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            common.life.fetch_add(1, Ordering::SeqCst);
        }
    }
    let warm = begun + lasts * 6 / 10;
    let mut at_first = None;
    while begun.elapsed() < lasts || at_first.is_none() {
        a_day(&works, &ca, days.next().expect("a day")).await;
        tokio::time::sleep(lasts / DAYS).await;
        if Instant::now() > warm && at_first.is_none() {
            at_first = Some(memory(&works));
        }
    }
    a_day(&works, &ca, days.next().expect("a day")).await;
    let (first, last) = (at_first.expect("warm"), memory(&works));
    common.stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller
            .await
            .expect("no request failed but those in flight on a killed process");
    }
    let (done, cut_off) = (
        common.done.load(Ordering::SeqCst),
        common.cut_off.load(Ordering::SeqCst),
    );
    println!(
        "{} days, {done} signed and verified, {cut_off} cut off, memory {first:.1} and {last:.1} MiB",
        days.start
    );
    assert!(
        done > 0 && last < first + GROWTH,
        "{done} done, {first:.1} MiB grew to {last:.1}"
    );
}
