//! A person's name in its one form, so that the same name typed on two keyboards is the same person.

use unicode_normalization::UnicodeNormalization;

/// The dot between the parts of a name (间隔号) by GB/T 15834 and the identity card: U+00B7.
const DOT: char = '·';

/// Whether keyboards give this for [`DOT`]. NFKC has made `．` a full stop and `･` a `・` already.
const fn is_dot(c: char) -> bool {
    matches!(
        c,
        '·' | '•' | '‧' | '∙' | '⋅' | '・' | '․' | '●' | '\u{0387}' | '\u{2E31}'
    )
}

/// A letter of the Latin blocks up to Extended-A and -B.
fn is_latin(c: char) -> bool {
    c.is_alphabetic() && c < '\u{250}'
}

/// The name in compatibility form (NFKC), with single spaces, and with U+00B7 between its parts and no space around it.
/// A full stop stays one after a Latin letter (`J. Smith`), elsewhere it is that dot.
pub(crate) fn standard(text: &str) -> String {
    let letters: Vec<char> = text.nfkc().collect();
    let mut name = String::with_capacity(text.len());
    let mut space = false;
    for letter in letters {
        if letter.is_whitespace() {
            space = true;
            continue;
        }
        let before = name.chars().next_back();
        let stop = letter == '.' && before.is_some_and(|b| !is_latin(b));
        if is_dot(letter) || stop {
            name.push(DOT);
        } else {
            if space && before.is_some_and(|b| b != DOT) {
                name.push(' ');
            }
            name.push(letter);
        }
        space = false;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dot_a_keyboard_gives_is_the_one_of_the_identity_card() {
        for dot in [
            '·', '•', '‧', '∙', '⋅', '・', '･', '．', '.', '․', '●', '\u{0387}', '\u{2E31}',
        ] {
            let typed = format!("买买提{dot}吐尔逊");
            assert_eq!(standard(&typed), "买买提·吐尔逊", "U+{:04X}", dot as u32);
            let spaced = format!(" 买买提 {dot}\u{3000}吐尔逊 ");
            assert_eq!(standard(&spaced), "买买提·吐尔逊", "U+{:04X}", dot as u32);
        }
    }

    #[test]
    fn widths_and_spaces_do_not_make_another_person() {
        for (typed, name) in [
            ("王明", "王明"),
            ("\u{3000}王明\u{3000}", "王明"),
            ("ＡＮＮＡ　Ｌｅｅ", "ANNA Lee"),
            ("Anna \t Lee", "Anna Lee"),
            ("J. Smith", "J. Smith"),
            ("𠮷田", "𠮷田"),
            ("", ""),
        ] {
            assert_eq!(standard(typed), name);
        }
    }

    #[test]
    fn the_standard_form_is_its_own_standard_form() {
        use proptest::prelude::*;
        proptest!(|(text in "[ 　王明A-z.．·•・é]{0,12}")| {
            let once = standard(&text);
            prop_assert_eq!(standard(&once), once);
        });
    }
}
