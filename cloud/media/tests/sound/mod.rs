//! Sound of what is rescued, and recorders that write JPEG after JPEG.

use std::path::Path;

use media::{Job, Made, Reason, Rescued};

use crate::bench::{Bench, coded, decoded, mended, out};
use crate::salvage;

/// Units of sound, in order: where each lies, how long it is, and its digest.
fn heard(file: &Path) -> Vec<(usize, usize, String)> {
    let arguments =
        "-v error -select_streams a:0 -show_data_hash sha256 -show_entries packet=size,pos,data_hash -of csv=p=0";
    let arguments = arguments.split_whitespace().chain([file.to_str().unwrap()]);
    let text = String::from_utf8(out("ffprobe", &arguments.collect::<Vec<_>>())).unwrap();
    // What is said beside a packet ends its line early.
    let fields: Vec<_> = text.split([',', '\n']).filter(|field| !field.is_empty()).collect();
    let of = |unit: &[&str]| (unit[1].parse().unwrap(), unit[0].parse().unwrap(), unit[2].to_owned());
    fields.chunks_exact(3).map(of).collect()
}

/// Seconds of a stream.
fn seconds(file: &Path, stream: &str) -> f64 {
    let arguments =
        format!("-v error -select_streams {stream} -show_entries packet=pts_time,duration_time -of csv=p=0");
    let arguments = arguments.split_whitespace().chain([file.to_str().unwrap()]);
    let text = String::from_utf8(out("ffprobe", &arguments.collect::<Vec<_>>())).unwrap();
    let ends = text.lines().filter_map(|line| {
        let (at, lasts) = line.trim_end_matches(',').split_once(',')?;
        Some(at.parse::<f64>().ok()? + lasts.parse::<f64>().ok()?)
    });
    ends.fold(0.0, f64::max)
}

/// The index is gone with the battery: between the pictures each whole unit of sound is found, bit for bit, and nothing else
/// is taken for sound; it lasts as long as the pictures do.
#[test]
fn sound_without_an_index_is_rescued_bit_for_bit() {
    let bench = Bench::new();
    for name in ["good.mp4", "stereo.mp4"] {
        let good = bench.file(name);
        let originals = heard(&good);
        for (kind, file, _) in mended(&bench, &good) {
            let cut = std::fs::metadata(&good).unwrap().len() as usize * 6 / 10;
            let whole: Vec<_> = originals.iter().filter(|(at, size, _)| at + size <= cut).collect();
            let (made, film) = bench.make(salvage(Some(&good)), &file);
            let Made::Rescued(Rescued { sound, unused, .. }) = made else {
                panic!("{name} {kind}")
            };
            assert!(sound, "{name} {kind}");
            let film = film.unwrap();
            let rescued = heard(&film);
            let strange = rescued
                .iter()
                .filter(|(_, _, d)| !originals.iter().any(|(_, _, o)| o == d));
            assert_eq!(strange.count(), 0, "{name} {kind}: noise is taken for sound");
            // Garbage takes what lies beside it, up to the next picture.
            let lost = if kind == "garbage" { 60 } else { 1 };
            assert!(
                rescued.len() + lost >= whole.len() && rescued.len() <= originals.len(),
                "{name} {kind}: {} of {}",
                rescued.len(),
                whole.len()
            );
            if kind == "garbage" {
                continue;
            }
            assert!(
                rescued.iter().zip(&originals).all(|((_, _, a), (_, _, b))| a == b),
                "{name} {kind}"
            );
            assert!(unused < 20_000, "{name} {kind}: {unused} bytes are not understood");
            let (seen, heard) = (seconds(&film, "v:0"), seconds(&film, "a:0"));
            assert!(
                seen > 2.0 && (seen - heard).abs() < 1.1,
                "{name} {kind}: {seen} s seen, {heard} s heard"
            );
        }
    }
}

/// What carries its own structure keeps its sound, too: as long as the pictures.
#[test]
fn sound_of_streams_and_of_avi_is_rescued() {
    let bench = Bench::new();
    for name in ["good.ts", "good.avi", "fragments.mp4"] {
        let good = bench.file(name);
        for (kind, file, _) in mended(&bench, &good) {
            let (made, film) = bench.make(salvage(None), &file);
            assert!(
                matches!(made, Made::Rescued(Rescued { sound: true, .. })),
                "{name} {kind}: {made:?}"
            );
            let film = film.unwrap();
            let (seen, heard) = (seconds(&film, "v:0"), seconds(&film, "a:0"));
            assert!(
                seen > 2.0 && (seen - heard).abs() < 0.7,
                "{name} {kind}: {seen} s seen, {heard} s heard"
            );
        }
    }
}

/// JPEG after JPEG in an AVI, with and without Huffman tables: it is shown, made small for browsers, and rescued as it is.
#[test]
fn films_of_jpeg_pictures_are_shown_made_small_and_rescued() {
    let bench = Bench::new();
    let plays = |file: &Path| match bench.make(Job::Probe, file).0 {
        Made::Facts(facts) => facts.plays() && facts.audio.is_some(),
        _ => false,
    };
    for name in ["jpeg.avi", "bare.avi"] {
        let file = bench.file(name);
        let Made::Facts(facts) = bench.make(Job::Probe, &file).0 else {
            panic!("{name}")
        };
        assert!(facts.is("mjpeg") && !facts.plays(), "{name}: {facts:?}");
        let (_, poster) = bench.make(Job::Poster, &file);
        let poster = decoded(&poster.unwrap(), 0.0, "640:360");
        assert!(
            poster.iter().any(|p| *p > 150) && poster.iter().any(|p| *p < 60),
            "{name}: nothing to see"
        );
        let (made, _) = bench.make(Job::Strip { tiles: 6 }, &file);
        assert!(matches!(made, Made::Strip(s) if s.times_ms.len() == 6), "{name}");
        let refused = bench.refused(Job::Remux, &file);
        assert!(
            matches!(
                refused,
                media::Failure::Refused {
                    reason: Reason::NeedsProxy,
                    ..
                }
            ),
            "{name}: {refused}"
        );
        let (made, proxy) = bench.make(Job::Proxy, &file);
        assert!(matches!(made, Made::Film { frames: 75, .. }), "{name}: {made:?}");
        let proxy = proxy.unwrap();
        assert!(plays(&proxy) && coded(&proxy).len() == 75, "{name}");

        let (_, cut, whole) = mended(&bench, &file).remove(0);
        let (made, film) = bench.make(salvage(None), &cut);
        let Made::Rescued(rescued) = made else { panic!("{name}") };
        assert!(
            rescued.frames as usize + 1 >= whole && rescued.codec == "mjpeg" && rescued.sound,
            "{name}: {rescued:?}"
        );
        let film = film.unwrap();
        assert!((seconds(&film, "v:0") - seconds(&film, "a:0")).abs() < 0.7, "{name}");
        let (_, poster) = bench.make(Job::Poster, &film);
        assert!(poster.is_some());
        let (_, proxy) = bench.make(Job::Proxy, &film);
        assert!(plays(&proxy.unwrap()), "{name}");
    }
}
