//! Two slots: power cut at every step of an update, every start ends in an image that is whole and signed.

use dock_link::{Answer, Refusal};
use dock_link::{
    Board, CHUNK, Command, Data, Down, FirmwareVersion, Frames, Manifest, Reset, Signature, Slot, Trial, Up, Update,
};
use dock_logic::{BAYS, BootRecord, Layout, Machine, Start, TRIES, boot, choose, trailer};
use ed25519_compact::{KeyPair, Seed};
use embassy_futures::block_on;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::flash::Nor;

fn key() -> KeyPair {
    KeyPair::from_seed(Seed::new([9; 32]))
}

fn image(fill: u8) -> Vec<u8> {
    (0..5_000u32).map(|n| (n as u8).wrapping_mul(31) ^ fill).collect()
}

fn version(patch: u16) -> FirmwareVersion {
    FirmwareVersion {
        major: 1,
        minor: 0,
        patch,
    }
}

fn signed(image: &[u8], patch: u16, key: &KeyPair) -> (Manifest, Signature) {
    let manifest = Manifest {
        board: Board::Mps2,
        version: version(patch),
        length: image.len() as u32,
        sha256: Sha256::digest(image).into(),
    };
    let signature = key.sk.sign(manifest.signed(), None);
    (manifest, Signature::from_bytes(&signature))
}

/// A board from the factory.
fn factory() -> Nor {
    let mut flash = Nor::new();
    let layout = Layout::of(Board::Mps2);
    let first = image(1);
    let (manifest, signature) = signed(&first, 1, &key());
    flash.bytes[..32].copy_from_slice(&key().pk[..]);
    let start = layout.slots[0].start as usize;
    flash.bytes[start..start + first.len()].copy_from_slice(&first);
    let end = layout.slots[0].end as usize - 4096;
    let trailer = trailer(&manifest, signature);
    flash.bytes[end..end + trailer.len()].copy_from_slice(&trailer);
    flash
}

/// What the boot loader starts: slot and version.
fn booted(flash: &mut Nor) -> Option<(Slot, u16)> {
    let layout = Layout::of(Board::Mps2);
    let (slot, manifest) = block_on(boot(flash, &layout))?;
    let start = layout.slots[slot.index()].start as usize;
    let bytes = &flash.bytes[start..start + manifest.length as usize];
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    assert_eq!(hash, manifest.sha256, "what starts is whole");
    Some((slot, manifest.version.patch))
}

/// A running board: commands go through the real session.
struct Running {
    machine: Machine<Nor, BAYS>,
    seq: u32,
}

impl Running {
    fn start(flash: Nor, slot: Slot, patch: u16) -> Self {
        let start = Start {
            board: Board::Mps2,
            firmware: version(patch),
            slot,
            reset: Reset::Power,
            layout: Layout::of(Board::Mps2),
        };
        let mut machine = block_on(Machine::start(flash, start));
        let hello = Down::Hello { version: 1, session: 5 };
        block_on(machine.take(hello, Frames::default(), 0));
        Self { machine, seq: 0 }
    }

    fn ask(&mut self, update: Update) -> Answer {
        self.seq += 1;
        let command = Down::Command {
            seq: self.seq,
            command: Command::Update(update),
        };
        match block_on(self.machine.take(command, Frames::default(), 0)) {
            Some(Up::Answer { answer, .. }) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn carry(&mut self, image: &[u8], manifest: Manifest, signature: Signature) -> Result<(), Answer> {
        let mut done = |update| match self.ask(update) {
            Answer::Done => Ok(()),
            other => Err(other),
        };
        done(Update::Begin { manifest, signature })?;
        for (n, bytes) in image.chunks(CHUNK).enumerate() {
            let data = Data::from_slice(bytes).unwrap();
            done(Update::Chunk {
                offset: (n * CHUNK) as u32,
                data,
            })?;
        }
        done(Update::Finish)?;
        done(Update::Activate)
    }
}

/// The whole of an update, with the power cut once at a step: afterwards the old or the new image runs, never nothing,
/// and the update can be done again.
#[test]
fn a_power_cut_at_each_step_of_an_update_leaves_a_board_that_starts() {
    let new = image(2);
    let (manifest, signature) = signed(&new, 2, &key());
    let mut steps = None;
    let mut cut = 1;
    while steps.is_none_or(|steps| cut <= steps) {
        let mut flash = factory();
        assert_eq!(booted(&mut flash), Some((Slot::A, 1)));
        let mut board = Running::start(flash, Slot::A, 1);
        let before = board.machine.flash().steps;
        if steps.is_some() {
            (board.machine.flash().left, board.machine.flash().chance) = (Some(cut), cut + 1);
        }
        let carried = board.carry(&new, manifest, signature);
        let steps = *steps.get_or_insert_with(|| board.machine.flash().steps - before);
        let mut flash = board.machine.flash().clone();
        flash.power_on();
        let started = booted(&mut flash);
        if carried.is_ok() && cut < steps {
            assert_eq!(started, Some((Slot::B, 2)));
        }
        assert!(
            matches!(started, Some((Slot::A, 1) | (Slot::B, 2))),
            "cut at {cut} of {steps}: {started:?}"
        );
        if started == Some((Slot::A, 1)) {
            let mut again = Running::start(flash, Slot::A, 1);
            assert_eq!(again.carry(&new, manifest, signature), Ok(()), "cut at {cut}");
        }
        cut += if cut < 4 || cut + 40 > steps { 1 } else { 23 };
    }
}

#[test]
fn an_image_on_trial_is_given_up_after_its_tries_and_stays_when_confirmed() {
    let new = image(2);
    let (manifest, signature) = signed(&new, 2, &key());
    let mut board = Running::start(factory(), Slot::A, 1);
    assert_eq!(board.carry(&new, manifest, signature), Ok(()));
    let mut flash = board.machine.flash().clone();
    let mut unconfirmed = flash.clone();
    for _ in 0..TRIES {
        assert_eq!(booted(&mut unconfirmed), Some((Slot::B, 2)));
    }
    for _ in 0..3 {
        assert_eq!(booted(&mut unconfirmed), Some((Slot::A, 1)));
    }
    assert_eq!(
        Running::start(unconfirmed, Slot::A, 1).machine.hello().trial,
        Trial::GivenUp
    );

    assert_eq!(booted(&mut flash), Some((Slot::B, 2)));
    let mut on_trial = Running::start(flash, Slot::B, 2);
    assert_eq!(on_trial.machine.hello().trial, Trial::Running);
    let refused = on_trial.ask(Update::Begin { manifest, signature });
    assert_eq!(
        refused,
        Answer::Refused(Refusal::Order),
        "the image to go back to is not overwritten"
    );
    assert_eq!(on_trial.ask(Update::Confirm), Answer::Done);
    let mut flash = on_trial.machine.flash().clone();
    for _ in 0..5 {
        assert_eq!(booted(&mut flash), Some((Slot::B, 2)));
    }
    let mut board = Running::start(flash, Slot::B, 2);
    let old = image(1);
    let (manifest, signature) = signed(&old, 1, &key());
    let refused = board.ask(Update::Begin { manifest, signature });
    assert_eq!(refused, Answer::Refused(Refusal::Older));
}

#[test]
fn only_a_signed_image_for_this_board_is_taken_and_nothing_is_erased_before() {
    let new = image(2);
    let (manifest, signature) = signed(&new, 2, &key());
    let before = factory();
    let mut board = Running::start(before.clone(), Slot::A, 1);
    let erased = board.machine.flash().erased.clone();
    let (_, foreign) = signed(&new, 2, &KeyPair::from_seed(Seed::new([1; 32])));
    let mut begin = |manifest, signature| board.ask(Update::Begin { manifest, signature });
    assert_eq!(begin(manifest, foreign), Answer::Refused(Refusal::Signature));
    let other = Manifest {
        board: Board::Stm32l4r5,
        ..manifest
    };
    assert_eq!(begin(other, signature), Answer::Refused(Refusal::OtherBoard));
    let changed = Manifest {
        length: manifest.length + 1,
        ..manifest
    };
    assert_eq!(begin(changed, signature), Answer::Refused(Refusal::Signature));
    assert_eq!(board.machine.flash().erased, erased);
    // Signed, but other bytes arrive.
    let mut spoilt = new.clone();
    spoilt[4_000] ^= 1;
    assert_eq!(
        board.carry(&spoilt, manifest, signature),
        Err(Answer::Refused(Refusal::Hash))
    );
    assert_eq!(board.ask(Update::Activate), Answer::Refused(Refusal::Order));
    assert_eq!(booted(board.machine.flash()), Some((Slot::A, 1)));
}

#[test]
fn a_board_without_a_key_takes_nothing_and_starts_nothing() {
    let mut flash = factory();
    flash.bytes[..32].fill(0xFF);
    assert_eq!(booted(&mut flash), None);
    let new = image(2);
    let (manifest, signature) = signed(&new, 2, &key());
    let refused = Running::start(flash, Slot::A, 1).ask(Update::Begin { manifest, signature });
    assert_eq!(refused, Answer::Refused(Refusal::Signature));
}

proptest! {
    /// The choice alone: never a slot that is not whole, never more tries than there are.
    #[test]
    fn the_choice_is_safe(
        b_confirmed in any::<bool>(), tries in proptest::option::of(0u8..=TRIES), given_up in any::<bool>(),
        whole in any::<[bool; 2]>(),
    ) {
        let confirmed = if b_confirmed { Slot::B } else { Slot::A };
        let mut record = BootRecord { confirmed, tries, given_up };
        let mut trials = 0;
        for _ in 0..10 {
            let (slot, next) = choose(record, whole);
            match slot {
                Some(slot) => prop_assert!(whole[slot.index()]),
                None => prop_assert!(whole == [false, false]),
            }
            if next.tries.is_some() {
                trials += 1;
            }
            record = next;
        }
        prop_assert!(trials <= TRIES);
        prop_assert_eq!(record.tries, None);
    }
}
