//! What was recorded when: a battery changed on the way, a clock that is years off.

use records::Timestamp;
use records::footage::{DockingReport, kind};

use crate::rig::{Site, sha256};

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes()[..], kind, content].concat()
}

/// An MP4 as recorders finish it: its begin by their clock, its length in seconds.
fn mp4(begin: i64, seconds: u32) -> Vec<u8> {
    let created = u32::try_from(begin + 2_082_844_800).unwrap();
    let mut header = vec![0u8; 4];
    for n in [created, created, 1000, seconds * 1000] {
        header.extend(n.to_be_bytes());
    }
    header.resize(100, 0);
    let media = vec![begin.to_be_bytes()[7]; 70_000];
    let moov = boxed(b"moov", &boxed(b"mvhd", &header));
    [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"mdat", &media), moov].concat()
}

/// Half an hour, nine and a half minutes for another battery, ten minutes more; the clock is nine years behind. Both files
/// arrive whole with their hashes, the pause is told with its true time, and the file that a dying battery cut short is
/// kept as it is and said to be short.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_battery_is_a_told_pause_between_two_whole_files_and_a_clock_years_off_is_corrected() {
    let mut site = Site::new().await;
    site.list("ZFY0001").await;
    // 2017-03-01 08:00:00 in China.
    let docked = 1_488_326_400;
    let (before, after) = (mp4(docked - 7200, 1800), mp4(docked - 7200 + 1800 + 570, 600));
    let whole = mp4(docked - 3000, 60);
    let cut = &whole[..60_000];
    site.plug_at(
        "bay1",
        "ZFY0001",
        "2017-03-01 08:00:00",
        &[("1.mp4", &before), ("2.mp4", &after), ("3.mp4", cut)],
    );
    let sealed = site.sealed(3).await;
    let of = |file: &str| &sealed.iter().find(|(_, e)| e.file == file).unwrap().1;
    let (first, second, third) = (of("1.mp4"), of("2.mp4"), of("3.mp4"));
    for (entry, bytes) in [(first, &before[..]), (second, &after[..]), (third, cut)] {
        assert_eq!((entry.sha256.clone(), entry.size), (sha256(bytes), bytes.len() as u64));
    }
    assert_eq!(first.condition, "complete");
    assert_eq!(
        (second.condition.as_str(), second.duration_ms),
        ("complete", Some(600_000))
    );
    assert_ne!(third.condition, "complete");
    // What the recorder said stays as it said it; the offset stands beside.
    assert_eq!(first.recorded_at, Some(Timestamp::from_seconds(docked - 7200)));
    let offset = first.clock_offset_ms.unwrap();
    assert!(offset < -9 * 365 * 86_400_000, "{offset}");

    for (_, entry) in &sealed {
        site.confirm(entry, &entry.sha256).await;
    }
    site.until_state("ZFY0001", "ready").await;
    let reports = site.told(kind::RECORDER_DOCKING).await;
    let report: DockingReport = serde_json::from_value(reports.last().unwrap().clone()).unwrap();
    assert_eq!(report.gaps.len(), 1, "{:?}", report.gaps);
    let gap = &report.gaps[0];
    let true_end = (docked - 7200 + 1800) * 1000 - offset;
    assert_eq!(gap.from, Timestamp::from_micros(true_end * 1000));
    assert_eq!(gap.to, Timestamp::from_micros((true_end + 570_000) * 1000));
}
