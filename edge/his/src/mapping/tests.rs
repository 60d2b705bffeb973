use std::collections::BTreeMap;

use super::*;
use crate::xml;
use serde_json::json;

fn codes() -> Codes {
    Codes::from([(
        "sex".to_owned(),
        BTreeMap::from([("M".to_owned(), "1".to_owned()), ("F".to_owned(), "2".to_owned())]),
    )])
}
fn context<'a>(habits: &'a Habits, codes: &'a Codes, request: &'a Value, way: Direction) -> Context<'a> {
    Context {
        habits,
        codes,
        request,
        now: Timestamp::from_seconds(0),
        way,
        index: 0,
    }
}
fn fields(text: &str) -> Fields {
    toml::from_str(text).unwrap()
}

#[test]
fn a_request_is_written_in_the_hospitals_fields() {
    let (habits, codes) = (Habits::default(), codes());
    let request = json!({"name":"张三","sex":"F","amount_fen":1200,"paid_at":"2026-11-21T07:00:00Z","ids":["A","B"],
        "items":[{"code":"W1","main":true}],"nothing":null});
    let f = fields(
        r#"patName="name"
           patSex={from="sex",map="sex"}
           amount={from="amount_fen",as="money"}
           time={from="paid_at",as="moment"}
           list={from="ids",join=","}
           now={from="@now",as="date"}
           gone="nothing"
           kind={const="7"}
           items={from="items",each={drugCode="code",main={from="main",as="bool"}}}"#,
    );
    let out = context(&habits, &codes, &request, Direction::Out)
        .fill(&f, Source::Canonical(&request))
        .unwrap();
    assert_eq!(
        Value::Object(out),
        json!({"patName":"张三","patSex":"2","amount":"1200","time":"2026-11-21 15:00:00","list":"A,B","now":"1970-01-01",
            "kind":"7","items":[{"drugCode":"W1","main":1}]})
    );
}

#[test]
fn a_reply_becomes_canonical_and_a_missing_must_is_an_error() {
    let (habits, codes) = (Habits::default(), codes());
    let request = json!({"name":"李四"});
    let item = xml::parse(
        "<item><sex>1</sex><regFee>500</regFee><treatFee>700</treatFee><exp/><flags>a, narcotic</flags>\
         <d><item><c>I10</c></item></d><n>mzFeeId=F9;totalAmout=3</n><r>R1.2</r></item>",
    )
    .unwrap();
    let f = fields(
        r#"sex={map="sex"}
           fee_fen={sum=["regFee","treatFee"]}
           expires_at={from="exp",as="moment",optional=true}
           note="absent?"
           name="^name"
           control={from="flags",split=",",pick=[["narcotic","narcotic"]],other="none"}
           barred={from="flags",split=",",has=["narcotic"]}
           diagnoses={from="d/item",each={code="c",main={from="m",as="bool",other="0"}}}
           bill={from="n",key="mzFeeId"}
           recipe={from="r",before="."}
           usage={text="{regFee}分 {absent}{sex@sex}"}"#,
    );
    let cx = context(&habits, &codes, &request, Direction::In);
    let out = cx.fill(&f, Source::Xml(&item)).unwrap();
    assert_eq!(
        Value::Object(out),
        json!({"sex":"M","fee_fen":1200,"expires_at":null,"note":"","name":"李四","control":"narcotic","barred":true,
            "diagnoses":[{"code":"I10","main":false}],"bill":"F9","recipe":"R1","usage":"500分 M"})
    );
    let must = fields(r#"his_order_number="hisOrdNum""#);
    assert!(matches!(
        cx.fill(&must, Source::Xml(&item)),
        Err(MapError::Missing { .. })
    ));
    let odd = fields(r#"sex={from="regFee",map="sex"}"#);
    assert!(matches!(cx.fill(&odd, Source::Xml(&item)), Err(MapError::Code { .. })));
}
