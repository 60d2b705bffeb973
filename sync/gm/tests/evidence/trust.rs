//! Paths among several chains, and the states of what lies on them.

use std::sync::Arc;

use gm::certificate::Purpose;
use gm::crl::{Crl, Draft, Entry};
use gm::evidence::{Moment, Reason, Revoked, Unfit};
use gm::ocsp::{Answer, NameHash, Question, Response};
use gm::stamp::{Imprint, Token, Unsigned, attach, attach_evidence};
use gm::trust::{By, Evidence, Failure, Finding, Rule, Stapled, verify_kept};
use gm::{Certificate, Hash, Refused, Signer, Trust};
use time::{Duration, OffsetDateTime};

use crate::site::{Own, Site, issue, p256, present, sites, sm2};

const AUTHORITY: Purpose = Purpose::Authority { path_length: 1 };

#[test]
fn several_chains_stand_side_by_side() {
    let roots: Vec<Certificate> = sites().iter().map(Site::root).collect();
    let trust = Trust::new(roots.iter().map(|r| &r.der)).expect("trust");
    for (site, root) in sites().iter().zip(&roots) {
        let path = trust.path(&site.certificate("good"), &[], present().at).expect("path");
        // All three authorities carry the same name: the key decides.
        assert_eq!(path.last().map(|c| &c.der), Some(&root.der));
    }
    let stranger = Own::new("Authority", p256());
    let key = p256();
    let leaf = stranger.issue("good", key.as_ref(), Purpose::Documents, 3);
    assert!(trust.path(&leaf, &[], present().at).is_err());
}

struct Chain {
    root: Own,
    middle_key: Box<dyn Signer>,
    middle: Certificate,
    leaf: Certificate,
}

fn chain(make: fn() -> Box<dyn Signer>) -> Chain {
    let (root, middle_key, leaf_key) = (Own::new("Root", make()), make(), make());
    let middle = root.issue("Middle", middle_key.as_ref(), AUTHORITY, 2);
    let by = (Some(&middle), middle_key.as_ref());
    let leaf = issue("doctor", leaf_key.as_ref(), Purpose::Documents, 3, by);
    Chain {
        root,
        middle_key,
        middle,
        leaf,
    }
}

#[test]
fn a_path_is_found_behind_dead_ends() {
    for make in [p256, sm2] {
        let Chain {
            root,
            middle_key,
            middle,
            leaf,
        } = chain(make);
        let at = present().at;
        // The same authority certified by somebody nobody trusts, met first; and by itself.
        let stranger = Own::new("Stranger", make());
        let cross = stranger.issue("Middle", middle_key.as_ref(), AUTHORITY, 9);
        let own = issue("Middle", middle_key.as_ref(), AUTHORITY, 8, (None, middle_key.as_ref()));
        let trust = Trust::new([&root.root.der]).expect("trust");
        let others = [own, cross, stranger.root.clone(), middle.clone()];
        let path = trust.path(&leaf, &others, at).expect("path");
        assert_eq!(path[1].der, middle.der);
        assert_eq!(trust.path(&leaf, &others[..3], at), Err(Refused::Untrusted));
        // The authority need not be in the message when it is known here.
        let knowing = trust.clone().with_authorities([&middle.der]).expect("trust");
        assert_eq!(knowing.path(&leaf, &[], at).expect("path").len(), 3);
        assert_eq!((knowing.roots().len(), knowing.authorities().len()), (1, 1));
    }
}

#[test]
fn look_alikes_do_not_make_a_search_expensive() {
    let Chain {
        root, middle_key, leaf, ..
    } = chain(p256);
    let trust = Trust::new([&root.root.der]).expect("trust");
    // Two hundred certificates of the authority's own key, each issued by each other: a maze without exit.
    let maze: Vec<Certificate> = (0..200)
        .map(|n| issue("Middle", middle_key.as_ref(), AUTHORITY, n, (None, middle_key.as_ref())))
        .collect();
    let refused = trust.path(&leaf, &maze, present().at);
    assert!(matches!(refused, Err(Refused::TooLarge { .. })), "{refused:?}");
}

fn list(issuer: &Certificate, key: &dyn Signer, revoked: &[(&Certificate, Reason)], days: i64) -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    let entries: Vec<Entry> = revoked
        .iter()
        .map(|(certificate, reason)| Entry {
            serial: certificate.serial.clone(),
            revoked: Revoked {
                at: now - Duration::hours(2),
                reason: *reason,
            },
        })
        .collect();
    Draft {
        this_update: now + Duration::days(days),
        next_update: now + Duration::days(days + 1),
        number: 1.into(),
        base: None,
        entries: &entries,
        address: None,
    }
    .issue(issuer, key)
    .expect("list")
}

fn rule(by: By, failure: Failure) -> Rule {
    Rule { by, failure }
}

#[test]
fn the_rule_of_an_application_decides_what_must_be_proven() {
    let chain = chain(sm2);
    let trust = Trust::new([&chain.root.root.der]).expect("trust");
    let now = present();
    let path = trust
        .path(&chain.leaf, std::slice::from_ref(&chain.middle), now.at)
        .expect("path");
    let read =
        |bytes: Vec<u8>, issuer: &Certificate| Arc::new(Crl::read(&bytes, std::slice::from_ref(issuer)).expect("list"));
    let upper = read(
        list(&chain.root.root, chain.root.key.as_ref(), &[], 0),
        &chain.root.root,
    );
    let lower = |revoked: &[(&Certificate, Reason)], days| {
        read(
            list(&chain.middle, chain.middle_key.as_ref(), revoked, days),
            &chain.middle,
        )
    };
    let judge =
        |by, failure, crls: &[Arc<Crl>]| trust.judge(&path, rule(by, failure), &Evidence { crls, answers: &[] }, now);

    let none = judge(By::Nothing, Failure::Hard, &[]);
    assert_eq!(none.verdict, Ok(()));
    assert!(none.checked.iter().all(|c| c.finding == Finding::NotAsked));

    let good = judge(By::Crl, Failure::Hard, &[upper.clone(), lower(&[], 0)]);
    assert_eq!(good.verdict, Ok(()));
    assert!(matches!(good.checked[0].finding, Finding::Good(_)) && matches!(good.checked[1].finding, Finding::Good(_)));
    assert_eq!(good.checked[2].finding, Finding::NotAsked, "a root answers for itself");
    assert_eq!(good.checked[0].subject.common_name, "doctor");

    let missing = judge(By::Crl, Failure::Hard, std::slice::from_ref(&upper));
    assert!(matches!(missing.verdict, Err(Refused::StatusUnproven { .. })));
    let soft = judge(By::Crl, Failure::Soft, std::slice::from_ref(&upper));
    assert_eq!(soft.verdict, Ok(()));
    assert_eq!(soft.checked[0].finding, Finding::Unproven(Vec::new()));

    let stale = judge(By::Either, Failure::Hard, &[upper.clone(), lower(&[], -3)]);
    assert!(matches!(stale.verdict, Err(Refused::Evidence(Unfit::Stale { .. }))));
    let wrong_kind = judge(By::Ocsp, Failure::Hard, &[upper.clone(), lower(&[], 0)]);
    assert!(matches!(wrong_kind.verdict, Err(Refused::StatusUnproven { .. })));

    // Revoked is revoked: under a soft rule, and in an old list beside a new one that has forgotten it.
    let revoked = [(&chain.leaf, Reason::KeyCompromise)];
    for crls in [
        vec![upper.clone(), lower(&revoked, 0)],
        vec![lower(&revoked, -3), lower(&[], 0), upper.clone()],
    ] {
        let judged = judge(By::Crl, Failure::Soft, &crls);
        assert!(matches!(judged.verdict, Err(Refused::Revoked { .. })), "{judged:?}");
    }
    // An authority on the way is revoked.
    let above = read(
        list(
            &chain.root.root,
            chain.root.key.as_ref(),
            &[(&chain.middle, Reason::CaCompromise)],
            0,
        ),
        &chain.root.root,
    );
    let judged = judge(By::Crl, Failure::Hard, &[above, lower(&[], 0)]);
    assert!(matches!(judged.verdict, Err(Refused::Revoked { serial, .. }) if serial == chain.middle.serial_hex()));
}

#[test]
fn a_list_of_a_namesake_is_not_taken_and_of_a_renewed_key_it_is() {
    let chain = chain(sm2);
    let trust = Trust::new([&chain.root.root.der]).expect("trust");
    let now = present();
    let path = trust
        .path(&chain.leaf, std::slice::from_ref(&chain.middle), now.at)
        .expect("path");
    let upper = list(&chain.root.root, chain.root.key.as_ref(), &[], 0);
    let upper = Arc::new(Crl::read(&upper, std::slice::from_ref(&chain.root.root)).expect("list"));
    let judge = |issuer: &Certificate, key: &dyn Signer| {
        let bytes = list(issuer, key, &[], 0);
        let crl = Arc::new(Crl::read(&bytes, std::slice::from_ref(issuer)).expect("list"));
        let crls = [upper.clone(), crl];
        let evidence = Evidence {
            crls: &crls,
            answers: &[],
        };
        trust.judge(&path, rule(By::Crl, Failure::Hard), &evidence, now).verdict
    };
    let namesake = Own::new("Middle", sm2());
    assert!(matches!(
        judge(&namesake.root, namesake.key.as_ref()),
        Err(Refused::Evidence(Unfit::WrongIssuer { .. }))
    ));
    let new_key = sm2();
    let renewed = chain.root.issue("Middle", new_key.as_ref(), AUTHORITY, 22);
    assert_eq!(judge(&renewed, new_key.as_ref()), Ok(()));
}

/// Two roots of one name with different keys are two authorities, although both are trusted: neither revokes nor clears what
/// the other issued. A root that renewed its key shows it by a certificate of the old one.
#[test]
fn trusted_roots_of_one_name_do_not_speak_for_each_other() {
    for make in [p256, sm2] {
        let (one, other) = (Own::new("Root", make()), Own::new("Root", make()));
        let key = make();
        let leaf = one.issue("doctor", key.as_ref(), Purpose::Documents, 3);
        let now = present();
        let judge = |trust: &Trust, lists: &[(&Own, &[(&Certificate, Reason)])]| {
            let path = trust.path(&leaf, &[], now.at).expect("path");
            assert_eq!(path.last().map(|root| &root.der), Some(&one.root.der));
            // Without a key id in the list it is the signature that says whose it is.
            let issuers = [other.root.clone(), one.root.clone()];
            let read = |(own, revoked): &(&Own, &[(&Certificate, Reason)])| {
                let bytes = list(&own.root, own.key.as_ref(), revoked, 0);
                let crl = Crl::read(&bytes, &issuers).expect("list");
                assert_eq!(crl.issuer().der, own.root.der);
                Arc::new(crl)
            };
            let crls: Vec<_> = lists.iter().map(read).collect();
            let evidence = Evidence {
                crls: &crls,
                answers: &[],
            };
            trust.judge(&path, rule(By::Crl, Failure::Hard), &evidence, now).verdict
        };
        let trust = Trust::new([&other.root.der, &one.root.der]).expect("trust");
        let revoking: &[(&Certificate, Reason)] = &[(&leaf, Reason::KeyCompromise)];
        assert!(matches!(
            judge(&trust, &[(&other, &[])]),
            Err(Refused::Evidence(Unfit::WrongIssuer { .. }))
        ));
        assert!(matches!(
            judge(&trust, &[(&other, revoking)]),
            Err(Refused::Evidence(Unfit::WrongIssuer { .. }))
        ));
        assert_eq!(judge(&trust, &[(&other, revoking), (&one, &[])]), Ok(()));
        assert!(matches!(
            judge(&trust, &[(&other, &[]), (&one, revoking)]),
            Err(Refused::Revoked { .. })
        ));
        // The other one is the first one's new key: its lists are the authority's own.
        let renewed = one.issue("Root", other.key.as_ref(), AUTHORITY, 23);
        let trust = trust.with_authorities([&renewed.der]).expect("trust");
        assert_eq!(judge(&trust, &[(&other, &[])]), Ok(()));
        assert!(matches!(
            judge(&trust, &[(&other, revoking)]),
            Err(Refused::Revoked { .. })
        ));
    }
}

/// An answer of openssl about a certificate of its authority.
fn answer(site: &Site, name: &str, tag: &str) -> Vec<u8> {
    let question = Question::new(&site.certificate(name), &site.root(), NameHash::Sha1).expect("question");
    site.put(&format!("{tag}.req"), question.to_der(None));
    let (hash, option) = (site.hash(), site.sign_option().replace("-sigopt", "-rsigopt"));
    site.run(&format!(
        "ocsp -index index.txt -CA ca.pem -rsigner responder.pem -rkey responder.key -rmd {hash} {option} -ndays 2 -reqin {tag}.req -respout {tag}.resp"
    ));
    site.get(&format!("{tag}.resp"))
}

#[test]
fn answers_and_lists_prove_the_same_path() {
    for site in sites() {
        let root = site.root();
        let trust = Trust::new([&root.der]).expect("trust");
        for (name, well) in [("good", true), ("replaced", false)] {
            let path = trust.path(&site.certificate(name), &[], present().at).expect("path");
            let bytes = answer(site, name, "either");
            let answers: [Answer; 1] = [Response::read(&bytes).expect("read").verify(&root).expect("verified")];
            let crls = [Arc::new(
                Crl::read(&site.list(Some("full"), "either"), std::slice::from_ref(&root)).expect("list"),
            )];
            for by in [By::Crl, By::Ocsp, By::Either] {
                let evidence = Evidence {
                    crls: &crls,
                    answers: &answers,
                };
                let judged = trust.judge(&path, rule(by, Failure::Hard), &evidence, present());
                assert_eq!(judged.verdict.is_ok(), well, "{by:?} {judged:?}");
            }
        }
    }
}

#[test]
fn years_later_a_signature_is_judged_by_what_was_kept_with_it() {
    for site in sites() {
        let root = site.root();
        let trust = Trust::new([&root.der]).expect("trust");
        let (good, now) = (site.certificate("good"), present().now);
        // Signed by openssl's key through its own tool where it can; the stamp is our unit's.
        let stamps = Own::new("Stamps", sm2());
        let unit_key = sm2();
        let unit_chain = [
            stamps.issue("unit", unit_key.as_ref(), Purpose::TimeStamping, 6),
            stamps.root.clone(),
        ];
        let unit = gm::stamp::Unit::new(unit_key.as_ref(), &unit_chain, &[0x2a, 3], None).expect("unit");
        let person = sm2();
        let own = Own::new("People", sm2());
        let chain = [
            own.issue("doctor", person.as_ref(), Purpose::Documents, 5),
            own.root.clone(),
        ];
        let document = b"record";
        let message = gm::cms::Unsigned::new(&gm::sm3(document), now, &chain)
            .expect("prepared")
            .sign(person.as_ref())
            .expect("signed");
        let signature = Unsigned::read(&message).expect("read").signature;
        let token = unit
            .stamp(&Imprint::of(Hash::Sm3, &signature), &[1], now)
            .expect("stamped");
        let message = attach(&message, &token).expect("attached");
        let kept = Stapled {
            crls: vec![
                list(&own.root, own.key.as_ref(), &[], 0),
                site.list(Some("full"), "kept"),
            ],
            answers: vec![answer(site, "good", "kept")],
        };
        assert_eq!(
            Stapled::read(&kept.to_der().expect("DER")).expect("read").crls,
            kept.crls
        );
        let message = attach_evidence(&message, &kept).expect("attached");
        assert!(attach_evidence(&message, &kept).is_err(), "once");

        // Ten years later, when every certificate has ended.
        let later = now + Duration::days(3650);
        let people = Trust::new([&own.root.der]).expect("trust");
        let stampers = Trust::new([&stamps.root.der]).expect("trust");
        gm::cms::verify(&message, gm::cms::Content::Bytes(document), &people, later).expect("verified");
        let beside = Unsigned::read(&message).expect("read");
        let imprint = Imprint::of(Hash::Sm3, &beside.signature);
        let stamped = Token::read(&beside.stamps[0])
            .expect("read")
            .verify(&imprint, &stampers, later)
            .expect("stamp");
        let moment = Moment {
            at: stamped.info.at,
            now: later,
        };
        let kept = beside.evidence.expect("evidence");
        let path = people.path(&chain[0], &[], moment.at).expect("path");
        let hard = |by| rule(by, Failure::Hard);
        assert_eq!(
            people.judge_stapled(&path, hard(By::Crl), &kept, moment).verdict,
            Ok(())
        );
        assert!(
            people
                .judge_stapled(&path, hard(By::Ocsp), &kept, moment)
                .verdict
                .is_err()
        );
        // The same evidence about openssl's person, by list and by answer, at that time and not a year after.
        let path = trust.path(&good, &[], moment.at).expect("path");
        for by in [By::Crl, By::Ocsp, By::Either] {
            assert_eq!(trust.judge_stapled(&path, hard(by), &kept, moment).verdict, Ok(()));
            let after = Moment {
                at: moment.at + Duration::days(100),
                now: later,
            };
            let judged = trust.judge_stapled(&path, hard(by), &kept, after);
            assert!(
                matches!(judged.verdict, Err(Refused::Evidence(Unfit::Stale { .. }))),
                "{judged:?}"
            );
        }
        let others = kept.open(&path, &[]);
        assert_eq!(others.reasons.len(), 1, "the list of another authority is left aside");

        // All of it at once; and a stamp of nobody known refuses the whole.
        let content = gm::cms::Content::Bytes(document);
        let all = |stampers: &Trust, rule| verify_kept(&message, content, (&people, stampers), rule, None, later);
        let seen = all(&stampers, hard(By::Crl))
            .expect("verified")
            .accepted()
            .expect("accepted");
        assert_eq!(seen.moment, moment);
        assert!(seen.stamp.is_some() && matches!(seen.judged.checked[0].finding, Finding::Good(_)));
        let unproven = all(&stampers, hard(By::Ocsp)).expect("verified");
        assert!(matches!(
            unproven.accepted().map(drop),
            Err(Refused::StatusUnproven { .. })
        ));
        assert!(matches!(all(&people, hard(By::Crl)).map(drop), Err(Refused::Untrusted)));
    }
}

#[test]
fn a_stolen_key_signs_no_stamped_past() {
    // Stamped in time, and the key was reported stolen afterwards: nobody knows who signed. Another reason after the
    // stamp leaves the signature as it is.
    let (own, person, unit_key) = (Own::new("People", sm2()), sm2(), sm2());
    let root = own.root.clone();
    let chain = [
        own.issue("doctor", person.as_ref(), Purpose::Documents, 5),
        root.clone(),
    ];
    let unit_chain = [own.issue("unit", unit_key.as_ref(), Purpose::TimeStamping, 6), root];
    let unit = gm::stamp::Unit::new(unit_key.as_ref(), &unit_chain, &[0x2a, 3], None).expect("unit");
    let (now, document) = (present().now, b"record");
    let signed_at = now - Duration::hours(5);
    let message = gm::cms::Unsigned::new(&gm::sm3(document), signed_at, &chain)
        .expect("prepared")
        .sign(person.as_ref())
        .expect("signed");
    let signature = Unsigned::read(&message).expect("read").signature;
    let stamped = |at| {
        let token = unit
            .stamp(&Imprint::of(Hash::Sm3, &signature), &[1], at)
            .expect("stamped");
        attach(&message, &token).expect("attached")
    };
    let trust = Trust::new([&own.root.der]).expect("trust");
    let judge = |message: &[u8], reason| {
        let kept = Stapled {
            crls: vec![list(&own.root, own.key.as_ref(), &[(&chain[0], reason)], 0)],
            answers: Vec::new(),
        };
        let content = gm::cms::Content::Bytes(document);
        verify_kept(
            message,
            content,
            (&trust, &trust),
            rule(By::Crl, Failure::Hard),
            Some(&kept),
            now,
        )
        .and_then(gm::trust::Kept::accepted)
        .map(drop)
    };
    // The list says: since two hours ago.
    assert_eq!(judge(&stamped(now - Duration::hours(4)), Reason::Superseded), Ok(()));
    let late = judge(&stamped(now - Duration::hours(1)), Reason::Superseded);
    assert!(
        matches!(late, Err(Refused::Revoked { .. })),
        "the claimed time alone is no proof"
    );
    let stolen = judge(&stamped(now - Duration::hours(4)), Reason::KeyCompromise);
    assert!(matches!(stolen, Err(Refused::Revoked { .. })));
    let before = judge(&stamped(now - Duration::hours(6)), Reason::Superseded);
    assert!(
        matches!(before, Err(Refused::Evidence(Unfit::FromFuture { .. }))),
        "stamped before it was signed"
    );
}

#[test]
fn a_long_list_may_be_kept_with_a_short_message() {
    let (own, person) = (Own::new("People", sm2()), sm2());
    let chain = [
        own.issue("doctor", person.as_ref(), Purpose::Documents, 5),
        own.root.clone(),
    ];
    let (now, document) = (present().now, b"record");
    let message = gm::cms::Unsigned::new(&gm::sm3(document), now, &chain)
        .expect("prepared")
        .sign(person.as_ref())
        .expect("signed");
    let entries: Vec<Entry> = (0u32..10_000)
        .map(|n| Entry {
            serial: [&[1][..], &n.to_be_bytes()].concat(),
            revoked: Revoked {
                at: now,
                reason: Reason::Superseded,
            },
        })
        .collect();
    let list = Draft {
        this_update: now,
        next_update: now + Duration::DAY,
        number: 1.into(),
        base: None,
        entries: &entries,
        address: None,
    };
    let kept = Stapled {
        crls: vec![list.issue(&own.root, own.key.as_ref()).expect("list")],
        answers: Vec::new(),
    };
    let long = attach_evidence(&message, &kept).expect("attached");
    assert!(long.len() > gm::cms::MAX_MESSAGE);
    assert_eq!(
        gm::stamp::bare(&long).as_ref(),
        Ok(&message),
        "taken off again, byte for byte"
    );
    let trust = Trust::new([&own.root.der]).expect("trust");
    let content = gm::cms::Content::Bytes(document);
    let seen = verify_kept(
        &long,
        content,
        (&trust, &trust),
        rule(By::Crl, Failure::Hard),
        None,
        now,
    );
    seen.expect("verified").accepted().expect("accepted");
}
