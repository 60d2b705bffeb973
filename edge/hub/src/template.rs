//! How documents look: the hospital's templates as the cloud sent them, the ones that came with the software otherwise.

use printer::Slip;
use printer::template::Template;
use records::paper::{PaperKind, PrintTemplate, TemplateInUse};
use serde_json::Value;
use store::{StoreError, Tx};

use crate::spool::Job;

fn labels(kind: PaperKind) -> Vec<&'static str> {
    kind.labels().iter().map(|(label, _)| *label).collect()
}

fn read(kind: PaperKind, value: &Value) -> Result<Template, printer::Invalid> {
    Template::parse(value, &labels(kind), kind.required())
}

/// The template that came with the software.
fn shipped(kind: PaperKind) -> Template {
    let value: Value = serde_json::from_str(kind.template()).unwrap_or_default();
    read(kind, &value).unwrap_or_else(|error| {
        tracing::error!(%error, print.kind = %kind, "the template that came with the software is wrong");
        Template { elements: Vec::new() }
    })
}

/// Takes a template; an older version than the one known changes nothing.
pub(crate) async fn accept(tx: &mut Tx<'_>, sent: &PrintTemplate) -> Result<(), StoreError> {
    let (tenant, now, kind) = (tx.tenant().clone(), tx.now(), sent.kind.as_str());
    let known: Option<(u64,)> = tx
        .opt(
            "SELECT seen FROM print_template WHERE tenant_id = $1 AND kind = $2",
            &[&tenant, &kind],
        )
        .await?;
    if known.is_some_and(|(seen,)| seen >= sent.version) {
        return Ok(());
    }
    tx.exec(
        "INSERT INTO print_template (tenant_id, kind, seen, version, body, refused, changed_at) VALUES ($1, $2, 0, 0, NULL, NULL, $3)
         ON CONFLICT (tenant_id, kind) DO NOTHING",
        &[&tenant, &kind, &now],
    )
    .await?;
    let wrong = match &sent.template {
        Some(value) => read(sent.kind, value).err(),
        None => None,
    };
    if let Some(wrong) = wrong {
        tracing::error!(print.kind = kind, print.version = sent.version, at = %wrong.at, "a print template cannot be used");
        let words = format!("第 {} 版不能使用：{}", sent.version, wrong.words);
        tx.exec(
            "UPDATE print_template SET seen = $3, refused = $4, changed_at = $5 WHERE tenant_id = $1 AND kind = $2",
            &[&tenant, &kind, &sent.version, &words, &now],
        )
        .await?;
        return Ok(());
    }
    tx.exec(
        "UPDATE print_template SET seen = $3, version = $3, body = $4, refused = NULL, changed_at = $5 WHERE tenant_id = $1 AND kind = $2",
        &[&tenant, &kind, &sent.version, &sent.template, &now],
    )
    .await
    .map(drop)
}

/// The template in use.
pub(crate) async fn in_use(tx: &mut Tx<'_>, kind: PaperKind) -> Result<Template, StoreError> {
    let (tenant, word) = (tx.tenant().clone(), kind.as_str());
    let row: Option<(Option<Value>,)> = tx
        .opt(
            "SELECT body FROM print_template WHERE tenant_id = $1 AND kind = $2",
            &[&tenant, &word],
        )
        .await?;
    let own = row.and_then(|(body,)| body).and_then(|body| read(kind, &body).ok());
    Ok(own.unwrap_or_else(|| shipped(kind)))
}

/// Versions in use, and newer ones that were refused.
pub(crate) async fn versions(tx: &mut Tx<'_>) -> Result<Vec<TemplateInUse>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String, u64, Option<String>)> = tx
        .all(
            "SELECT kind, version, refused FROM print_template WHERE tenant_id = $1 ORDER BY kind",
            &[&tenant],
        )
        .await?;
    let read = |(kind, version, refused): (String, u64, Option<String>)| {
        Some(TemplateInUse {
            kind: kind.parse().ok()?,
            version,
            refused,
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// The driver's slip for a job; a copy beyond the first says so.
pub(crate) fn slip(job: &Job) -> Slip {
    Slip::read(&job.slip, job.copy).unwrap_or_else(|_| Slip::unreadable())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver reads what the line carries: whoever changes one shape learns of the other here.
    #[test]
    fn every_kind_of_slip_is_read_as_it_was_sent() {
        for kind in PaperKind::ALL {
            let sent = kind.sample();
            let slip = Slip::read(&serde_json::to_value(&sent).unwrap(), 1).unwrap();
            assert_eq!(
                (&slip.header, &slip.title, &slip.qr),
                (&sent.header, &sent.title, &sent.qr)
            );
            assert_eq!((slip.fields, slip.footer), (sent.fields, sent.footer), "{kind}");
            assert_eq!(slip.total, sent.total_fen.map(|fen| format!("{fen} 元")));
            let amounts = |i: &records::line::SlipItem| i.amount_fen.map(|f| f.to_string()).unwrap_or_default();
            assert!(
                slip.items
                    .iter()
                    .map(|i| i.amount.clone())
                    .eq(sent.items.iter().map(amounts))
            );
        }
    }

    #[test]
    fn every_kind_has_a_template_that_is_right() {
        for kind in PaperKind::ALL {
            let value: Value = serde_json::from_str(kind.template()).unwrap();
            assert_eq!(read(kind, &value).map(|t| t.elements.is_empty()), Ok(false), "{kind}");
        }
    }
}
