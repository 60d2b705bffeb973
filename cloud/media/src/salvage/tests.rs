use std::io::Cursor;

use super::aac::Sound;
use super::mp4::{Codec, Coding};
use super::{avi, bits::Bits, content_end, mp4, nal, ts};

/// Noise that is the same each time.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn the_content_ends_before_its_tail_of_zeros() {
    for (bytes, end) in [
        (vec![], 0),
        (vec![0; 3_000_000], 0),
        ([vec![1], vec![0; 2_500_000]].concat(), 1),
    ] {
        assert_eq!(content_end(&mut Cursor::new(bytes)).unwrap(), end);
    }
    assert_eq!(content_end(&mut Cursor::new(vec![7; 1_048_577])).unwrap(), 1_048_577);
}

#[test]
fn numbers_of_variable_length_are_read_past_emulation_prevention() {
    // ue: 0, 1, 4; then three bytes 00 00 (03) 01.
    let mut bits = Bits::new(&[0b1010_0010, 0b1000_0000]);
    assert_eq!((bits.ue(), bits.ue(), bits.ue()), (Some(0), Some(1), Some(4)));
    let mut bits = Bits::new(&[0, 0, 3, 1]);
    assert_eq!((bits.take(24), bits.bit()), (Some(1), None));
}

#[test]
fn packets_are_found_again_after_garbage_and_times() {
    let packet = |n: u8| {
        let mut bytes = vec![n; 188];
        bytes[0] = 0x47;
        bytes
    };
    let plain: Vec<u8> = (0..9).flat_map(packet).collect();
    let timed: Vec<u8> = (0..9).flat_map(|n| [packet(n), vec![9; 4]].concat()).collect();
    let broken = [plain.clone(), noise(1000, 77), plain.clone()].concat();
    for (bytes, wanted) in [(plain.clone(), 9), (timed, 9), (broken, 18)] {
        let mut packets = ts::Packets::new(Cursor::new(bytes));
        let mut out = Vec::new();
        loop {
            let piece = packets.next_bytes().unwrap();
            if piece.is_empty() {
                break;
            }
            out.extend(piece);
        }
        assert_eq!(out.len(), wanted * 188);
    }
}

/// Whatever the bytes are, every reader comes to an end and takes nothing that is not there.
#[test]
fn every_reader_ends_on_any_bytes() {
    let coding = |codec| Coding {
        codec,
        configuration: noise(40, 5),
        width: 1,
        height: 1,
        frame_ns: 1,
        sound: Sound::of(&[0x12, 0x08]),
    };
    for seed in 1..40u64 {
        let mut bytes = noise(20_000, seed * 0x9e37_79b9);
        // Many small lengths, so that something is believed.
        for at in (0..bytes.len() - 4).step_by(usize::try_from(seed).unwrap() + 20) {
            bytes[at..at + 3].fill(0);
        }
        for codec in [Codec::H264, Codec::H265] {
            let end = bytes.len() as u64;
            let mut walk = nal::Walk::new(Cursor::new(&bytes), &coding(codec), 0, end);
            let mut taken = 0;
            let mut place = 0;
            while let Some(piece) = walk.next_piece().unwrap() {
                assert!(piece.at >= place && piece.length > 0, "{seed}");
                place = piece.at + piece.length;
                taken += piece.length;
            }
            assert_eq!(taken + walk.unused, end, "{seed}");
        }
        nal::coding_within(&mut Cursor::new(&bytes), 0, bytes.len() as u64).unwrap();
        mp4::layout(&mut Cursor::new(&bytes)).unwrap();
        mp4::coding(&mut Cursor::new(&bytes)).unwrap();
        bytes[..12].copy_from_slice(b"RIFF\0\0\0\0AVI ");
        bytes[12..16].copy_from_slice(b"movi");
        let end = bytes.len() as u64;
        let mut chunks = avi::Chunks::new(Cursor::new(&bytes), end).unwrap().unwrap();
        let mut taken = 0;
        loop {
            let piece = chunks.next_bytes().unwrap();
            if piece.is_empty() {
                break;
            }
            taken += piece.len() as u64;
        }
        assert!(taken <= end + 1, "{seed}");
    }
}
