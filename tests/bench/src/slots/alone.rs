//! The cloud without a hospital behind it: the real API of its contexts and its database in a process of its own, and a
//! hospital that answers at once from memory. What is left is what the cloud itself costs.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use base::{BlobStore, Ctx, Events, Hospital, Sms, SmsSender, Vault, settings};
use records::his::*;
use records::id::EdgeId;
use records::{Clock, Fen, Ids, LocalDate, Outcome, SystemClock, TenantId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Scope, SqliteOptions, Store, StoreError};

use crate::sync_log::ends::ids;

/// Code of the hospital.
pub(super) const HOSPITAL: &str = "bench";
/// The department.
pub(super) const DEPARTMENT: &str = "K01";
/// Begin of each place of a session.
pub(super) const BEGINS: [&str; 8] = ["00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"];
/// Sessions of a doctor's day.
const SESSIONS: u64 = 3;

/// Name of a session.
pub(super) fn work_id(doctor: &str, date: &str, session: u64) -> String {
    format!("W-{doctor}-{date}-{session}")
}

/// Answers at once; a place is given once.
#[derive(Default)]
struct AtOnce(Mutex<HashSet<String>>);

fn read<T: DeserializeOwned>(body: Value) -> Option<T> {
    serde_json::from_value(body).ok()
}

fn done(answer: impl serde::Serialize) -> Option<Outcome<Value>> {
    serde_json::to_value(answer).ok().map(Outcome::Done)
}

impl AtOnce {
    fn answer(&self, method: &str, body: Value) -> Option<Outcome<Value>> {
        match method {
            PatientQuery::METHOD => done(patient(read(body)?)),
            DepartmentList::METHOD => done([Department {
                code: DEPARTMENT.to_owned(),
                name: "心血管内科".to_owned(),
                description: String::new(),
                location: String::new(),
            }]),
            FollowUpCheck::METHOD => done(FollowUp {
                eligible: true,
                reason: String::new(),
                last_visit: None,
            }),
            SlotList::METHOD => done(slots(&read(body)?)),
            SlotLock::METHOD => {
                let asked: LockRequest = read(body)?;
                let place = format!("{} {}", asked.work_id, asked.begin);
                if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
                    return Some(Outcome::refused("slot_full", "号源已满"));
                }
                done(LockedSlot {
                    his_order_number: format!("H{}", asked.order_number),
                    fee_fen: asked.fee_fen,
                    expires_at: None,
                })
            }
            _ => None,
        }
    }
}

fn patient(asked: PatientKey) -> Option<HisPatient> {
    let birth = asked.id_number.get(6..14)?;
    let date = format!("{}-{}-{}", birth.get(..4)?, birth.get(4..6)?, birth.get(6..8)?);
    Some(HisPatient {
        his_patient_id: format!("P{}", asked.id_number),
        name: asked.name,
        sex: "M".to_owned(),
        birth_date: LocalDate::parse(&date).ok()?,
        id_number: asked.id_number,
        phone: String::new(),
        card_number: String::new(),
    })
}

/// Four doctors when a department is asked for, else the one; 24 places a day each.
fn slots(asked: &SlotQuestion) -> Vec<Slot> {
    let doctors = match &asked.doctor_code {
        Some(doctor) => vec![doctor.clone()],
        None => (0..4).map(|n| format!("D{n}")).collect(),
    };
    let days = asked.to.days_since(asked.from).max(0);
    let mut all = Vec::new();
    for day in 0..=days {
        let date = asked.from.plus_days(day);
        for doctor in &doctors {
            for session in 0..SESSIONS {
                all.extend(BEGINS.iter().map(|begin| slot(doctor, date, session, begin)));
            }
        }
    }
    all
}

fn slot(doctor: &str, date: LocalDate, session: u64, begin: &str) -> Slot {
    Slot {
        work_id: work_id(doctor, &date.to_string(), session),
        doctor_code: doctor.to_owned(),
        doctor_name: "张海涛".to_owned(),
        doctor_title: "主任医师".to_owned(),
        department_code: DEPARTMENT.to_owned(),
        date,
        period: "day".to_owned(),
        begin: begin.to_owned(),
        end: "23:59".to_owned(),
        left: 1,
        total: 1,
        fee_fen: Fen(5_000),
        stopped: false,
    }
}

#[async_trait]
impl Hospital for AtOnce {
    async fn call_raw(
        &self,
        _tenant: &TenantId,
        method: &str,
        _key: Option<&str>,
        _deadline: Duration,
        body: Value,
    ) -> Outcome<Value> {
        self.answer(method, body).unwrap_or(Outcome::Later { after_ms: 1_000 })
    }

    async fn online(&self, _tenant: &TenantId) -> bool {
        true
    }

    async fn take_file(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Tells the codes on standard output.
struct Aloud;

#[async_trait]
impl SmsSender for Aloud {
    async fn send(&self, _tenant: &TenantId, sms: &Sms) -> Outcome<()> {
        println!("code {} {}", sms.phone, sms.params.first().map_or("", String::as_str));
        Outcome::Done(())
    }
}

async fn open(folder: &Path, database: &str) -> Result<Store> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(match database {
        "sqlite" => Store::open_sqlite(&folder.join("alone.db"), SqliteOptions::default(), clock).await?,
        url => Store::open_postgres(url, clock).await?,
    })
}

/// Serves until it is killed.
pub(crate) async fn serve(folder: &Path, port: u16, database: &str) -> Result<()> {
    let store = open(folder, database).await?;
    store.migrate(base::MIGRATIONS).await?;
    store.migrate(money::MIGRATIONS).await?;
    store.migrate(care::MIGRATIONS).await?;
    let ids: Arc<Ids> = ids();
    let ctx = Ctx {
        store,
        clock: Arc::new(SystemClock),
        hospital: Arc::new(AtOnce::default()),
        events: Events::default(),
        blobs: Arc::new(BlobStore::open(&folder.join("blobs")).await?),
        vault: Arc::new(Vault::new(&hex::encode(ids.random::<32>()), ids.clone())?),
        ids,
        sms: Arc::new(Aloud),
        sessions: Arc::default(),
        site: Arc::new(base::Site {
            public_url: format!("http://127.0.0.1:{port}"),
            secure_cookies: false,
        }),
    };
    let tenant = TenantId::parse("hos_bench").context("a hospital's identifier")?;
    let edge = EdgeId::parse("edg_1").context("an appliance's identifier")?;
    let scope = Scope::system(tenant);
    let put = ctx.store.write(&scope, move |tx| {
        let edge = edge.clone();
        Box::pin(async move { base::tenants::put(tx, HOSPITAL, "测量医院", Some(&edge)).await })
    });
    put.await.map_err(|e: StoreError| e)?;
    let (router, _) = base::routes().merge(care::routes()).split_for_parts();
    let with_request_id = axum::middleware::from_fn_with_state(ctx.clone(), base::http::with_request_id);
    let router = router
        .layer(axum::Extension(settings::Kinds::default()))
        .layer(with_request_id)
        .with_state(ctx);
    let router = axum::Router::new().nest("/api/v1", router);
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("ready");
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
