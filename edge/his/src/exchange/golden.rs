//! What the profile makes of each operation's request, kept as a file: a change of the wire is seen in review.

use std::fmt::Write;
use std::sync::Arc;

use records::{Ids, ManualClock, SeededEntropy, Timestamp};
use serde_json::{Value, json};

use super::{Client, Hospital};
use crate::convert::Direction;
use crate::profile::Profile;
use crate::source::Source;
use crate::{body, operations, soap};

fn requests() -> Vec<(&'static str, Value)> {
    let refund = json!({"order_number":"con_1","his_order_number":"H1","refund_number":"ref_1","channel_refund_number":"5030","amount_fen":1500,"refunded_at":"2026-11-21T07:00:00Z","reason":"停诊"});
    let history = json!({"his_patient_id":"P1","from":"2026-01-01","to":"2026-11-21"});
    let rx = |kind: &str, usage: Value, doses: Value| {
        json!({"prescription_number":"rx_1","visit_order_number":"con_1","his_patient_id":"P1","doctor_code":"D1","department_code":"K1",
        "diagnoses":[{"code":"J00","name":"感冒","main":false},{"code":"I10","name":"高血压","main":true}],"kind":kind,
        "items":[{"code":"W1","name":"A|B","dose":"5","dose_unit":"mg","route_code":"PO","frequency_code":"QD","days":7,"quantity":2,"quantity_unit":"盒","amount_fen":100}],
        "herbal_doses":doses,"herbal_decoction":doses.is_number().then_some(true),"herbal_usage":usage,"total_fen":100,"document_sm3":"ab","signed_at":"2026-11-21T07:00:00Z"})
    };
    let order = |specimen: Value| {
        json!({"order_number":"ord_1","visit_order_number":"con_1","his_patient_id":"P1","doctor_code":"D1","department_code":"K1",
        "diagnoses":[{"code":"I10","name":"高血压","main":true}],"purpose":"胸闷1周，除外心肌缺血",
        "items":[{"code":"X1","name":"A","department_code":"E1","specimen_code":specimen,"amount_fen":100,"note":"空腹"}],
        "total_fen":100,"document_sm3":"ab","signed_at":"2026-11-21T07:00:00Z"})
    };
    let withdrawal = json!({"order_number":"ord_1","his_order_number":"J1","reason":"开错项目"});
    vec![
        ("patient.query", json!({"name":"张三","id_number":"110101198001010010"})),
        ("patient.by_card", json!({"card_number":"8000000001"})),
        ("patient.by_insurance_code", json!({"code":"0123456789"})),
        (
            "patient.create",
            json!({"name":"张小","id_number":"110101202001010010","sex":"M","birth_date":"2020-01-01","phone":"139","guardian_name":"张三","guardian_id_number":"110101198001010010"}),
        ),
        (
            "visit.followup_check",
            json!({"his_patient_id":"P1","department_code":"K1","within_days":90}),
        ),
        ("dict.department.list", json!({})),
        ("dict.doctor.list", json!({"department_code":"K1"})),
        (
            "slot.list",
            json!({"department_code":"K1","doctor_code":null,"from":"2026-11-21","to":"2026-11-28"}),
        ),
        (
            "slot.lock",
            json!({"order_number":"con_1","his_patient_id":"P1","work_id":"W1","department_code":"K1","doctor_code":"D1","date":"2026-11-23","begin":"08:00","end":"08:15","fee_fen":1500}),
        ),
        (
            "slot.unlock",
            json!({"order_number":"con_1","his_order_number":null,"reason":"超时"}),
        ),
        (
            "registration.confirm_payment",
            json!({"order_number":"con_1","his_order_number":"H1","channel_number":"4200","amount_fen":1500,"paid_at":"2026-11-21T07:00:00Z"}),
        ),
        ("registration.status", json!({"order_number":"con_1"})),
        (
            "registration.list",
            json!({"his_patient_id":"P1","from":"2026-11-21","to":"2026-11-21"}),
        ),
        ("registration.check_in", json!({"his_order_number":"H1"})),
        ("registration.queue", json!({"his_order_number":"H1"})),
        ("registration.refund", refund.clone()),
        (
            "bill.pending.list",
            json!({"his_patient_id":"P1","prescription_number":null}),
        ),
        (
            "bill.confirm_payment",
            json!({"order_number":"pay_1","his_patient_id":"P1","bill_ids":["F1","F2"],"channel_number":"4200","amount_fen":1500,"paid_at":"2026-11-21T07:00:00Z"}),
        ),
        ("bill.refund", refund),
        ("bill.status", json!({"order_number":"pay_1"})),
        ("report.exam.list", history.clone()),
        ("report.exam.image", json!({"report_number":"JC1"})),
        ("report.lab.list", history.clone()),
        ("visit.list", history.clone()),
        ("visit.prescriptions", history),
        ("dict.diagnosis.list", json!({})),
        ("dict.exam_item.list", json!({})),
        ("order.exam.submit", order(Value::Null)),
        ("order.exam.revoke", withdrawal.clone()),
        ("dict.specimen.list", json!({})),
        ("dict.lab_item.list", json!({})),
        ("order.lab.submit", order(json!("S02"))),
        ("order.lab.revoke", withdrawal),
        ("dict.route.list", json!({})),
        ("dict.frequency.list", json!({})),
        ("dict.herb.list", json!({})),
        ("dict.drug.list", json!({})),
        ("prescription.submit", rx("western", Value::Null, Value::Null)),
        ("prescription.submit", rx("herbal", json!("每日一剂，代煎"), json!(7))),
        (
            "prescription.review.push",
            json!({"prescription_number":"rx_1","pharmacist_code":"Y1","approved":false,"reason":"剂量","reviewed_at":"2026-11-21T07:00:00Z"}),
        ),
        (
            "prescription.revoke",
            json!({"prescription_number":"rx_1","reason":"重开"}),
        ),
        (
            "delivery.push",
            json!({"prescription_number":"rx_1","waybill":"SF1","company":"SF","status":"shipped","receiver":"张三","phone":"139","address":"一号<2>"}),
        ),
    ]
}

#[test]
fn every_operation_is_written_as_agreed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let profile = Profile::parse(include_str!("../../profiles/bench.toml")).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-21T07:30:00Z").unwrap()));
    let hospital = Hospital::new(profile, clock, Arc::new(Ids::new(SeededEntropy::new(1)))).unwrap();
    let (Client::Soap(wire), Client::Mllp(engine)) =
        (&hospital.endpoints["his"].client, &hospital.endpoints["engine"].client)
    else {
        panic!("wires")
    };
    let mut text = String::new();
    let mut seen = Vec::new();
    for (method, request) in requests() {
        operations::check_request(method, &request).unwrap_or_else(|e| panic!("{method}: {e}"));
        seen.push(method);
        let operation = hospital.operation(method).unwrap();
        let context = hospital.context(&request, Direction::Out);
        if let Some(binding) = &operation.soap {
            let fields = context.fill(&binding.request, Source::Canonical(&request)).unwrap();
            let envelope = crate::xml::parse(&soap::request(wire, &binding.method, &fields)).unwrap();
            let _ = writeln!(
                text,
                "{method} {} {}",
                binding.method,
                envelope.find("requestXml").unwrap().text
            );
        }
        if let Some(binding) = &operation.hl7 {
            let body = body::write(&binding.body, &context, Source::Canonical(&request)).unwrap();
            let head = engine.head(&binding.message, "ID", context.now);
            let _ = writeln!(text, "{method}\n{}", format!("{head}{body}").replace('\r', "\n"));
        }
    }
    seen.dedup();
    assert_eq!(
        seen.len(),
        records::his::METHODS.len(),
        "every operation of the annex is described"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bench-requests.txt");
    if std::env::var_os("YIQIAO_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(path).unwrap(),
        "set YIQIAO_GOLDEN=1 to accept"
    );
}
