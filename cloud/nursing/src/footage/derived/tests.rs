use media::{Facts, Video};

use super::{Kind, after_probe};

/// What is made of each kind of file.
#[test]
fn a_whole_film_gets_pictures_and_a_playable_copy_and_a_damaged_one_is_rescued_first() {
    let facts = |container: &str, condition: &str, codec: Option<&str>| Facts {
        container: container.to_owned(),
        condition: condition.to_owned(),
        duration_ms: None,
        created_at: None,
        video: codec.map(|codec| Video {
            codec: codec.to_owned(),
            width: 1920,
            height: 1080,
            rate_milli: None,
        }),
        audio: None,
    };
    let all = [Kind::Poster, Kind::Strip, Kind::Remux].as_slice();
    let table: [(Facts, &[Kind]); 8] = [
        (facts("mp4", "complete", Some("h264")), all),
        (facts("ts", "complete", Some("h264")), all),
        (facts("avi", "complete", Some("mjpeg")), &[Kind::Poster, Kind::Strip]),
        (facts("mp4", "complete", Some("h265")), &[Kind::Poster, Kind::Strip]),
        (facts("mp4", "damaged", None), &[Kind::Salvage]),
        (facts("ts", "truncated", Some("h264")), &[Kind::Salvage]),
        (facts("other", "unknown", None), &[Kind::Salvage]),
        (facts("wav", "complete", None), &[]),
    ];
    for (facts, wanted) in table {
        assert_eq!(after_probe(&facts), wanted, "{facts:?}");
    }
}
