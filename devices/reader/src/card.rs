//! What is on a resident identity card: 256 bytes of UTF-16LE in fields of fixed width, and a photo that is not looked at
//! (its format needs a licensed decoder, and nobody here needs the face).

use std::fmt;

use crate::frame::Reply;
use crate::identity::{self, IdNumber};

/// What is taken from a card: no more than is asked with. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdCard {
    /// Name.
    pub name: String,
    /// Number, checked.
    pub number: IdNumber,
    /// Last day the card is good, `yyyymmdd`; none for 长期.
    pub good_until: Option<String>,
}

impl fmt::Debug for IdCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdCard(…)")
    }
}

/// Why a card's content is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// Not the lengths a card has.
    Shape,
    /// Text that is none.
    Text,
    /// The number's date or check character is wrong.
    Number,
}

const TEXT: usize = 256;
const PHOTO: usize = 1_024;

/// Reads the answer to a read command.
pub(crate) fn read(reply: &Reply) -> Result<IdCard, Misread> {
    let (lengths, rest) = reply.data.split_at_checked(4).ok_or(Misread::Shape)?;
    if lengths != [0x01, 0x00, 0x04, 0x00] || rest.len() < TEXT + PHOTO {
        return Err(Misread::Shape);
    }
    let text = rest.get(..TEXT).ok_or(Misread::Shape)?;
    let name = field(text, 0, 30)?;
    let number = identity::valid(&field(text, 122, 36)?).ok_or(Misread::Number)?;
    let until = field(text, 204, 16)?;
    if name.is_empty() {
        return Err(Misread::Text);
    }
    Ok(IdCard {
        name,
        number,
        good_until: (until.len() == 8 && until.bytes().all(|b| b.is_ascii_digit())).then_some(until),
    })
}

fn field(text: &[u8], at: usize, length: usize) -> Result<String, Misread> {
    let bytes = text.get(at..at + length).ok_or(Misread::Shape)?;
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    let text = text.map_err(|_| Misread::Text)?;
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    if text.chars().any(char::is_control) {
        return Err(Misread::Text);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The answer of a module on which this card lies.
    pub(crate) fn card(name: &str, number: &str) -> Reply {
        let mut text = [0x20u8, 0].repeat(TEXT / 2);
        let mut put = |at: usize, value: &str| {
            for (n, unit) in value.encode_utf16().enumerate() {
                text[at + 2 * n..at + 2 * n + 2].copy_from_slice(&unit.to_le_bytes());
            }
        };
        put(0, name);
        put(122, number);
        put(204, "20361231");
        Reply {
            status: 0x90,
            data: [vec![1, 0, 4, 0], text, vec![7; PHOTO]].concat(),
        }
    }

    #[test]
    fn a_card_says_who_it_is_and_a_wrong_number_is_not_believed() {
        let read_card = read(&card("欧阳娜", "11010519491231002X")).unwrap();
        assert_eq!(
            (read_card.name.as_str(), read_card.number.as_str()),
            ("欧阳娜", "11010519491231002X")
        );
        assert_eq!(read_card.good_until.as_deref(), Some("20361231"));
        assert!(!format!("{read_card:?}").contains("欧阳"));
        assert_eq!(read(&card("欧阳娜", "110105194912310021")), Err(Misread::Number));
        assert_eq!(read(&card("", "11010519491231002X")), Err(Misread::Text));
        let mut short = card("欧阳娜", "11010519491231002X");
        short.data.truncate(400);
        assert_eq!(read(&short), Err(Misread::Shape));
        let mut torn = card("欧阳娜", "11010519491231002X");
        torn.data[4..6].copy_from_slice(&0xD800u16.to_le_bytes());
        assert_eq!(read(&torn), Err(Misread::Text));
    }
}
