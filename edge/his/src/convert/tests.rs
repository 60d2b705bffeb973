use super::*;

fn yuan() -> Habits {
    Habits {
        money: MoneyUnit::Yuan,
        ..Habits::default()
    }
}
fn one(h: &Habits, text: &str, form: Convert, way: Direction) -> String {
    match h.convert(text, form, way) {
        Ok(Converted::Text(t)) => t,
        Ok(other) => format!("{other:?}"),
        Err(_) => "misfit".into(),
    }
}

#[test]
fn money_is_exact_in_both_units() {
    let fen = Habits::default();
    for (text, expected) in [
        ("1230", "Number(1230)"),
        ("1230.00", "Number(1230)"),
        ("12.5", "misfit"),
        ("", "misfit"),
        ("1e3", "misfit"),
    ] {
        assert_eq!(one(&fen, text, Convert::Money, Direction::In), expected, "{text}");
    }
    for (text, expected) in [
        ("12.3", "Number(1230)"),
        ("0.1", "Number(10)"),
        ("12.305", "misfit"),
        ("-5", "Number(-500)"),
        ("19.99", "Number(1999)"),
    ] {
        assert_eq!(one(&yuan(), text, Convert::Money, Direction::In), expected, "{text}");
    }
    assert_eq!(one(&yuan(), "1205", Convert::Money, Direction::Out), "12.05");
}

#[test]
fn times_are_those_of_the_hospital() {
    let h = Habits::default();
    assert_eq!(
        one(&h, "2026-11-23 08:30:00", Convert::Moment, Direction::In),
        "2026-11-23T00:30:00Z"
    );
    assert_eq!(
        one(&h, "2026-11-23 08:30:00.0", Convert::Moment, Direction::In),
        "2026-11-23T00:30:00Z"
    );
    assert_eq!(
        one(&h, "20261123083000", Convert::Moment14, Direction::In),
        "2026-11-23T00:30:00Z"
    );
    assert_eq!(
        one(&h, "2026-11-22T16:30:00Z", Convert::Moment14, Direction::Out),
        "20261123003000"
    );
    assert_eq!(
        one(&h, "2026-11-22T16:30:00Z", Convert::Date, Direction::Out),
        "2026-11-23"
    );
    assert_eq!(one(&h, "19800101", Convert::Date8, Direction::In), "1980-01-01");
    assert_eq!(one(&h, "202611230830", Convert::Clock, Direction::In), "08:30");
    assert_eq!(one(&h, "8:30:00", Convert::Clock, Direction::In), "08:30");
    assert_eq!(one(&h, "24:30", Convert::Clock, Direction::In), "misfit");
    assert_eq!(one(&h, "2026-02-30", Convert::Date, Direction::In), "misfit");
}

#[test]
fn a_frequency_below_one_a_day_is_counted_over_days() {
    for (text, expected) in [
        ("1", (1, 1)),
        ("3.0", (3, 1)),
        ("0.5", (1, 2)),
        ("0.142857", (1, 7)),
        ("0.1429", (1, 7)),
        ("1.5", (3, 2)),
    ] {
        assert_eq!(rate(text), Some(expected), "{text}");
    }
    assert_eq!(rate("0"), None);
}

#[test]
fn the_price_of_a_gram_is_exact_or_refused() {
    let per_gram = |h: &Habits, text: &str| one(h, text, Convert::PerGram, Direction::In);
    for (text, expected) in [
        ("3.6", "Number(3600)"),
        ("12", "Number(12000)"),
        ("0.125", "Number(125)"),
        ("3.6000", "Number(3600)"),
        ("3.6001", "misfit"),
        ("-3.6", "misfit"),
        ("", "misfit"),
    ] {
        assert_eq!(per_gram(&Habits::default(), text), expected, "{text}");
    }
    for (text, expected) in [
        ("0.036", "Number(3600)"),
        ("0.00125", "Number(125)"),
        ("0.000001", "misfit"),
    ] {
        assert_eq!(per_gram(&yuan(), text), expected, "{text}");
    }
}
