//! A hospital in one process: the real router on a real database, and a scripted appliance (signature server,
//! dictionaries) and payment channel outside.

mod appliance;
mod channel;

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use base::events::Events;
use base::{BlobStore, Ctx, Site, Sms, SmsSender, Vault};
use money::{Cashier, Subjects, Till};
use records::id::EdgeId;
use records::line::{PrintOutcome, PrintState, kind};
use records::{
    Clock, HisCommand, HisCommandResult, Ids, Lane, ManualClock, Outcome, PeerId, PrintJob, SeededEntropy, TenantId,
    Timestamp,
};
use serde_json::{Value, json};
use store::{Scope, SqliteOptions, Store, StreamKey};
use tower::ServiceExt;

pub(crate) use appliance::{Appliance, drawn};
pub(crate) use channel::FakeChannel;

/// As long as one may be: six digits would now and then stand in some hexadecimal of the database, where it is looked for.
pub(crate) const PIN: &str = "739204815063";

struct NoSms;

#[async_trait::async_trait]
impl SmsSender for NoSms {
    async fn send(&self, _: &TenantId, _: &Sms) -> Outcome<()> {
        Outcome::Done(())
    }
}

pub(crate) struct World {
    pub(crate) ctx: Ctx,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) appliance: Arc<Appliance>,
    pub(crate) channel: Arc<FakeChannel>,
    pub(crate) cashier: Cashier,
    pub(crate) tenant: TenantId,
    pub(crate) folder: tempfile::TempDir,
    router: axum::Router,
    seen: u64,
}

/// The same story on both databases.
pub(crate) async fn both<F, Fut>(story: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = ()>,
{
    for postgres in [false, true] {
        story(World::new(postgres).await).await;
    }
}

impl World {
    pub(crate) async fn new(postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-21T01:00:00Z").unwrap()));
        let store = if postgres {
            let url = tokio::task::spawn_blocking(kit::postgres::database).await.unwrap();
            Store::open_postgres(&url, clock.clone()).await.unwrap()
        } else {
            open_sqlite(folder.path(), clock.clone()).await
        };
        for set in [
            base::MIGRATIONS,
            money::MIGRATIONS,
            care::MIGRATIONS,
            treatment::MIGRATIONS,
        ] {
            store.migrate(set).await.unwrap();
        }
        let ids = Arc::new(Ids::new(SeededEntropy::new(7)));
        let tenant = TenantId::parse("hos_1").unwrap();
        let appliance = Arc::new(Appliance::new(clock.clone()));
        let ctx = Ctx {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            hospital: appliance.clone(),
            events: Events::default(),
            blobs: Arc::new(BlobStore::open(&folder.path().join("blobs")).await.unwrap()),
            vault: Arc::new(Vault::new(&"5a".repeat(32), ids.clone()).unwrap()),
            sms: Arc::new(NoSms),
            sessions: Arc::default(),
            site: Arc::new(Site {
                public_url: "https://hospital.example".into(),
                secure_cookies: false,
            }),
        };
        let channel = Arc::new(FakeChannel::default());
        let till = Till {
            tenant: tenant.clone(),
            merchant_id: "1900000001".into(),
            channel: channel.clone(),
            return_url: None,
        };
        let subjects = Subjects::new([
            Arc::new(treatment::PrescriptionPayments::new(ctx.clone())) as Arc<dyn money::PaymentSubject>
        ]);
        let cashier = Cashier::new(store, clock.clone(), ids, vec![till], subjects);
        let (router, _) = utoipa_axum::router::OpenApiRouter::new()
            .merge(base::routes())
            .merge(treatment::routes())
            .split_for_parts();
        let router = router
            .layer(axum::Extension(cashier.clone()))
            .layer(axum::Extension(base::settings::Kinds(treatment::settings())))
            .with_state(ctx.clone());
        let mut world = Self {
            ctx,
            clock,
            appliance,
            channel,
            cashier,
            tenant,
            folder,
            router,
            seen: 0,
        };
        world.furnish().await;
        world
    }

    async fn sql(&self, statements: Vec<(String, Vec<Param>)>) {
        self.ctx
            .store
            .write(&Scope::system(self.tenant.clone()), move |tx| {
                let statements = statements.clone();
                Box::pin(async move {
                    for (sql, params) in &statements {
                        let params: Vec<&dyn store::ToValue> = params.iter().map(Param::value).collect();
                        tx.exec(sql, &params).await?;
                    }
                    Ok::<_, store::StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    /// A hospital with an appliance, a doctor, a pharmacist, a patient, a visit in progress, dictionaries.
    async fn furnish(&mut self) {
        let (vault, tenant) = (self.ctx.vault.clone(), self.tenant.clone());
        let now = self.ctx.now();
        self.ctx
            .store
            .write(&Scope::system(tenant.clone()), |tx| {
                Box::pin(async move {
                    let edge = EdgeId::parse("edg_1").unwrap();
                    base::tenants::put(tx, "yzcrm", "永州市中心医院", Some(&edge)).await
                })
            })
            .await
            .unwrap();
        let seal = |purpose: &str, text: &str| Param::Bytes(vault.seal(&tenant, purpose, text.as_bytes()).unwrap());
        let t = |text: &str| Param::Text(text.into());
        let at = Param::Int(now.as_micros());
        let mut statements = Vec::new();
        for (id, name, role, title, code) in [
            ("stf_wang", "王建国", "doctor", "主任医师", "D01"),
            ("stf_li", "李秀英", "pharmacist", "主管药师", "P01"),
            ("stf_zhao", "赵敏", "doctor", "主治医师", "D02"),
            ("stf_admin", "管理员", "admin", "", "A01"),
            ("stf_sun", "孙丽", "medical_affairs", "", "M01"),
        ] {
            statements.push((
                "INSERT INTO base_staff(tenant_id, id, login, name, roles, title, department_code, department_name, his_code, \
                 password, password_changed_at, totp_sealed, totp_step, failures, created_at) \
                 VALUES ('hos_1', $1, $1, $2, $3, $4, 'XN', '心血管内科', $5, '', $6, $7, 0, 0, $6)"
                    .into(),
                vec![t(id), t(name), t(role), t(title), t(code), at.clone(), seal("x", "x")],
            ));
            statements.push(session(id, "staff", &at));
        }
        statements.push(session("acc_1", "patient", &at));
        statements.push(session("acc_2", "patient", &at));
        statements.push((
            "INSERT INTO care_patient(tenant_id, id, account_id, relation, name_sealed, name_index, name_masked, \
             id_number_sealed, id_number_index, id_number_masked, phone_sealed, phone_masked, sex, birth_date, his_state, \
             his_patient_id, created_at) VALUES ('hos_1', 'pat_1', 'acc_1', 'self', $1, 'i', '陈*兰', $2, 'i', \
             '4311**********1228', $3, '138****0000', 'F', '1963-05-01', 'matched', 'HP1', $4)"
                .into(),
            vec![
                seal("patient.name", "陈桂兰"),
                seal("patient.id_number", "431102196305011228"),
                seal("patient.phone", "13800000000"),
                at.clone(),
            ],
        ));
        let statement = json!({ "complaint": "头晕3天", "duration": "", "history": "高血压10年", "allergies": "青霉素过敏",
            "medications": "氨氯地平" });
        statements.push((
            "INSERT INTO care_visit(tenant_id, id, account_id, patient_id, request_key, purpose, department_code, \
             department_name, doctor_code, doctor_name, doctor_title, work_id, slot_date, slot_period, slot_begin, slot_end, \
             fee_fen, state, his, his_order_number, consent_id, consent_version, consent_sm3, statement, photos, eligibility, \
             created_at, updated_at, accepted_at) VALUES ('hos_1', 'con_1', 'acc_1', 'pat_1', 'k', 'renew_prescription', 'XN', \
             '心血管内科', 'D01', '王建国', '主任医师', 'W1', '2026-11-21', 'am', '09:00', '09:30', 0, 'in_progress', \
             'confirmed', 'H1', 'c', 1, '', $1, '[]', '{}', $2, $2, $2)"
                .into(),
            vec![seal("visit.statement", &statement.to_string()), at],
        ));
        self.sql(statements).await;
        self.dictionaries().await;
    }

    /// Dictionaries are fetched beside the round that asks for them.
    async fn dictionaries(&self) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::time::Instant::now() < until {
            care::tick(&self.ctx, &self.cashier).await;
            let (known,): (u32,) = self
                .ctx
                .store
                .read(&Scope::system(self.tenant.clone()), |tx| {
                    let sql = "SELECT COUNT(*) FROM care_term WHERE tenant_id = 'hos_1'";
                    Box::pin(async move { tx.one(sql, &[]).await })
                })
                .await
                .unwrap();
            // Three drugs, a herb, a route, a frequency, a diagnosis; two examinations, a test, two specimens.
            if known == 12 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the dictionaries were not fetched");
    }

    pub(crate) async fn finish_visit(&self) {
        let sql = "UPDATE care_visit SET state = 'finished' WHERE tenant_id = 'hos_1' AND id = 'con_1'";
        self.sql(vec![(sql.into(), vec![])]).await;
    }

    /// One request as somebody; the answer's status and JSON.
    pub(crate) async fn call(&self, who: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, bytes) = self.raw(who, method, path, serde_json::to_vec(&body).unwrap()).await;
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn raw(&self, who: &str, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer hos_1.{who}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), 8 << 20).await.unwrap().to_vec())
    }

    pub(crate) async fn get(&self, who: &str, path: &str) -> Value {
        let (status, body) = self.call(who, Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(who, Method::POST, path, body).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer
    }

    /// A refusal: its status and code.
    pub(crate) async fn refused(&self, who: &str, method: Method, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.call(who, method, path, body).await;
        assert!(!status.is_success(), "{path} was not refused: {answer}");
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    }

    /// What left for the appliance since the last look.
    pub(crate) async fn orders(&mut self) -> Vec<(String, Value)> {
        let peer = PeerId::edge(&EdgeId::parse("edg_1").unwrap());
        let key = StreamKey::new(self.tenant.clone(), peer, Lane::Clinical);
        let entries = self
            .ctx
            .store
            .outbox_after(&key, self.seen, 100, 1 << 20)
            .await
            .unwrap();
        let mut orders = Vec::new();
        for entry in entries {
            self.seen = entry.seq;
            // The terminals' key, told at the first round, is no order.
            if entry.kind == records::line::kind::PATIENT_CODE_KEY {
                continue;
            }
            orders.push((entry.kind, serde_json::from_str(&entry.body).unwrap()));
        }
        orders
    }

    /// The one command that left, which must be of this method.
    pub(crate) async fn command(&mut self, method: &str) -> HisCommand {
        let orders = self.orders().await;
        assert_eq!(orders.len(), 1, "{orders:?}");
        let command: HisCommand = serde_json::from_value(orders[0].1.clone()).unwrap();
        assert_eq!(
            (orders[0].0.as_str(), command.method.as_str()),
            (kind::HIS_COMMAND, method)
        );
        command
    }

    /// The HIS's answer to a command comes up the line.
    pub(crate) async fn answer(&self, command: &HisCommand, outcome: Outcome<Value>) {
        let result = HisCommandResult {
            key: command.key.clone(),
            method: command.method.clone(),
            subject: command.subject.clone(),
            outcome,
            needs_hand: false,
            at: self.ctx.now(),
        };
        let ctx = self.ctx.clone();
        self.ctx
            .store
            .write(&Scope::new(self.tenant.clone(), records::Actor::His), move |tx| {
                let (ctx, result) = (ctx.clone(), result.clone());
                Box::pin(async move { treatment::on_command_result(&ctx, tx, &result).await })
            })
            .await
            .unwrap()
            .expect("a result about a prescription");
    }

    /// The appliance gives up asking: the outcome stays unknown.
    pub(crate) async fn unanswered(&self, command: &HisCommand) {
        let result = HisCommandResult {
            key: command.key.clone(),
            method: command.method.clone(),
            subject: command.subject.clone(),
            outcome: Outcome::Unknown,
            needs_hand: true,
            at: self.ctx.now(),
        };
        let ctx = self.ctx.clone();
        self.ctx
            .store
            .write(&Scope::new(self.tenant.clone(), records::Actor::His), move |tx| {
                let (ctx, result) = (ctx.clone(), result.clone());
                Box::pin(async move { treatment::on_command_result(&ctx, tx, &result).await })
            })
            .await
            .unwrap()
            .expect("a result about a prescription");
    }

    /// As on the first day, before the appliance has delivered anything.
    pub(crate) async fn forget_dictionaries(&self) {
        self.sql(vec![
            ("DELETE FROM care_term WHERE tenant_id = 'hos_1'".into(), vec![]),
            ("DELETE FROM care_dictionary WHERE tenant_id = 'hos_1'".into(), vec![]),
        ])
        .await;
    }

    /// The hospital decocts, for so much a dose.
    pub(crate) async fn decocts(&self, fee: i64) {
        let set = treatment::PrescribingSettings {
            offers_decoction: true,
            decoction_fee_fen: records::Fen(fee),
        };
        self.ctx
            .store
            .write(&Scope::system(self.tenant.clone()), move |tx| {
                let set = set.clone();
                Box::pin(async move { base::settings::put(tx, &set).await })
            })
            .await
            .unwrap();
    }

    pub(crate) async fn printed(&self, job: &PrintJob, state: PrintOutcome) {
        let state = PrintState {
            key: job.key.clone(),
            subject: job.subject.clone(),
            state,
            note: String::new(),
            at: self.ctx.now(),
        };
        let ctx = self.ctx.clone();
        self.ctx
            .store
            .write(&Scope::system(self.tenant.clone()), move |tx| {
                let (ctx, state) = (ctx.clone(), state.clone());
                Box::pin(async move { treatment::on_print_state(&ctx, tx, &state).await })
            })
            .await
            .unwrap()
            .expect("a slip of a prescription");
    }

    /// Somebody's roles, from now on.
    pub(crate) async fn roles(&self, who: &str, roles: &str) {
        let sql = "UPDATE base_staff SET roles = $2 WHERE tenant_id = 'hos_1' AND id = $1";
        let (who, roles) = (Param::Text(who.into()), Param::Text(roles.into()));
        self.sql(vec![(sql.into(), vec![who, roles])]).await;
        self.ctx.sessions.forget();
    }

    /// Puts other bytes under the signatures of a purpose, past all APIs.
    pub(crate) async fn forge(&self, purpose: &'static str) {
        let (tenant, vault) = (self.tenant.clone(), self.ctx.vault.clone());
        self.ctx
            .store
            .write(&Scope::system(self.tenant.clone()), move |tx| {
                let (tenant, vault) = (tenant.clone(), vault.clone());
                Box::pin(async move {
                    let read = "SELECT document_sealed FROM treatment_signature WHERE tenant_id = $1 AND purpose = $2";
                    let (sealed,): (Vec<u8>,) = tx.one(read, &[&tenant, &purpose]).await?;
                    let plain = vault.open(&tenant, "signing.document", &sealed).unwrap();
                    let forged = String::from_utf8(plain.to_vec()).unwrap().replacen("同意", "反对", 1);
                    let sealed = vault.seal(&tenant, "signing.document", forged.as_bytes()).unwrap();
                    let sql =
                        "UPDATE treatment_signature SET document_sealed = $3 WHERE tenant_id = $1 AND purpose = $2";
                    tx.exec(sql, &[&tenant, &purpose, &sealed]).await
                })
            })
            .await
            .unwrap();
    }

    /// Another doctor signs for the first time.
    pub(crate) async fn enrolled(&self, who: &str) {
        self.enrol_as(who, "/doctor/signature").await;
    }

    /// Both sign for the first time.
    pub(crate) async fn enrol(&self) {
        self.enrol_as("stf_wang", "/doctor/signature").await;
        self.enrol_as("stf_li", "/pharmacist/signature").await;
    }

    /// One signs for the first time.
    pub(crate) async fn enrol_as(&self, who: &str, path: &str) {
        let image = format!("data:image/png;base64,{}", drawn());
        let view = self.post(who, path, json!({ "image": image, "pin": PIN })).await;
        assert_eq!(view["enrolled"], true);
    }

    pub(crate) async fn diagnose(&self) {
        let record = json!({ "chief_complaint": "头晕3天", "diagnoses": [{ "code": "I10.x00", "name": "高血压病" }] });
        let (status, view) = self
            .call("stf_wang", Method::PUT, "/doctor/visits/con_1/record", record)
            .await;
        assert_eq!(status, StatusCode::OK, "{view}");
    }

    pub(crate) fn draft() -> Value {
        json!({ "kind": "western", "items": [{ "drug_code": "AML", "dose": "5", "dose_unit": "mg", "route_code": "PO",
            "frequency_code": "QD", "days": 28, "quantity": 1, "quantity_unit": "盒", "note": "" }] })
    }

    /// A prescription that the doctor has signed; its number.
    pub(crate) async fn signed(&self) -> String {
        self.enrol().await;
        self.diagnose().await;
        let rx = self
            .post("stf_wang", "/doctor/visits/con_1/prescriptions", Self::draft())
            .await;
        let id = rx["id"].as_str().unwrap().to_owned();
        let rx = self
            .post(
                "stf_wang",
                &format!("/doctor/prescriptions/{id}/sign"),
                json!({ "pin": PIN }),
            )
            .await;
        assert_eq!(rx["state"], "in_review");
        id
    }

    /// An approved one whose bill awaits payment.
    pub(crate) async fn billed(&mut self) -> String {
        let id = self.signed().await;
        self.post(
            "stf_li",
            &format!("/pharmacist/prescriptions/{id}/approve"),
            json!({ "pin": PIN }),
        )
        .await;
        let submit = self.command("prescription.submit").await;
        self.answer(&submit, Outcome::Done(json!({ "his_prescription_number": "R1" })))
            .await;
        let review = self.command("prescription.review.push").await;
        self.answer(&review, Outcome::Done(json!({ "bill_id": "MZ1", "total_fen": 3250 })))
            .await;
        id
    }

    /// Chosen, paid at the channel, and the HIS being told.
    pub(crate) async fn paid(&mut self, fulfilment: Value) -> (String, HisCommand) {
        let id = self.billed().await;
        let confirm = self.pays(&id, fulfilment).await;
        (id, confirm)
    }

    /// The patient chooses and pays what is billed; the command that tells the HIS.
    pub(crate) async fn pays(&mut self, id: &str, fulfilment: Value) -> HisCommand {
        self.post("acc_1", &format!("/prescriptions/{id}/fulfilment"), fulfilment)
            .await;
        let page = self
            .post("acc_1", &format!("/prescriptions/{id}/pay"), Value::Null)
            .await;
        self.channel.pay_all(self.ctx.now());
        let payment = records::id::PaymentId::parse(page["payment_id"].as_str().unwrap()).unwrap();
        self.cashier.look(&self.tenant, &payment).await.unwrap();
        self.command("bill.confirm_payment").await
    }

    pub(crate) async fn state(&self, id: &str) -> String {
        let rx = self.get("stf_wang", &format!("/doctor/prescriptions/{id}")).await;
        rx["state"].as_str().unwrap().to_owned()
    }
}

async fn open_sqlite(folder: &Path, clock: Arc<dyn Clock>) -> Store {
    let options = SqliteOptions {
        ballast_bytes: 0,
        ..SqliteOptions::default()
    };
    Store::open_sqlite(&folder.join("cloud.db"), options, clock)
        .await
        .unwrap()
}

fn session(who: &str, kind: &str, at: &Param) -> (String, Vec<Param>) {
    let hash = hex::encode(gm::sm3(who.as_bytes()));
    let sql = "INSERT INTO base_session(tenant_id, hash, id, kind, subject_id, device, created_at, seen_at, expires_at) \
               VALUES ('hos_1', $1, $2, $3, $2, '', $4, $5, $5)";
    let until = Param::Int(i64::MAX / 2);
    (
        sql.into(),
        vec![
            Param::Text(hash),
            Param::Text(who.into()),
            Param::Text(kind.into()),
            at.clone(),
            until,
        ],
    )
}

#[derive(Clone)]
pub(crate) enum Param {
    Text(String),
    Int(i64),
    Bytes(Vec<u8>),
}

impl Param {
    fn value(&self) -> &dyn store::ToValue {
        match self {
            Self::Text(v) => v,
            Self::Int(v) => v,
            Self::Bytes(v) => v,
        }
    }
}
