//! Cards that fail, recorders that are pulled, power that is cut, a cloud that refuses or forgets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use records::footage::{FootageRefusal, kind};

use crate::rig::{Site, sha256};

/// A card that fails at a byte once is read again; one that always fails keeps its file, and the rest is cleared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_error_loses_nothing_and_what_cannot_be_read_stays() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let big = vec![7u8; 3_000_000];
    site.faults
        .0
        .lock()
        .unwrap()
        .insert("once.mp4".to_owned(), (2_000_000, false));
    site.faults.0.lock().unwrap().insert("never.mp4".to_owned(), (5, true));
    let at = site.plug("bay1", "ZFY0001", &[("once.mp4", &big), ("never.mp4", b"unreadable")]);
    let sealed = site.sealed(1).await;
    assert_eq!(sealed[0].1.sha256, sha256(&big));
    site.confirm(&sealed[0].1, &sealed[0].1.sha256).await;
    let row = site.until_state("ZFY0001", "kept").await;
    assert!(row.note.contains("1个文件未能采集"), "{}", row.note);
    assert!(at.join("never.mp4").exists() && !at.join("once.mp4").exists());
    // Cleaned contacts: put in again, it is read.
    site.faults.0.lock().unwrap().clear();
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    site.until_state("ZFY0001", "pulled").await;
    std::fs::rename(site.shelf().join(".away"), site.shelf().join("bay2")).unwrap();
    let sealed = site.sealed(1).await;
    assert_eq!(sealed[0].1.sha256, sha256(b"unreadable"));
    site.confirm(&sealed[0].1, &sealed[0].1.sha256).await;
    site.until_state("ZFY0001", "ready").await;
}

/// Pulled before it was confirmed, power cut, copy lost, put in again: nothing is lost, nothing is taken for what it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_pull_and_a_power_cut_the_work_goes_on_and_content_is_looked_at_again_before_it_is_deleted() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    let at = site.plug("bay1", "ZFY0001", &[("a.mp4", b"first"), ("b.mp4", b"other")]);
    let sealed = site.sealed(2).await;
    let a = &sealed.iter().find(|(_, e)| e.file == "a.mp4").unwrap().1;
    let b = &sealed.iter().find(|(_, e)| e.file == "b.mp4").unwrap().1;
    std::fs::rename(&at, site.shelf().join(".away")).unwrap();
    site.until_state("ZFY0001", "pulled").await;
    // While it is out, a file is replaced by another of the same name, size and time: a recorder whose clock was reset.
    let away = site.shelf().join(".away/a.mp4");
    let time = std::fs::metadata(&away).unwrap().modified().unwrap();
    std::fs::write(&away, "FIRST").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&away)
        .unwrap()
        .set_modified(time)
        .unwrap();
    // A copy is lost, too, and the power fails.
    std::fs::remove_file(site.folder.path().join("footage").join(b.clip.as_str())).unwrap();
    site.restart().await;
    site.confirm(a, &a.sha256).await;
    let at = site.shelf().join("bay2");
    std::fs::rename(site.shelf().join(".away"), &at).unwrap();
    // The lost copy is taken again, under the entry it has.
    let (_, again) = site.sealed(1).await.remove(0);
    assert_eq!(&again, b);
    site.confirm(b, &b.sha256).await;
    // Before the confirmed one is deleted its content is looked at: it is another, a clip of its own.
    let (_, replaced) = site.sealed(1).await.remove(0);
    assert_eq!(replaced.sha256, sha256(b"FIRST"));
    assert!(at.join("a.mp4").exists());
    site.confirm(&replaced, &replaced.sha256).await;
    site.until_state("ZFY0001", "ready").await;
    assert!(!at.join("a.mp4").exists() && !at.join("b.mp4").exists());
}

/// The cloud forgot the bytes: they are sent again. It refuses them for good: they stay on the recorder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_cloud_sends_again_or_keeps() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    site.cloud.down.store(true, Ordering::SeqCst);
    let at = site.plug("bay1", "ZFY0001", &[("a.mp4", b"first")]);
    site.until_state("ZFY0001", "waiting").await;
    assert_eq!(site.cloud.carried.load(Ordering::SeqCst), 0);
    site.cloud.down.store(false, Ordering::SeqCst);
    let (_, entry) = site.sealed(1).await.remove(0);
    site.refuse(&entry, FootageRefusal::Missing).await;
    let (_, again) = site.sealed(1).await.remove(0);
    assert_eq!(again, entry);
    assert_eq!(site.cloud.carried.load(Ordering::SeqCst), 2);
    site.refuse(&entry, FootageRefusal::Unsound).await;
    site.until_state("ZFY0001", "kept").await;
    assert!(at.join("a.mp4").exists());
    // Too late: a person decides now.
    site.confirm(&entry, &entry.sha256).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(at.join("a.mp4").exists());
}

/// A file for which there is no room waits on its recorder, which says so; it keeps back none that fits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_room_keeps_no_smaller_one_back() {
    let mut site = Site::with_room(1_000).await;
    site.list("ZFY0001").await;
    let at = site.plug("bay1", "ZFY0001", &[("a.mp4", &[1; 5_000]), ("b.mp4", b"small")]);
    let (_, entry) = site.sealed(1).await.remove(0);
    assert_eq!(entry.file, "b.mp4");
    let full = async || site.until_state("ZFY0001", "copying").await.note.contains("已满");
    let end = std::time::Instant::now() + Duration::from_secs(120);
    while !full().await {
        assert!(std::time::Instant::now() < end, "nobody says that there is no room");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(at.join("a.mp4").exists() && at.join("b.mp4").exists());
}

/// A clip the cloud does not take keeps back no other, of no recorder; a clock that stands in a year no calendar writes stops
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_clip_that_is_not_taken_keeps_no_other_back_whatever_its_recorders_clock_says() {
    let mut site = Site::new().await;
    *site.cloud.too_large.lock().unwrap() = Some(b"too large".to_vec());
    let files: [(&str, &[u8]); 3] = [
        ("ZFY0001_000123_20261121080000_0001.mp4", b"too large"),
        ("ZFY0002_000123_20261121080100_0002.mp4", b"second"),
        ("ZFY0002_000123_20261121080200_0003.mp4", b"third"),
    ];
    let (first, others) = files.split_at(1);
    let mut places = Vec::new();
    for (bay, serial, files) in [("bay1", "ZFY0001", first), ("bay2", "ZFY0002", others)] {
        site.list(serial).await;
        places.push(site.plug_at(bay, serial, "9999-12-31 23:59:59", files));
        site.until_state(serial, "waiting").await;
    }
    for (_, entry) in site.sealed(2).await {
        assert_eq!(entry.recorder, "ZFY0002");
        // Written, read and told, though no calendar has it.
        let corrected = entry.corrected_at().unwrap();
        assert_eq!(serde_json::to_value(corrected).unwrap(), "0001-01-01T00:00:00Z");
        site.confirm(&entry, &entry.sha256).await;
    }
    site.until_state("ZFY0002", "ready").await;
    *site.cloud.too_large.lock().unwrap() = None;
    let (_, last) = site.sealed(1).await.remove(0);
    assert_eq!(last.recorder, "ZFY0001");
    site.confirm(&last, &last.sha256).await;
    site.until_state("ZFY0001", "ready").await;
    assert!(
        files
            .iter()
            .all(|(name, _)| places.iter().all(|p| !p.join(name).exists()))
    );
}

/// Footage the cloud misses after it had confirmed it: sent again as long as we keep it; afterwards it is said in plain words
/// that nobody can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cloud_lost_is_sent_again_from_our_copy_and_told_when_there_is_none() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    site.plug("bay1", "ZFY0001", &[("a.mp4", b"first")]);
    let (_, entry) = site.sealed(1).await.remove(0);
    site.confirm(&entry, &entry.sha256).await;
    site.until_state("ZFY0001", "ready").await;

    site.refuse(&entry, FootageRefusal::Missing).await;
    let (_, again) = site.sealed(1).await.remove(0);
    assert_eq!(again, entry);
    site.confirm(&entry, &entry.sha256).await;

    // The storage plan removed our copy.
    let clip = entry.clip.clone();
    site.tell(move |tx| {
        let clip = clip.clone();
        Box::pin(async move {
            tx.exec("UPDATE docking_clip SET purged_at = 1 WHERE id = $1", &[&clip])
                .await
                .map(drop)
        })
    })
    .await;
    site.refuse(&entry, FootageRefusal::Missing).await;
    let overview = site.docking.overview().await.unwrap();
    assert!(
        overview.warnings.iter().any(|w| w.contains("无法补传")),
        "{:?}",
        overview.warnings
    );
    assert_eq!(overview.open_clips, 1);
    assert!(
        site.told(kind::FOOTAGE_SEALED).await.is_empty(),
        "promised what cannot be kept"
    );
}
