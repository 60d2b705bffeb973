//! The SAM-V module, written from its documents: find (20 01), select (20 02), read (30 01). A card that was read is
//! found again only after it was taken away.

use serde::Deserialize;

/// A resident identity card.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Name.
    pub name: String,
    /// Number; the bench does not check it.
    pub number: String,
    /// `yyyymmdd` or 长期.
    #[serde(default = "until")]
    pub until: String,
}

fn until() -> String {
    "20361231".to_owned()
}

/// How an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The check byte is another.
    Checksum,
    /// Half of it.
    Half,
    /// Bytes of no meaning.
    Garbage,
    /// Bytes of no meaning, then the right answer.
    Noise,
    /// Nothing.
    Silent,
    /// A length that no answer has.
    Length,
    /// An error status.
    Refuse,
    /// A card with half its bytes, in a right frame.
    Short,
}

/// The module.
#[derive(Debug, Default)]
pub struct Module {
    card: Option<Card>,
    chosen: bool,
    spent: bool,
    trouble: Option<(Trouble, u32)>,
    /// Commands taken.
    pub asked: u64,
    /// Cards read out.
    pub read: u64,
    /// Wrong answers given.
    pub troubled: u64,
}

impl Module {
    /// Puts a card on it, or takes it away.
    pub fn put(&mut self, card: Option<Card>) {
        (self.card, self.chosen, self.spent) = (card, false, false);
    }

    /// The next answers are wrong.
    pub fn trouble(&mut self, kind: Trouble, times: u32) {
        self.trouble = (times > 0).then_some((kind, times));
    }

    /// Takes whole commands out of what came; what it answers.
    pub fn take(&mut self, kept: &mut Vec<u8>) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        while kept.len() >= 10 {
            let command: Vec<u8> = kept.iter().take(10).copied().collect();
            match command.as_slice() {
                [0xAA, 0xAA, 0xAA, 0x96, 0x69, 0x00, 0x03, cmd, para, check] if 0x03 ^ cmd ^ para == *check => {
                    kept.drain(..10);
                    self.asked += 1;
                    let (status, data) = self.answer(*cmd, *para);
                    answers.extend(self.spoiled(status, data));
                }
                _ => {
                    kept.remove(0);
                }
            }
        }
        answers
    }

    fn answer(&mut self, command: u8, parameter: u8) -> (u8, Vec<u8>) {
        match (command, parameter) {
            (0x20, 0x01) if self.card.is_some() && !self.spent => {
                self.chosen = false;
                (0x9F, vec![0, 0, 0, 0])
            }
            (0x20, 0x01) => (0x80, Vec::new()),
            (0x20, 0x02) if self.card.is_some() && !self.spent => {
                self.chosen = true;
                (0x90, vec![0; 8])
            }
            (0x20, 0x02) => (0x81, Vec::new()),
            (0x30, 0x01) if self.chosen => match self.card.as_ref().map(content) {
                Some(content) => (0x90, content),
                None => (0x41, Vec::new()),
            },
            (0x30, 0x01) => (0x41, Vec::new()),
            _ => (0x21, Vec::new()),
        }
    }

    fn spoiled(&mut self, status: u8, mut data: Vec<u8>) -> Option<Vec<u8>> {
        let kind = match &mut self.trouble {
            // A short card can only be told where a card is told.
            Some((Trouble::Short, _)) if data.len() < 1_000 => None,
            Some((kind, times)) => {
                let kind = *kind;
                *times -= 1;
                if *times == 0 {
                    self.trouble = None;
                }
                self.troubled += 1;
                Some(kind)
            }
            None => None,
        };
        if kind.is_none_or(|k| k == Trouble::Noise) && status == 0x90 && data.len() > 1_000 {
            (self.spent, self.chosen) = (true, false);
            self.read += 1;
        }
        let garbage = || {
            (0..97u8)
                .map(|n| n.wrapping_mul(151) ^ 0x5A)
                .chain([0xAA, 0xAA, 0xAA])
                .collect::<Vec<u8>>()
        };
        Some(match kind {
            None => frame(status, &data),
            Some(Trouble::Checksum) => {
                let mut bytes = frame(status, &data);
                if let Some(last) = bytes.last_mut() {
                    *last ^= 0x10;
                }
                bytes
            }
            Some(Trouble::Half) => {
                let mut bytes = frame(status, &data);
                bytes.truncate(bytes.len() / 2);
                bytes
            }
            Some(Trouble::Garbage) => garbage(),
            Some(Trouble::Noise) => [garbage(), frame(status, &data)].concat(),
            Some(Trouble::Silent) => return None,
            Some(Trouble::Length) => {
                let mut bytes = frame(status, &data);
                if let Some(high) = bytes.get_mut(5) {
                    *high = 0xFF;
                }
                bytes
            }
            Some(Trouble::Refuse) => frame(0x41, &[]),
            Some(Trouble::Short) => {
                data.truncate(data.len() / 2);
                frame(status, &data)
            }
        })
    }
}

fn frame(status: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 4).unwrap_or(u16::MAX).to_be_bytes();
    let mut body = length.to_vec();
    body.extend([0x00, 0x00, status]);
    body.extend_from_slice(data);
    let check = body.iter().fold(0u8, |x, b| x ^ b);
    [vec![0xAA, 0xAA, 0xAA, 0x96, 0x69], body, vec![check]].concat()
}

/// Lengths, text, photo.
fn content(card: &Card) -> Vec<u8> {
    let mut text = Vec::new();
    let mut field = |value: &str, bytes: usize| {
        let mut units: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        units.truncate(bytes);
        while units.len() < bytes {
            units.extend([0x20, 0x00]);
        }
        text.extend(units);
    };
    let birth: String = card.number.chars().skip(6).take(8).collect();
    field(&card.name, 30);
    field("1", 2);
    field("01", 4);
    field(&birth, 16);
    field("湖南省永州市零陵区某路1号", 70);
    field(&card.number, 36);
    field("永州市公安局", 30);
    field("20161231", 16);
    field(&card.until, 16);
    field("", 36);
    [vec![0x01, 0x00, 0x04, 0x00], text, vec![0x57; 1_024]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_answers_as_many_bytes_as_the_documents_say() {
        let card = Card {
            name: "张三".to_owned(),
            number: "11010519491231002X".to_owned(),
            until: until(),
        };
        assert_eq!(frame(0x90, &content(&card)).len(), 1_295);
        let mut module = Module::default();
        module.put(Some(card));
        let mut line = vec![0xAA, 0xAA, 0xAA, 0x96, 0x69, 0, 3, 0x20, 0x01, 0x22];
        assert_eq!(module.take(&mut line).first().and_then(|a| a.get(9)), Some(&0x9F));
    }
}
