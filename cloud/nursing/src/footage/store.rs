//! SQL of clips, and what the appliance's entries do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::footage::{
    ClipId, CustodyEntry, DockingId, FootageCleared, FootageConfirmed, FootageRefusal, FootageRefused, SealedFootage,
    kind,
};
use records::id::{BlobId, EdgeId};
use records::{PeerId, Timestamp};
use store::{StoreError, Tx};

use super::State;
use crate::patient::Marked;
use crate::recorder::serial;
use crate::recorder::store::{self as recorders, send_to};

store::row! {
    /// A clip.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Clip {
        pub(crate) id: ClipId,
        pub(crate) appliance: EdgeId,
        pub(crate) sequence: u64,
        pub(crate) docking: DockingId,
        pub(crate) serial: String,
        pub(crate) holder: String,
        pub(crate) holder_name: String,
        pub(crate) order_no: String,
        pub(crate) patient_masked: String,
        pub(crate) file: String,
        pub(crate) size: u64,
        pub(crate) sm3: String,
        pub(crate) sha256: String,
        pub(crate) container: String,
        pub(crate) condition: String,
        pub(crate) began_at: Timestamp,
        pub(crate) duration_ms: Option<u64>,
        pub(crate) entry: Vec<u8>,
        pub(crate) cms: Vec<u8>,
        pub(crate) state: State,
        pub(crate) note: String,
        pub(crate) blob_id: Option<BlobId>,
        pub(crate) received_at: Timestamp,
        pub(crate) confirmed_at: Option<Timestamp>,
        pub(crate) cleared_at: Option<Timestamp>,
    }
}

/// A clip was sealed and uploaded. The same clip again is answered again. What cannot be read is answered in words, to be
/// put aside.
///
/// # Errors
/// Of the database.
pub async fn sealed(tx: &mut Tx<'_>, from: &PeerId, body: &SealedFootage) -> Result<Result<(), String>, StoreError> {
    let (Ok(entry), Ok(cms)) = (STANDARD.decode(&body.entry), STANDARD.decode(&body.cms)) else {
        return Ok(Err("custody entry is not base64".to_owned()));
    };
    let said: CustodyEntry = match serde_json::from_slice(&entry) {
        Ok(said) => said,
        Err(error) => return Ok(Err(format!("custody entry cannot be read: {error}"))),
    };
    let own = PeerId::edge(&said.appliance) == *from && said.clip == body.clip && said.format == CustodyEntry::FORMAT;
    if !own {
        return Ok(Err("custody entry of another appliance, clip or form".to_owned()));
    }
    // Files are looked for and named by these: they are what they say before anybody does.
    let serial = serial(&said.recorder).is_some_and(|s| s == said.recorder);
    let kept = i64::try_from(said.size).is_ok() && i64::try_from(said.sequence).is_ok();
    if !serial || !kept || !is_digest(&said.sm3) || !is_digest(&said.sha256) {
        return Ok(Err("custody entry without a serial number, size or digest".to_owned()));
    }
    match get(tx, &body.clip).await? {
        None => {
            insert(tx, &said, &entry, &cms).await?;
        }
        Some(known) if known.entry != entry => {
            tracing::error!(clip.id = %body.clip, "a clip came again with another custody entry");
            let text = "同一片段的保管链条目与先前的不一致";
            answer_refused(tx, &known.appliance, &body.clip, FootageRefusal::Unsound, text).await?;
        }
        Some(known) if known.state == State::Confirmed => confirm_again(tx, &known).await?,
        Some(_) => {
            let tenant = tx.tenant().clone();
            tx.exec(
                "UPDATE nursing_clip SET state = 'received', cms = $3, note = '' WHERE tenant_id = $1 AND id = $2",
                &[&tenant, &body.clip, &cms],
            )
            .await?;
        }
    }
    Ok(Ok(()))
}

/// Thirty-two bytes in hex, as the appliance writes them.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

async fn insert(tx: &mut Tx<'_>, said: &CustodyEntry, entry: &[u8], cms: &[u8]) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let (holder, name, order) = said
        .issue
        .as_ref()
        .map(|i| (i.holder.clone(), i.holder_name.clone(), i.order.clone()))
        .unwrap_or_default();
    let issue = said.issue.as_ref().map(|i| i.id.to_string()).unwrap_or_default();
    let patient = recorders::patient_of(tx, &issue).await?;
    let began = said.corrected_at().unwrap_or(said.docked_at);
    tx.exec(
        "INSERT INTO nursing_clip(tenant_id, id, appliance, sequence, docking, serial, holder, holder_name, order_no, file,
            size, sm3, sha256, container, condition, began_at, duration_ms, entry, cms, state, note, received_at,
            issue_id, patient_masked, patient_name_index, patient_number_index)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 'received', '', $20,
            $21, $22, $23, $24)",
        &[
            &tenant,
            &said.clip,
            &said.appliance,
            &said.sequence,
            &said.docking,
            &said.recorder,
            &holder,
            &name,
            &order,
            &said.file,
            &said.size,
            &said.sm3,
            &said.sha256,
            &said.container,
            &said.condition,
            &began,
            &said.duration_ms,
            &entry,
            &cms,
            &now,
            &issue,
            &patient.masked,
            &patient.name_index,
            &patient.number_index,
        ],
    )
    .await
    .map(drop)
}

/// The clip is not on its recorder any more.
///
/// # Errors
/// Of the database.
pub async fn cleared(tx: &mut Tx<'_>, body: &FootageCleared) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE nursing_clip SET cleared_at = $3 WHERE tenant_id = $1 AND id = $2 AND cleared_at IS NULL",
        &[&tenant, &body.clip, &body.at],
    )
    .await
    .map(drop)
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &ClipId) -> Result<Option<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE tenant_id = $1 AND id = $2",
        Clip::COLUMNS
    );
    tx.opt(&sql, &[&tenant, id]).await
}

/// Clips that were not judged, oldest first.
pub(crate) async fn unjudged(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE tenant_id = $1 AND state = 'received' ORDER BY received_at, id LIMIT $2",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, &limit]).await
}

/// The entry at a place of an appliance's chain.
pub(crate) async fn entry_at(
    tx: &mut Tx<'_>,
    appliance: &EdgeId,
    sequence: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Vec<u8>,)> = tx
        .opt(
            "SELECT entry FROM nursing_clip WHERE tenant_id = $1 AND appliance = $2 AND sequence = $3",
            &[&tenant, appliance, &sequence],
        )
        .await?;
    Ok(row.map(|(entry,)| entry))
}

/// Clips of an appliance's chain between two places.
pub(crate) async fn of_chain(tx: &mut Tx<'_>, appliance: &EdgeId, from: u64, to: u64) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE tenant_id = $1 AND appliance = $2 AND sequence >= $3 AND sequence <= $4
         ORDER BY sequence, id",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, appliance, &from, &to]).await
}

/// Clips of a docking, in the order in which they were recorded.
pub(crate) async fn of_docking(tx: &mut Tx<'_>, docking: &DockingId, limit: u32) -> Result<Vec<Clip>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE tenant_id = $1 AND docking = $2 ORDER BY began_at, file, id LIMIT $3",
        Clip::COLUMNS
    );
    tx.all(&sql, &[&tenant, docking, &limit]).await
}

/// The clip is kept: its row, and the word to the appliance.
pub(crate) async fn confirm(tx: &mut Tx<'_>, clip: &Clip, blob: &BlobId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE nursing_clip SET state = 'confirmed', blob_id = $3, confirmed_at = $4, note = '' WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &clip.id, blob, &now],
    )
    .await?;
    confirm_again(tx, clip).await
}

async fn confirm_again(tx: &mut Tx<'_>, clip: &Clip) -> Result<(), StoreError> {
    let body = FootageConfirmed {
        clip: clip.id.clone(),
        sha256: clip.sha256.clone(),
        at: tx.now(),
    };
    send_to(
        tx,
        &PeerId::edge(&clip.appliance),
        kind::FOOTAGE_CONFIRMED,
        clip.id.as_str(),
        &body,
    )
    .await
}

/// The clip is not kept.
pub(crate) async fn refuse(tx: &mut Tx<'_>, clip: &Clip, reason: FootageRefusal, text: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let state = match reason {
        FootageRefusal::Missing => State::Missing,
        FootageRefusal::Unsound => State::Refused,
    };
    tx.exec(
        "UPDATE nursing_clip SET state = $3, note = $4 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &clip.id, &state, &text],
    )
    .await?;
    answer_refused(tx, &clip.appliance, &clip.id, reason, text).await
}

async fn answer_refused(
    tx: &mut Tx<'_>,
    appliance: &EdgeId,
    clip: &ClipId,
    reason: FootageRefusal,
    text: &str,
) -> Result<(), StoreError> {
    let body = FootageRefused {
        clip: clip.clone(),
        reason,
        text: text.to_owned(),
        at: tx.now(),
    };
    send_to(
        tx,
        &PeerId::edge(appliance),
        kind::FOOTAGE_REFUSED,
        clip.as_str(),
        &body,
    )
    .await
}

/// Which clips a list shows; empty texts mean all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Staff id, or part of the name.
    pub(crate) holder: String,
    pub(crate) order: String,
    pub(crate) serial: String,
    /// The patient, by name or number; see [`Marked::wanted`].
    pub(crate) patient: Marked,
    pub(crate) condition: String,
    pub(crate) state: String,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

pub(crate) async fn search(
    tx: &mut Tx<'_>,
    filter: &Filter,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Clip>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let (from, until) = (
        filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
        filter.until.unwrap_or(Timestamp::from_micros(i64::MAX)),
    );
    let part = format!(
        "%{}%",
        filter
            .holder
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_")
    );
    let wanted =
        "tenant_id = $1 AND ($2 = '' OR holder = $2 OR holder_name LIKE $3 ESCAPE '\\') AND ($4 = '' OR order_no = $4)
        AND ($5 = '' OR serial = $5) AND began_at >= $6 AND began_at < $7
        AND ($8 = '' OR patient_name_index = $8 OR ($9 <> '' AND patient_number_index = $9))
        AND ($10 = '' OR condition = $10) AND ($11 = '' OR state = $11)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM nursing_clip WHERE {wanted}"),
            &[
                &tenant,
                &filter.holder,
                &part,
                &filter.order,
                &filter.serial,
                &from,
                &until,
                &filter.patient.name_index,
                &filter.patient.number_index,
                &filter.condition,
                &filter.state,
            ],
        )
        .await?;
    let sql = format!(
        "SELECT {} FROM nursing_clip WHERE {wanted} ORDER BY began_at DESC, id DESC LIMIT $12 OFFSET $13",
        Clip::COLUMNS
    );
    let rows = tx
        .all(
            &sql,
            &[
                &tenant,
                &filter.holder,
                &part,
                &filter.order,
                &filter.serial,
                &from,
                &until,
                &filter.patient.name_index,
                &filter.patient.number_index,
                &filter.condition,
                &filter.state,
                &limit,
                &offset,
            ],
        )
        .await?;
    Ok((rows, total))
}
