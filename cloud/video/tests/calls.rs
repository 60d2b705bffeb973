//! A doctor calls a patient: the real routes on a real database, with an engine that only writes down what it is asked.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use base::events::Events;
use base::{BlobStore, Ctx, Hospital, Site, Sms, SmsSender, Vault};
use records::{Ids, ManualClock, Outcome, SeededEntropy, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tower::ServiceExt;
use video::engine::{EngineGone, Guest, Seat, VideoEngine};
use video::{Relay, Video};

struct Nobody;

#[async_trait::async_trait]
impl SmsSender for Nobody {
    async fn send(&self, _: &TenantId, _: &Sms) -> Outcome<()> {
        Outcome::Done(())
    }
}

#[async_trait::async_trait]
impl Hospital for Nobody {
    async fn call_raw(&self, _: &TenantId, _: &str, _: Option<&str>, _: Duration, _: Value) -> Outcome<Value> {
        Outcome::Later { after_ms: 1 }
    }
    async fn online(&self, _: &TenantId) -> bool {
        false
    }
    async fn take_file(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Every seat is a file of a few bytes.
struct Notebook {
    folder: PathBuf,
    closed: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl VideoEngine for Notebook {
    async fn join(&self, guest: Guest) -> Result<Seat, EngineGone> {
        std::fs::write(
            self.recording(&guest.recording),
            [&[0x1A, 0x45, 0xDF, 0xA3], guest.who.as_bytes()].concat(),
        )
        .unwrap();
        let (up, mut heard) = mpsc::channel(8);
        let (down, told) = mpsc::channel(8);
        tokio::spawn(async move {
            while heard.recv().await.is_some() {}
            drop(down);
        });
        Ok(Seat { up, down: told })
    }

    async fn close(&self, room: &str) {
        self.closed.lock().unwrap().push(room.to_owned());
    }

    fn recording(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.webm"))
    }

    fn is_writing(&self, _: &str) -> bool {
        false
    }
}

struct World {
    ctx: Ctx,
    clock: Arc<ManualClock>,
    video: Video,
    engine: Arc<Notebook>,
    router: axum::Router,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-21T01:00:00Z").unwrap()));
        let store = if postgres {
            let url = tokio::task::spawn_blocking(kit::postgres::database).await.unwrap();
            Store::open_postgres(&url, clock.clone()).await.unwrap()
        } else {
            let options = SqliteOptions {
                ballast_bytes: 0,
                ..SqliteOptions::default()
            };
            Store::open_sqlite(&folder.path().join("cloud.db"), options, clock.clone())
                .await
                .unwrap()
        };
        for set in [base::MIGRATIONS, money::MIGRATIONS, care::MIGRATIONS, video::MIGRATIONS] {
            store.migrate(set).await.unwrap();
        }
        let ids = Arc::new(Ids::new(SeededEntropy::new(3)));
        let ctx = Ctx {
            store,
            clock: clock.clone(),
            ids: ids.clone(),
            hospital: Arc::new(Nobody),
            events: Events::default(),
            blobs: Arc::new(BlobStore::open(&folder.path().join("blobs")).await.unwrap()),
            vault: Arc::new(Vault::new(&"5a".repeat(32), ids).unwrap()),
            sms: Arc::new(Nobody),
            sessions: Arc::default(),
            site: Arc::new(Site {
                public_url: "https://hospital.example".into(),
                secure_cookies: false,
            }),
        };
        furnish(&ctx).await;
        let engine = Arc::new(Notebook {
            folder: folder.path().to_owned(),
            closed: Mutex::default(),
        });
        let relay = Relay {
            urls: vec!["turn:relay.example:3478".into()],
            secret: Some("north".into()),
        };
        let video = Video::new(&ctx, engine.clone(), vec![relay]);
        let (router, _) = base::routes().merge(video::routes()).split_for_parts();
        let router = router.layer(axum::Extension(video.clone())).with_state(ctx.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = router.clone();
        tokio::spawn(async move { axum::serve(listener, served).await });
        Self {
            ctx,
            clock,
            video,
            engine,
            router,
            address,
            _folder: folder,
        }
    }

    async fn raw(&self, who: &str, method: Method, path: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer hos_1.{who}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    async fn act(&self, who: &str, verb: &str) -> (u16, Value) {
        let (status, body) = self
            .raw(who, Method::POST, &format!("/visits/con_1/video/{verb}"))
            .await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn show(&self, who: &str) -> (u16, Value) {
        let (status, body) = self.raw(who, Method::GET, "/visits/con_1/video").await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    /// Knocks at the room; the status of the answer, and the line while it is held.
    async fn knock(&self, who: &str, origin: &str) -> (u16, tokio::net::TcpStream) {
        let mut line = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let host = self.address;
        let request = format!(
            "GET /visits/con_1/video/ws HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nAuthorization: Bearer hos_1.{who}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        line.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        line.read_exact(&mut answer).await.unwrap();
        (std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap(), line)
    }

    fn home(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn sql(&self, sql: &'static str) {
        let scope = Scope::system(TenantId::parse("hos_1").unwrap());
        self.ctx
            .store
            .write(&scope, move |tx| Box::pin(async move { tx.exec(sql, &[]).await }))
            .await
            .unwrap();
    }

    /// What the timers do, until nothing is held any more.
    async fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            video::tick(&self.ctx, &self.video).await;
            if std::fs::read_dir(&self.engine.folder)
                .unwrap()
                .flatten()
                .all(|f| f.path().extension() != Some("webm".as_ref()))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a recording was not kept");
    }
}

async fn furnish(ctx: &Ctx) {
    let tenant = TenantId::parse("hos_1").unwrap();
    let (vault, now) = (ctx.vault.clone(), ctx.now());
    let seal = |purpose: &str, text: &str| vault.seal(&tenant, purpose, text.as_bytes()).unwrap();
    let statement = seal("visit.statement", &json!({ "complaint": "头晕" }).to_string());
    let (name, number, phone) = (
        seal("patient.name", "陈桂兰"),
        seal("patient.id_number", "431102196305011228"),
        seal("patient.phone", "13800000000"),
    );
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let (statement, name, number, phone) = (statement.clone(), name.clone(), number.clone(), phone.clone());
            Box::pin(async move {
                base::tenants::put(tx, "yzcrm", "永州市中心医院", None).await?;
                for (id, role, code) in [("stf_wang", "doctor", "D01"), ("stf_zhao", "doctor", "D02"), ("stf_admin", "admin", "A1")] {
                    tx.exec(
                        "INSERT INTO base_staff(tenant_id, id, login, name, roles, title, department_code, department_name, \
                         his_code, password, password_changed_at, totp_sealed, totp_step, failures, created_at) \
                         VALUES ('hos_1', $1, $1, $1, $2, '', 'XN', '', $3, '', $4, $5, 0, 0, $4)",
                        &[&id, &role, &code, &now, &phone],
                    )
                    .await?;
                }
                for (id, kind) in
                    [("stf_wang", "staff"), ("stf_zhao", "staff"), ("stf_admin", "staff"), ("acc_1", "patient"), ("acc_2", "patient")]
                {
                    let hash = hex::encode(gm::sm3(id.as_bytes()));
                    let until = now.plus(Duration::from_secs(1 << 31));
                    tx.exec(
                        "INSERT INTO base_session(tenant_id, hash, id, kind, subject_id, device, created_at, seen_at, expires_at) \
                         VALUES ('hos_1', $1, $2, $3, $2, '', $4, $5, $5)",
                        &[&hash, &id, &kind, &now, &until],
                    )
                    .await?;
                }
                tx.exec(
                    "INSERT INTO care_patient(tenant_id, id, account_id, relation, name_sealed, name_index, name_masked, \
                     id_number_sealed, id_number_index, id_number_masked, phone_sealed, phone_masked, sex, birth_date, \
                     his_state, his_patient_id, created_at) VALUES ('hos_1', 'pat_1', 'acc_1', 'self', $1, 'i', '陈*兰', $2, \
                     'i', '', $3, '', 'F', '1963-05-01', 'matched', 'HP1', $4)",
                    &[&name, &number, &phone, &now],
                )
                .await?;
                tx.exec(
                    "INSERT INTO care_visit(tenant_id, id, account_id, patient_id, request_key, purpose, department_code, \
                     department_name, doctor_code, doctor_name, doctor_title, work_id, slot_date, slot_period, slot_begin, \
                     slot_end, fee_fen, state, his, his_order_number, consent_id, consent_version, consent_sm3, statement, \
                     photos, eligibility, created_at, updated_at, accepted_at) VALUES ('hos_1', 'con_1', 'acc_1', 'pat_1', \
                     'k', 'follow_up', 'XN', '', 'D01', '', '', 'W1', '2026-11-21', 'am', '09:00', '09:30', 0, \
                     'in_progress', 'confirmed', 'H1', 'c', 1, '', $1, '[]', '{}', $2, $2, $2)",
                    &[&statement, &now],
                )
                .await
            })
        })
        .await
        .unwrap();
}

async fn both<F, Fut>(story: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    for postgres in [false, true] {
        story(World::new(postgres).await).await;
    }
}

/// Rows: BJ-116, BJ-162, FT-057, HZ-110
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_calls_the_patient_answers_and_both_may_replay_it() {
    both(|w| async move {
        assert_eq!(w.show("stf_wang").await.1["state"], "idle");
        assert_eq!(w.act("acc_1", "start").await.0, 403, "only the doctor starts");
        assert_eq!(
            w.act("stf_zhao", "start").await.0,
            404,
            "another doctor's visit is not there"
        );
        assert_eq!(w.act("stf_wang", "start").await.1["state"], "ringing");
        let home = w.home();
        let (status, doctor) = w.knock("stf_wang", &home).await;
        assert_eq!(status, 101);
        assert_eq!(w.knock("acc_1", &home).await.0, 409, "not before accepting");
        assert_eq!(w.act("acc_1", "accept").await.1["state"], "connected");
        assert_eq!(w.knock("acc_1", "https://elsewhere.example").await.0, 403);
        assert_eq!(w.knock("acc_2", &home).await.0, 404);
        w.clock.advance(Duration::from_secs(1));
        let (status, patient) = w.knock("acc_1", &home).await;
        assert_eq!(status, 101);
        w.clock.advance(Duration::from_secs(300));
        let ended = w.act("acc_1", "end").await.1;
        assert_eq!((&ended["state"], &ended["note"]), (&json!("ended"), &json!("患者挂断")));
        assert_eq!(*w.engine.closed.lock().unwrap(), ["con_1"]);
        drop((doctor, patient));
        w.settle().await;

        let seen = w.show("acc_1").await.1;
        let recordings = seen["recordings"].as_array().unwrap();
        let roles: Vec<_> = recordings.iter().map(|r| r["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["doctor", "patient"]);
        assert_eq!(
            (&recordings[0]["duration_s"], &recordings[0]["keep_until"]),
            (&json!(301), &json!("2029-11-21"))
        );
        let file = format!("/blobs/{}", recordings[0]["blob_id"].as_str().unwrap());
        for (who, expected) in [
            ("acc_1", 200),
            ("stf_wang", 200),
            ("stf_admin", 200),
            ("acc_2", 404),
            ("stf_zhao", 404),
        ] {
            assert_eq!(w.raw(who, Method::GET, &file).await.0.as_u16(), expected, "{who}");
        }
        assert_eq!(w.show("stf_admin").await.0, 200);
        assert_eq!(w.show("acc_2").await.0, 404);
        assert_eq!(
            w.act("stf_wang", "start").await.1["state"],
            "ringing",
            "again while the visit goes on"
        );
        let ice: Value =
            serde_json::from_slice(&w.raw("acc_1", Method::GET, "/visits/con_1/video/ice").await.1).unwrap();
        assert_eq!(ice["ice_servers"][0]["urls"][0], "turn:relay.example:3478");
        assert!(ice["ice_servers"][0]["credential"].is_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_nobody_answers_ends_by_itself_and_so_does_one_of_a_finished_visit() {
    both(|w| async move {
        w.act("stf_wang", "start").await;
        w.clock.advance(Duration::from_secs(59));
        video::tick(&w.ctx, &w.video).await;
        assert_eq!(w.show("acc_1").await.1["state"], "ringing");
        w.clock.advance(Duration::from_secs(1));
        video::tick(&w.ctx, &w.video).await;
        assert_eq!(w.show("acc_1").await.1["note"], "无人接听");
        w.act("stf_wang", "start").await;
        w.act("acc_1", "accept").await;
        w.clock.advance(Duration::from_secs(3600));
        video::tick(&w.ctx, &w.video).await;
        assert_eq!(
            w.show("acc_1").await.1["state"],
            "connected",
            "a call that was answered does not lapse"
        );
        w.sql("UPDATE care_visit SET state = 'finished' WHERE tenant_id = 'hos_1'")
            .await;
        video::tick(&w.ctx, &w.video).await;
        assert_eq!(w.show("acc_1").await.1["note"], "问诊已结束");
        let late = w.act("stf_wang", "start").await;
        assert_eq!((late.0, &late.1["code"]), (409, &json!("visit_state")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_cut_off_by_a_crash_is_kept_by_the_next_run() {
    both(|mut w| async move {
        w.act("stf_wang", "start").await;
        let (status, _line) = w.knock("stf_wang", &w.home()).await;
        assert_eq!(status, 101);
        video::tick(&w.ctx, &w.video).await;
        assert_eq!(
            w.show("stf_wang").await.1["recordings"],
            json!([]),
            "the seat is still taken"
        );
        w.video = Video::new(&w.ctx, w.engine.clone(), vec![]);
        w.settle().await;
        assert_eq!(w.show("stf_wang").await.1["recordings"].as_array().unwrap().len(), 1);
    })
    .await;
}
