//! The pharmacist's table of states, the doctor's arithmetic and the rules of the ward.

use std::fmt::Write as _;

use proptest::prelude::*;
use records::his::{Diagnosis, Drug, DrugControl, Frequency, Herb, Term};
use records::id::{PrescriptionId, StaffId, VisitId};
use records::{Actor, Fen, FenPerKg, LocalDate, Timestamp};

use super::arithmetic::{Decimal, administrations, packs_needed};
use super::objection::{Fault, Objection};
use super::policy::{Catalogue, Circumstances, Wish, write};
use super::{Command, Edit, HerbalWish, Kind, Line, Prescription, State, UnitPrice, next};

/// Rows: FT-122, AP-062
#[test]
fn every_state_and_command_leads_where_the_table_says() {
    let mut table = String::from("| 状态 |");
    for c in Command::ALL {
        write!(table, " {} |", c.text()).unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(Command::ALL.len()));
    for s in State::ALL {
        write!(table, "\n| {} |", s.text()).unwrap();
        for c in Command::ALL {
            write!(table, " {} |", next(s, c).map_or("—", State::text)).unwrap();
        }
    }
    table.push('\n');
    let golden = include_str!("transitions.md");
    assert_eq!(table, golden, "the table changed:\n{table}");
}

fn day(text: &str) -> LocalDate {
    LocalDate::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn doctor() -> Actor {
    Actor::Staff(StaffId::parse("stf_wang").unwrap())
}

fn pharmacist() -> Actor {
    Actor::Staff(StaffId::parse("stf_li").unwrap())
}

fn draft(state: State) -> Prescription {
    Prescription {
        id: PrescriptionId::parse("rx_1").unwrap(),
        revision: 1,
        revises: None,
        visit: VisitId::parse("con_1").unwrap(),
        doctor: StaffId::parse("stf_wang").unwrap(),
        kind: Kind::Western,
        lines: vec![Line {
            drug_code: "D1".into(),
            name: "氨氯地平片".into(),
            specification: "5mg*28片".into(),
            dose: "5".into(),
            dose_unit: "mg".into(),
            route_code: "PO".into(),
            route_name: "口服".into(),
            frequency_code: "QD".into(),
            frequency_name: "每日一次".into(),
            days: 28,
            quantity: 1,
            quantity_unit: "盒".into(),
            price: UnitPrice::Pack { price_fen: Fen(3250) },
            amount_fen: Fen(3250),
            note: String::new(),
        }],
        herbal: None,
        total_fen: Fen(3250),
        state,
        written_at: at("2026-11-21T01:00:00Z"),
        valid_until: Some(day("2026-11-23")),
    }
}

/// Rows: FT-123
#[test]
fn a_prescription_walks_from_the_desk_to_the_patient_and_leaves_a_trail() {
    let t = at("2026-11-21T02:00:00Z");
    let mut trail = Vec::new();
    let mut keep = |(p, e): (Prescription, super::Event)| {
        trail.push(format!("{}→{} {}", e.from.text(), e.to.text(), e.by));
        p
    };
    let p = keep(draft(State::Draft).sign(t, &doctor(), day("2026-11-23")).unwrap());
    let p = keep(p.submit(t, &doctor()).unwrap());
    let p = keep(p.reject(t, &pharmacist(), "剂量").unwrap());
    let p = keep(p.appeal(t, &doctor(), "肾功能正常，按指南用量").unwrap());
    let p = keep(p.approve(t, &pharmacist(), "").unwrap());
    let p = keep(p.send(t, "R1").unwrap());
    let p = keep(p.bill(t, Fen(3250)).unwrap());
    let p = keep(p.pay(t, &Actor::Channel).unwrap());
    let p = keep(p.dispense(t, "1号窗口").unwrap());
    let p = keep(p.prepare(t, &Actor::System).unwrap());
    let p = keep(p.collect(t, &Actor::System).unwrap());
    assert_eq!(p.state, State::Collected);
    assert_eq!(
        trail,
        [
            "草稿→已签名 stf_wang",
            "已签名→待审方 stf_wang",
            "待审方→审方未通过 stf_li",
            "审方未通过→申诉中 stf_wang",
            "申诉中→审方通过 stf_li",
            "审方通过→已提交医院 his",
            "已提交医院→待缴费 his",
            "待缴费→已缴费 channel",
            "已缴费→调配中 his",
            "调配中→待取药 system",
            "待取药→已取药 system",
        ]
    );
}

#[test]
fn a_refused_prescription_cannot_be_dispensed() {
    let refusal = draft(State::Rejected)
        .dispense(at("2026-11-21T02:00:00Z"), "")
        .unwrap_err();
    assert_eq!(refusal.to_string(), "处方审方未通过，不能调配");
}

#[test]
fn the_doctor_who_wrote_it_cannot_approve_it_and_nobody_else_can_sign_it() {
    let t = at("2026-11-21T02:00:00Z");
    let own = draft(State::InReview).approve(t, &doctor(), "").unwrap_err();
    assert_eq!(own.reason, "开方医生不能审自己的处方");
    let other = draft(State::Draft)
        .sign(t, &pharmacist(), day("2026-11-23"))
        .unwrap_err();
    assert_eq!(other.reason, "只有接诊医生本人可以操作");
    assert!(draft(State::Draft).may_edit(Edit::Change, &doctor()).is_ok());
    let said = |state, edit| draft(state).may_edit(edit, &doctor()).unwrap_err().to_string();
    assert_eq!(
        said(State::InReview, Edit::Change),
        "处方待审方，不能修改：已签名的处方不能改动，请撤销后重开"
    );
    assert_eq!(
        said(State::Rejected, Edit::Discard),
        "处方审方未通过，不能删除：请用“修改重开”另开新方"
    );
    assert_eq!(
        said(State::Collected, Edit::Change),
        "处方已取药，不能修改：如需用药请另开处方"
    );
    assert!(draft(State::Draft).may_edit(Edit::Change, &Actor::System).is_err());
}

#[test]
fn nothing_signs_by_itself_and_nothing_expires_early() {
    let t = at("2026-11-23T15:59:59Z");
    assert!(draft(State::Draft).sign(t, &Actor::System, day("2026-11-23")).is_err());
    assert!(draft(State::AwaitingPayment).expire(t).is_err());
    let next_day = at("2026-11-23T16:00:00Z");
    assert_eq!(
        draft(State::AwaitingPayment).expire(next_day).unwrap().0.state,
        State::Expired
    );
    assert!(draft(State::InReview).approve(next_day, &pharmacist(), "").is_err());
    assert!(draft(State::Dispensing).expire(next_day).is_err());
}

pub(crate) fn drug(code: &str, name: &str) -> Drug {
    Drug {
        code: code.into(),
        name: name.into(),
        pinyin: String::new(),
        specification: "5mg*28片".into(),
        dose_per_min_unit: "5".into(),
        dose_unit: "mg".into(),
        min_unit: "片".into(),
        pack_unit: "盒".into(),
        pack_size: 28,
        price_fen: Fen(3250),
        manufacturer: String::new(),
        default_route_code: None,
        default_frequency_code: None,
        max_single_dose: Some("10".into()),
        control: DrugControl::None,
        barred_online: false,
        insurance_code: None,
    }
}

fn daily(times: u32) -> Frequency {
    Frequency {
        code: format!("F{times}"),
        name: format!("每日{times}次"),
        times,
        per_days: 1,
    }
}

fn catalogue() -> Catalogue {
    let mut c = Catalogue::default();
    for (code, control, barred) in [
        ("D0", DrugControl::None, false),
        ("D1", DrugControl::Narcotic, false),
        ("D2", DrugControl::PsychotropicOne, false),
        ("D3", DrugControl::PsychotropicTwo, false),
        ("D4", DrugControl::Toxic, false),
        ("D5", DrugControl::None, true),
        ("D6", DrugControl::Antibiotic, false),
    ] {
        let drug = Drug {
            control,
            barred_online: barred,
            ..drug(code, code)
        };
        c.drugs.insert(code.into(), drug);
    }
    for (code, toxic) in [("H0", false), ("H1", true), ("H2", false)] {
        c.herbs.insert(
            code.into(),
            Herb {
                code: code.into(),
                name: code.into(),
                pinyin: String::new(),
                price_fen_per_kg: FenPerKg(3_650),
                max_dose_g: Some(30),
                toxic,
            },
        );
    }
    c.routes.insert(
        "PO".into(),
        Term {
            code: "PO".into(),
            name: "口服".into(),
        },
    );
    c.frequencies.insert("F1".into(), daily(1));
    c.frequencies.insert("F2".into(), daily(2));
    c
}

fn circumstances() -> Circumstances {
    Circumstances {
        author: doctor(),
        follow_up: true,
        birth_date: day("1970-05-01"),
        has_guardian: false,
        diagnoses: vec![Diagnosis {
            code: "I10.x00".into(),
            name: "高血压病".into(),
            main: true,
        }],
        today: day("2026-11-21"),
    }
}

fn wish(code: &str) -> Wish {
    Wish {
        drug_code: code.into(),
        dose: "5".into(),
        dose_unit: "mg".into(),
        route_code: "PO".into(),
        frequency_code: "F1".into(),
        days: 28,
        quantity: 1,
        quantity_unit: "盒".into(),
        ..Wish::default()
    }
}

fn faults(wish: &Wish) -> Vec<Fault> {
    let written = write(
        Kind::Western,
        std::slice::from_ref(wish),
        None,
        &catalogue(),
        &circumstances(),
    );
    written
        .err()
        .into_iter()
        .flatten()
        .map(|o| match o {
            Objection::Line { fault, .. } => fault,
            other => panic!("about the prescription: {other}"),
        })
        .collect()
}

/// Rows: FT-102, BJ-119, BJ-120
#[test]
fn controlled_and_barred_drugs_are_refused_by_name_and_all_others_may_be_written() {
    assert_eq!(faults(&wish("D0")), []);
    assert_eq!(faults(&wish("D6")), []);
    assert_eq!(faults(&wish("D1")), [Fault::Narcotic]);
    assert_eq!(faults(&wish("D2")), [Fault::PsychotropicOne]);
    assert_eq!(faults(&wish("D3")), [Fault::PsychotropicTwo]);
    assert_eq!(faults(&wish("D4")), [Fault::Toxic]);
    assert_eq!(faults(&wish("D5")), [Fault::Barred]);
    assert_eq!(faults(&wish("X")), [Fault::Unknown]);
}

#[test]
fn each_wrong_figure_of_a_line_has_its_own_name() {
    let with = |change: fn(&mut Wish)| {
        let mut w = wish("D0");
        change(&mut w);
        faults(&w)
    };
    assert_eq!(with(|w| w.dose = "0".into()), [Fault::Dose]);
    assert_eq!(with(|w| w.dose = "5e0".into()), [Fault::Dose]);
    assert_eq!(with(|w| w.dose_unit = "g".into()), [Fault::DoseUnit("mg".into())]);
    assert_eq!(with(|w| w.route_code = "IV".into()), [Fault::Route]);
    assert_eq!(with(|w| w.frequency_code = "??".into()), [Fault::Frequency]);
    assert_eq!(with(|w| w.days = 0), [Fault::Days]);
    assert_eq!(with(|w| w.days = 85), [Fault::Days]);
    assert_eq!(
        with(|w| w.quantity_unit = "片".into()),
        [Fault::QuantityUnit("盒".into())]
    );
    let short = with(|w| w.frequency_code = "F2".into());
    assert_eq!(short[0].to_string(), "数量不足：28天需要2盒，只开了1盒");
    let long = with(|w| w.quantity = 3);
    assert_eq!(long[0].to_string(), "数量超出：28天只需1盒，开了3盒");
}

#[test]
fn more_than_seven_days_needs_chronic_disease_or_a_reason() {
    let acute = Circumstances {
        diagnoses: vec![Diagnosis {
            code: "J06.900".into(),
            name: "急性上呼吸道感染".into(),
            main: true,
        }],
        ..circumstances()
    };
    let without = write(Kind::Western, &[wish("D0")], None, &catalogue(), &acute).unwrap_err();
    assert_eq!(without[0].to_string(), "第1项 D0：超过7日用量，请在备注中写明理由");
    let reasoned = Wish {
        note: "外出两周".into(),
        ..wish("D0")
    };
    assert!(write(Kind::Western, &[reasoned], None, &catalogue(), &acute).is_ok());
}

#[test]
fn first_visits_children_without_guardian_and_machines_get_no_prescription() {
    let refused = |c: Circumstances| write(Kind::Western, &[wish("D0")], None, &catalogue(), &c).unwrap_err();
    let first = Circumstances {
        follow_up: false,
        ..circumstances()
    };
    assert_eq!(refused(first), [Objection::FirstVisit]);
    let child = Circumstances {
        birth_date: day("2020-11-22"),
        ..circumstances()
    };
    assert_eq!(refused(child.clone()), [Objection::ChildWithoutGuardian]);
    let with_guardian = Circumstances {
        has_guardian: true,
        ..child.clone()
    };
    assert!(write(Kind::Western, &[wish("D0")], None, &catalogue(), &with_guardian).is_ok());
    let sixth_birthday = Circumstances {
        birth_date: day("2020-11-21"),
        ..child
    };
    assert!(write(Kind::Western, &[wish("D0")], None, &catalogue(), &sixth_birthday).is_ok());
    let machine = Circumstances {
        author: Actor::System,
        ..circumstances()
    };
    assert_eq!(refused(machine), [Objection::NotByAPerson]);
    let undiagnosed = Circumstances {
        diagnoses: vec![],
        ..circumstances()
    };
    assert_eq!(refused(undiagnosed), [Objection::NoDiagnosis]);
}

#[test]
fn five_drugs_fit_on_a_prescription_and_none_stands_twice() {
    let mut catalogue = catalogue();
    for n in 10..16 {
        catalogue.drugs.insert(format!("D{n}"), drug(&format!("D{n}"), "药"));
    }
    let six: Vec<_> = (10..16).map(|n| wish(&format!("D{n}"))).collect();
    let refused = write(Kind::Western, &six, None, &catalogue, &circumstances()).unwrap_err();
    assert_eq!(refused, [Objection::TooManyLines]);
    let written = write(Kind::Western, &six[..5], None, &catalogue, &circumstances()).unwrap();
    assert_eq!(written.total_fen, Fen(5 * 3250));
    let twice = write(
        Kind::Western,
        &[wish("D0"), wish("D0")],
        None,
        &catalogue,
        &circumstances(),
    )
    .unwrap_err();
    assert_eq!(twice[0].to_string(), "第2项 D0：同一药品重复开具");
}

/// Rows: FT-103
#[test]
fn herbs_are_priced_by_gram_and_dose_and_toxic_ones_refused() {
    let herbal = |decoction| HerbalWish {
        doses: 7,
        decoction,
        usage: "水煎服，每日一剂".into(),
    };
    let grams = |code: &str, g: u32| Wish {
        drug_code: code.into(),
        dose_g: g,
        ..Wish::default()
    };
    let written = |catalogue: &Catalogue, wishes: &[Wish], part: Option<&HerbalWish>| {
        write(Kind::Herbal, wishes, part, catalogue, &circumstances())
    };
    // 105 g at 3.65 fen are 383.25 fen, 21 g are 76.65: each line is rounded half up, the sum adds whole fen.
    let two = [grams("H0", 15), grams("H2", 3)];
    let own = written(&catalogue(), &two, Some(&herbal(false))).unwrap();
    assert_eq!(
        (own.lines[0].quantity, own.lines[0].amount_fen, own.lines[1].amount_fen),
        (105, Fen(383), Fen(77))
    );
    assert_eq!((own.total_fen, own.herbal.unwrap().decoction_fee_fen), (Fen(460), None));

    let none = written(&catalogue(), &two, Some(&herbal(true))).unwrap_err();
    assert_eq!(none, [Objection::NoDecoction]);
    let decocting = Catalogue {
        decoction_fee: Some(Fen(300)),
        ..catalogue()
    };
    let brewed = written(&decocting, &two, Some(&herbal(true))).unwrap();
    assert_eq!(
        (brewed.total_fen, brewed.herbal.unwrap().decoction_fee_fen),
        (Fen(460 + 7 * 300), Some(Fen(2_100)))
    );
    let at_home = written(&decocting, &two, Some(&herbal(false))).unwrap();
    assert_eq!(at_home.total_fen, Fen(460), "no fee when the patient decocts");

    let toxic = written(&catalogue(), &[grams("H1", 3)], Some(&herbal(false))).unwrap_err();
    assert_eq!(toxic[0].to_string(), "第1项 H1：医疗用毒性药品不能在线开具");
    let no_doses = written(&catalogue(), &[grams("H0", 15)], None).unwrap_err();
    assert_eq!(no_doses, [Objection::NoDoses]);
}

#[test]
fn doses_are_exact_decimals() {
    for (text, shown) in [
        ("0.1", "0.1"),
        ("12.50", "12.5"),
        ("007", "7"),
        ("0.000001", "0.000001"),
    ] {
        assert_eq!(text.parse::<Decimal>().unwrap().to_string(), shown);
    }
    for text in ["", ".5", "5.", "-1", "1e3", "1,5", "0.0000001", "99999999", "١"] {
        assert!(text.parse::<Decimal>().is_err(), "{text}");
    }
    // 0.1 × 3 × 10 ÷ 0.3 is exactly 10; binary fractions would say 11.
    let tenth = Drug {
        dose_per_min_unit: "0.3".into(),
        pack_size: 1,
        ..drug("D", "D")
    };
    assert_eq!(packs_needed(&tenth, "0.1".parse().unwrap(), &daily(3), 10), Some(10));
}

#[test]
fn a_weekly_drug_is_counted_by_weeks_begun() {
    let weekly = Frequency {
        code: "QW".into(),
        name: "每周一次".into(),
        times: 1,
        per_days: 7,
    };
    assert_eq!(administrations(&weekly, 28), Some(4));
    assert_eq!(administrations(&weekly, 29), Some(5));
    assert_eq!(administrations(&weekly, 0), None);
}

proptest! {
    /// The packs cover the course, and one pack fewer would not.
    #[test]
    fn the_quantity_is_the_least_that_covers_the_course(
        dose in 1u32..2_000, strength in 1u32..2_000, pack in 1u32..200, times in 1u32..7, days in 1u32..85,
    ) {
        let drug = Drug { dose_per_min_unit: strength.to_string(), pack_size: pack, ..drug("D", "D") };
        let packs = packs_needed(&drug, Decimal::whole(dose), &daily(times), days).unwrap();
        let need = u64::from(dose) * u64::from(times) * u64::from(days);
        let hold = |packs: u64| packs * u64::from(pack) * u64::from(strength);
        prop_assert!(hold(packs) >= need);
        prop_assert!(hold(packs - 1) < need);
    }

    /// Writing the number shown gives the number again.
    #[test]
    fn decimals_survive_their_text(whole in 0u32..1_000_000, part in 0u32..1_000_000) {
        let d: Decimal = format!("{whole}.{part:06}").parse().unwrap();
        prop_assert_eq!(d.to_string().parse::<Decimal>().unwrap(), d);
    }

    /// A finished prescription never moves again.
    #[test]
    fn ends_are_ends(command in 0usize..16) {
        for end in [State::Collected, State::Revised, State::Revoked, State::Expired] {
            prop_assert_eq!(next(end, Command::ALL[command]), None);
        }
    }
}
