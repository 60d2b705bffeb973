//! Revocation: lists and their addresses, what our own authority revokes, the time-stamp unit.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door, file};
use crate::Refusal;
use crate::application::{ChainId, KeyIndex};
use crate::manage::failure::{Failure, Refused};
use crate::revocation::{Kept, Revoking, Taken, Trouble};
use crate::stamping::StampSettings;
use crate::trust::ChainSettings;

/// Time for a list that somebody waits for.
const FETCH: Duration = Duration::from_secs(60);

/// A revocation list in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListView {
    id: String,
    /// Name of its issuer.
    issuer: String,
    /// Its number, hexadecimal.
    number: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    this_update: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_update: Option<Timestamp>,
    /// Certificates that it revokes.
    entries: u64,
    /// Bytes of memory that it takes.
    memory: u64,
    /// A newer one was due.
    stale: bool,
    /// Deltas have been applied to it.
    updated: bool,
    /// Of the hospital's own authority.
    own: bool,
}

impl ListView {
    fn of(kept: &Kept, now: Timestamp) -> Self {
        let head = kept.crl.head();
        Self {
            id: kept.id.to_string(),
            issuer: kept.issuer().to_owned(),
            number: head.number.as_ref().map(ToString::to_string),
            this_update: Timestamp::from_offset(head.this_update),
            next_update: head.next_update.map(Timestamp::from_offset),
            entries: kept.crl.len() as u64,
            memory: kept.crl.memory() as u64,
            stale: kept.crl.is_stale(now.offset()),
            updated: kept.is_updated(),
            own: kept.own.is_some(),
        }
    }
}

/// An address that lists are fetched from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SourceView {
    address: String,
    /// From a certificate that was judged; otherwise of a chain.
    learned: bool,
    /// When it is fetched next.
    #[schema(value_type = String, format = DateTime)]
    due: Timestamp,
    /// When it was last tried.
    #[schema(value_type = Option<String>, format = DateTime)]
    tried_at: Option<Timestamp>,
    /// When a list last came of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    fetched_at: Option<Timestamp>,
    /// Failures in a row.
    failures: u32,
    /// What went wrong last, in plain words.
    trouble: Option<String>,
    /// The list that came of it.
    list: Option<String>,
}

/// A chain's settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChainRevocation)]
pub(super) struct ChainView {
    id: ChainId,
    name: String,
    settings: ChainSettings,
}

/// All that is known about revocations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevocationView {
    lists: Vec<ListView>,
    sources: Vec<SourceView>,
    chains: Vec<ChainView>,
    /// Where our own lists are published; certificates issued from now on name it.
    published: Option<String>,
    /// An administrator said so here; otherwise the settings of the start say it.
    published_here: bool,
}

/// Lists in force, addresses with what became of them, chains with their settings.
#[utoipa::path(get, path = "/manage/v1/revocation", tag = "revocation",
    responses((status = 200, body = RevocationView)))]
pub(super) async fn show(State(door): State<Door>) -> Answer<RevocationView> {
    let (service, now) = (&door.service, door.engine().clock.now());
    let sources = service.revocation.source_states().into_iter().map(|source| SourceView {
        address: source.address,
        learned: source.learned,
        due: source.due,
        tried_at: source.tried_at,
        fetched_at: source.fetched_at,
        failures: source.failures,
        trouble: source.trouble,
        list: source.list.map(|id| id.to_string()),
    });
    let state = service.state();
    let chains = state.chains.values().map(|chain| ChainView {
        id: chain.id.clone(),
        name: chain.name.clone(),
        settings: chain.settings.clone(),
    });
    Ok(Json(RevocationView {
        lists: service
            .revocation
            .lists()
            .all()
            .map(|kept| ListView::of(kept, now))
            .collect(),
        sources: sources.collect(),
        chains: chains.collect(),
        published: door.engine().published.in_force(),
        published_here: door.engine().published.is_said(),
    }))
}

/// Sets where the state of a chain's certificates is found out.
#[utoipa::path(put, path = "/manage/v1/chains/{id}/revocation", tag = "revocation", params(("id" = String, Path)),
    request_body = ChainSettings, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_chain(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<ChainSettings>,
) -> Answer<Done> {
    door.change(move |manage| manage.engine().set_chain(&signed.who.name, &ChainId(id), &asked))
        .await?;
    Ok(Json(Done {}))
}

/// Which addresses are fetched now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchNow {
    /// One of the addresses; all of them when absent.
    #[serde(default)]
    address: Option<String>,
}

/// What became of an address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fetched {
    address: String,
    /// A newer list is in force.
    renewed: bool,
    /// Why no list came of it.
    trouble: Option<String>,
}

/// Fetches lists now.
#[utoipa::path(post, path = "/manage/v1/revocation/fetch", tag = "revocation", request_body = FetchNow,
    responses((status = 200, body = Vec<Fetched>), (status = 404, body = Refused)))]
pub(super) async fn fetch(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<FetchNow>,
) -> Answer<Vec<Fetched>> {
    let mut known: Vec<String> = door
        .service
        .revocation
        .source_states()
        .into_iter()
        .map(|s| s.address)
        .collect();
    if let Some(address) = asked.address {
        known.retain(|one| *one == address);
        if known.is_empty() {
            return Err(Refusal::no("address_unknown", "没有这个黑名单地址。").into());
        }
    }
    let mut fetched = Vec::with_capacity(known.len());
    for address in known {
        let taken = door.service.fetch_list(&address, FETCH).await;
        fetched.push(Fetched {
            address,
            renewed: matches!(taken, Ok(Taken::New(_))),
            trouble: taken.err().map(|trouble| trouble.to_string()),
        });
    }
    let texts: Vec<&str> = fetched.iter().map(|one| one.address.as_str()).collect();
    log(&door, signed, "crl.fetched", texts.join(" ")).await?;
    Ok(Json(fetched))
}

/// A list that somebody brought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportList {
    /// The file (DER or PEM), Base64.
    file: String,
}

/// Takes in a list by hand. One that is worse than what there is, or of nobody in the chains, is refused.
#[utoipa::path(post, path = "/manage/v1/revocation/import", tag = "revocation", request_body = ImportList,
    responses((status = 200, body = ListView), (status = 422, body = Refused)))]
pub(super) async fn import(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<ImportList>,
) -> Answer<ListView> {
    let (view, detail) = door
        .act(move |manage| {
            let bytes = file(&asked.file)?;
            let der = match bytes.first() {
                Some(0x30) => bytes,
                _ => gm::pem::read_bundle(&bytes)?
                    .crls
                    .into_iter()
                    .next()
                    .ok_or_else(|| Refusal::no("crl", "文件中没有吊销列表（CRL）。"))?,
            };
            let taken = manage.service.import_list(&der).map_err(|trouble| worse(&trouble))?;
            let (lists, now) = (manage.service.revocation.lists(), manage.engine().clock.now());
            let kept = lists.get(&taken.id()).ok_or(Refusal::Damaged("list"))?;
            let view = ListView::of(kept, now);
            let detail = format!("{} {}", view.issuer, view.number.as_deref().unwrap_or_default());
            Ok((view, detail))
        })
        .await?;
    log(&door, signed, "crl.imported", detail).await?;
    Ok(Json(view))
}

fn worse(trouble: &Trouble) -> Refusal {
    let code = match trouble {
        Trouble::Worse(_) | Trouble::NoBase => "crl_worse",
        _ => "crl",
    };
    Refusal::no(code, format!("{trouble}。"))
}

async fn log(door: &Door, signed: Signed, act: &'static str, detail: String) -> Result<(), Failure> {
    door.act(move |manage| {
        let engine = manage.engine();
        let now = engine.clock.now();
        engine.vault.write(|unit| unit.log(now, act, &signed.who.name, &detail))
    })
    .await
}

/// A certificate of the hospital's own authority.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnView {
    serial: String,
    /// Its holder.
    subject: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    reason: Option<Revoking>,
    /// Who revoked it.
    revoked_by: Option<String>,
}

/// Certificates of the hospital's own authority, and those of them that are revoked.
#[utoipa::path(get, path = "/manage/v1/revocation/own", tag = "revocation",
    responses((status = 200, body = Vec<OwnView>)))]
pub(super) async fn own(State(door): State<Door>) -> Answer<Vec<OwnView>> {
    let all = door.act(|manage| manage.engine().own_certificates()).await?;
    let views = all.into_iter().map(|own| {
        let (revoked_at, reason, revoked_by) = match own.revoked {
            Some((at, reason, by)) => (Some(at), Some(reason), Some(by)),
            None => (None, None, None),
        };
        OwnView {
            serial: own.serial,
            subject: own.subject,
            not_after: own.not_after,
            revoked_at,
            reason,
            revoked_by,
        }
    });
    Ok(Json(views.collect()))
}

/// A certificate to be revoked for good.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// Its serial number, hexadecimal.
    serial: String,
    reason: Revoking,
    /// Its holder's name, typed by who revokes it.
    confirm: String,
}

/// Revokes a certificate of the hospital's own authority; a new list is issued at once.
#[utoipa::path(post, path = "/manage/v1/revocation/own", tag = "revocation", request_body = Revoke,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn revoke(State(door): State<Door>, signed: Signed, Asked(asked): Asked<Revoke>) -> Answer<Done> {
    door.change(move |manage| {
        let engine = manage.engine();
        engine.revoke_own(&signed.who.name, &asked.serial, asked.reason, &asked.confirm)?;
        // In force before it is answered: the key signs no more.
        manage.service.put_own_lists()
    })
    .await?;
    Ok(Json(Done {}))
}

/// The time-stamp unit.
#[utoipa::path(get, path = "/manage/v1/stamping", tag = "revocation", responses((status = 200, body = StampSettings)))]
pub(super) async fn stamping(State(door): State<Door>) -> Answer<StampSettings> {
    Ok(Json(StampSettings::clone(&door.service.stamping.settings())))
}

/// Designates the keys that stamp.
#[utoipa::path(put, path = "/manage/v1/stamping", tag = "revocation", request_body = StampSettings,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn set_stamping(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<StampSettings>,
) -> Answer<Done> {
    door.change(move |manage| {
        let state = manage.service.state();
        manage.engine().set_stamping(&signed.who.name, &asked, &state)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Who stamps.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertifyStamp {
    /// The hospital's name.
    organization: String,
    /// The unit's name.
    name: String,
}

/// Certifies a key for time stamps under the hospital's own authority.
#[utoipa::path(post, path = "/manage/v1/stamping/keys/{index}/certify", tag = "revocation",
    params(("index" = u32, Path)), request_body = CertifyStamp,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn certify_stamp(
    State(door): State<Door>,
    signed: Signed,
    Path(index): Path<u32>,
    Asked(asked): Asked<CertifyStamp>,
) -> Answer<Done> {
    door.change(move |manage| {
        let key = manage.service.state().keys.get(&KeyIndex(index)).map(Arc::clone);
        let key = key.ok_or_else(|| Refusal::no("key_unknown", format!("没有索引为 {index} 的密钥。")))?;
        manage
            .engine()
            .certify_stamp_key(&signed.who.name, &key, &asked.organization, &asked.name)
    })
    .await?;
    Ok(Json(Done {}))
}
