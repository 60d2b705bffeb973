//! Containers as recorders finish them, and as an empty battery leaves them.

use std::io::Cursor;

use super::*;

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes()[..], kind, content].concat()
}

fn header(created: u32, timescale: u32, duration: u32) -> Vec<u8> {
    let mut content = vec![0u8; 4];
    for n in [created, created, timescale, duration] {
        content.extend(n.to_be_bytes());
    }
    content.resize(100, 0);
    content
}

fn track(id: u32, timescale: u32) -> Vec<u8> {
    let mut tkhd = vec![0u8; 84];
    tkhd[12..16].copy_from_slice(&id.to_be_bytes());
    let mdia = boxed(b"mdia", &boxed(b"mdhd", &header(0, timescale, 0)));
    boxed(b"trak", &[boxed(b"tkhd", &tkhd), mdia].concat())
}

/// 2026-11-21 00:00:00 UTC as MP4 counts.
const CREATED: u32 = 3_878_064_000;

fn whole() -> Vec<u8> {
    let moov = [boxed(b"mvhd", &header(CREATED, 1000, 60_000)), track(1, 90_000)].concat();
    [
        boxed(b"ftyp", b"isom\0\0\0\0"),
        boxed(b"mdat", &[7; 5000]),
        boxed(b"moov", &moov),
    ]
    .concat()
}

fn fragmented(fragments: u32) -> Vec<u8> {
    let mut trex = vec![0u8; 24];
    trex[4..8].copy_from_slice(&1u32.to_be_bytes());
    trex[12..16].copy_from_slice(&3000u32.to_be_bytes());
    let mvex = boxed(b"mvex", &boxed(b"trex", &trex));
    let moov = [boxed(b"mvhd", &header(CREATED, 1000, 0)), track(1, 90_000), mvex].concat();
    let mut out = [boxed(b"ftyp", b"iso5\0\0\0\0"), boxed(b"moov", &moov)].concat();
    for n in 0..fragments {
        let tfhd = boxed(b"tfhd", &[[0u8; 4], 1u32.to_be_bytes()].concat());
        let tfdt = boxed(b"tfdt", &[[0u8; 4], (n * 90_000).to_be_bytes()].concat());
        let trun = boxed(b"trun", &[[0u8; 4], 30u32.to_be_bytes()].concat());
        let traf = boxed(b"traf", &[tfhd, tfdt, trun].concat());
        out.extend(boxed(b"moof", &traf));
        out.extend(boxed(b"mdat", &[9; 400]));
    }
    out
}

fn facts(bytes: &[u8]) -> Facts {
    probe(&mut Cursor::new(bytes)).unwrap()
}

#[test]
fn an_mp4_tells_begin_length_and_whether_its_end_is_there() {
    let file = whole();
    let found = facts(&file);
    assert_eq!(found.container, Container::Mp4);
    assert_eq!(found.condition, Condition::Complete);
    assert_eq!(found.created_at, Some(1_795_219_200));
    assert_eq!(found.duration_ms, Some(60_000));
    // The battery was taken out: the index, written last, is missing.
    let cut = facts(&file[..3000]);
    assert_eq!((cut.container, cut.condition), (Container::Mp4, Condition::Damaged));
    let mut zeros = file[..3000].to_vec();
    zeros.resize(9000, 0);
    assert_eq!(facts(&zeros).condition, Condition::Damaged);
}

#[test]
fn a_fragmented_mp4_keeps_what_was_recorded_before_the_cut() {
    let file = fragmented(10);
    let found = facts(&file);
    assert_eq!(
        (found.condition, found.duration_ms),
        (Condition::Complete, Some(10_000))
    );
    let cut = facts(&file[..file.len() - 200]);
    assert_eq!((cut.condition, cut.duration_ms), (Condition::Truncated, Some(10_000)));
    let cut = facts(&file[..file.len() - 450]);
    assert_eq!((cut.condition, cut.duration_ms), (Condition::Truncated, Some(9_000)));
    let mut reserved = file.clone();
    reserved.resize(file.len() + 4096, 0);
    assert_eq!(facts(&reserved).condition, Condition::Truncated);
    assert_eq!(facts(&reserved).duration_ms, Some(10_000));
}

fn packet(clock: Option<u64>) -> Vec<u8> {
    let mut packet = vec![0xff; 188];
    packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, if clock.is_some() { 0x30 } else { 0x10 }]);
    if let Some(clock) = clock {
        packet[4..6].copy_from_slice(&[7, 0x10]);
        packet[6..10].copy_from_slice(&u32::try_from(clock >> 1).unwrap().to_be_bytes());
        packet[10] = u8::try_from((clock & 1) << 7).unwrap() | 0x7e;
    }
    packet
}

#[test]
fn a_transport_stream_tells_its_length_also_over_the_end_of_its_clock() {
    let stream = |first: u64| -> Vec<u8> {
        let clocks = (0..600u64).map(|n| (n % 10 == 0).then_some((first + n * 900) % WRAP_90K));
        clocks.flat_map(packet).collect()
    };
    const WRAP_90K: u64 = 1 << 33;
    for first in [1000, WRAP_90K - 100_000] {
        let found = facts(&stream(first));
        assert_eq!((found.container, found.condition), (Container::Ts, Condition::Complete));
        assert_eq!(found.duration_ms, Some(5_900));
    }
    let file = stream(0);
    assert_eq!(facts(&file[..file.len() - 77]).condition, Condition::Truncated);
    let mut zeros = file;
    zeros.resize(zeros.len() + 188 * 10, 0);
    assert_eq!(facts(&zeros).condition, Condition::Truncated);
}

#[test]
fn a_time_that_no_calendar_has_is_no_time() {
    let wide = |created: u64| {
        let mut mvhd = vec![1u8, 0, 0, 0];
        mvhd.extend(created.to_be_bytes());
        mvhd.extend(created.to_be_bytes());
        mvhd.extend(1000u32.to_be_bytes());
        mvhd.extend(60_000u64.to_be_bytes());
        mvhd.resize(112, 0);
        let file = [
            boxed(b"ftyp", b"isom\0\0\0\0"),
            boxed(b"mdat", &[7; 50]),
            boxed(b"moov", &boxed(b"mvhd", &mvhd)),
        ];
        facts(&file.concat()).created_at
    };
    assert_eq!(wide(u64::from(CREATED)), Some(i64::from(CREATED) - 2_082_844_800));
    for none in [0, 1 << 40, i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(wide(none), None, "{none}");
    }
}

fn avi(frames: u32, index: bool) -> Vec<u8> {
    let chunk = |name: &[u8; 4], content: &[u8]| {
        [&name[..], &u32::try_from(content.len()).unwrap().to_le_bytes(), content].concat()
    };
    let mut avih = [0u8; 56];
    avih[..4].copy_from_slice(&40_000u32.to_le_bytes());
    avih[16..20].copy_from_slice(&frames.to_le_bytes());
    let hdrl = chunk(b"LIST", &[b"hdrl".to_vec(), chunk(b"avih", &avih)].concat());
    let movi = chunk(b"LIST", &[b"movi".to_vec(), chunk(b"00dc", &[1; 900])].concat());
    let mut body = [b"AVI ".to_vec(), hdrl, movi].concat();
    if index {
        body.extend(chunk(b"idx1", &[0; 32]));
    }
    chunk(b"RIFF", &body)
}

#[test]
fn an_avi_without_its_index_is_truncated_and_one_without_frames_damaged() {
    let found = facts(&avi(250, true));
    assert_eq!(
        (found.container, found.condition),
        (Container::Avi, Condition::Complete)
    );
    assert_eq!(found.duration_ms, Some(10_000));
    assert_eq!(facts(&avi(250, false)).condition, Condition::Truncated);
    let file = avi(250, true);
    assert_eq!(facts(&file[..600]).condition, Condition::Truncated);
    assert_eq!(facts(&file[..40]).condition, Condition::Damaged);
}

#[test]
fn what_is_no_container_is_said_so() {
    assert_eq!(facts(b"").condition, Condition::Damaged);
    assert_eq!(facts(b"just a log\n").condition, Condition::Unknown);
    assert_eq!(facts(&[0xff, 0xd8, 0xff, 0, 0xff, 0xd9]).condition, Condition::Complete);
    assert_eq!(facts(&[0xff, 0xd8, 0xff, 0, 1, 2]).condition, Condition::Truncated);
    assert_eq!(facts(&[0; 4096]).condition, Condition::Unknown);
}

proptest::proptest! {
    /// Neither noise nor a container with some bytes changed upsets a reader, and no length is a year.
    #[test]
    fn damaged_bytes_are_only_ever_facts(
        which in 0..3u8,
        changes in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 0..40),
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
    ) {
        let mut bytes = match which { 0 => whole(), 1 => fragmented(4), _ => avi(100, true) };
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        for bytes in [bytes, noise] {
            let found = facts(&bytes);
            proptest::prop_assert!(found.duration_ms.unwrap_or(0) < 366 * 86_400_000);
        }
    }
}
