//! The whole way.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docking::Docking;
use records::Timestamp;
use records::footage::{CustodyEntry, IssueId, RecorderIssue, kind};

use crate::rig::{Site, sha256};

/// The whole way, with a chain of custody that can be recomputed; nothing is deleted before it was confirmed, with the right
/// hash; then the clock is set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footage_is_cleared_only_after_the_cloud_has_confirmed_it() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let issue = RecorderIssue {
        id: IssueId::parse("iss_1").unwrap(),
        serial: "ZFY0001".to_owned(),
        holder: "stf_1".to_owned(),
        holder_name: "李护士".to_owned(),
        order: "N20261121".to_owned(),
        at: Timestamp::default(),
    };
    site.tell(move |tx| {
        let issue = issue.clone();
        Box::pin(async move { Docking::issue(tx, &issue).await })
    })
    .await;
    let files: [(&str, &[u8]); 3] = [
        ("ZFY0001_000123_20260101080000_0001.mp4", b"first"),
        ("ZFY0001_000123_20260101081000_0002.mp4", b"second"),
        ("empty.mp4", b""),
    ];
    let at = site.plug("bay1", "ZFY0001", &files);
    let sealed = site.sealed(3).await;
    let mut previous = CustodyEntry::FIRST.to_owned();
    let mut by_sequence: Vec<_> = sealed.clone();
    by_sequence.sort_by_key(|(_, e)| e.sequence);
    for (body, entry) in &by_sequence {
        assert_eq!(entry.previous, previous);
        let bytes = STANDARD.decode(&body.entry).unwrap();
        let sm3 = <sm3::Sm3 as sm3::Digest>::digest(&bytes);
        previous = sm3.iter().map(|b| format!("{b:02x}")).collect();
        let issue = entry.issue.as_ref().unwrap();
        assert_eq!(
            (issue.holder_name.as_str(), issue.order.as_str()),
            ("李护士", "N20261121")
        );
        let content = files.iter().find(|(name, _)| *name == entry.file).unwrap().1;
        assert_eq!(
            (entry.sha256.clone(), entry.size),
            (sha256(content), content.len() as u64)
        );
        assert!(entry.clock_offset_ms.unwrap() < 0, "its clock is behind");
    }
    assert_eq!(
        by_sequence.iter().map(|(_, e)| e.sequence).collect::<Vec<_>>(),
        [1, 2, 3]
    );

    // A confirmation of other bytes is none.
    let (_, first) = &sealed[0];
    site.confirm(first, &sha256(b"something else")).await;
    for (_, entry) in &sealed[1..] {
        site.confirm(entry, &entry.sha256).await;
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    for (name, _) in files {
        assert!(at.join(name).exists(), "{name} was deleted early");
    }
    site.confirm(first, &first.sha256).await;
    site.until_state("ZFY0001", "ready").await;
    for (name, _) in files {
        assert!(!at.join(name).exists(), "{name} is still there");
    }
    assert!(at.join("SETTIME.TXT").exists());
    assert_eq!(site.told(kind::FOOTAGE_CLEARED).await.len(), 3);
    // What comes later, while it is there, is taken, too.
    std::fs::write(at.join("later.mp4"), "later").unwrap();
    let later = site.sealed(1).await;
    site.confirm(&later[0].1, &sha256(b"later")).await;
    site.until_state("ZFY0001", "ready").await;
    std::fs::remove_dir_all(&at).unwrap();
    site.until_state("ZFY0001", "left").await;
    // The bay, known by its port, was told who came and that it went.
    assert_eq!(*site.bays.0.lock().unwrap(), ["+bay1 ZFY0001", "-bay1"]);
    assert_eq!(site.docking.overview().await.unwrap().dockings[0].place, "1号槽位");
}
