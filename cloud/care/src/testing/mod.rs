//! A hospital's day for the tests of this crate: a real database, the real router, a scripted HIS and channel.

mod his;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base::{BlobStore, Ctx, Events, Session, Site, Sms, SmsSender, Vault, Who, identity, tenants};
use money::{Cashier, Subjects, Till};
use records::his::{HisOrderState, StopClinic};
use records::id::{AccountId, EdgeId, PaymentId, StaffId, VisitId};
use records::{
    Actor, Clock, HisCommand, HisCommandResult, Ids, Lane, ManualClock, Outcome, PeerId, SeededEntropy, TenantId,
    Timestamp,
};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store, StoreError, StreamKey};
use tower::ServiceExt;

use crate::bench_channel::Ledger;
use crate::consultation::{self, VisitPayments};
use crate::{CareError, Touched};
pub(crate) use his::{Bench, Fault, past_visit, slot};

/// 2026-11-20 08:00 in China.
pub(crate) const MORNING: &str = "2026-11-20T00:00:00Z";
pub(crate) const TODAY: &str = "2026-11-20";
/// Born 1949, a woman.
pub(crate) const GRANDMOTHER: &str = "11010519491231002X";

struct Post;

#[async_trait]
impl SmsSender for Post {
    async fn send(&self, _: &TenantId, _: &Sms) -> Outcome<()> {
        Outcome::Done(())
    }
}

/// Everything of one hospital's day.
pub(crate) struct Day {
    pub(crate) ctx: Ctx,
    pub(crate) app: Router,
    pub(crate) his: Arc<Bench>,
    pub(crate) till: Arc<Ledger>,
    pub(crate) cashier: Cashier,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantId,
    pub(crate) patient: Session,
    pub(crate) stranger: Session,
    pub(crate) doctor: Session,
    pub(crate) admin: Session,
    edge: EdgeId,
    delivered: AtomicU32,
    _folder: tempfile::TempDir,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    /// Status and code of a refusal.
    #[track_caller]
    pub(crate) fn refused(self) -> (u16, String) {
        assert!(!self.status.is_success(), "{}", self.body);
        assert!(
            self.body["message"].as_str().is_some_and(|m| !m.is_empty()),
            "a refusal has words"
        );
        (
            self.status.as_u16(),
            self.body["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// Tells a story on SQLite and on PostgreSQL.
pub(crate) fn on_each<F: Future<Output = ()>>(story: impl Fn(Day) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        story(Day::begin(None).await).await;
        story(Day::begin(Some(kit::postgres::database())).await).await;
    });
}

async fn open(folder: &Path, postgres: Option<String>, clock: Arc<ManualClock>) -> Store {
    match postgres {
        Some(url) => Store::open_postgres(&url, clock).await.expect("PostgreSQL"),
        None => Store::open_sqlite(&folder.join("care.db"), SqliteOptions::default(), clock)
            .await
            .expect("SQLite"),
    }
}

pub(crate) fn session(tenant: &TenantId, who: Who) -> Session {
    Session {
        id: "ses_test".to_owned(),
        tenant: tenant.clone(),
        who,
    }
}

impl Day {
    pub(crate) async fn begin(postgres: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::new(Timestamp::parse(MORNING).expect("an instant")));
        let store = open(folder.path(), postgres, clock.clone()).await;
        for set in [base::MIGRATIONS, money::MIGRATIONS, crate::MIGRATIONS] {
            store.migrate(set).await.expect("tables");
        }
        let ids = Arc::new(Ids::new(SeededEntropy::new(7)));
        let his = Arc::new(Bench::default());
        let ctx = Ctx {
            store,
            clock: clock.clone(),
            ids: ids.clone(),
            hospital: his.clone(),
            events: Events::default(),
            sessions: Arc::default(),
            blobs: Arc::new(BlobStore::open(&folder.path().join("blobs")).await.expect("blobs")),
            vault: Arc::new(Vault::new(&"07".repeat(32), ids.clone()).expect("a key")),
            sms: Arc::new(Post),
            site: Arc::new(Site {
                public_url: "http://localhost".to_owned(),
                secure_cookies: false,
            }),
        };
        let tenant = TenantId::parse("hos_first").expect("an id");
        let edge = EdgeId::parse("edg_first").expect("an id");
        let till = Arc::new(Ledger::default());
        let cashier = Cashier::new(
            ctx.store.clone(),
            clock.clone(),
            ids,
            vec![Till {
                tenant: tenant.clone(),
                merchant_id: "1900000001".to_owned(),
                channel: till.clone(),
                return_url: None,
            }],
            Subjects::new([Arc::new(VisitPayments::new(ctx.clone())) as Arc<dyn money::PaymentSubject>]),
        );
        let (router, _) = crate::routes().merge(money::routes()).split_for_parts();
        let app = router.layer(axum::Extension(cashier.clone())).with_state(ctx.clone());
        let account = |text: &str| Who::Patient(AccountId::parse(text).expect("an id"));
        let mut day = Self {
            patient: session(&tenant, account("acc_one")),
            stranger: session(&tenant, account("acc_two")),
            doctor: session(&tenant, account("acc_none")),
            admin: session(&tenant, account("acc_none")),
            ctx,
            app,
            his,
            till,
            cashier,
            clock,
            tenant,
            edge,
            delivered: AtomicU32::new(0),
            _folder: folder,
        };
        day.furnish().await;
        day
    }

    async fn furnish(&mut self) {
        {
            let mut books = self.his.books();
            books.eligible = true;
            books.slots = vec![
                slot("W1", TODAY, "09:00", "09:30", 2),
                slot("W0", TODAY, "07:00", "07:30", 5),
            ];
        }
        let edge = self.edge.clone();
        self.write(move |tx| {
            let edge = edge.clone();
            Box::pin(async move {
                tenants::put(tx, "first", "第一医院", Some(&edge)).await?;
                for (id, login, name, roles, code) in [
                    ("stf_wang", "wang", "王医生", "doctor", "D01"),
                    ("stf_li", "li", "李医生", "doctor", "D02"),
                    ("stf_admin", "admin", "管理员", "admin", ""),
                ] {
                    staff(tx, id, login, name, roles, code).await?;
                }
                Ok(())
            })
        })
        .await;
        self.doctor = self.member("stf_wang").await;
        self.admin = self.member("stf_admin").await;
    }

    pub(crate) async fn member(&self, id: &str) -> Session {
        let id = StaffId::parse(id).expect("an id");
        let found = self
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(identity::staff::member(tx, &id).await?) })
            })
            .await;
        session(&self.tenant, Who::Staff(Box::new(found.expect("a member of staff"))))
    }

    pub(crate) async fn write<T, F>(&self, f: F) -> T
    where
        T: Send + 'static,
        F: for<'a, 'c> Fn(&'a mut store::Tx<'c>) -> store::BoxFuture<'a, Result<T, CareError>> + Send + Sync + 'static,
    {
        self.ctx
            .store
            .write(&Scope::system(self.tenant.clone()), f)
            .await
            .expect("a unit of work")
    }

    pub(crate) async fn call(&self, who: &Session, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |b| Body::from(b.to_string()));
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(who.clone());
        let response = self.app.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24)
            .await
            .expect("a body");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status, body }
    }

    pub(crate) async fn get(&self, who: &Session, path: &str) -> Answer {
        self.call(who, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, who: &Session, path: &str, body: Value) -> Answer {
        self.call(who, Method::POST, path, Some(body)).await
    }

    /// Adds the grandmother to the account and answers her id.
    pub(crate) async fn grandmother(&self) -> String {
        let entry = json!({ "name": "赵秀英", "id_number": GRANDMOTHER, "phone": "13800000000", "relation": "parent" });
        let patient = self.post(&self.patient, "/patients", entry).await.ok();
        patient["id"].as_str().expect("an id").to_owned()
    }

    /// The consent in force.
    pub(crate) async fn consent(&self) -> Value {
        let consent = self.get(&self.patient, "/consents/current").await.ok();
        json!({ "id": consent["id"], "version": consent["version"] })
    }

    /// A booking of slot W1 as the app sends it.
    pub(crate) async fn booking(&self, key: &str, patient: &str) -> Value {
        json!({
            "key": key, "patient_id": patient, "purpose": "follow_up", "department_code": "0301", "doctor_code": "D01",
            "slot": { "work_id": "W1", "date": TODAY, "begin": "09:00", "end": "09:30" },
            "consent": self.consent().await,
            "statement": { "complaint": "血压偏高", "duration": "一周", "history": "高血压五年", "allergies": "青霉素", "medications": "氨氯地平" },
            "photo_ids": [],
        })
    }

    /// Books slot W1 for the grandmother.
    pub(crate) async fn book(&self) -> String {
        let patient = self.grandmother().await;
        let visit = self
            .post(&self.patient, "/visits", self.booking("k1", &patient).await)
            .await
            .ok();
        visit["id"].as_str().expect("an id").to_owned()
    }

    /// Opens the payment and answers its number.
    pub(crate) async fn open_payment(&self, visit: &str) -> PaymentId {
        let page = self
            .post(&self.patient, &format!("/visits/{visit}/pay"), json!({}))
            .await
            .ok();
        PaymentId::parse(page["payment_id"].as_str().expect("a number")).expect("a number")
    }

    /// The channel's notice of a payment, as its signed request; answers the status.
    pub(crate) async fn notify(&self, payment: &PaymentId, signature: &str) -> u16 {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/callbacks/wechat-pay/1900000001")
            .header("wechatpay-timestamp", self.clock.now().as_seconds().to_string())
            .header("wechatpay-nonce", "n")
            .header("wechatpay-signature", signature)
            .header("wechatpay-serial", "PUB_KEY_ID_1")
            .body(Body::from(self.till.notice(payment)))
            .expect("a request");
        self.app
            .clone()
            .oneshot(request)
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    /// Pays, and lets the channel tell.
    pub(crate) async fn pay(&self, visit: &str) -> PaymentId {
        let payment = self.open_payment(visit).await;
        assert!(self.till.payer_pays(&payment), "the channel takes the money");
        assert_eq!(self.notify(&payment, "good").await, 200);
        payment
    }

    /// Kinds of the entries that left for the appliance.
    pub(crate) async fn sent_kinds(&self) -> Vec<String> {
        let key = StreamKey::new(self.tenant.clone(), PeerId::edge(&self.edge), Lane::Clinical);
        let entries = self.ctx.store.outbox_after(&key, 0, 1000, 1 << 24).await;
        entries.expect("entries").into_iter().map(|e| e.kind).collect()
    }

    /// The appliance executes what was ordered, and its results come back.
    pub(crate) async fn deliver(&self) {
        let key = StreamKey::new(self.tenant.clone(), PeerId::edge(&self.edge), Lane::Clinical);
        let from = u64::from(self.delivered.load(Ordering::SeqCst));
        let entries = self
            .ctx
            .store
            .outbox_after(&key, from, 1000, 1 << 24)
            .await
            .expect("entries");
        for entry in entries {
            self.delivered
                .store(u32::try_from(entry.seq).expect("a small number"), Ordering::SeqCst);
            let command: HisCommand = serde_json::from_str(&entry.body).expect("a command");
            self.result(&command).await;
        }
    }

    async fn result(&self, command: &HisCommand) {
        self.his.books().commands.push(command.method.clone());
        let fault = self.his.fault(&command.method);
        let needs_hand = matches!(fault, Some(Fault::NeedsHand));
        let outcome = match fault {
            Some(Fault::Refuse(words)) => Outcome::refused("his_-1", words),
            Some(Fault::NeedsHand) => Outcome::Unknown,
            _ => self.his.answer(&command.method, command.request.clone()),
        };
        let result = HisCommandResult {
            key: command.key.clone(),
            method: command.method.clone(),
            subject: command.subject.clone(),
            outcome,
            needs_hand,
            at: self.clock.now(),
        };
        // Every result comes twice: applying it must not depend on the transport's memory.
        for _ in 0..2 {
            self.hear(&result).await;
        }
    }

    pub(crate) async fn hear(&self, result: &HisCommandResult) {
        let (ctx, result) = (self.ctx.clone(), result.clone());
        let touched = self
            .ctx
            .store
            .write(
                &Scope::new(self.tenant.clone(), Actor::Edge(self.edge.clone())),
                move |tx| {
                    let (ctx, result) = (ctx.clone(), result.clone());
                    Box::pin(async move { consultation::on_command_result(tx, &ctx, &result).await })
                },
            )
            .await
            .expect("the result is taken");
        touched.expect("one of ours").announce(&self.ctx, &self.tenant).await;
    }

    pub(crate) async fn stop_clinic(&self, notice: &StopClinic) -> Touched {
        let (ctx, notice) = (self.ctx.clone(), notice.clone());
        self.write(move |tx| {
            let (ctx, notice) = (ctx.clone(), notice.clone());
            Box::pin(async move { consultation::on_stop_clinic(tx, &ctx, &notice).await })
        })
        .await
    }

    /// Timers, money and the appliance go round until nothing is left to do.
    pub(crate) async fn settle(&self) {
        for _ in 0..8 {
            consultation::tick(&self.ctx, &self.cashier, &self.tenant)
                .await
                .expect("a round");
            self.cashier.tick().await.expect("a round");
            self.deliver().await;
            self.clock.advance(Duration::from_secs(6));
        }
    }

    pub(crate) async fn state(&self, visit: &str) -> String {
        let id = VisitId::parse(visit).expect("an id");
        let found = self
            .write(move |tx| {
                let id = id.clone();
                Box::pin(async move { consultation::store::get(tx, &id).await })
            })
            .await;
        found.state.as_str().to_owned()
    }

    /// A visit that is paid, registered and checked in.
    pub(crate) async fn checked_in(&self) -> String {
        let visit = self.book().await;
        self.pay(&visit).await;
        self.deliver().await;
        self.post(&self.patient, &format!("/visits/{visit}/check-in"), json!({}))
            .await
            .ok();
        visit
    }

    /// A visit in progress.
    pub(crate) async fn in_progress(&self) -> String {
        let visit = self.checked_in().await;
        self.post(&self.doctor, &format!("/doctor/visits/{visit}/accept"), json!({}))
            .await
            .ok();
        visit
    }

    /// The doctor ends the visit, as the context orders it that keeps the documents.
    pub(crate) async fn ended_by_doctor(&self, visit: &str) {
        let (ctx, id) = (self.ctx.clone(), VisitId::parse(visit).expect("an id"));
        self.write(move |tx| {
            let (ctx, id) = (ctx.clone(), id.clone());
            Box::pin(async move { consultation::finish(tx, &ctx, &id, "D01").await })
        })
        .await;
    }

    /// The three books of a visit: what we say, what the HIS says, what the channel holds.
    pub(crate) async fn books(&self, visit: &str) -> (String, Option<HisOrderState>, i64) {
        (
            self.state(visit).await,
            self.his.order(visit).map(|o| o.state),
            self.till.holds().0,
        )
    }
}

async fn staff(
    tx: &mut store::Tx<'_>,
    id: &str,
    login: &str,
    name: &str,
    roles: &str,
    code: &str,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO base_staff (tenant_id, id, login, name, roles, title, department_code, department_name, his_code, \
         password, password_changed_at, totp_sealed, totp_step, failures, created_at) \
         VALUES ($1,$2,$3,$4,$5,'主任医师','0301','心血管内科',$6,'-',$7,$8,0,0,$7)",
        &[&tenant, &id, &login, &name, &roles, &code, &now, &Vec::<u8>::new()],
    )
    .await
    .map(drop)
}
