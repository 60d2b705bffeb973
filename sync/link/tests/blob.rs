//! Large things over HTTPS with client certificates.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use link::blob::{Digest, FolderSink, Progress, Sink, SinkError, Uploader, routes};
use link::https::HttpsListener;
use link::tls::{self, ClientCertificate};
use records::id::EdgeId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use ward::*;

/// Counts what really came in.
struct Counted {
    inner: FolderSink,
    bytes: Arc<std::sync::atomic::AtomicU64>,
}

#[async_trait]
impl Sink for Counted {
    async fn begin(&self, from: &EdgeId, digest: &Digest, length: u64) -> Result<Progress, SinkError> {
        self.inner.begin(from, digest, length).await
    }

    async fn progress(&self, from: &EdgeId, digest: &Digest) -> Result<Progress, SinkError> {
        self.inner.progress(from, digest).await
    }

    async fn append(&self, from: &EdgeId, digest: &Digest, offset: u64, part: Bytes) -> Result<Progress, SinkError> {
        self.bytes
            .fetch_add(part.len() as u64, std::sync::atomic::Ordering::SeqCst);
        self.inner.append(from, digest, offset, part).await
    }
}

struct Receiver {
    folder: tempfile::TempDir,
    authority: Authority,
    sink: FolderSink,
    bytes: Arc<std::sync::atomic::AtomicU64>,
    proxy: proxy::Proxy,
    _serving: JoinSet<()>,
}

impl Receiver {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("Device CA");
        let (chain, key) = authority.server();
        let tls = Arc::new(
            tls::server_config(
                tls::Show::Classic(tls::Own { chain, key }),
                authority.roots(),
                ClientCertificate::Optional,
            )
            .unwrap(),
        );
        let listener = HttpsListener::bind(LOCAL, tls).await.unwrap();
        let proxy = proxy::Proxy::to(listener.address()).await;
        let sink = FolderSink::new(folder.path().join("blobs"), 64 << 20);
        let bytes = Arc::default();
        let router = routes(Arc::new(Counted {
            inner: sink.clone(),
            bytes: Arc::clone(&bytes),
        }));
        let mut serving = JoinSet::new();
        serving.spawn(async move { listener.serve(router, CancellationToken::new()).await.unwrap() });
        Self {
            folder,
            authority,
            sink,
            bytes,
            proxy,
            _serving: serving,
        }
    }

    fn uploader(&self) -> Uploader {
        let (chain, key) = self.authority.edge(&edge_id(1));
        let tls = tls::client_config_with_key(tls::Offer::Classic, self.authority.roots(), chain, key).unwrap();
        let base = format!("https://localhost:{}", self.proxy.port);
        let mut uploader = Uploader::new(&base, tls, ids()).unwrap();
        uploader.part_bytes = 64 * 1024;
        uploader
    }

    fn file(&self, size: usize) -> PathBuf {
        let path = self.folder.path().join("recording.mp4");
        let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn received(&self) -> u64 {
        self.bytes.load(std::sync::atomic::Ordering::SeqCst)
    }
}

fn same(a: &Path, b: &Path) -> bool {
    std::fs::read(a).unwrap() == std::fs::read(b).unwrap()
}

/// Rows: YZ-N-009
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_cut_again_and_again_goes_on_where_it_stood_and_arrives_unchanged() {
    let receiver = Receiver::open().await;
    let file = receiver.file(4 << 20);
    let uploader = receiver.uploader();
    let source = file.clone();
    let mut upload = JoinSet::new();
    upload.spawn(async move { uploader.upload(&source).await.unwrap() });
    let mut cuts = 0;
    let digest = loop {
        let before = receiver.received();
        let waited = tokio::time::timeout(PATIENCE, async {
            while receiver.received() < before + (700 << 10) && upload.len() == 1 {
                if let Ok(Some(done)) = tokio::time::timeout(Duration::from_millis(2), upload.join_next()).await {
                    return Some(done.unwrap());
                }
            }
            None
        });
        if let Some(digest) = waited.await.expect("the upload moves") {
            break digest;
        }
        receiver.proxy.cut().await;
        receiver.proxy.set(proxy::Weather::Fair);
        cuts += 1;
    };
    assert!(
        cuts >= 3 && receiver.proxy.cut_connections() >= 3,
        "{cuts} cuts, {}",
        receiver.proxy.cut_connections()
    );
    assert!(same(&file, &receiver.sink.path(&digest)));
    let repeated = receiver.received() - (4 << 20);
    assert!(
        repeated <= (cuts + 1) * 64 * 1024,
        "{repeated} bytes were sent twice in {cuts} cuts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_upload_of_the_same_content_sends_nothing() {
    let receiver = Receiver::open().await;
    let file = receiver.file(300_000);
    let first = receiver.uploader().upload(&file).await.unwrap();
    assert_eq!(receiver.received(), 300_000);
    assert_eq!(receiver.uploader().upload(&file).await.unwrap(), first);
    assert_eq!(receiver.received(), 300_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_the_certificate_of_an_appliance_is_refused_by_name() {
    let receiver = Receiver::open().await;
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(receiver.authority.roots())
        .with_no_client_auth();
    let base = format!("https://localhost:{}", receiver.proxy.port);
    let uploader = Uploader::new(&base, tls, ids()).unwrap();
    let refused = uploader.upload(&receiver.file(10)).await.unwrap_err().to_string();
    assert!(
        refused.contains("401") && refused.contains("client_certificate_required"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_sink_that_lost_power_cuts_off_what_was_not_durable_and_checks_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let sink = FolderSink::new(folder.path(), 1 << 20);
    let (edge, content) = (edge_id(1), b"0123456789".to_vec());
    let digest = Digest::of(&content);
    assert_eq!(
        sink.begin(&edge, &digest, 10).await.unwrap(),
        Progress::Partial { offset: 0, length: 10 }
    );
    sink.append(&edge, &digest, 0, Bytes::from_static(b"0123"))
        .await
        .unwrap();
    // Bytes that were written but never acknowledged, as after a power cut.
    let partial = folder.path().join("partial").join("edg_1").join(digest.hex());
    std::fs::write(&partial, b"0123XXXXX").unwrap();

    assert_eq!(
        sink.progress(&edge, &digest).await.unwrap(),
        Progress::Partial { offset: 4, length: 10 }
    );
    let wrong = sink.append(&edge, &digest, 9, Bytes::from_static(b"9")).await;
    assert!(matches!(wrong, Err(SinkError::Conflict { offset: 4 })), "{wrong:?}");
    assert_eq!(
        sink.append(&edge, &digest, 4, Bytes::from_static(b"456789"))
            .await
            .unwrap(),
        Progress::Complete
    );
    assert_eq!(std::fs::read(sink.path(&digest)).unwrap(), content);

    let lie = Digest::of(b"something else");
    sink.begin(&edge, &lie, 3).await.unwrap();
    let dropped = sink.append(&edge, &lie, 0, Bytes::from_static(b"abc")).await;
    assert!(matches!(dropped, Err(SinkError::Mismatch)), "{dropped:?}");
    assert!(matches!(sink.progress(&edge, &lie).await, Err(SinkError::Missing)));
    assert!(matches!(sink.begin(&edge, &lie, 2 << 20).await, Err(SinkError::Full)));
}

/// The recorder went away half-way and came back after its upload had been forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_nobody_went_on_with_is_forgotten_and_begun_again_starts_at_nothing() {
    let receiver = Receiver::open().await;
    let (edge, file) = (edge_id(1), receiver.file(300_000));
    let content = Bytes::from(std::fs::read(&file).unwrap());
    let digest = Digest::of(&content);
    let (sink, other) = (receiver.sink.clone(), Digest::of(b"finished"));
    sink.begin(&edge, &digest, 300_000).await.unwrap();
    sink.append(&edge, &digest, 0, content.slice(..100_000)).await.unwrap();
    sink.begin(&edge, &other, 8).await.unwrap();
    sink.append(&edge, &other, 0, Bytes::from_static(b"finished"))
        .await
        .unwrap();

    let now = records::Clock::now(&records::SystemClock);
    assert_eq!(sink.expire(now.minus(Duration::from_secs(3600))).await.unwrap(), []);
    let gone = sink.expire(now.plus(Duration::from_secs(60))).await.unwrap();
    assert_eq!(
        (gone.len(), &gone[0].edge, &gone[0].digest, gone[0].bytes),
        (1, &edge, &digest, 100_000)
    );
    assert!(matches!(sink.progress(&edge, &digest).await, Err(SinkError::Missing)));
    assert_eq!(sink.progress(&edge, &other).await.unwrap(), Progress::Complete);
    assert_eq!(
        std::fs::read_dir(receiver.folder.path().join("blobs/partial/edg_1"))
            .unwrap()
            .count(),
        0
    );

    // Whole ones that nobody takes go in the same way, when they are told to.
    assert_eq!(
        sink.expire_whole(now.minus(Duration::from_secs(3600))).await.unwrap(),
        []
    );
    let untaken = sink.expire_whole(now.plus(Duration::from_secs(60))).await.unwrap();
    assert_eq!(untaken, [(other.clone(), 8)]);
    assert!(!sink.path(&other).exists());

    // A part that comes late is told that there is no such upload; the uploader begins anew.
    let late = sink.append(&edge, &digest, 100_000, content.slice(100_000..)).await;
    assert!(matches!(late, Err(SinkError::Missing)), "{late:?}");
    assert_eq!(receiver.uploader().upload(&file).await.unwrap(), digest);
    assert_eq!(receiver.received(), 300_000, "sent whole");
    assert!(same(&file, &receiver.sink.path(&digest)));
}

#[tokio::test]
async fn an_empty_file_is_a_blob_too() {
    let receiver = Receiver::open().await;
    let digest = receiver.uploader().upload(&receiver.file(0)).await.unwrap();
    assert_eq!(std::fs::metadata(receiver.sink.path(&digest)).unwrap().len(), 0);
}
