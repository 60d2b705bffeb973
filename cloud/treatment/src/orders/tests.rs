//! The table of states, who may move an order, and what may stand on one.

use std::fmt::Write as _;

use proptest::prelude::*;
use records::his::{Diagnosis, ExamItem, ExecutingDepartment, LabTest, Specimen};
use records::id::{OrderId, StaffId};
use records::{Actor, Fen, Timestamp};

use super::policy::{Catalogue, Circumstances, Fault, MOST_LINES, Objection, Wish, write};
use super::view::next_step;
use super::{Command, Kind, Line, ServiceOrder, State, next};

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
    assert_eq!(table, include_str!("transitions.md"), "the table changed:\n{table}");
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T01:00:00Z").unwrap()
}

fn doctor() -> Actor {
    Actor::Staff(StaffId::parse("stf_wang").unwrap())
}

fn catalogue() -> Catalogue {
    let department = |code: &str, name: &str, location: &str| ExecutingDepartment {
        code: code.into(),
        name: name.into(),
        location: location.into(),
    };
    let mut c = Catalogue::default();
    let exam = ExamItem {
        code: "E1".into(),
        name: "腹部超声".into(),
        pinyin: "FBCS".into(),
        part: "肝胆胰脾".into(),
        method: "二维超声".into(),
        price_fen: Fen(9_000),
        departments: vec![
            department("U1", "超声医学科", "门诊楼二层"),
            department("U2", "体检中心", ""),
        ],
        preparation: "空腹8小时".into(),
    };
    let second = ExamItem {
        code: "E2".into(),
        name: "心电图".into(),
        part: String::new(),
        price_fen: Fen(2_500),
        departments: vec![department("U1", "超声医学科", "门诊楼二层")],
        ..exam.clone()
    };
    c.exams.extend([("E1".to_owned(), exam), ("E2".to_owned(), second)]);
    c.labs.insert(
        "L1".into(),
        LabTest {
            code: "L1".into(),
            name: "血脂四项".into(),
            pinyin: "XZSX".into(),
            specimen_code: "S1".into(),
            price_fen: Fen(6_800),
            departments: vec![department("C1", "检验科", "一层采血处")],
            preparation: String::new(),
        },
    );
    c.specimens.insert(
        "S1".into(),
        Specimen {
            code: "S1".into(),
            name: "血清".into(),
        },
    );
    c
}

fn circumstances() -> Circumstances {
    Circumstances {
        author: doctor(),
        diagnoses: vec![Diagnosis {
            code: "I10.x00".into(),
            name: "高血压病".into(),
            main: true,
        }],
    }
}

fn exam(code: &str, department: &str) -> Wish {
    Wish {
        code: code.into(),
        department_code: department.into(),
        ..Wish::default()
    }
}

fn lab(specimen: Option<&str>) -> Wish {
    Wish {
        specimen_code: specimen.map(Into::into),
        ..exam("L1", "C1")
    }
}

fn written(kind: Kind, wishes: &[Wish]) -> Result<(Vec<Line>, Fen), Vec<Objection>> {
    write(kind, wishes, "", &catalogue(), &circumstances()).map(|w| (w.lines, w.total_fen))
}

fn fault(kind: Kind, wish: Wish) -> Fault {
    match written(kind, &[wish]).unwrap_err().remove(0) {
        Objection::Line { fault, .. } => fault,
        other => panic!("about the order: {other}"),
    }
}

#[test]
fn a_line_takes_price_department_and_specimen_from_the_catalogue() {
    let (lines, total) = written(Kind::Exam, &[exam("E1", "U2"), exam("E2", "U1")]).unwrap();
    assert_eq!(total, Fen(11_500));
    assert_eq!(lines[0].detail, "肝胆胰脾 · 二维超声");
    assert_eq!(
        (lines[0].department_name.as_str(), lines[0].location.as_str()),
        ("体检中心", "")
    );
    assert_eq!(lines[1].detail, "二维超声");
    let (lines, total) = written(Kind::Lab, &[lab(Some("S1"))]).unwrap();
    assert_eq!((lines[0].specimen.as_str(), total), ("血清", Fen(6_800)));
}

#[test]
fn each_wrong_line_has_its_own_name() {
    assert_eq!(
        fault(Kind::Exam, exam("L1", "C1")),
        Fault::Unknown,
        "a test is no examination"
    );
    let elsewhere = fault(Kind::Exam, exam("E1", "C1"));
    assert_eq!(elsewhere.to_string(), "请确认执行科室（超声医学科、体检中心）");
    assert_eq!(
        fault(Kind::Exam, exam("E1", "")),
        elsewhere,
        "nothing is confirmed by silence"
    );
    assert_eq!(fault(Kind::Lab, lab(None)), Fault::Specimen);
    assert_eq!(fault(Kind::Lab, lab(Some("S9"))), Fault::Specimen);
    let long = Wish {
        note: "空".repeat(101),
        ..exam("E1", "U1")
    };
    assert_eq!(fault(Kind::Exam, long), Fault::Note);
    let twice = written(Kind::Exam, &[exam("E1", "U1"), exam("E1", "U2")]).unwrap_err();
    assert_eq!(twice[0].to_string(), "第2项 腹部超声：同一项目重复开立");
}

#[test]
fn an_order_needs_a_person_a_diagnosis_and_something_on_it() {
    let refused = |c: Circumstances, wishes: &[Wish], purpose: &str| {
        write(Kind::Exam, wishes, purpose, &catalogue(), &c).unwrap_err()
    };
    let machine = Circumstances {
        author: Actor::System,
        ..circumstances()
    };
    assert_eq!(refused(machine, &[exam("E1", "U1")], ""), [Objection::NotByAPerson]);
    let undiagnosed = Circumstances {
        diagnoses: Vec::new(),
        ..circumstances()
    };
    assert_eq!(refused(undiagnosed, &[exam("E1", "U1")], ""), [Objection::NoDiagnosis]);
    assert_eq!(refused(circumstances(), &[], ""), [Objection::NoLines]);
    let long = "目".repeat(501);
    assert_eq!(
        refused(circumstances(), &[exam("E1", "U1")], &long),
        [Objection::Purpose]
    );
    let many = vec![exam("E1", "U1"); MOST_LINES + 1];
    assert!(refused(circumstances(), &many, "").contains(&Objection::TooManyLines));
}

fn order(state: State) -> ServiceOrder {
    ServiceOrder {
        id: OrderId::parse("ord_1").unwrap(),
        kind: Kind::Exam,
        doctor: StaffId::parse("stf_wang").unwrap(),
        lines: written(Kind::Exam, &[exam("E1", "U1")]).unwrap().0,
        state,
    }
}

#[test]
fn only_the_treating_doctor_signs_and_revokes_and_no_machine_does() {
    let other = Actor::Staff(StaffId::parse("stf_li").unwrap());
    for by in [&other, &Actor::System, &Actor::His] {
        assert!(order(State::Draft).sign(now(), by).is_err());
        assert!(order(State::Open).revoke(now(), by, "开错").is_err());
        assert!(order(State::Unknown).retry(now(), by).is_err());
    }
    assert!(order(State::Draft).may_edit(&other).is_err());
    let signed = order(State::Signed).may_edit(&doctor()).unwrap_err();
    assert_eq!(signed.to_string(), "检查单提交中，已签名的申请单不能改动，请撤回后重开");
    let silent = order(State::Open).revoke(now(), &doctor(), " ").unwrap_err();
    assert_eq!(silent.to_string(), "检查单已开立，不能撤回：请写明撤回原因");
    let empty = ServiceOrder {
        lines: Vec::new(),
        ..order(State::Draft)
    };
    assert!(empty.sign(now(), &doctor()).is_err());
}

#[test]
fn the_patient_is_told_what_to_do_next_in_every_state() {
    let lines = order(State::Open).lines;
    let open = next_step(Kind::Exam, State::Open, &lines, Fen(9_000));
    assert_eq!(
        open,
        "请到院在收费窗口或自助机缴费（90.00 元），凭就诊卡或身份证到超声医学科（门诊楼二层）检查"
    );
    for state in State::ALL.into_iter().filter(|s| *s != State::Draft) {
        assert!(!next_step(Kind::Lab, state, &lines, Fen(1)).is_empty(), "{state:?}");
    }
}

proptest! {
    /// What is void never moves again, and nothing moves back to a draft.
    #[test]
    fn ends_are_ends(state in 0usize..8, command in 0usize..8) {
        let (state, command) = (State::ALL[state], Command::ALL[command]);
        let to = next(state, command);
        prop_assert!(to.is_none() || !state.is_void());
        prop_assert_ne!(to, Some(State::Draft));
    }
}
