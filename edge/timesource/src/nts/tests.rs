use std::collections::VecDeque;

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::fields::{self, Field};
use super::{COOKIES, Expected, Invalid, QUESTION_LEN, Session, seal, unseal};
use crate::packet::{HEADER_LEN, Header};
use crate::stamp::Stamp;

fn session(cookies: usize, length: usize) -> Session {
    Session {
        to_server: Zeroizing::new([1; 32]),
        from_server: Zeroizing::new([2; 32]),
        cookies: (0..cookies)
            .map(|n| vec![u8::try_from(n).unwrap(); length])
            .collect::<VecDeque<_>>(),
        host: None,
        port: 123,
    }
}

fn asked(session: &mut Session) -> (Vec<u8>, Expected) {
    session.protect(&Header::question(Stamp(7))).unwrap().unwrap()
}

/// What a server of these keys answers.
fn answered(expected: &Expected, cookies: &[&[u8]]) -> Vec<u8> {
    let mut out = Header::question(Stamp(9)).to_bytes();
    fields::append(&mut out, Field::IDENTIFIER, &expected.identifier);
    let mut inner = Vec::new();
    for cookie in cookies {
        fields::append(&mut inner, Field::COOKIE, cookie);
    }
    let sealed = seal(&expected.from_server, &out, &[3; 16], &inner).unwrap();
    fields::append(&mut out, Field::SEALED, &sealed);
    out
}

#[test]
fn the_algorithm_is_the_one_of_rfc_5297() {
    // RFC 5297, A.2: nonce-based authenticated encryption, the nonce being the last header.
    let key = hex::decode("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f").unwrap();
    let headers = [
        "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
        "102030405060708090a0",
        "09f911029d74e35bd84156c5635688c0",
    ]
    .map(|text| hex::decode(text).unwrap());
    let plain =
        hex::decode("7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553")
            .unwrap();
    let key: [u8; 32] = key.try_into().unwrap();
    let sealed = Aes128Siv::new((&key).into()).encrypt(&headers, &plain).unwrap();
    assert_eq!(
        hex::encode(sealed),
        concat!(
            "7bdb6e3b432667eb06f4d14bff2fbd0f",
            "cb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
        )
    );
}

#[test]
fn a_question_asks_for_as_many_cookies_as_are_missing() {
    let mut session = session(3, 100);
    let (question, _) = asked(&mut session);
    let kinds: Vec<u16> = fields::all(&question).unwrap().iter().map(|f| f.kind).collect();
    let mut expected = vec![Field::IDENTIFIER, Field::COOKIE];
    expected.extend([Field::PLACEHOLDER; 5]);
    expected.push(Field::SEALED);
    assert_eq!(kinds, expected, "two left, one comes anyway, five more make eight");
    assert_eq!(question[HEADER_LEN + 36 + 4..][..100], [0; 100], "the oldest cookie");
}

#[test]
fn a_question_never_outgrows_a_datagram_and_ends_when_cookies_do() {
    let mut session = session(2, 400);
    assert!(asked(&mut session).0.len() <= QUESTION_LEN);
    assert!(asked(&mut session).0.len() <= QUESTION_LEN);
    assert!(!session.has_cookie());
    assert!(session.protect(&Header::question(Stamp(7))).unwrap().is_none());
}

#[test]
fn cookies_are_kept_up_to_eight_and_only_sound_ones() {
    let mut session = session(6, 100);
    session.keep(vec![
        vec![],
        vec![1; 3],
        vec![1; 404],
        vec![9; 64],
        vec![9; 64],
        vec![9; 64],
    ]);
    assert_eq!(session.cookies.len(), COOKIES);
    assert!(session.cookies.iter().all(|c| [64, 100].contains(&c.len())));
}

#[test]
fn identifiers_and_nonces_never_repeat() {
    let mut session = session(8, 100);
    let questions: Vec<Vec<u8>> = (0..8).map(|_| asked(&mut session).0).collect();
    for (n, one) in questions.iter().enumerate() {
        for other in &questions[n + 1..] {
            let part = |q: &[u8]| (q[HEADER_LEN + 4..][..32].to_vec(), q[q.len() - 32..].to_vec());
            assert_ne!(part(one).0, part(other).0);
            assert_ne!(part(one).1, part(other).1);
        }
    }
}

#[test]
fn an_answer_is_opened_only_with_its_identifier_and_keys() {
    let mut session = session(2, 100);
    let (_, expected) = asked(&mut session);
    let (_, other) = asked(&mut session);
    let answer = answered(&expected, &[&[5; 100], &[6; 100]]);
    assert_eq!(expected.open(&answer), Ok(vec![vec![5; 100], vec![6; 100]]));
    assert!(expected.is_echoed(&answer));
    assert_eq!(other.open(&answer), Err(Invalid::WrongOrigin));
    let bare = &answer[..HEADER_LEN + 36];
    assert_eq!(expected.open(bare), Err(Invalid::Unprotected));
    assert_eq!(expected.open(&answer[..HEADER_LEN]), Err(Invalid::Unprotected));
    // The identifier twice: which of them was meant?
    let mut twice = answer[..HEADER_LEN + 36].to_vec();
    twice.extend(&answer[HEADER_LEN..]);
    assert_eq!(expected.open(&twice), Err(Invalid::WrongOrigin));
    // What is appended behind the protection changes nothing.
    let mut tail = answer.clone();
    fields::append(&mut tail, Field::COOKIE, &[7; 64]);
    assert_eq!(expected.open(&tail), Ok(vec![vec![5; 100], vec![6; 100]]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_changed_bit_anywhere_is_noticed(at in 0_usize..1000, bit in 0_u8..8) {
        let (_, expected) = asked(&mut session(1, 100));
        let mut answer = answered(&expected, &[&[5; 100]]);
        let at = at % answer.len();
        answer[at] ^= 1 << bit;
        prop_assert!(expected.open(&answer).is_err());
    }

    #[test]
    fn any_bytes_are_opened_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, expected) = asked(&mut session(1, 100));
        prop_assert!(expected.open(&bytes).is_err());
        let _ = expected.is_echoed(&bytes);
        prop_assert!(unseal(&expected.from_server, b"x", &bytes).is_err());
    }

    #[test]
    fn fields_are_listed_as_they_were_appended(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9)) {
        let mut bytes = vec![0; HEADER_LEN];
        for body in &bodies {
            fields::append(&mut bytes, 0x0104, body);
        }
        let found = fields::all(&bytes).unwrap();
        prop_assert_eq!(found.len(), bodies.len());
        for (field, body) in found.iter().zip(&bodies) {
            prop_assert!(field.body.starts_with(body));
            prop_assert!(field.body[body.len()..].iter().all(|b| *b == 0));
        }
    }
}
