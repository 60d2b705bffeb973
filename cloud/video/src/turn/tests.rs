use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use records::Timestamp;

use super::limits::{Full, Limits};
use super::message::Guard;
use super::session::{House, Reaction, Session};

fn stranger() -> Session {
    let peer: SocketAddr = "203.0.113.7:5000".parse().unwrap();
    let house = House {
        guard: Guard::new("north".into(), "hospital".into()),
        limits: Limits::new(1, 1),
        peer,
        relayed: peer.ip(),
    };
    Session::new(Arc::new(house), "198.51.100.1:1".parse().unwrap(), false)
}

proptest! {
    /// Anybody on the internet may send us anything.
    #[test]
    fn no_bytes_of_a_stranger_do_harm_or_get_relayed(
        kind in prop_oneof![Just([0u8, 1]), Just([0, 3]), Just([0, 0x16]), Just([0x40, 1]), any::<[u8; 2]>()],
        body in prop::collection::vec(any::<u8>(), 0..200),
        honest in any::<bool>(),
    ) {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let length = if honest { length } else { [length[1], length[0]] };
        let cookie = [0x21, 0x12, 0xA4, 0x42];
        let bytes = [&kind[..], &length, &cookie, &[7; 12], &body].concat();
        for cut in [bytes.len(), bytes.len() / 2, 21, 3] {
            let piece = bytes.get(..cut).unwrap_or(&bytes);
            let reaction = stranger().hear_client(piece, Instant::now(), Timestamp::from_seconds(1));
            prop_assert!(matches!(reaction, Reaction::Nothing | Reaction::Reply(_)));
            if let Reaction::Reply(answer) = reaction {
                prop_assert!(answer.len() < 600, "a small question does not make a flood: {}", answer.len());
            }
        }
    }
}

#[test]
fn a_place_is_given_back_with_its_allocation() {
    let limits = Limits::new(2, 3);
    let (one, two) = (limits.take("a").unwrap(), limits.take("a").unwrap());
    assert_eq!(limits.take("a").err(), Some(Full::User));
    let _three = limits.take("b").unwrap();
    assert_eq!(limits.take("c").err(), Some(Full::Total));
    drop(one);
    assert!(limits.take("c").is_ok());
    drop(two);
    assert!(limits.take("a").is_ok());
}
