//! Exchanged keys and shared points, against the standard's text over RustCrypto's curve (the standard's own example is
//! beside the code). The other two are no judges: `libsm` hashes its tags with `0002` and `0003` where the standard has one
//! byte, and shows nobody its key; `sm-crypto` derives its key from hexadecimal text. OpenSSL has no such exchange.

use curve::{Agreement, Ephemeral, Exchange, Nonces, Peer, PrivateKey, PublicKey, Role};
use proptest::prelude::*;
use sm2::elliptic_curve::group::Group as _;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::{ProjectivePoint, Scalar};
use sm3::{Digest, Sm3};

use super::private;

/// The whole exchange as the standard writes it, over RustCrypto's curve: the key and the tags (S_A, S_B). `own` is d and r
/// of one side, `peer` P and R of the other.
fn reference(
    role: Role,
    own: (&[u8; 32], &[u8; 32]),
    peer: (&PublicKey, &PublicKey),
    (z_a, z_b): ([u8; 32], [u8; 32]),
) -> (Vec<u8>, [u8; 32], [u8; 32]) {
    let scalar = |bytes: &[u8; 32]| Scalar::reduce(&sm2::FieldBytes::from(*bytes));
    let point = |key: &PublicKey| -> ProjectivePoint {
        sm2::PublicKey::from_sec1_bytes(&key.to_point())
            .expect("point")
            .to_projective()
    };
    let folded = |x: &[u8]| {
        let mut folded = [0u8; 32];
        folded[16..].copy_from_slice(&x[16..32]);
        folded[16] |= 0x80;
        scalar(&folded)
    };
    let bytes = |point: ProjectivePoint| point.to_affine().to_sec1_point(false).as_bytes()[1..].to_vec();
    let own_r = bytes(ProjectivePoint::generator() * scalar(own.1));
    let peer_r = peer.1.to_point()[1..].to_vec();
    let t = scalar(own.0) + folded(&own_r) * scalar(own.1);
    let shared = bytes((point(peer.0) + point(peer.1) * folded(&peer_r)) * t);
    let (x, y) = shared.split_at(32);
    let (first, second) = match role {
        Role::Initiator => (own_r, peer_r),
        Role::Responder => (peer_r, own_r),
    };
    let key = [1u32, 2].map(|counter| {
        let hash = Sm3::new().chain_update(&shared).chain_update(z_a).chain_update(z_b);
        hash.chain_update(counter.to_be_bytes()).finalize()
    });
    let inner = Sm3::digest([x, &z_a, &z_b, &first, &second].concat());
    let tag = |number: u8| Sm3::digest([&[number], y, &inner[..]].concat()).into();
    (key.concat(), tag(3), tag(2))
}

fn public(secret: &[u8; 32]) -> PublicKey {
    *private(secret).expect("in range").public_key()
}

fn agree(role: Role, key: &PrivateKey, id: &[u8], peer: &Peer<'_>) -> (PublicKey, Agreement) {
    let exchange = Exchange::start(role, key, id, &mut Nonces::new()).expect("begun");
    let point = *exchange.point();
    (point, exchange.agree(peer, 64).expect("agreed"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_standard_over_rustcryptos_curve_agrees(ours: [u8; 32], theirs: [u8; 32], r: [u8; 32], began: bool) {
        let (Some(key), Some(_), Some(_)) = (private(&ours), private(&theirs), private(&r)) else { return Ok(()) };
        let (role, other) = if began { (Role::Initiator, Role::Responder) } else { (Role::Responder, Role::Initiator) };
        let (their_key, their_point) = (public(&theirs), public(&r));
        let peer = Peer { key: &their_key, id: b"them", point: &their_point };
        let (point, agreement) = agree(role, &key, b"us", &peer);

        let own = curve::z(b"us", key.public_key()).expect("z");
        let their = curve::z(b"them", &their_key).expect("z");
        let zs = if began { (own, their) } else { (their, own) };
        let (wanted, s_a, s_b) = reference(other, (&theirs, &r), (key.public_key(), &point), zs);
        let (tag, confirmation) = if began { (s_a, s_b) } else { (s_b, s_a) };
        prop_assert_eq!(agreement.tag(), &tag);
        prop_assert_eq!(agreement.confirm(&confirmation).expect("confirmed").to_vec(), wanted);
    }

    #[test]
    fn ecdh_is_the_x_of_rustcryptos_product(secret: [u8; 32]) {
        if private(&secret).is_none() {
            return Ok(());
        }
        let ours = Ephemeral::generate(&mut Nonces::new()).expect("pair");
        let point = sm2::PublicKey::from_sec1_bytes(&ours.public_key().to_point()).expect("point").to_projective();
        let product = (point * Scalar::reduce(&sm2::FieldBytes::from(secret))).to_affine().to_sec1_point(false);
        prop_assert_eq!(&ours.shared_x(&public(&secret))[..], &product.as_bytes()[1..33]);
    }
}
