//! The documents of a visit, gathered from the contexts that keep them, and the act by which each is signed.

use base::permission::Prescribes;
use base::{ApiError, Ctx, Staff};
use records::id::{OrderId, PrescriptionId, VisitId};
use records::sign::Pin;
use store::Tx;

use super::{EndingDocument, Kind, Missing, Papers, Seen};
use crate::medical_record::{self, issue::subject};
use crate::orders::{self, store::Sheet};
use crate::prescribing::store::Chart;
use crate::prescribing::{self, Kind as Recipe, State as Stands};
use crate::record_review;
use crate::signing::{self, Purpose};

/// Names shown of a prescription.
const SHOWN: usize = 6;

/// Everything the doctor wrote in a visit. What was thrown away or replaced is not part of it.
pub(super) async fn of(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId) -> Result<Papers, ApiError> {
    let mut papers = Papers::default();
    record(tx, ctx, visit, &mut papers).await?;
    for sheet in orders::store::of_visit(tx, visit).await? {
        if !matches!(sheet.state, orders::State::Revoked | orders::State::Refused) {
            papers.documents.push(order(&sheet)?);
        }
    }
    for chart in prescribing::store::of_visit(tx, visit).await? {
        if !matches!(chart.state, Stands::Revised | Stands::Revoked | Stands::Expired) {
            papers.documents.push(prescription(&chart)?);
        }
    }
    Ok(papers)
}

async fn record(tx: &mut Tx<'_>, ctx: &Ctx, visit: &VisitId, papers: &mut Papers) -> Result<(), ApiError> {
    let missing = |code, text| Missing {
        code,
        kind: Kind::Record,
        text,
    };
    let Some(saved) = medical_record::store::latest(tx, &ctx.vault, visit).await? else {
        papers.missing.push(missing("no_record", "还没有书写病历"));
        return Ok(());
    };
    let signature = signing::store::of_subject(tx, Purpose::Record, &subject(visit, saved.version)).await?;
    let signed = signature.is_some();
    if !signed && !saved.record.is_complete() {
        let text = "病历还没有写完：主诉和诊断为必填";
        papers.missing.push(missing("record_incomplete", text));
        return Ok(());
    }
    let review = record_review::store::find(tx, visit, saved.version).await?;
    let state_text = match (&review, signed) {
        (Some(review), _) => review.state.text(),
        (None, true) => "已签名",
        (None, false) => "未签名",
    };
    let names: Vec<_> = saved.record.diagnoses().into_iter().map(|d| d.name).collect();
    papers.documents.push(EndingDocument {
        seen: Seen {
            kind: Kind::Record,
            id: visit.to_string(),
            edition: saved.version,
        },
        title: format!("病历（第{}版）", saved.version),
        summary: format!("{}；{}", saved.record.chief_complaint.trim(), names.join("、")),
        signed,
        state_text: state_text.to_owned(),
    });
    Ok(())
}

/// The first names, and how many there are when that is not all.
fn shown(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len() > SHOWN;
    let more = if more {
        format!("等{}项", names.len())
    } else {
        String::new()
    };
    format!("{}{more}", first.join("、"))
}

fn order(sheet: &Sheet) -> Result<EndingDocument, ApiError> {
    let names: Vec<_> = sheet.lines()?.into_iter().map(|l| l.name).collect();
    let state_text = match sheet.state {
        orders::State::Draft => "未签名",
        state => state.text(),
    };
    Ok(EndingDocument {
        seen: Seen {
            kind: Kind::Order,
            id: sheet.id.to_string(),
            edition: sheet.edition,
        },
        title: sheet.kind.text().to_owned(),
        summary: format!("{}，合计 {} 元", shown(&names), sheet.total_fen),
        signed: sheet.state != orders::State::Draft,
        state_text: state_text.to_owned(),
    })
}

fn prescription(chart: &Chart) -> Result<EndingDocument, ApiError> {
    let names: Vec<_> = chart.lines()?.into_iter().map(|l| l.name).collect();
    let title = match chart.kind {
        Recipe::Western => "西药处方",
        Recipe::Herbal => "中药处方",
    };
    let state_text = match chart.state {
        Stands::Draft => "未签名",
        state => state.text(),
    };
    Ok(EndingDocument {
        seen: Seen {
            kind: Kind::Prescription,
            id: chart.id.to_string(),
            edition: chart.edition,
        },
        title: title.to_owned(),
        summary: format!("{}，合计 {} 元", shown(&names), chart.total_fen),
        signed: chart.state != Stands::Draft,
        state_text: state_text.to_owned(),
    })
}

/// Signs one of them and submits it, by the act of its own context.
pub(super) async fn sign(
    ctx: &Ctx,
    staff: &Staff<Prescribes>,
    visit: &VisitId,
    paper: &Seen,
    pin: Pin,
) -> Result<(), ApiError> {
    let (scope, member) = (&staff.scope(), &staff.member);
    match paper.kind {
        Kind::Record => medical_record::sign_version(ctx, scope, member, visit, Some(paper.edition), pin)
            .await
            .map(drop),
        Kind::Prescription => {
            let number = PrescriptionId::parse(&paper.id).ok_or_else(ApiError::not_found)?;
            prescribing::sign_draft(ctx, scope, member, &number, pin)
                .await
                .map(drop)
        }
        Kind::Order => {
            let number = OrderId::parse(&paper.id).ok_or_else(ApiError::not_found)?;
            orders::sign_draft(ctx, scope, member, &number, pin).await.map(drop)
        }
    }
}
