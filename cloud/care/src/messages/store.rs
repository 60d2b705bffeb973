//! SQL of messages.

use base::Vault;
use records::Timestamp;
use records::id::VisitId;
use serde::Serialize;
use store::{Migration, Tx};
use utoipa::ToSchema;

use crate::CareError;

const TEXT: &str = "message.text";

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0006_messages",
    sql: "
CREATE TABLE care_message (
  tenant_id TEXT NOT NULL, visit_id TEXT NOT NULL, seq BIGINT NOT NULL, client_id TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('patient','doctor','system')),
  kind TEXT NOT NULL CHECK (kind IN ('text','image','voice','system')),
  text_sealed BLOB, blob_id TEXT, duration_s BIGINT, at BIGINT NOT NULL, actor TEXT NOT NULL,
  PRIMARY KEY (tenant_id, visit_id, seq),
  UNIQUE (tenant_id, visit_id, side, client_id)
);
",
};

/// A message to be written.
pub(crate) struct New<'a> {
    pub(crate) side: &'static str,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) kind: &'static str,
    pub(crate) text: Option<&'a str>,
    pub(crate) blob_id: Option<&'a str>,
    pub(crate) duration_s: Option<u32>,
}

impl<'a> New<'a> {
    pub(crate) const fn system(text: &'a str) -> Self {
        Self {
            side: "system",
            client_id: None,
            kind: "system",
            text: Some(text),
            blob_id: None,
            duration_s: None,
        }
    }
}

/// Writes a message; a client id that was written before by the same side answers the number it got then.
pub(crate) async fn append(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId, new: &New<'_>) -> Result<u64, CareError> {
    let (tenant, now, actor) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    if let Some(client_id) = new.client_id {
        let before: Option<(u64,)> = tx
            .opt(
                "SELECT seq FROM care_message WHERE tenant_id = $1 AND visit_id = $2 AND side = $3 AND client_id = $4",
                &[&tenant, visit, &new.side, &client_id],
            )
            .await?;
        if let Some((seq,)) = before {
            return Ok(seq);
        }
    }
    let (seq,): (u64,) = tx
        .one(
            "SELECT COALESCE(MAX(seq), 0) + 1 FROM care_message WHERE tenant_id = $1 AND visit_id = $2",
            &[&tenant, visit],
        )
        .await?;
    let own_name = format!("system-{seq}");
    let client_id = new.client_id.unwrap_or(&own_name);
    let sealed = new
        .text
        .map(|text| vault.seal(&tenant, TEXT, text.trim().as_bytes()))
        .transpose()?;
    tx.exec(
        "INSERT INTO care_message (tenant_id, visit_id, seq, client_id, side, kind, text_sealed, blob_id, duration_s, at, actor) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        &[
            &tenant,
            visit,
            &seq,
            &client_id,
            &new.side,
            &new.kind,
            &sealed,
            &new.blob_id,
            &new.duration_s,
            &now,
            &actor,
        ],
    )
    .await?;
    Ok(seq)
}

/// A message as both sides see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Message {
    /// Number in the visit, from 1.
    pub seq: u64,
    /// Same as `seq`, as text.
    pub id: String,
    /// The writer's own name of the message.
    pub client_id: String,
    /// `patient`, `doctor` or `system`.
    pub from: String,
    /// `text`, `image`, `voice` or `system`.
    pub kind: String,
    /// Words.
    pub text: Option<String>,
    /// File.
    pub blob_id: Option<String>,
    /// Length of a voice message.
    pub duration_s: Option<u32>,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

type Row = (
    u64,
    String,
    String,
    String,
    Option<Vec<u8>>,
    Option<String>,
    Option<u32>,
    Timestamp,
);

/// Messages after a number, in order.
pub(crate) async fn after(
    tx: &mut Tx<'_>,
    vault: &Vault,
    visit: &VisitId,
    after: u64,
    most: u32,
) -> Result<Vec<Message>, CareError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<Row> = tx
        .all(
            "SELECT seq, client_id, side, kind, text_sealed, blob_id, duration_s, at FROM care_message \
             WHERE tenant_id = $1 AND visit_id = $2 AND seq > $3 ORDER BY seq LIMIT $4",
            &[&tenant, visit, &after, &most],
        )
        .await?;
    rows.into_iter()
        .map(|(seq, client_id, from, kind, sealed, blob_id, duration_s, at)| {
            let text = sealed
                .map(|sealed| vault.open_text(&tenant, TEXT, &sealed))
                .transpose()?;
            Ok(Message {
                seq,
                id: seq.to_string(),
                client_id,
                from,
                kind,
                text,
                blob_id,
                duration_s,
                at,
            })
        })
        .collect()
}
