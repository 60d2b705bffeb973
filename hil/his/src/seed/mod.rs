//! How a new file is filled: dictionaries and people from `data/`, histories drawn from the seed.

mod history;
mod illness;

use rig::Rng;
use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};
use time::{Date, Duration};

use crate::idnumber;

const DEPARTMENTS: &str = include_str!("../../data/departments.csv");
const DOCTORS: &str = include_str!("../../data/doctors.csv");
const PATIENTS: &str = include_str!("../../data/patients.csv");
const DRUGS: &str = include_str!("../../data/drugs.csv");
const HERBS: &str = include_str!("../../data/herbs.csv");
const DIAGNOSES: &str = include_str!("../../data/icd.csv");
const ROUTES: &str = include_str!("../../data/routes.csv");
const FREQUENCIES: &str = include_str!("../../data/frequencies.csv");
const EXECUTING: &str = include_str!("../../data/execdepts.csv");
const SPECIMENS: &str = include_str!("../../data/specimens.csv");
const EXAM_ITEMS: &str = include_str!("../../data/examitems.csv");
const LAB_ITEMS: &str = include_str!("../../data/labitems.csv");

/// Sessions of a day: flag, first minute, last minute (lead doctors stay longer at night).
const SESSIONS: [(i64, i64, i64); 3] = [(1, 480, 720), (2, 840, 1050), (3, 1080, 1320)];
const LEAD_NIGHT_END: i64 = 1425;
const SLOT_MINUTES: i64 = 15;
const DAYS_AHEAD: i64 = 14;

fn rows(csv: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    csv.lines()
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(n, line)| (n + 1, line.split('|').collect()))
}

fn field<'a>(row: &[&'a str], at: usize) -> &'a str {
    row.get(at).copied().unwrap_or("")
}

/// Fills an empty file.
pub(crate) fn fill(tx: &Transaction<'_>, seed: u64, today: Date) -> rusqlite::Result<()> {
    for (table, csv, columns) in [
        ("dept", DEPARTMENTS, 7),
        ("doctor", DOCTORS, 13),
        ("route", ROUTES, 3),
        ("freq", FREQUENCIES, 3),
        ("icd", DIAGNOSES, 4),
    ] {
        let marks = vec!["?"; columns].join(",");
        let mut insert = tx.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
        for (_, row) in rows(csv) {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
    }
    let mut rng = Rng::new(seed);
    pharmacy(tx, &mut rng)?;
    for person in people() {
        tx.execute(
            "INSERT INTO patient VALUES (?1,?2,?3,?4,?5,'1',?6,?7,?8,?9,?10,'1',?11,?12,?13,?14)",
            params![
                person.id,
                person.card,
                person.name,
                person.sex,
                person.birth,
                person.id_no,
                person.mobile,
                person.address,
                person.pat_type,
                person.guard_name,
                person.guard_id_no,
                person.guard_mobile,
                person.allergy,
                today.to_string()
            ],
        )?;
        history::write(tx, &mut rng, &person, today)?;
    }
    tx.execute(
        "INSERT INTO counter VALUES ('patient', (SELECT count(*) FROM patient))",
        [],
    )?;
    Ok(())
}

/// What can be ordered; also put into the file of an earlier bench. An item is in use (1) unless its row ends in 0.
pub(crate) fn catalogue_of_orders(db: &Connection) -> rusqlite::Result<()> {
    for (table, csv, columns) in [
        ("exec_dept", EXECUTING, 3),
        ("specimen", SPECIMENS, 2),
        ("exam_item", EXAM_ITEMS, 10),
        ("lab_catalogue", LAB_ITEMS, 9),
    ] {
        let marks = vec!["?"; columns].join(",");
        let mut insert = db.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES ({marks})"))?;
        for (_, mut row) in rows(csv) {
            if row.len() + 1 == columns {
                row.push("1");
            }
            insert.execute(rusqlite::params_from_iter(row))?;
        }
    }
    Ok(())
}

fn pharmacy(tx: &Transaction<'_>, rng: &mut Rng) -> rusqlite::Result<()> {
    let mut drug = tx.prepare(
        "INSERT INTO drug (code, common, goods, pinyin, form, spec, unit, min_unit, pack, dose_unit, dose_per_min, price,
           maker, route, freq, routes, flags, class, insurance_code, stock, status)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
    )?;
    for (n, row) in rows(DRUGS) {
        let mut values: Vec<String> = vec![format!("W{n:04}")];
        values.extend(row.iter().map(|text| (*text).to_owned()));
        let covered = field(&row, 16) != "丙";
        values.push(if covered {
            format!("XA01AA{n:06}A001010100001")
        } else {
            String::new()
        });
        values.push(rng.between(60, 900).to_string());
        values.push(u8::from(n % 97 != 0).to_string());
        drug.execute(rusqlite::params_from_iter(values))?;
    }
    let mut herb = tx.prepare(
        "INSERT INTO herb (code, name, pinyin, price_tenths, decoction, max_dose, toxic, stock, insurance_code, status)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,1)",
    )?;
    for (n, row) in rows(HERBS) {
        herb.execute(params![
            format!("H{n:04}"),
            field(&row, 0),
            field(&row, 1),
            field(&row, 2).parse::<i64>().unwrap_or(1),
            field(&row, 3),
            field(&row, 4).parse::<i64>().unwrap_or(10),
            field(&row, 5).parse::<i64>().unwrap_or(0),
            rng.between(3_000, 20_000),
            format!("T{n:09}")
        ])?;
    }
    Ok(())
}

/// Adds sessions and slots for today and the fourteen days after; existing ones stay as they are.
pub(crate) fn schedule(tx: &Transaction<'_>, seed: u64, today: Date) -> rusqlite::Result<()> {
    let mut session = tx.prepare("INSERT OR IGNORE INTO session VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)")?;
    let mut slot = tx.prepare("INSERT OR IGNORE INTO slot VALUES (?1, ?2, ?3, 2)")?;
    for (n, doctor) in rows(DOCTORS).filter(|(_, row)| field(row, 8) != "K90") {
        let lead = field(&doctor, 12) == "1";
        for day in 0..=DAYS_AHEAD {
            let date = today + Duration::days(day);
            for (flag, first, last) in SESSIONS {
                let mixed = seed ^ (u64::from(date.to_julian_day().unsigned_abs()) << 20);
                let mut rng = Rng::new(mixed ^ (n as u64) << 8 ^ flag.unsigned_abs());
                if !lead && !rng.chance(if flag == 3 { 0.35 } else { 0.6 }) {
                    continue;
                }
                let last = if lead && flag == 3 { LEAD_NIGHT_END } else { last };
                let code = field(&doctor, 0);
                let day_digits = date.to_string().replace('-', "");
                let work_id = format!("W{day_digits}{flag}{code}");
                let (reg, treat) = (field(&doctor, 10), field(&doctor, 11));
                session.execute(params![
                    work_id,
                    code,
                    field(&doctor, 8),
                    date.to_string(),
                    flag,
                    reg.parse::<i64>().unwrap_or(0),
                    treat.parse::<i64>().unwrap_or(0)
                ])?;
                let mut begin = first;
                while begin < last {
                    slot.execute(params![work_id, clock(begin), clock(begin + SLOT_MINUTES)])?;
                    begin += SLOT_MINUTES;
                }
            }
        }
    }
    Ok(())
}

fn clock(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

struct Person {
    id: String,
    card: String,
    name: &'static str,
    sex: &'static str,
    birth: &'static str,
    id_no: String,
    mobile: String,
    address: String,
    pat_type: &'static str,
    guard_name: String,
    guard_id_no: String,
    guard_mobile: String,
    allergy: &'static str,
    condition: &'static str,
    days_ago: i64,
    further: &'static str,
}

fn people() -> Vec<Person> {
    let region_name = |region: &str| match region {
        "431102" => "湖南省永州市零陵区",
        "431103" => "湖南省永州市冷水滩区",
        _ => "湖南省永州市",
    };
    let number = |region: &str, birth: &str, sex: &str, n: usize| {
        let serial = n * 2 + usize::from(sex == "M") + 100;
        let body = format!("{region}{}{serial:03}", birth.replace('-', ""));
        let check = idnumber::check_digit(&body).unwrap_or('0');
        format!("{body}{check}")
    };
    rows(PATIENTS)
        .map(|(n, row)| {
            let (name, sex, birth, region) = (field(&row, 0), field(&row, 1), field(&row, 2), field(&row, 3));
            let minor = birth > "2010";
            let guard = if minor {
                name.chars().next().map(|c| format!("{c}建平"))
            } else {
                None
            };
            let guard_id_no = if minor {
                number(region, "1988-05-20", "M", n + 200)
            } else {
                String::new()
            };
            Person {
                id: format!("P{n:06}"),
                card: (8_000_000_000_u64 + n as u64).to_string(),
                name,
                sex,
                birth,
                id_no: number(region, birth, sex, n),
                mobile: format!("1380746{n:04}"),
                address: format!("{}{}号", region_name(region), 100 + n),
                pat_type: if n % 3 == 0 { "1" } else { "2" },
                guard_mobile: if minor { format!("1390746{n:04}") } else { String::new() },
                guard_name: guard.unwrap_or_default(),
                guard_id_no,
                allergy: field(&row, 6),
                condition: field(&row, 4),
                days_ago: field(&row, 5).parse().unwrap_or(0),
                further: field(&row, 7),
            }
        })
        .collect()
}

/// What a demonstration needs to know about this hospital.
pub fn demo() -> Value {
    let patients: Vec<Value> = people()
        .iter()
        .map(|p| {
            let template = illness::condition(p.condition);
            let (dept, diagnosis) = template.map_or(("", ""), |t| (t.dept, t.diagnosis));
            json!({"pat_id": p.id, "card": p.card, "name": p.name, "id_number": p.id_no, "phone": p.mobile,
                "sex": p.sex, "birth_date": p.birth, "guardian": (!p.guard_name.is_empty()).then(||
                    json!({"name": p.guard_name, "id_number": p.guard_id_no, "phone": p.guard_mobile})),
                "allergy": p.allergy, "department_code": dept, "diagnosis_code": diagnosis,
                "last_visit_days_ago": p.days_ago,
                "follow_up_within_90_days": p.days_ago > 0 && p.days_ago <= 90})
        })
        .collect();
    let departments: Vec<Value> = rows(DEPARTMENTS)
        .map(|(_, d)| json!({"code": field(&d, 0), "name": field(&d, 1)}))
        .collect();
    let staff: Vec<Value> = rows(DOCTORS)
        .map(|(_, d)| {
            json!({"code": field(&d, 0), "name": field(&d, 2), "title": field(&d, 4), "department_code": field(&d, 8),
                "practice_code": field(&d, 9), "sees_patients_every_session": field(&d, 12) == "1"})
        })
        .collect();
    json!({"hospital": {"code": "H01", "name": "永州示范医院"}, "departments": departments, "staff": staff,
        "patients": patients})
}

#[cfg(test)]
mod tests {
    use super::{DIAGNOSES, DOCTORS, DRUGS, HERBS, PATIENTS, demo, people, rows};
    use crate::idnumber;

    #[test]
    fn the_house_is_large_enough() {
        assert!(rows(DRUGS).count() >= 300);
        assert!(rows(HERBS).count() >= 80);
        assert!(rows(DIAGNOSES).count() >= 400);
        assert!(rows(DOCTORS).count() >= 40);
        assert!(rows(PATIENTS).count() >= 30);
        assert!(rows(DRUGS).all(|(_, row)| row.len() == 17));
        assert!(rows(DOCTORS).all(|(_, row)| row.len() == 13));
    }

    #[test]
    fn the_printed_demo_list_is_the_one_in_the_fixtures() {
        let file: serde_json::Value = serde_json::from_str(include_str!("../../../app/fixtures/demo.json")).unwrap();
        assert_eq!(demo(), file);
    }

    #[test]
    fn every_patient_has_a_valid_number_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for person in people() {
            let read = idnumber::read(&person.id_no).unwrap();
            assert_eq!((read.birth.as_str(), read.sex), (person.birth, person.sex));
            assert!(seen.insert(person.id_no));
        }
        assert!(demo()["patients"].as_array().unwrap().len() >= 30);
    }
}
