//! The board's flash: a file of the machine that runs the emulator, named by the emulator's second argument, so that it
//! outlives every reset and power cut. It behaves as a NOR flash does: erased by pages to ones, written by words, once.

use cortex_m_semihosting::{nr, syscall};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// Open for reading and writing, binary.
const READ_WRITE: usize = 3;
const PAGE: usize = 4096;

/// The flash.
pub struct Flash {
    file: usize,
}

impl Flash {
    /// Opens it; `None` when the emulator was not given one.
    pub fn open() -> Option<Self> {
        let mut line = [0u8; 512];
        let path = argument(&mut line, 1)?;
        let mut name = [0u8; 256];
        name.get_mut(..path.len())?.copy_from_slice(path);
        // SAFETY: the name is ended by a zero and outlives the call.
        let file = unsafe { syscall!(OPEN, name.as_ptr(), READ_WRITE, path.len()) };
        (file != usize::MAX).then_some(Self { file })
    }

    fn seek(&mut self, offset: u32) -> Result<(), NorFlashErrorKind> {
        // SAFETY: no memory is handed over.
        match unsafe { syscall!(SEEK, self.file, offset as usize) } {
            0 => Ok(()),
            _ => Err(NorFlashErrorKind::OutOfBounds),
        }
    }

    fn get(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.seek(offset)?;
        // SAFETY: the emulator writes at most the slice's length.
        match unsafe { syscall!(READ, self.file, bytes.as_mut_ptr(), bytes.len()) } {
            0 => Ok(()),
            _ => Err(NorFlashErrorKind::Other),
        }
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.seek(offset)?;
        // SAFETY: the emulator reads the slice.
        match unsafe { syscall!(WRITE, self.file, bytes.as_ptr(), bytes.len()) } {
            0 => Ok(()),
            _ => Err(NorFlashErrorKind::Other),
        }
    }
}

/// A word of the emulator's command line.
fn argument(line: &mut [u8; 512], number: usize) -> Option<&[u8]> {
    let mut block = [line.as_mut_ptr() as usize, line.len()];
    // SAFETY: the block names the buffer and its length; the emulator writes within.
    let failed = unsafe { cortex_m_semihosting::syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) };
    if failed != 0 {
        return None;
    }
    let length = line.iter().position(|b| *b == 0)?;
    line.get(..length)?.split(|b| *b == b' ').nth(number)
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.get(offset, bytes)
    }

    fn capacity(&self) -> usize {
        0x4_8000
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 16;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        if !(from as usize).is_multiple_of(PAGE) || !(to as usize).is_multiple_of(PAGE) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        for page in (from..to).step_by(PAGE) {
            for at in (page..page + PAGE as u32).step_by(256) {
                self.put(at, &[0xFF; 256])?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        if !(offset as usize).is_multiple_of(Self::WRITE_SIZE) || !bytes.len().is_multiple_of(Self::WRITE_SIZE) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        for (at, word) in (offset..).step_by(Self::WRITE_SIZE).zip(bytes.chunks(Self::WRITE_SIZE)) {
            let mut there = [0u8; 16];
            self.get(at, &mut there)?;
            // Ones become zeros, never the other way.
            for (there, byte) in there.iter_mut().zip(word) {
                *there &= byte;
            }
            self.put(at, &there)?;
        }
        Ok(())
    }
}
