//! What the image and the boot loader of this board share: clock, serial ports, flash, and the memory that outlives a
//! reset.
#![no_std]

pub mod clock;
pub mod flash;
mod panic;
pub mod uart;
pub mod vectors;
pub mod words;

pub use dock_firmware as dock;
