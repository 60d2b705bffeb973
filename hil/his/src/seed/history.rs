//! Histories: visits, prescriptions, lab and examination reports that fit the patient's illness.

use rig::Rng;
use rusqlite::{OptionalExtension, Transaction, params};
use time::{Date, Duration};

use super::Person;
use super::illness::{Condition, EXAMS, PANELS, condition};

struct Visit<'a> {
    condition: &'a Condition,
    date: Date,
    doctor: String,
    patient: &'a str,
    /// Unique ending of the numbers made for this visit.
    tail: String,
}

/// Writes the history of one person.
pub(super) fn write(tx: &Transaction<'_>, rng: &mut Rng, person: &Person, today: Date) -> rusqlite::Result<()> {
    let Some(main) = condition(person.condition) else {
        return Ok(());
    };
    let mut back = person.days_ago;
    for n in 0..rng.between(2, 4) {
        visit(tx, rng, person, main, today - Duration::days(back), n)?;
        back += rng.between(30, 75);
    }
    if let Some(further) = condition(person.further) {
        let back = person.days_ago + rng.between(3, 40);
        visit(tx, rng, person, further, today - Duration::days(back), 9)?;
    }
    Ok(())
}

fn visit(
    tx: &Transaction<'_>,
    rng: &mut Rng,
    person: &Person,
    condition: &Condition,
    date: Date,
    n: i64,
) -> rusqlite::Result<()> {
    let mut doctors = tx.prepare_cached("SELECT code FROM doctor WHERE dept = ?1 ORDER BY code")?;
    let codes: Vec<String> = doctors
        .query_map([condition.dept], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let made = Visit {
        condition,
        date,
        doctor: rng.pick(&codes).cloned().unwrap_or_default(),
        patient: &person.id,
        tail: format!("{}{n}", person.id.trim_start_matches('P')),
    };
    let (id, at) = (format!("V{}", made.tail), made.at(9, rng.between(0, 59)));
    tx.execute(
        "INSERT INTO visit VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
        params![id, made.patient, at, condition.dept, made.doctor, condition.complaint],
    )?;
    let mut codes = vec![condition.diagnosis];
    if condition.dept == "K01" && condition.key != "lipids" && rng.chance(0.4) {
        codes.push("E78.500");
    }
    for (n, code) in (0_i64..).zip(&codes) {
        tx.execute(
            "INSERT INTO visit_diagnosis SELECT ?1, ?2, code, name, ?3 FROM icd WHERE code = ?4",
            params![id, n, n == 0, code],
        )?;
    }
    recipe(tx, &made, &id, &at)?;
    for (n, panel) in condition.labs.iter().enumerate() {
        lab(tx, rng, &made, panel, n)?;
    }
    exam(tx, rng, &made)
}

impl Visit<'_> {
    fn at(&self, hour: i64, minute: i64) -> String {
        format!("{} {hour:02}:{minute:02}:00", self.date)
    }
}

fn recipe(tx: &Transaction<'_>, made: &Visit<'_>, visit: &str, at: &str) -> rusqlite::Result<()> {
    if made.condition.drugs.is_empty() {
        return Ok(());
    }
    let id = format!("CH{}", made.tail);
    tx.execute(
        "INSERT INTO recipe (id, rx_no, visit, patient, type, doctor, dept, at, status, fee_id, total, fu_count,
            herb_usage, decoction, ca_sign) VALUES (?1, '', ?2, ?3, 1, ?4, ?5, ?6, 6, '', 0, 1, '', 0, '')",
        params![id, visit, made.patient, made.doctor, made.condition.dept, at],
    )?;
    tx.execute(
        "INSERT INTO recipe_diagnosis SELECT ?1, 0, code, name, 1 FROM icd WHERE code = ?2",
        params![id, made.condition.diagnosis],
    )?;
    for (n, (name, dose, freq, days, packs)) in (0_i64..).zip(made.condition.drugs) {
        tx.execute(
            "INSERT INTO recipe_item
             SELECT ?1, ?2, code, common, spec, ?4, dose_unit, route, ?5, ?6, ?7, unit, price, price * ?7, '', 0
               FROM drug WHERE common = ?3 ORDER BY code LIMIT 1",
            params![id, n, name, dose, freq, days, packs],
        )?;
    }
    tx.execute(
        "UPDATE recipe SET total = (SELECT sum(amount) FROM recipe_item WHERE recipe = ?1) WHERE id = ?1",
        [&id],
    )?;
    Ok(())
}

fn lab(tx: &Transaction<'_>, rng: &mut Rng, made: &Visit<'_>, panel: &str, n: usize) -> rusqlite::Result<()> {
    let Some((name, specimen, tests)) = PANELS.iter().find(|(name, ..)| *name == panel) else {
        return Ok(());
    };
    let id = format!("L{}{n}", made.tail);
    let times = (made.at(9, 40), made.at(13, rng.between(10, 50)));
    tx.execute(
        "INSERT INTO lab VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            made.patient,
            name,
            specimen,
            made.condition.dept,
            made.doctor,
            times.0,
            times.1
        ],
    )?;
    for (n, (code, test, unit, low, high, decimals)) in (0_i64..).zip(*tests) {
        let width = high - low;
        let (value, abnormal) = match rng.below(10) {
            0 | 1 => (high + rng.between(1 + width / 20, 1 + width / 2), 1),
            2 if *low > 0 => (low - rng.between(1, (low / 5).max(1)), 2),
            _ => (rng.between(*low, *high), 0),
        };
        // What is printed decides: rounding may put a value back on the limit.
        let shown = hundredths(value, *decimals);
        let abnormal = if shown == hundredths(*high, *decimals) || shown == hundredths(*low, *decimals) {
            0
        } else {
            abnormal
        };
        let range = if *low == 0 {
            format!("<{}", hundredths(*high, *decimals))
        } else {
            format!("{}-{}", hundredths(*low, *decimals), hundredths(*high, *decimals))
        };
        tx.execute(
            "INSERT INTO lab_item VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![id, n, code, test, shown, unit, range, abnormal],
        )?;
    }
    Ok(())
}

fn hundredths(value: i64, decimals: usize) -> String {
    let (step, width) = match decimals {
        0 => (100, 0),
        1 => (10, 1),
        _ => (1, 2),
    };
    let rounded = (value + step / 2) / step;
    let base = 10_i64.pow(width);
    match width {
        0 => rounded.to_string(),
        _ => format!(
            "{}.{:0w$}",
            rounded / base,
            rounded % base,
            w = usize::try_from(width).unwrap_or(1)
        ),
    }
}

fn exam(tx: &Transaction<'_>, rng: &mut Rng, made: &Visit<'_>) -> rusqlite::Result<()> {
    let found = EXAMS.iter().find(|exam| Some(exam.0) == made.condition.exam);
    let Some((name, kind, part, method, situation, opinion)) = found else {
        return Ok(());
    };
    let earlier: Option<String> = tx
        .query_row(
            "SELECT id FROM exam WHERE patient = ?1 AND name = ?2 AND at > ?3",
            params![made.patient, name, (made.date - Duration::days(120)).to_string()],
            |r| r.get(0),
        )
        .optional()?;
    if earlier.is_some() && rng.chance(0.7) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO exam VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '请结合临床，定期复查', 1)",
        params![
            format!("E{}", made.tail),
            made.patient,
            kind,
            name,
            made.condition.dept,
            made.doctor,
            made.at(10, 20),
            made.at(15, rng.between(0, 59)),
            part,
            method,
            situation,
            opinion
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::hundredths;
    use crate::seed::illness::{CONDITIONS, EXAMS, PANELS, condition};
    use crate::seed::{DIAGNOSES, DRUGS, PATIENTS, rows};

    #[test]
    fn every_history_is_made_of_things_the_hospital_has() {
        let drugs: Vec<&str> = rows(DRUGS).map(|(_, row)| row[0]).collect();
        let codes: Vec<&str> = rows(DIAGNOSES).map(|(_, row)| row[0]).collect();
        for condition in CONDITIONS {
            assert!(codes.contains(&condition.diagnosis), "{}", condition.key);
            for (drug, ..) in condition.drugs {
                assert!(drugs.contains(drug), "{drug}");
            }
            for lab in condition.labs {
                assert!(PANELS.iter().any(|panel| panel.0 == *lab), "{lab}");
            }
            assert!(condition.exam.is_none_or(|name| EXAMS.iter().any(|e| e.0 == name)));
        }
        for (_, row) in rows(PATIENTS) {
            for key in [row[4], row[7]].into_iter().filter(|key| !key.is_empty()) {
                assert!(condition(key).is_some(), "{key}");
            }
        }
    }

    #[test]
    fn values_are_printed_with_their_decimals() {
        assert_eq!(hundredths(350, 2), "3.50");
        assert_eq!(hundredths(1_005, 1), "10.1");
        assert_eq!(hundredths(11_550, 0), "116");
    }
}
