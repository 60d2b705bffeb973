//! Code 128 (ISO/IEC 15417, GB/T 18347): digits in pairs where that is shorter, everything else of ASCII in set B.

/// Widths of bars and spaces, by value; 103 to 105 begin, 106 ends.
const PATTERNS: [&[u8]; 107] = [
    b"212222", b"222122", b"222221", b"121223", b"121322", b"131222", b"122213", b"122312", b"132212", b"221213",
    b"221312", b"231212", b"112232", b"122132", b"122231", b"113222", b"123122", b"123221", b"223211", b"221132",
    b"221231", b"213212", b"223112", b"312131", b"311222", b"321122", b"321221", b"312212", b"322112", b"322211",
    b"212123", b"212321", b"232121", b"111323", b"131123", b"131321", b"112313", b"132113", b"132311", b"211313",
    b"231113", b"231311", b"112133", b"112331", b"132131", b"113123", b"113321", b"133121", b"313121", b"211331",
    b"231131", b"213113", b"213311", b"213131", b"311123", b"311321", b"331121", b"312113", b"312311", b"332111",
    b"314111", b"221411", b"431111", b"111224", b"111422", b"121124", b"121421", b"141122", b"141221", b"112214",
    b"112412", b"122114", b"122411", b"142112", b"142211", b"241211", b"221114", b"413111", b"241112", b"134111",
    b"111242", b"121142", b"121241", b"114212", b"124112", b"124211", b"411212", b"421112", b"421211", b"212141",
    b"214121", b"412121", b"111143", b"111341", b"131141", b"114113", b"114311", b"411113", b"411311", b"113141",
    b"114131", b"311141", b"411131", b"211412", b"211214", b"211232", b"2331112",
];
const START_B: u8 = 104;
const START_C: u8 = 105;
const TO_B: u8 = 100;
const TO_C: u8 = 99;
const STOP: u8 = 106;

/// The symbol as modules, `true` is black, without its quiet zones. `None` for empty text and for characters outside
/// ASCII 32 to 126.
pub fn modules(text: &str) -> Option<Vec<bool>> {
    let values = values(text.as_bytes())?;
    let check = values
        .iter()
        .enumerate()
        .fold(0, |sum, (at, value)| (sum + at.max(1) * usize::from(*value)) % 103);
    let check = u8::try_from(check).ok()?;
    let mut out = Vec::new();
    for value in values.into_iter().chain([check, STOP]) {
        for (n, width) in PATTERNS.get(usize::from(value))?.iter().enumerate() {
            out.extend(std::iter::repeat_n(n % 2 == 0, usize::from(width - b'0')));
        }
    }
    Some(out)
}

/// Code values from the start character on.
fn values(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || text.iter().any(|b| !(32..=126).contains(b)) {
        return None;
    }
    let digits = |from: usize| text.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let mut out = Vec::new();
    let mut at = 0;
    let mut pairs = digits(0) >= 4 || (digits(0) == 2 && text.len() == 2);
    out.push(if pairs { START_C } else { START_B });
    while let Some(byte) = text.get(at) {
        let run = digits(at);
        if pairs && run < 2 {
            out.push(TO_B);
            pairs = false;
        }
        // Four digits at the end or six in between pay for the change; an odd one stays in set B.
        let pays = run >= 6 || (run >= 4 && at + run == text.len());
        if !pairs && pays && run % 2 == 0 {
            out.push(TO_C);
            pairs = true;
        }
        match (pairs, text.get(at + 1)) {
            (true, Some(next)) => {
                out.push((byte - b'0') * 10 + (next - b'0'));
                at += 2;
            }
            _ => {
                out.push(byte - 32);
                at += 1;
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pattern_is_its_own_and_eleven_modules_wide() {
        let widths = |p: &[u8]| p.iter().map(|w| usize::from(w - b'0')).sum::<usize>();
        assert!(PATTERNS[..106].iter().all(|p| p.len() == 6 && widths(p) == 11));
        assert_eq!(widths(PATTERNS[106]), 13);
        assert_eq!(PATTERNS.iter().collect::<BTreeSet<_>>().len(), 107);
    }

    #[test]
    fn digits_go_in_pairs_where_that_is_shorter() {
        assert_eq!(values(b"123456").unwrap(), [START_C, 12, 34, 56]);
        assert_eq!(values(b"12345").unwrap(), [START_C, 12, 34, TO_B, 21]);
        assert_eq!(values(b"AB1").unwrap(), [START_B, 33, 34, 17]);
        assert_eq!(values(b"A123456").unwrap(), [START_B, 33, TO_C, 12, 34, 56]);
        assert_eq!(values("药".as_bytes()), None);
        assert_eq!(modules(""), None);
    }

    /// The usual worked example: "PJJ123C" in set A has the check character 54, so in set B, whose start is one more, 55.
    #[test]
    fn the_check_character_is_weighted_by_place() {
        let values = values(b"PJJ123C").unwrap();
        assert_eq!(values, [START_B, 48, 42, 42, 17, 18, 19, 35]);
        let sum: usize = values
            .iter()
            .enumerate()
            .map(|(at, v)| at.max(1) * usize::from(*v))
            .sum();
        assert_eq!(sum % 103, 55);
        assert_eq!(modules("PJJ123C").unwrap().len(), 9 * 11 + 13);
    }
}
