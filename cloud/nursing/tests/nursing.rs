//! Recorders and their footage over the real router, on both databases; the appliance is a key pair and a stream of entries.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod derived;
mod orders;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base::Role;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::{Draft, Identity, Purpose};
use gm::key::Signer;
use gm::{Certificate, Sm2Key, cms};
use records::document::canonical;
use records::footage::{ClipId, CustodyEntry, CustodyIssue, DockingId, DockingReport, IssueId, SealedFootage, kind};
use records::id::EdgeId;
use records::{Lane, PeerId, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use store::{Migration, StoreError, StreamKey};
use ward::{Browser, Site};

pub(crate) const TABLES: &[&[Migration]] = &[nursing::MIGRATIONS];

pub(crate) fn edge() -> EdgeId {
    EdgeId::parse("edg_1").unwrap()
}

/// What the cloud told the appliance, of a kind.
pub(crate) async fn told(site: &Site, wanted: &str) -> Vec<Value> {
    let key = StreamKey {
        tenant: site.tenant.clone(),
        peer: PeerId::edge(&edge()),
        lane: Lane::Clinical,
    };
    let entries = site.ctx.store.outbox_after(&key, 0, 1000, 1 << 24).await.unwrap();
    let mine = entries.iter().filter(|e| e.kind == wanted);
    mine.map(|e| serde_json::from_str(&e.body).unwrap()).collect()
}

async fn act(browser: &Browser, serial: &str, body: Value) -> (StatusCode, Value) {
    browser.post(&format!("/admin/recorders/{serial}/acts"), body).await
}

/// Rows: YZ-D-151..YZ-D-158, YZ-D-167..YZ-D-169, YZ-A-132..YZ-A-134
#[test]
fn a_recorder_is_registered_listed_issued_returned_retired_and_deleted_and_the_appliance_hears_of_each() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let admin = site.staff("admin", &[Role::Admin]).await;
        let nurse = site.hire("nurse", &[Role::Doctor]).await;
        let new = json!({ "serial": " zfy0001 ", "model": "DSJ-A9", "listed": false });
        let (status, made) = admin.post("/admin/recorders", new).await;
        assert_eq!(
            (status, made["serial"].as_str()),
            (StatusCode::CREATED, Some("ZFY0001"))
        );
        assert_eq!(told(&site, kind::RECORDER_UNLISTED).await.len(), 1);
        let issue = json!({ "act": "issue", "holder": nurse, "order": "N1", "patient_name": "欧阳娜娜", "patient_number": "0012-x" });
        let (status, refused) = act(&admin, "ZFY0001", issue.clone()).await;
        assert_eq!(
            (status, refused["code"].as_str()),
            (StatusCode::CONFLICT, Some("recorder_state"))
        );

        let (status, listed) = act(&admin, "ZFY0001", json!({ "act": "list" })).await;
        assert_eq!((status, &listed["listed"]), (StatusCode::OK, &json!(true)));
        let heard = told(&site, kind::RECORDER_LISTED).await;
        assert_eq!(heard[0]["hospital"], "市第一人民医院");
        let (_, changed) = admin
            .post("/admin/recorders", json!({ "serial": "ZFY0001", "model": "DSJ-B1" }))
            .await;
        assert_eq!(
            (&changed["model"], &changed["listed"]),
            (&json!("DSJ-B1"), &json!(true))
        );

        let (status, issued) = act(&admin, "ZFY0001", issue).await;
        assert_eq!(
            (status, &issued["state"]),
            (StatusCode::OK, &json!("issued")),
            "{issued}"
        );
        assert_eq!(issued["issue"]["order"], "N1");
        // The name is recognised later and never shown again, and nobody but the cloud is told.
        assert_eq!(issued["issue"]["patient_masked"], "欧**娜");
        assert!(!told(&site, kind::RECORDER_ISSUED).await[0].to_string().contains("欧"));
        assert_eq!(
            (&issued["standing"], &issued["missing"]),
            (&json!("out"), &json!(false))
        );
        assert_eq!(told(&site, kind::RECORDER_ISSUED).await[0]["holder"], json!(nurse));
        site.clock.advance(Duration::from_secs(13 * 3600));
        let admin = site.sign_in("admin").await;
        let (_, all) = admin.get("/admin/recorders").await;
        assert_eq!((&all[0]["overdue"], &all[0]["missing"]), (&json!(true), &json!(false)));
        site.clock.advance(Duration::from_secs(13 * 3600));
        let admin = site.sign_in("admin").await;
        let (_, all) = admin.get("/admin/recorders").await;
        assert_eq!(all[0]["standing_text"], "已26小时未入坞");
        let bearer = format!("Bearer {}", admin.token().unwrap());
        let wanted = Request::get("/admin/recorders.csv").header(header::AUTHORIZATION, bearer);
        let table = admin.send(wanted.body(Body::empty()).unwrap()).await;
        let table = to_bytes(table.into_body(), 10_000).await.unwrap();
        let table = String::from_utf8(table.to_vec()).unwrap();
        assert!(
            table.contains("ZFY0001") && table.contains("已26小时未入坞") && table.contains("欧**娜"),
            "{table}"
        );

        // Docked: that returns it.
        let report = DockingReport {
            id: DockingId::parse("dok_1").unwrap(),
            serial: "ZFY0001".to_owned(),
            model: "DSJ-B1".to_owned(),
            place: "bay1".to_owned(),
            state: "copying".to_owned(),
            note: String::new(),
            arrived_at: site.ctx.now(),
            clock_offset_ms: Some(-3000),
            battery: Some(40),
            clips: 2,
            bytes: 10,
            cleared: 0,
            gaps: Vec::new(),
            at: site.ctx.now(),
        };
        apply(&site, move |tx| {
            let report = report.clone();
            Box::pin(async move { nursing::recorder::docked(tx, &PeerId::edge(&edge()), &report).await })
        })
        .await;
        let (_, one) = admin.get("/admin/recorders/ZFY0001").await;
        assert_eq!((&one["state"], &one["overdue"]), (&json!("stock"), &json!(false)));
        assert_eq!((&one["standing"], &one["missing"]), (&json!("docked"), &json!(false)));
        assert_eq!(
            (&one["docking"]["place"], &one["docking"]["appliance"]),
            (&json!("bay1"), &json!("edg_1"))
        );
        assert!(one["issues"][0]["returned_at"].is_string());
        assert_eq!(told(&site, kind::RECORDER_RETURNED).await.len(), 1);
        let (_, dockings) = admin.get("/admin/dockings?serial=ZFY0001").await;
        assert_eq!(dockings["items"][0]["battery"], 40);

        // By hand, too.
        act(&admin, "ZFY0001", json!({ "act": "issue", "holder": nurse })).await;
        let (status, _) = act(&admin, "ZFY0001", json!({ "act": "retire" })).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let (_, back) = act(&admin, "ZFY0001", json!({ "act": "return" })).await;
        assert_eq!(back["state"], "stock");
        let (_, off) = act(&admin, "ZFY0001", json!({ "act": "unlist" })).await;
        assert_eq!(off["listed"], false);
        for (word, state) in [("retire", "retired"), ("restore", "stock"), ("delete", "deleted")] {
            let (status, now) = act(&admin, "ZFY0001", json!({ "act": word })).await;
            assert_eq!((status, &now["state"]), (StatusCode::OK, &json!(state)), "{word}");
        }
        let (_, all) = admin.get("/admin/recorders").await;
        assert_eq!(all, json!([]));
        let reasons = told(&site, kind::RECORDER_UNLISTED).await;
        assert_eq!(reasons.last().unwrap()["reason"], "已移出白名单");

        let doctor = site.staff("doctor", &[Role::Doctor]).await;
        let (status, _) = doctor.get("/admin/recorders").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, _) = doctor.get("/admin/recorders.csv").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        for bad in ["", "a b", "../../x", "序列号一"] {
            let (status, _) = admin.post("/admin/recorders", json!({ "serial": bad })).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
        let (status, _) = act(&admin, "ZFY9999", json!({ "act": "list" })).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    });
}

pub(crate) async fn apply<F>(site: &Site, closure: F)
where
    F: for<'a, 'c> Fn(&'a mut store::Tx<'c>) -> store::BoxFuture<'a, Result<(), StoreError>> + Send + Sync + 'static,
{
    site.ctx.store.write(&site.scope(), closure).await.unwrap();
}

/// The appliance's keys, and its chain of entries.
pub(crate) struct Appliance {
    root: Certificate,
    root_key: Sm2Key,
    now: Timestamp,
}

impl Appliance {
    pub(crate) fn new(site: &Site) -> Self {
        let (root_key, now) = (Sm2Key::generate().unwrap(), site.ctx.now());
        let subject = Identity {
            common_name: "电子签名根证书".into(),
            ..Identity::default()
        };
        let purpose = Purpose::Authority { path_length: 0 };
        let root = draft(1, &subject, root_key.public_key(), purpose, now)
            .issue(None, &root_key)
            .unwrap();
        let own = Self { root, root_key, now };
        let roots = records::sign::Roots {
            signers: vec![STANDARD.encode(&own.root.der)],
            seals: vec![STANDARD.encode(&own.root.der)],
        };
        site.line.done("sign.trust", roots);
        own
    }

    pub(crate) fn entry(&self, sequence: u64, previous: &str, content: &[u8]) -> CustodyEntry {
        CustodyEntry {
            format: CustodyEntry::FORMAT.to_owned(),
            appliance: edge(),
            sequence,
            previous: previous.to_owned(),
            clip: ClipId::parse(&format!("clp_{sequence}")).unwrap(),
            docking: DockingId::parse("dok_1").unwrap(),
            recorder: "ZFY0001".to_owned(),
            model: "DSJ-A9".to_owned(),
            issue: Some(CustodyIssue {
                id: IssueId::parse("iss_1").unwrap(),
                holder: "stf_1".to_owned(),
                holder_name: "李护士".to_owned(),
                order: "N1".to_owned(),
                issued_at: self.now,
            }),
            file: format!("{sequence}.mp4"),
            size: content.len() as u64,
            sm3: hex::encode(gm::sm3(content)),
            sha256: hex::encode(gm::key::sha256(content)),
            container: "mp4".to_owned(),
            condition: "complete".to_owned(),
            recorded_at: Some(self.now.minus(Duration::from_secs(3600))),
            duration_ms: Some(60_000),
            clock_offset_ms: Some(-60_000),
            docked_at: self.now,
            copied_at: self.now,
        }
    }

    /// The entry as the appliance sends it, signed by a signer of this role and number.
    pub(crate) fn sealed(&self, entry: &CustodyEntry, role: &str, number: &str) -> SealedFootage {
        let key = Sm2Key::generate().unwrap();
        let subject = Identity {
            common_name: "视音频采集站".into(),
            unit: role.into(),
            serial_number: number.into(),
            ..Identity::default()
        };
        let certificate = draft(2, &subject, key.public_key(), Purpose::Documents, self.now)
            .issue(Some(&self.root), &self.root_key)
            .unwrap();
        let bytes = canonical(entry).unwrap();
        let chain = [certificate, self.root.clone()];
        let unsigned = cms::Unsigned::new(&gm::sm3(&bytes), self.now.offset(), &chain).unwrap();
        SealedFootage {
            clip: entry.clip.clone(),
            entry: STANDARD.encode(&bytes),
            cms: STANDARD.encode(unsigned.sign(&key).unwrap()),
        }
    }
}

fn draft<'a>(
    serial: u8,
    subject: &'a Identity,
    public_key: &'a gm::PublicKey,
    purpose: Purpose,
    now: Timestamp,
) -> Draft<'a> {
    Draft {
        serial: [serial; 16],
        subject,
        public_key,
        purpose,
        not_before: now.offset() - Duration::from_secs(86_400),
        not_after: now.offset() + Duration::from_secs(86_400 * 365),
    }
}

pub(crate) async fn send(site: &Site, body: &SealedFootage) -> Result<(), String> {
    let body = body.clone();
    let taken = site
        .ctx
        .store
        .write(&site.scope(), move |tx| {
            let body = body.clone();
            Box::pin(async move { nursing::footage::sealed(tx, &PeerId::edge(&edge()), &body).await })
        })
        .await
        .map_err(|e: StoreError| e.to_string())?;
    nursing::tick(&site.ctx).await;
    taken
}

/// Gives a recorder out for a patient; answers the issue.
async fn issued_for(site: &Site, admin: &Browser, name: &str, number: &str) -> IssueId {
    let nurse = site.hire("nurse", &[Role::Doctor]).await;
    admin.post("/admin/recorders", json!({ "serial": "ZFY0001" })).await;
    let issue =
        json!({ "act": "issue", "holder": nurse, "order": "N1", "patient_name": name, "patient_number": number });
    let (status, issued) = act(admin, "ZFY0001", issue).await;
    assert_eq!(status, StatusCode::OK, "{issued}");
    let id = issued.pointer("/issue/id").and_then(Value::as_str).unwrap();
    IssueId::parse(id).unwrap()
}

const VIDEO: &[u8] = b"\0\0\0\x10ftypisom\0\0\0\0 and a video";

/// Confirmed only when signature, chain and bytes hold; found by nurse, order and time; played in parts; proven; audited.
#[test]
fn footage_is_confirmed_when_everything_holds_and_a_changed_byte_anywhere_shows() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let appliance = Appliance::new(&site);
        let admin = site.staff("admin", &[Role::Admin]).await;
        let mut first = appliance.entry(1, CustodyEntry::FIRST, VIDEO);
        first.issue.as_mut().unwrap().id = issued_for(&site, &admin, "欧阳娜娜", "0012-x").await;
        let good = appliance.sealed(&first, "appliance", "edg_1/7");

        // The bytes are not there yet: asked for again. Then they are.
        send(&site, &good).await.unwrap();
        assert_eq!(told(&site, kind::FOOTAGE_REFUSED).await[0]["reason"], "missing");
        assert_eq!(told(&site, kind::FOOTAGE_CONFIRMED).await.len(), 0);
        site.ctx.blobs.write(&site.tenant, "test", VIDEO).await.unwrap();
        send(&site, &good).await.unwrap();
        let confirmed = told(&site, kind::FOOTAGE_CONFIRMED).await;
        assert_eq!(confirmed[0]["sha256"], json!(first.sha256));
        // The same once more: answered once more, kept once.
        send(&site, &good).await.unwrap();
        assert_eq!(told(&site, kind::FOOTAGE_CONFIRMED).await.len(), 2);

        for query in [
            "holder=stf_1",
            "holder=%E6%9D%8E",
            "order=N1",
            "serial=zfy0001",
            "patient=%E6%AC%A7%E9%98%B3%E5%A8%9C%E5%A8%9C",
            "patient=0012X",
            "condition=complete&state=confirmed",
            "from=2026-11-24&to=2026-11-24",
            "",
        ] {
            let (status, found) = admin.get(&format!("/admin/footage?{query}")).await;
            assert_eq!(
                (status, &found["total"]),
                (StatusCode::OK, &json!(1)),
                "{query}: {found}"
            );
        }
        for query in [
            "holder=stf_2",
            "order=N2",
            "from=2026-11-25",
            "holder=%25",
            // Part of a name finds nobody: who looks for a person knows whom.
            "patient=%E6%AC%A7%E9%98%B3",
            "patient=0012",
            "condition=damaged",
            "state=refused",
        ] {
            let (_, found) = admin.get(&format!("/admin/footage?{query}")).await;
            assert_eq!(found["total"], 0, "{query}");
        }
        let (_, clip) = admin.get("/admin/footage/clp_1").await;
        // The recorder's clock was a minute behind.
        assert_eq!(clip["began_at"], "2026-11-23T23:31:00Z");
        assert_eq!(
            (&clip["proof"]["signature"], &clip["proof"]["chain"]),
            (&json!(true), &json!("whole"))
        );
        let (_, proven) = admin.post("/admin/footage/clp_1/verification", json!({})).await;
        assert_eq!(proven["proof"]["content"], true);
        assert_eq!(clip["patient_masked"], "欧**娜");
        let (chain, docked) = (&clip["chain"], &clip["docked"]);
        assert_eq!(
            (chain.as_array().unwrap().len(), &chain[0]["link"]),
            (1, &json!("whole"))
        );
        assert_eq!(docked["clips"][0]["id"], "clp_1");

        // Taken out only with a reason, which stands in the audit.
        let (status, _) = admin.get("/admin/footage/clp_1/original?reason=%20").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let bearer = format!("Bearer {}", admin.token().unwrap());
        let wanted = Request::get("/admin/footage/clp_1/original?reason=%E6%8A%95%E8%AF%89%E6%A0%B8%E6%9F%A5");
        let wanted = wanted
            .header(header::AUTHORIZATION, &bearer)
            .body(Body::empty())
            .unwrap();
        let taken = admin.send(wanted).await;
        let named = taken.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(named, "attachment; filename=\"ZFY0001_20261124073100_clp_1.mp4\"");
        assert_eq!(taken.headers()[header::CACHE_CONTROL], "private, no-store");
        assert_eq!(to_bytes(taken.into_body(), 1000).await.unwrap().as_ref(), VIDEO);
        let (reason,): (String,) = site
            .look("SELECT detail FROM base_audit WHERE action = 'footage.download'")
            .await;
        assert!(reason.contains("投诉核查"), "{reason}");
        let (searches,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action = 'footage.search'")
            .await;
        assert_eq!(searches, 4);

        let bearer = format!("Bearer {}", admin.token().unwrap());
        let ask = || Request::get("/admin/footage/clp_1/content").header(header::AUTHORIZATION, &bearer);
        let part = ask().header(header::RANGE, "bytes=4-7");
        let part = admin.send(part.body(Body::empty()).unwrap()).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()[header::CONTENT_TYPE], "video/mp4");
        assert_eq!(to_bytes(part.into_body(), 100).await.unwrap().as_ref(), b"ftyp");
        let whole = ask().body(Body::empty()).unwrap();
        let whole = admin.send(whole).await;
        assert_eq!(to_bytes(whole.into_body(), 1000).await.unwrap().as_ref(), VIDEO);
        // Parts belong to the look they follow; one that follows none, as the first above, is a look itself.
        let part = ask().header(header::RANGE, "bytes=1-").body(Body::empty()).unwrap();
        assert_eq!(admin.send(part).await.status(), StatusCode::PARTIAL_CONTENT);
        let (views,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action IN ('footage.view', 'footage.verify', 'footage.play')")
            .await;
        assert_eq!(views, 4);
        let other = site.staff("other", &[Role::Admin]).await;
        let bearer = format!("Bearer {}", other.token().unwrap());
        let part = Request::get("/admin/footage/clp_1/content").header(header::AUTHORIZATION, &bearer);
        let part = part.header(header::RANGE, "bytes=1-").body(Body::empty()).unwrap();
        assert_eq!(other.send(part).await.status(), StatusCode::PARTIAL_CONTENT);
        let (views,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action = 'footage.play'")
            .await;
        assert_eq!(views, 3);

        // A byte of the kept file, of the entry, of the signature.
        let path = site.ctx.blobs.path(
            &site.tenant,
            &base::blobs::Blob {
                id: records::id::BlobId::parse("blb_1").unwrap(),
                digest: first.sm3.clone(),
                mime: String::new(),
                size: 0,
                purpose: String::new(),
                owner: String::new(),
                created_at: Timestamp::default(),
            },
        );
        let mut changed = VIDEO.to_vec();
        changed[20] ^= 1;
        std::fs::write(path, changed).unwrap();
        let (_, proven) = admin.post("/admin/footage/clp_1/verification", json!({})).await;
        assert_eq!(
            (&proven["proof"]["content"], &proven["proof"]["signature"]),
            (&json!(false), &json!(true))
        );
        site.tamper(
            "UPDATE nursing_clip SET entry = (SELECT cms FROM nursing_clip WHERE id = 'clp_1') WHERE id = 'clp_1'",
        )
        .await;
        let (_, proven) = admin.get("/admin/footage/clp_1").await;
        assert_eq!(proven["proof"]["signature"], false);

        let doctor = site.staff("doctor", &[Role::Doctor]).await;
        for path in [
            "/admin/footage",
            "/admin/footage/clp_1",
            "/admin/footage/clp_1/content",
            "/admin/footage/clp_1/original?reason=curious",
        ] {
            let (status, _) = doctor.get(path).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        }
    });
}

/// What does not hold is refused, and the appliance is told to keep it.
#[test]
fn an_entry_of_another_signer_chain_or_content_is_never_confirmed() {
    ward::on_both(nursing::routes, TABLES, |site| async move {
        let appliance = Appliance::new(&site);
        site.ctx.blobs.write(&site.tenant, "test", VIDEO).await.unwrap();
        let first = appliance.entry(1, CustodyEntry::FIRST, VIDEO);
        send(&site, &appliance.sealed(&first, "appliance", "edg_1/7"))
            .await
            .unwrap();
        assert_eq!(told(&site, kind::FOOTAGE_CONFIRMED).await.len(), 1);
        let link = hex::encode(gm::sm3(&canonical(&first).unwrap()));

        let second = appliance.entry(2, &link, VIDEO);
        // A doctor's certificate, another appliance's, another chain, other hashes.
        send(&site, &appliance.sealed(&second, "doctor", "edg_1/7"))
            .await
            .unwrap();
        let third = appliance.entry(3, &link, VIDEO);
        send(&site, &appliance.sealed(&third, "appliance", "edg_2/7"))
            .await
            .unwrap();
        let unlinked = CustodyEntry {
            clip: ClipId::parse("clp_4").unwrap(),
            ..appliance.entry(2, CustodyEntry::FIRST, VIDEO)
        };
        send(&site, &appliance.sealed(&unlinked, "appliance", "edg_1/7"))
            .await
            .unwrap();
        let mut other = appliance.entry(5, &link, VIDEO);
        other.sha256 = "00".repeat(32);
        send(&site, &appliance.sealed(&other, "appliance", "edg_1/7"))
            .await
            .unwrap();
        assert_eq!(told(&site, kind::FOOTAGE_CONFIRMED).await.len(), 1);
        let refused = told(&site, kind::FOOTAGE_REFUSED).await;
        let reasons: Vec<_> = refused.iter().map(|r| r["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["unsound", "unsound", "unsound", "missing"]);

        // Another entry for the same clip, entries that are none, entries in somebody else's name.
        let mut forged = first.clone();
        forged.file = "other.mp4".to_owned();
        send(&site, &appliance.sealed(&forged, "appliance", "edg_1/7"))
            .await
            .unwrap();
        assert_eq!(
            told(&site, kind::FOOTAGE_REFUSED).await.last().unwrap()["reason"],
            "unsound"
        );
        let mut garbage = appliance.sealed(&first, "appliance", "edg_1/7");
        garbage.entry = STANDARD.encode("{}");
        assert!(send(&site, &garbage).await.is_err());
        garbage.entry = "%%%".to_owned();
        assert!(send(&site, &garbage).await.is_err());
        // Digests name files, the serial number a download: what is none leads nowhere.
        let spoil: [fn(&mut CustodyEntry); 5] = [
            |e| e.sm3 = "../../../../etc/passwd".to_owned(),
            |e| e.sm3 = "/dev/zero".to_owned(),
            |e| e.sha256.make_ascii_uppercase(),
            |e| e.recorder = "ZFY\"; filename=\"x".to_owned(),
            |e| e.size = u64::MAX,
        ];
        for spoil in spoil {
            let mut spoilt = appliance.entry(9, &link, VIDEO);
            spoil(&mut spoilt);
            let sent = send(&site, &appliance.sealed(&spoilt, "appliance", "edg_1/7")).await;
            assert!(sent.is_err(), "{spoilt:?}");
        }
        let mut foreign = appliance.entry(9, &link, VIDEO);
        foreign.appliance = EdgeId::parse("edg_2").unwrap();
        assert!(
            send(&site, &appliance.sealed(&foreign, "appliance", "edg_2/7"))
                .await
                .is_err()
        );
    });
}
