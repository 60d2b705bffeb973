//! Which acceptance is good.

use records::Timestamp;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn version(version: u32, from: i64, until: Option<i64>) -> Consent {
    Consent {
        id: format!("cst_{version}"),
        version,
        title: "知情同意书".to_owned(),
        text: format!("第{version}版"),
        valid_from: at(from),
        valid_until: until.map(at),
    }
}

#[test]
fn only_the_newest_version_in_force_is_accepted() {
    let versions = [version(1, 0, None), version(2, 100, Some(200))];
    let judged = |id: &str, v: u32, now: i64| judge(&versions, id, v, at(now)).map(|c| c.version);
    assert_eq!(judged("cst_1", 1, 50), Ok(1));
    assert_eq!(judged("cst_1", 1, 150), Err(NotAccepted::Superseded));
    assert_eq!(judged("cst_2", 2, 150), Ok(2));
    assert_eq!(judged("cst_2", 2, 200), Err(NotAccepted::Expired));
    assert_eq!(judged("cst_1", 1, 250), Ok(1), "the older one is in force again");
    assert_eq!(judged("cst_2", 2, 50), Err(NotAccepted::Expired), "not in force yet");
    assert_eq!(judged("cst_2", 1, 150), Err(NotAccepted::Missing));
    assert_eq!(judged("cst_9", 9, 150), Err(NotAccepted::Missing));
}

#[test]
fn one_changed_character_changes_the_hash() {
    let one = version(1, 0, None);
    let mut other = one.clone();
    other.text.push('。');
    assert_ne!(one.sm3(), other.sm3());
    assert_eq!(
        one.sm3(),
        version(1, 5, Some(9)).sm3(),
        "the hash is of what the patient read"
    );
}
