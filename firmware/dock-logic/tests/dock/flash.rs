//! A NOR flash whose power can be cut: erased by pages, written by words, once; a step that is cut leaves something
//! between before and after.

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

pub(crate) const PAGE: usize = 4096;
pub(crate) const WORD: usize = 16;

#[derive(Clone)]
pub(crate) struct Nor {
    pub(crate) bytes: Vec<u8>,
    /// Steps until the power is cut; none: never.
    pub(crate) left: Option<u64>,
    /// What a cut step leaves behind.
    pub(crate) chance: u64,
    pub(crate) steps: u64,
    pub(crate) erased: Vec<u32>,
}

impl Nor {
    pub(crate) fn new() -> Self {
        let length = 0x4_8000;
        Self {
            bytes: vec![0xFF; length],
            left: None,
            chance: 1,
            steps: 0,
            erased: vec![0; length / PAGE],
        }
    }

    pub(crate) fn power_on(&mut self) {
        self.left = None;
    }

    fn random(&mut self) -> u8 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 32) as u8
    }

    /// One step; false: it is cut in the middle, error: the power is off.
    fn step(&mut self) -> Result<bool, NorFlashErrorKind> {
        self.steps += 1;
        match &mut self.left {
            None => Ok(true),
            Some(0) => Err(NorFlashErrorKind::Other),
            Some(left) => {
                *left -= 1;
                Ok(*left > 0)
            }
        }
    }
}

impl ErrorType for Nor {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        if self.left == Some(0) {
            return Err(NorFlashErrorKind::Other);
        }
        let at = offset as usize;
        let there = self
            .bytes
            .get(at..at + bytes.len())
            .ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(there);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        assert!((from as usize).is_multiple_of(PAGE) && (to as usize).is_multiple_of(PAGE));
        for page in (from as usize..to as usize).step_by(PAGE) {
            let whole = self.step()?;
            self.erased[page / PAGE] += 1;
            for at in page..page + PAGE {
                if whole || self.random() > 100 {
                    self.bytes[at] = 0xFF;
                }
            }
            if !whole {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        assert!((offset as usize).is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD));
        for (n, word) in bytes.chunks(WORD).enumerate() {
            let at = offset as usize + n * WORD;
            let whole = self.step()?;
            for (n, byte) in word.iter().enumerate() {
                let kept = if whole { 0 } else { self.random() };
                // A word is written once after its page was erased; all zeros may go over anything.
                let there = self.bytes[at + n];
                assert!(
                    there == 0xFF || *byte == 0 || there & byte == *byte,
                    "a word is written twice"
                );
                self.bytes[at + n] = there & (byte | kept);
            }
            if !whole {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }
}
