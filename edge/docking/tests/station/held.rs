//! Recorders that are not ours.

use docking::Docking;
use records::Timestamp;
use records::footage::RecorderUnlisted;

use crate::rig::{Site, sha256};

/// Unknown, removed from the list, twice there, nameless: held, shown, untouched; released when it is cleared up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_is_not_ours_is_held_and_nothing_of_it_is_touched() {
    let mut site = Site::new().await;
    let at = site.plug("bay1", "ZFY0009", &[("a.mp4", b"foreign")]);
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("未登记"), "{}", row.note);
    site.plug("bay2", "../../x", &[("a.mp4", b"nameless")]);
    let row = site.until_state("", "held").await;
    assert!(row.note.contains("序列号"), "{}", row.note);
    assert!(at.join("a.mp4").exists() && !at.join("SETTIME.TXT").exists());
    assert_eq!(
        std::fs::read_dir(site.folder.path().join("footage")).unwrap().count(),
        0
    );

    site.list("ZFY0009").await;
    site.until_state("ZFY0009", "waiting").await;
    let twin = site.plug("bay3", "ZFY0009", &[("b.mp4", b"twin")]);
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("重复"), "{}", row.note);
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    let (_, entry) = site.sealed(2).await.pop().unwrap();
    assert_eq!(entry.sha256, sha256(b"twin"));

    let body = RecorderUnlisted {
        serial: "ZFY0009".to_owned(),
        reason: "已停用".to_owned(),
        at: Timestamp::default(),
    };
    site.tell(move |tx| {
        let body = body.clone();
        Box::pin(async move { Docking::unlist(tx, &body).await })
    })
    .await;
    site.confirm(&entry, &entry.sha256).await;
    let row = site.until_state("ZFY0009", "held").await;
    assert!(row.note.contains("已停用"), "{}", row.note);
    assert!(twin.join("b.mp4").exists(), "cleared although it is not ours any more");
}

/// Two of one number, put in at the same moment: one is let in, the other is held until it has gone, and neither takes the
/// other's files for lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_with_one_number_one_is_let_in_after_the_other() {
    let mut site = Site::new().await;
    site.list("ZFY0009").await;
    let places = ["bay1", "bay2"].map(|bay| site.plug(bay, "ZFY0009", &[(&format!("{bay}.mp4"), bay.as_bytes())]));
    let (_, first) = site.sealed(1).await.remove(0);
    site.until_state("ZFY0009", "held").await;
    site.until_state("ZFY0009", "waiting").await;
    let gone = places.iter().find(|p| p.join(&first.file).exists()).unwrap();
    std::fs::rename(gone, site.shelf().join(".away")).unwrap();
    let (_, second) = site.sealed(1).await.remove(0);
    assert_ne!(first.file, second.file);
    let warnings = site.docking.overview().await.unwrap().warnings;
    assert!(!warnings.iter().any(|w| w.contains("消失")), "{warnings:?}");
}
