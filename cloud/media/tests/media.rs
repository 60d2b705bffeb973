//! The worker over its real line, on genuine files and on what a battery swap, an accident or an attacker makes of them.
//! Files come from GStreamer's own command line; results are judged by FFmpeg.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod bench;
mod sound;

use std::path::Path;
use std::time::Duration;

use bench::{Bench, PATIENCE, coded, decoded, mended};
use media::{Export, Failure, Job, Made, Reason, Rescued, Worker};

fn salvage(reference: Option<&Path>) -> Job {
    Job::Salvage {
        references: reference.map(Path::to_owned).into_iter().collect(),
    }
}

/// Facts, pictures and a playable copy of each container; the copy's pictures are the original's, bit for bit.
#[test]
fn a_whole_recording_is_looked_into_and_becomes_pictures_and_a_playable_copy() {
    let bench = Bench::new();
    for (name, audio) in [
        ("good.mp4", "aac"),
        ("good.ts", "aac"),
        ("good.avi", "pcm"),
        ("fragments.mp4", "aac"),
    ] {
        let file = bench.file(name);
        let Made::Facts(facts) = bench.make(Job::Probe, &file).0 else {
            panic!("{name}")
        };
        let video = facts.video.clone().unwrap();
        assert_eq!(
            (video.codec.as_str(), video.width, video.height),
            ("h264", 320, 180),
            "{name}"
        );
        assert_eq!(video.rate_milli, Some(30_000), "{name}");
        assert_eq!(facts.audio.as_ref().unwrap().codec, audio, "{name}");
        assert!((4900..5100).contains(&facts.duration_ms.unwrap()), "{name}: {facts:?}");
        assert_eq!(facts.plays(), name.ends_with("mp4"), "{name}");

        let (made, film) = bench.make(Job::Remux, &file);
        assert!(matches!(made, Made::Film { frames: 150, .. }), "{name}: {made:?}");
        let frames = coded(&film.unwrap());
        assert_eq!(frames, coded(&file), "{name}");
        assert_eq!(frames.len(), 150, "{name}");

        let (made, poster) = bench.make(Job::Poster, &file);
        assert!(
            matches!(made, Made::Poster { at_ms } if at_ms < 1500),
            "{name}: {made:?}"
        );
        assert_eq!(decoded(&poster.unwrap(), 0.0, "640:360").len(), 640 * 360);
        let (made, strip) = bench.make(Job::Strip { tiles: 5 }, &file);
        let Made::Strip(strip_facts) = made else {
            panic!("{name}")
        };
        assert!(strip_facts.times_ms.len() >= 3, "{name}: {strip_facts:?}");
        assert!(
            strip_facts.times_ms.is_sorted_by(|a, b| a < b),
            "{name}: {strip_facts:?}"
        );
        let (w, h) = (strip_facts.columns * 160, strip_facts.rows * 90);
        let sprite = decoded(&strip.unwrap(), 0.0, &format!("{w}:{h}"));
        assert_eq!(sprite.len(), (w * h) as usize, "{name}");

        let (made, proxy) = bench.make(Job::Proxy, &file);
        assert!(matches!(made, Made::Film { frames: 75, .. }), "{name}: {made:?}");
        assert_eq!(coded(&proxy.unwrap()).len(), 75, "{name}");
    }
}

/// H.265: no browser plays it as it is, so it is not copied; the small one is H.264.
#[test]
fn what_browsers_do_not_play_is_told_and_made_small() {
    let bench = Bench::new();
    let file = bench.file("h265.mp4");
    assert!(matches!(
        bench.refused(Job::Remux, &file),
        Failure::Refused {
            reason: Reason::NeedsProxy,
            ..
        }
    ));
    let (_, proxy) = bench.make(Job::Proxy, &file);
    let proxy = proxy.unwrap();
    assert_eq!(coded(&proxy).len(), 45);
    let Made::Facts(facts) = bench.make(Job::Probe, &proxy).0 else {
        panic!()
    };
    assert!(facts.plays());
}

/// Cut at 60 %, with a tail of zeros, with garbage in the middle: nothing that lay whole in the file is lost, and each
/// rescued picture is the original's, bit for bit.
#[test]
fn what_lay_whole_in_a_damaged_file_is_rescued_bit_for_bit() {
    let bench = Bench::new();
    for name in ["good.mp4", "fragments.mp4", "good.ts", "good.avi"] {
        let good = bench.file(name);
        let originals = coded(&good);
        let reference = bench.file("good.mp4");
        for (kind, file, whole) in mended(&bench, &good) {
            let (made, film) = bench.make(salvage(Some(&reference)), &file);
            let Made::Rescued(Rescued { frames, codec, .. }) = made else {
                panic!("{name} {kind}")
            };
            let rescued = coded(&film.unwrap());
            assert_eq!(
                (rescued.len() as u64, codec.as_str()),
                (frames, "h264"),
                "{name} {kind}"
            );
            // Garbage takes the pictures it lies on; a cut takes none but the one it goes through.
            let lost = if kind == "garbage" { 4 } else { 1 };
            assert!(
                rescued.len() + lost >= whole,
                "{name} {kind}: {} of {whole}",
                rescued.len()
            );
            let strange = rescued.iter().filter(|f| !originals.contains(f)).count();
            let allowed = if kind == "garbage" { 4 } else { 1 };
            assert!(
                strange <= allowed,
                "{name} {kind}: {strange} pictures are not the original's"
            );
            assert_eq!(
                std::fs::read(&good).unwrap(),
                bench.bytes(name),
                "{name}: the original was touched"
            );
        }
    }
}

/// Without a good file of the same recorder, parameter sets among the pictures do; without those, that is said.
#[test]
fn a_rescue_needs_to_know_how_pictures_are_coded() {
    let bench = Bench::new();
    let bytes = bench.bytes("good.mp4");
    let cut = bench.write("cut.mp4", &bytes[..bytes.len() * 6 / 10]);
    let (made, _) = bench.make(salvage(None), &cut);
    assert!(matches!(made, Made::Rescued(r) if r.frames > 80));
    let bytes = bench.bytes("h265.mp4");
    let cut = bench.write("cut265.mp4", &bytes[..bytes.len() * 6 / 10]);
    assert!(matches!(
        bench.refused(salvage(None), &cut),
        Failure::Refused {
            reason: Reason::NoReference,
            ..
        }
    ));
    let reference = bench.file("h265.mp4");
    let (made, _) = bench.make(salvage(Some(&reference)), &cut);
    assert!(matches!(made, Made::Rescued(r) if r.frames > 40 && r.codec == "h265"));
    // The recorder was set otherwise between two recordings: what fits the file counts, not what comes first.
    let other = bench.file("stereo.mp4");
    for references in [vec![reference.clone(), other.clone()], vec![other, reference]] {
        let job = Job::Salvage { references };
        let (made, _) = bench.make(job.clone(), &cut);
        assert!(matches!(made, Made::Rescued(r) if r.frames > 40 && r.codec == "h265"));
        let bytes = bench.bytes("stereo.mp4");
        let cut = bench.write("cut264.mp4", &bytes[..bytes.len() * 6 / 10]);
        let (made, _) = bench.make(job, &cut);
        assert!(matches!(made, Made::Rescued(r) if r.frames > 80 && r.codec == "h264" && r.sound));
    }
}

/// Nothing an attacker puts on a recorder ends otherwise than in an answer.
#[test]
fn hostile_files_are_answered() {
    let bench = Bench::new();
    let mut wide = bench.bytes("good.avi");
    // Width of the film in the AVI's head.
    wide[64..68].copy_from_slice(&1_000_000_000u32.to_le_bytes());
    let mut huge = bench.bytes("good.mp4");
    let at = huge.windows(4).position(|w| w == b"avc1").unwrap() + 28;
    huge[at..at + 4].copy_from_slice(&[0xff; 4]);
    let mut table = bench.bytes("good.mp4");
    let at = table.windows(4).position(|w| w == b"stsz").unwrap() + 12;
    table[at..at + 4].copy_from_slice(&[0xff; 4]);
    let playlist = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhostile.mp4\n".repeat(10_000);
    let head = bench.bytes("good.mp4")[..40].to_vec();
    let hostile: [(&str, Vec<u8>); 8] = [
        ("empty", Vec::new()),
        ("text", b"a nurse's notes".repeat(100)),
        ("playlist", playlist.into_bytes()),
        ("zeros", vec![0; 200_000]),
        ("head", head),
        ("wide", wide),
        ("huge", huge),
        ("table", table),
    ];
    for (name, bytes) in hostile {
        let file = bench.write(&format!("{name}.mp4"), &bytes);
        for job in [Job::Probe, Job::Poster, Job::Remux, salvage(None), Job::Proxy] {
            if let Err(failure) = bench.try_make(job.clone(), &file) {
                assert!(
                    !matches!(failure, Failure::Hung | Failure::Missing(_)),
                    "{name} {job:?}: {failure}"
                );
                assert!(!failure.text().is_empty());
            }
        }
        if ["empty", "text", "playlist", "zeros", "head"].contains(&name) {
            assert!(bench.try_make(salvage(None), &file).is_err(), "{name}");
        }
    }
}

/// A worker that stands still, dies, lies or talks nonsense is a named failure, and none is left behind.
#[test]
fn a_worker_that_does_not_answer_is_killed_and_told() {
    let bench = Bench::new();
    let file = bench.file("good.mp4");
    let made = r#"{"made":{"what":"film","frames":1,"duration_ms":1}}"#;
    // Who does not answer is given a moment, who does as long as a busy machine may need.
    let (moment, long) = (Duration::from_secs(2), Duration::from_secs(120));
    let stand_ins = [
        ("stopped", "echo $$ > \"$0.pid\"; kill -STOP $$", "hung"),
        (
            "endless",
            "echo $$ > \"$0.pid\"; while :; do echo '{\"progress\":1}'; done",
            "hung",
        ),
        ("dead", "exit 3", "crashed"),
        ("nonsense", "echo nonsense", "nonsense"),
        ("liar", &format!("echo '{made}'"), "nonsense"),
    ];
    for (name, script, wanted) in stand_ins {
        let program = bench.script(name, script);
        let worker = Worker::new(&program);
        let failure = bench
            .run(&worker, Job::Remux, &file, if wanted == "hung" { moment } else { long })
            .unwrap_err();
        let found = match &failure {
            Failure::Hung => "hung",
            Failure::Crashed { .. } => "crashed",
            Failure::Nonsense(_) => "nonsense",
            _ => "other",
        };
        assert_eq!(found, wanted, "{name}: {failure}");
        if let Ok(pid) = std::fs::read_to_string(program.with_extension("pid")) {
            assert!(!Path::new("/proc").join(pid.trim()).exists(), "{name} is left behind");
        }
    }
    let missing = bench.run(&Worker::new("/nowhere"), Job::Remux, &file, long);
    assert!(matches!(missing, Err(Failure::Missing(_))));
    // Too little memory to work in is an answer, too.
    let poor = Worker {
        memory: 64 << 20,
        ..bench.worker()
    };
    let failure = bench.run(&poor, Job::Proxy, &file, long).unwrap_err();
    assert!(!matches!(failure, Failure::Hung), "{failure}");
}

/// A server too busy to have the first picture in time says so, and the job is worth another attempt: the film itself is
/// not to blame.
#[test]
fn a_busy_server_does_not_condemn_a_film() {
    let bench = Bench::new();
    let file = bench.file("good.mp4");
    let busy = Worker {
        settle: Duration::ZERO,
        ..bench.worker()
    };
    for job in [Job::Probe, Job::Poster, Worker::strip()] {
        let told = format!("{job:?}");
        let failure = bench.run(&busy, job.clone(), &file, PATIENCE).unwrap_err();
        assert!(
            matches!(
                failure,
                Failure::Refused {
                    reason: Reason::Late,
                    ..
                }
            ) && failure.passing(),
            "{told}: {failure}"
        );
        bench.make(job, &file);
    }
}

/// While it works, the worker is confined: its system calls are filtered, it cannot gain privileges, its limits are set.
#[test]
fn the_worker_works_confined() {
    let bench = Bench::new();
    let file = bench.file("good.mp4");
    let seen = bench.watched(&Job::Proxy, &file);
    let of = |text: &str, name: &str| text.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
    assert_eq!(of(&seen.status, "Seccomp:").split_whitespace().last(), Some("2"));
    assert_eq!(of(&seen.status, "NoNewPrivs:").split_whitespace().last(), Some("1"));
    for limit in [
        "Max address space",
        "Max cpu time",
        "Max file size",
        "Max core file size",
    ] {
        assert!(!of(&seen.limits, limit).contains("unlimited"), "{limit}");
    }
}

/// Hospital, nurse and the running time are burnt in, in Chinese; a part is exactly that part, with its own time.
#[test]
fn an_export_carries_the_watermark_and_the_time_of_its_part() {
    let bench = Bench::new();
    let black = bench.file("black.mp4");
    let export = |text: &str, from_ms: u64, to_ms: Option<u64>| {
        Job::Export(Export {
            text: text.to_owned(),
            began_us: 1_795_296_358_000_000,
            utc_offset_s: 28_800,
            from_ms,
            to_ms,
            font: "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc".into(),
        })
    };
    let film = |text: &str, from, to| bench.make(export(text, from, to), &black).1.unwrap();
    let picture = |film: &Path, at: f64| decoded(film, at, "640:360");
    let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 60).count();

    let whole = film("市第一人民医院 · 李护士", 0, None);
    assert_eq!(coded(&whole).len(), 150);
    let plain = picture(&black, 1.2);
    let (early, same, next) = (picture(&whole, 1.2), picture(&whole, 1.8), picture(&whole, 2.2));
    assert!(differ(&plain, &early) > 500, "no watermark");
    assert!(differ(&early, &same) < 20, "the text changes within a second");
    let changed = differ(&early, &next);
    assert!((10..400).contains(&changed), "the clock: {changed}");
    // Letters that the font lacks would look alike.
    let other = picture(&film("县第二中医院院 · 王护士", 0, None), 1.2);
    assert!(differ(&early, &other) > 200, "the letters are not drawn");
    // Markup is text.
    let marked = film("<b>&</b>医院 · 李", 0, None);
    assert!(differ(&plain, &picture(&marked, 1.2)) > 300);

    // Of a part: what it shows at its 0.2 s, the whole shows at 2.2 s.
    let part = film("市第一人民医院 · 李护士", 2000, Some(4000));
    assert_eq!(coded(&part).len(), 60);
    assert!(differ(&picture(&part, 0.2), &next) < 60, "the time of a part");
    let refused = bench.refused(export("医院", 9_000, None), &black);
    assert!(matches!(
        refused,
        Failure::Refused {
            reason: Reason::OutsideRecording,
            ..
        }
    ));
    let Job::Export(mut nameless) = export("医院", 0, None) else {
        panic!()
    };
    nameless.font = "/nowhere/none.ttc".into();
    let refused = bench.refused(Job::Export(nameless), &black);
    assert!(matches!(
        refused,
        Failure::Refused {
            reason: Reason::NoLetters,
            ..
        }
    ));
}
