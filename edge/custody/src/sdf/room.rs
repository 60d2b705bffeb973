//! Memory a device writes into: aligned for any structure, with guard space behind that is looked at after the call.

use zeroize::Zeroize;

/// Bytes behind the room. A device that believes in larger structures than we do writes here instead of into our heap.
const GUARD: usize = 4096;
const PATTERN: u8 = 0xA5;
const ALIGNMENT: usize = 16;

/// Room for one output; wiped when dropped.
pub(super) struct Room {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Room {
    /// Zeroed room.
    pub(super) fn new(length: usize) -> Self {
        let mut bytes = vec![PATTERN; ALIGNMENT + length + GUARD];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        if let Some(body) = bytes.get_mut(start..start + length) {
            body.fill(0);
        }
        Self { bytes, start, length }
    }

    /// Room that begins with these bytes, for structures that go in.
    pub(super) fn of(content: &[u8]) -> Self {
        let mut room = Self::new(content.len());
        room.body().copy_from_slice(content);
        room
    }

    fn body(&mut self) -> &mut [u8] {
        self.bytes
            .get_mut(self.start..self.start + self.length)
            .unwrap_or_default()
    }

    /// Where the device may write `length` bytes; `GUARD` more are ours as well.
    pub(super) fn pointer<T>(&mut self) -> *mut T {
        self.body().as_mut_ptr().cast()
    }

    /// Whether nothing was written around it.
    pub(super) fn intact(&self) -> bool {
        let (front, rest) = self.bytes.split_at(self.start);
        let guard = rest.get(self.length..).unwrap_or_default();
        front.iter().chain(guard).all(|byte| *byte == PATTERN)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// As a little-endian number: counts, and handles on the 64-bit machines this runs on.
    pub(super) fn number(&self) -> u64 {
        self.bytes()
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn a_byte_around_the_room_is_noticed() {
        let mut room = Room::of(&[1, 2, 3]);
        assert_eq!((room.bytes(), room.number()), ([1, 2, 3].as_slice(), 0x03_0201));
        assert!(room.intact());
        assert_eq!(room.pointer::<u8>().align_offset(16), 0);
        let behind = room.start + 3;
        room.bytes[behind] = 0;
        assert!(!room.intact());
    }
}
