//! The line's bytes: those of version 1 stay as they are, and nothing that arrives is believed wrongly.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what a test cannot set up fails the test"
)]

use dock_link::{
    Alive, Answer, Bay, Board, BoardHello, Charge, Colour, Command, Data, Deframer, Down, Event, FirmwareVersion,
    FrameCounts, FrameError, Light, Lock, MAX_FRAME, Manifest, Power, Refusal, Reset, Serial, Setting, Signature,
    Trial, Up, Update, VERSION, encode,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn framed<T: Serialize>(message: &T) -> Vec<u8> {
    let mut frame = [0u8; MAX_FRAME];
    let length = encode(message, &mut frame).unwrap();
    frame[..length].to_vec()
}

fn heard<T: DeserializeOwned>(bytes: &[u8]) -> Vec<Result<T, FrameError>> {
    let mut deframer = Deframer::new();
    bytes.iter().filter_map(|b| deframer.push::<T>(*b)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn down() -> Vec<Down> {
    let manifest = Manifest {
        board: Board::Stm32l4r5,
        version: FirmwareVersion {
            major: 1,
            minor: 2,
            patch: 772,
        },
        length: 70_000,
        sha256: [0xA5; 32],
    };
    let signature = Signature {
        r: [0x11; 32],
        s: [0x22; 32],
    };
    let commands = [
        Command::Bay { bay: 9 },
        Command::Board,
        Command::SetLight {
            bay: 3,
            light: Light::Blink(Colour::Amber),
        },
        Command::SetLock { bay: 3, closed: true },
        Command::Release { bay: 3, seconds: 300 },
        Command::SetPower { bay: 3, on: false },
        Command::SetSerial {
            bay: 3,
            serial: Serial::try_from("ZF-0007").unwrap(),
        },
        Command::SetSetting {
            setting: Setting::Sound,
            value: 0,
        },
        Command::Update(Update::Begin { manifest, signature }),
        Command::Update(Update::Chunk {
            offset: 128,
            data: Data::from_slice(&[7; 3]).unwrap(),
        }),
        Command::Update(Update::Confirm),
        Command::Restart,
    ];
    let hello = Down::Hello {
        version: VERSION,
        session: 0xDEAD_BEEF,
    };
    let commands = (1u32..)
        .zip(commands)
        .map(|(seq, command)| Down::Command { seq, command });
    std::iter::once(hello)
        .chain(commands)
        .chain([Down::Acknowledge { event: 300 }, Down::Replay { after: 0 }])
        .collect()
}

fn up() -> Vec<Up> {
    let bay = Bay {
        present: true,
        serial: Serial::try_from("ZF-0007").unwrap(),
        lock: Lock::Closed,
        charge: Charge::Charging,
        charge_ma: 512,
        power: Power::On,
        light: Light::TakeMe,
        fault: Some(dock_link::Fault::LockStuck),
    };
    vec![
        Up::Hello(BoardHello {
            version: VERSION,
            session: 0xDEAD_BEEF,
            boot: 7,
            bays: 10,
            board: Board::Mps2,
            firmware: FirmwareVersion {
                major: 0,
                minor: 1,
                patch: 0,
            },
            trial: Trial::Running,
            reset: Reset::Panic(77),
        }),
        Up::Answer {
            seq: 1,
            answer: Answer::Bay(bay),
        },
        Up::Answer {
            seq: 2,
            answer: Answer::Refused(Refusal::Offset(128)),
        },
        Up::Event {
            number: 5,
            at_ms: 86_400_000,
            event: Event::Removed { bay: 3, forced: true },
        },
        Up::Alive(Alive {
            boot: 7,
            session: 1,
            frames: FrameCounts { good: 300, bad: 2 },
            oldest_event: 6,
            last_event: 5,
        }),
    ]
}

/// Bytes of version 1: a board in the field understands them. Another line here is another version.
#[test]
fn the_bytes_of_version_1_are_golden() {
    let lines: Vec<String> = down()
        .iter()
        .map(|m| hex(&framed(m)))
        .chain(up().iter().map(|m| hex(&framed(m))))
        .collect();
    let golden: Vec<&str> = include_str!("version-1.txt").lines().collect();
    assert_eq!(lines, golden, "\n{}", lines.join("\n"));
    for (message, line) in down().into_iter().zip(&lines) {
        assert_eq!(heard::<Down>(&bytes(line)), [Ok(message)]);
    }
    for (message, line) in up().into_iter().zip(&lines[down().len()..]) {
        assert_eq!(heard::<Up>(&bytes(line)), [Ok(message)]);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The signed bytes of an image do not depend on the line's encoding.
#[test]
fn the_signed_bytes_of_an_image_are_golden() {
    let Some(Down::Command {
        command: Command::Update(Update::Begin { manifest, .. }),
        ..
    }) = down().into_iter().nth(9)
    else {
        panic!("the list above has changed")
    };
    let signed = manifest.signed();
    let head = "79697169616f20646f636b206669726d7761726520763100010102040370110100";
    assert_eq!(hex(&signed), format!("{head}{}", "a5".repeat(32)));
    assert_eq!(Manifest::from_signed(&signed), Some(manifest));
}

/// A whole greeting of another version is known as one; everything else of it is nothing.
#[test]
fn another_version_is_told_by_its_greeting() {
    let hello = Down::Hello { version: 2, session: 1 };
    assert_eq!(heard::<Down>(&framed(&hello)), [Err(FrameError::Version(2))]);
}

/// The longest commands fit into a frame.
#[test]
fn the_longest_messages_fit() {
    let data = Data::from_slice(&[0; dock_link::CHUNK]).unwrap();
    let chunk = Down::Command {
        seq: u32::MAX,
        command: Command::Update(Update::Chunk { offset: u32::MAX, data }),
    };
    assert_eq!(heard::<Down>(&framed(&chunk)), [Ok(chunk)]);
    let serial = Serial::try_from("记录仪记录仪记录").unwrap();
    let event = Up::Event {
        number: u32::MAX,
        at_ms: u64::MAX,
        event: Event::Identified { bay: 255, serial },
    };
    assert_eq!(heard::<Up>(&framed(&event)), [Ok(event)]);
}

proptest! {
    /// Whatever noise comes first, the first frame after an end byte arrives.
    #[test]
    fn a_frame_after_noise_arrives(noise in proptest::collection::vec(any::<u8>(), 0..900), which in 0usize..14) {
        let message = down()[which].clone();
        let mut deframer = Deframer::new();
        for byte in noise {
            let _ = deframer.push::<Down>(byte);
        }
        let _ = deframer.push::<Down>(0);
        let got: Vec<_> = framed(&message).iter().filter_map(|b| deframer.push::<Down>(*b)).collect();
        prop_assert_eq!(got, [Ok(message)]);
    }

    /// A changed stream gives only messages that were sent: bytes flipped, lost, doubled, cut.
    #[test]
    fn a_changed_stream_gives_nothing_that_was_not_sent(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..12),
    ) {
        let sent = up();
        let mut stream: Vec<u8> = sent.iter().flat_map(framed).collect();
        for (at, byte, kind) in changes {
            let at = at.index(stream.len());
            match kind {
                0 => stream[at] ^= byte,
                1 => { stream.remove(at); }
                2 => stream.insert(at, byte),
                _ => { let copy = stream[at..].iter().copied().take(40).collect::<Vec<_>>(); stream.extend(copy); }
            }
            if stream.is_empty() {
                break;
            }
        }
        for message in heard::<Up>(&stream).into_iter().flatten() {
            prop_assert!(sent.contains(&message), "{message:?}");
        }
    }

    /// Bytes that are no frame at all never stop the reader, and are counted.
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let mut deframer = Deframer::new();
        for byte in &bytes {
            let _ = deframer.push::<Up>(*byte);
            let _ = deframer.push::<Down>(*byte);
        }
        let frames = deframer.frames();
        prop_assert!(u64::from(frames.good) + u64::from(frames.bad) <= bytes.len() as u64 * 2);
    }
}
