use super::*;
use crate::DEFAULT_ID;

fn bytes(hex_digits: &str) -> [u8; 32] {
    hex::decode(hex_digits).expect("hex").try_into().expect("32 bytes")
}

fn ephemeral(r: &str) -> Ephemeral {
    Ephemeral::of(&Scalar::from_bytes(&bytes(r)).expect("below n"))
}

const D_A: &str = "81eb26e941bb5af16df116495f90695272ae2cd63d6c4ae1678418be48230029";
const D_B: &str = "785129917d45a9ea5437a59356b82338eaadda6ceb199088f14ae10defa229b5";
const R_A: &str = "d4de15474db74d06491c440d305e012400990f3e390c7e87153c12db2ea60bb3";
const R_B: &str = "7e07124814b309489125eaed101113164ebf0f3458c5bd88335c1f9d596243d6";
const POINT_A: &str = "0464ced1bdbc99d590049b434d0fd73428cf608a5db8fe5ce07f15026940bae40e\
                       376629c7ab21e7db260922499ddb118f07ce8eaae3e7720afef6a5cc062070c0";
const POINT_B: &str = "04acc27688a6f7b706098bc91ff3ad1bff7dc2802cdb14ccccdb0a90471f9bd707\
                       2fedac0494b2ffc4d6853876c79b8f301c6573ad0aa50f39fc87181e1a1b46fe";
const Z_A: &str = "3b85a57179e11e7e513aa622991f2ca74d1807a0bd4d4b38f90987a17ac245b1";
const Z_B: &str = "79c988d63229d97ef19fe02ca1056e01e6a7411ed24694aa8f834f4a4ab022f7";
const X_V: &str = "c558b44bee5301d9f52b44d939bb59584d75b9034dd6a9fc826872109a65739f";
const Y_V: &str = "3252b35b191d8ae01cd122c025204334c5eacf68a0cb4854c6a7d367ecad4de7";
const K: &str = "6c89347354de2484c60b4ab1fde4c6e5";
const S_B: &str = "d3a0fe15dee185ceae907a6b595cc32a266ed7b3367e9983a896dc32fa20f8eb";
const S_A: &str = "18c7894b3816df16cf07b05c5ec0bef5d655d58f779cc1b400a4f3884644db88";

struct Example {
    a: PrivateKey,
    b: PrivateKey,
}

impl Example {
    fn new() -> Self {
        Self {
            a: PrivateKey::from_bytes(&bytes(D_A)).expect("key"),
            b: PrivateKey::from_bytes(&bytes(D_B)).expect("key"),
        }
    }

    fn initiator(&self) -> Exchange<'_> {
        Exchange::with(Role::Initiator, &self.a, DEFAULT_ID, ephemeral(R_A)).expect("begun")
    }

    fn responder(&self) -> Exchange<'_> {
        Exchange::with(Role::Responder, &self.b, DEFAULT_ID, ephemeral(R_B)).expect("begun")
    }

    fn agreed(&self) -> (Agreement, Agreement) {
        let (a, b) = (self.initiator(), self.responder());
        let (r_a, r_b) = (*a.point(), *b.point());
        (
            a.agree(&peer(&self.b, &r_b), 16).expect("agreed"),
            b.agree(&peer(&self.a, &r_a), 16).expect("agreed"),
        )
    }
}

fn peer<'p>(key: &'p PrivateKey, point: &'p PublicKey) -> Peer<'p> {
    Peer {
        key: key.public_key(),
        id: DEFAULT_ID,
        point,
    }
}

#[test]
fn the_example_of_gbt_32918_5_annex_b_comes_out_to_the_byte() {
    let example = Example::new();
    let (a, b) = (example.initiator(), example.responder());
    assert_eq!(hex::encode(a.point().to_point()), POINT_A);
    assert_eq!(hex::encode(b.point().to_point()), POINT_B);
    assert_eq!((hex::encode(a.z), hex::encode(b.z)), (Z_A.into(), Z_B.into()));
    let shared = a.shared(&peer(&example.b, b.point())).expect("point");
    assert_eq!(hex::encode(shared.x.to_bytes()), X_V);
    assert_eq!(hex::encode(shared.y.to_bytes()), Y_V);

    let (a, b) = example.agreed();
    assert_eq!((hex::encode(a.tag()), hex::encode(b.tag())), (S_A.into(), S_B.into()));
    let (s_a, s_b) = (*a.tag(), *b.tag());
    assert_eq!(hex::encode(a.confirm(&s_b).expect("confirmed")), K);
    assert_eq!(hex::encode(b.confirm(&s_a).expect("confirmed")), K);
    assert_eq!(hex::encode(example.agreed().0.unconfirmed()), K);
}

#[test]
fn a_wrong_tag_gives_no_key_and_nobody_can_send_ours_back() {
    for bit in 0..256 {
        let (a, b) = Example::new().agreed();
        let mut tag = *b.tag();
        tag[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(a.confirm(&tag).map(|_| ()), Err(Refused::Confirmation), "bit {bit}");
    }
    let (a, b) = Example::new().agreed();
    let (s_a, s_b) = (*a.tag(), *b.tag());
    assert_eq!(a.confirm(&s_a).map(|_| ()), Err(Refused::Confirmation));
    assert_eq!(b.confirm(&s_b).map(|_| ()), Err(Refused::Confirmation));
}

#[test]
fn another_id_key_or_point_is_another_key() {
    let example = Example::new();
    let r_b = *example.responder().point();
    let other = ephemeral(R_A);
    let s_b = *example.agreed().1.tag();
    let right = peer(&example.b, &r_b);
    let changed = [
        Peer { id: b"", ..right },
        Peer {
            key: example.a.public_key(),
            ..right
        },
        Peer {
            point: other.public_key(),
            ..right
        },
    ];
    for peer in changed {
        let agreed = example.initiator().agree(&peer, 16).expect("agreed");
        assert_eq!(agreed.confirm(&s_b).map(|_| ()), Err(Refused::Confirmation), "{peer:?}");
    }
    // Both think they began.
    let a = example.responder();
    let agreed = example.initiator().agree(&right, 16).expect("agreed");
    let both = Exchange {
        role: Role::Initiator,
        ..a
    };
    let theirs = both
        .agree(&peer(&example.a, example.initiator().point()), 16)
        .expect("agreed");
    assert_eq!(agreed.confirm(theirs.tag()).map(|_| ()), Err(Refused::Confirmation));
}

#[test]
fn a_point_chosen_to_lead_to_infinity_is_refused() {
    // R = −P/x̄ is hard to find for a given P; for a given R, P = −x̄·R is not.
    let example = Example::new();
    let r = ephemeral(R_B);
    let opposite = wnaf::multiply_public(r.public_key().point(), &folded(r.public_key())).neg();
    let key = PublicKey::of(opposite.to_affine());
    let peer = Peer {
        key: &key,
        id: DEFAULT_ID,
        point: r.public_key(),
    };
    assert_eq!(example.initiator().agree(&peer, 16).map(|_| ()), Err(Refused::Exchange));
}

#[test]
fn an_own_secret_that_leads_to_infinity_is_refused() {
    // d = −x̄·r.
    let r = ephemeral(R_A);
    let product = Factor::new(&folded(r.public_key())).times(&r.r);
    let d = Scalar::default().sub(&product);
    let key = PrivateKey::from_bytes(&d.to_bytes()).expect("in range");
    let exchange = Exchange::with(Role::Initiator, &key, DEFAULT_ID, r).expect("begun");
    let example = Example::new();
    let point = *example.responder().point();
    assert_eq!(
        exchange.agree(&peer(&example.b, &point), 16).map(|_| ()),
        Err(Refused::Exchange)
    );
}

#[test]
fn keys_have_a_length() {
    let example = Example::new();
    let point = *example.responder().point();
    for length in [0, MAX_KEY + 1, usize::MAX] {
        let refused = example.initiator().agree(&peer(&example.b, &point), length);
        assert_eq!(refused.map(|_| ()), Err(Refused::KeyLength), "{length}");
    }
    // A longer key begins with the shorter: both are one stream.
    let long = example.initiator().agree(&peer(&example.b, &point), MAX_KEY);
    let long = long.expect("agreed").unconfirmed();
    assert_eq!((long.len(), hex::encode(&long[..16])), (MAX_KEY, K.to_owned()));
}
