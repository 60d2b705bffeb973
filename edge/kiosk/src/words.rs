//! How things are said on a screen that others can see too.

use records::{Fen, LocalDate};

/// A name as bystanders may read it: 张*三, 张*.
pub(crate) fn masked(name: &str) -> String {
    let letters: Vec<char> = name.trim().chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [_] => "*".to_owned(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

/// 12.30 元
pub(crate) fn yuan(fen: Fen) -> String {
    let (sign, fen) = (if fen.0 < 0 { "-" } else { "" }, fen.0.unsigned_abs());
    format!("{sign}{}.{:02} 元", fen / 100, fen % 100)
}

/// 11月21日
pub(crate) fn day(date: LocalDate) -> String {
    let date = date.date();
    format!("{}月{}日", u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bystanders_do_not_read_names() {
        let masked: Vec<String> = ["张三", "欧阳娜", "阿卜杜拉", "心", ""].map(masked).to_vec();
        assert_eq!(masked, ["张*", "欧*娜", "阿**拉", "*", ""]);
        assert_eq!(yuan(Fen(1_205)), "12.05 元");
        // What is taken off must not look like what is added.
        assert_eq!(yuan(Fen(-50)), "-0.50 元");
        assert_eq!(yuan(Fen(i64::MIN)), "-92233720368547758.08 元");
    }
}
