//! Searching the dictionaries.

use serde_json::json;

use super::needle;
use crate::testing::on_each;

#[test]
fn signs_of_like_are_not_searched_for() {
    assert_eq!(needle(" yf%_\\ "), "YF");
}

#[test]
fn diagnoses_are_found_by_code_name_and_initials_and_stay_when_the_line_is_down() {
    on_each(|day| async move {
        let codes = |list: serde_json::Value| -> Vec<String> {
            list.as_array()
                .unwrap()
                .iter()
                .map(|d| d["code"].as_str().unwrap().to_owned())
                .collect()
        };
        let find = |q: &'static str| {
            let (day, path) = (&day, format!("/dictionary/diagnoses?q={q}"));
            async move { codes(day.get(&day.doctor, &path).await.ok()) }
        };
        assert_eq!(find("i10").await, ["I10.x00"]);
        assert_eq!(find("血压").await, ["I10.x00"]);
        assert_eq!(find("yfx").await, ["I10.x00"]);
        assert_eq!(find("E11.900").await, ["E11.900"]);
        assert_eq!(find("").await.len(), 3);
        assert_eq!(find("zzz").await.len(), 0);
        day.his.books().offline = true;
        day.clock.advance(std::time::Duration::from_secs(3600));
        assert_eq!(find("i10").await, ["I10.x00"]);
        assert_eq!(day.get(&day.doctor, "/dictionary/drugs?q=a").await.refused().0, 503);
        assert_eq!(
            day.get(&day.patient, "/dictionary/diagnoses?q=i").await.refused().0,
            403
        );
    });
}

#[test]
fn a_refreshed_dictionary_loses_what_the_his_dropped_and_writes_only_what_changed() {
    on_each(|day| async move {
        let term = |code: &str, name: &str| records::his::Term {
            code: code.to_owned(),
            name: name.to_owned(),
        };
        let lists = [
            (vec![term("PO", "口服"), term("IV", "静脉注射")], 2),
            (vec![term("PO", "口服"), term("IV", "静脉注射")], 0),
            (vec![term("PO", "口服（饭后）")], 2),
        ];
        for (list, written) in lists {
            let count = day
                .write(move |tx| {
                    let list = list.clone();
                    Box::pin(async move { Ok(super::store::replace(tx, &list).await?) })
                })
                .await;
            assert_eq!(count, written);
        }
        let routes = day.get(&day.doctor, "/dictionary/routes").await.ok();
        assert_eq!(routes, json!([{ "code": "PO", "name": "口服（饭后）" }]));
        let known = day
            .write(|tx| Box::pin(async move { Ok(super::lookup::<records::his::Term>(tx, "PO").await?) }))
            .await;
        assert_eq!(known.map(|t| t.name), Some("口服（饭后）".to_owned()));
    });
}
