//! Readers that misbehave.

use reader::{Reading, State};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::terminal::PATIENCE;

/// A reader on its line, and what it reads.
struct Front {
    folder: tempfile::TempDir,
    control: String,
    http: reqwest::Client,
    card: watch::Receiver<State>,
    scanner: watch::Receiver<State>,
    read: mpsc::Receiver<Reading>,
    tasks: [tokio::task::JoinHandle<()>; 3],
}

impl Front {
    fn new() -> Self {
        site::prepare();
        let folder = tempfile::tempdir().unwrap();
        let control = kit::ports::free_port();
        let arguments = bench_reader::Arguments {
            card: folder.path().join("card.tty"),
            scanner: folder.path().join("scanner.tty"),
            control,
        };
        let port = |path: &std::path::Path| reader::Port {
            path: path.to_path_buf(),
            baud: 115_200,
        };
        let (card_port, scanner_port) = (port(&arguments.card), port(&arguments.scanner));
        let (to, read) = mpsc::channel(16);
        let (card, seen_card) = watch::channel(State::None);
        let (scanner, seen_scanner) = watch::channel(State::None);
        let also = to.clone();
        Self {
            folder,
            control: format!("http://127.0.0.1:{control}/control"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            card: seen_card,
            scanner: seen_scanner,
            read,
            tasks: [
                tokio::spawn(async move { bench_reader::run(arguments, || {}).await.unwrap() }),
                tokio::spawn(async move { reader::run_card_reader(&card_port, &card, &to).await }),
                tokio::spawn(async move { reader::run_scanner(&scanner_port, &scanner, &also).await }),
            ],
        }
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("{}/{path}", self.control);
        self.http
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }

    async fn take_away(&self) {
        self.http.delete(format!("{}/card", self.control)).send().await.unwrap();
    }

    async fn troubled(&self) -> u64 {
        let health: Value = self
            .http
            .get(format!("{}/health", self.control))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        health["troubled"].as_u64().unwrap()
    }

    async fn state(which: &mut watch::Receiver<State>, wanted: State) {
        let waited = tokio::time::timeout(PATIENCE, which.wait_for(|s| *s == wanted)).await;
        assert!(waited.is_ok_and(|r| r.is_ok()), "waited in vain for {wanted:?}");
    }

    async fn next(&mut self) -> Reading {
        tokio::time::timeout(PATIENCE, self.read.recv()).await.unwrap().unwrap()
    }
}

/// Every way in which a module can answer wrongly is survived, and the card is read in the end; nothing false is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_read_through_noise_silence_and_replugging() {
    let mut front = Front::new();
    Front::state(&mut front.card, State::Ready).await;
    let card = json!({ "name": "阿卜杜拉·买买提", "number": "11010519491231002X" });
    for kind in ["checksum", "half", "garbage", "noise", "length", "refuse", "short"] {
        let before = front.troubled().await;
        front.post("trouble", json!({ "kind": kind, "times": 1 })).await;
        front.post("card", card.clone()).await;
        let read = loop {
            match front.next().await {
                Reading::Card(card) => break card,
                // Told once, and tried again.
                Reading::BadCard => {}
                Reading::Code(_) => panic!("{kind}: nobody showed a code"),
            }
        };
        assert_eq!(
            (read.name.as_str(), read.number.as_str()),
            ("阿卜杜拉·买买提", "11010519491231002X"),
            "{kind}"
        );
        assert!(front.troubled().await > before, "{kind} happened");
        front.take_away().await;
    }
    // A number that cannot be is not believed.
    front
        .post("card", json!({ "name": "张三", "number": "110105194912310021" }))
        .await;
    assert!(matches!(front.next().await, Reading::BadCard));
    front.take_away().await;
    front.post("unplug", json!({ "device": "card" })).await;
    Front::state(&mut front.card, State::Missing).await;
    front.post("plug", json!({ "device": "card" })).await;
    Front::state(&mut front.card, State::Ready).await;
    front.post("trouble", json!({ "kind": "silent", "times": 1_000 })).await;
    Front::state(&mut front.card, State::Silent).await;
    front.post("trouble", json!({ "kind": "silent", "times": 0 })).await;
    Front::state(&mut front.card, State::Ready).await;
    front.post("card", card).await;
    assert!(matches!(front.next().await, Reading::Card(_)));
    for task in &front.tasks {
        task.abort();
    }
}

/// A scanner with and without an end mark, noise, and pulled in the midst of a code.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_read_whole_or_not_at_all() {
    let mut front = Front::new();
    Front::state(&mut front.scanner, State::Ready).await;
    assert!(front.folder.path().join("scanner.tty").exists());
    for end in ["\r", "\n", "\r\n", ""] {
        front.post("code", json!({ "text": "8000000001", "end": end })).await;
        let read = front.next().await;
        assert!(
            matches!(&read, Reading::Code(code) if code.0 == "8000000001"),
            "{end:?}: {read:?}"
        );
    }
    front.post("noise", json!({ "bytes": [0, 255, 254, 13] })).await;
    front.post("code", json!({ "text": "x".repeat(2_000) })).await;
    front.post("unplug", json!({ "device": "scanner" })).await;
    Front::state(&mut front.scanner, State::Missing).await;
    front.post("plug", json!({ "device": "scanner" })).await;
    Front::state(&mut front.scanner, State::Ready).await;
    front.post("code", json!({ "text": "8000000002" })).await;
    let read = front.next().await;
    assert!(
        matches!(&read, Reading::Code(code) if code.0 == "8000000002"),
        "{read:?}"
    );
    for task in &front.tasks {
        task.abort();
    }
}
