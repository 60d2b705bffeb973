//! What leaves for the HIS, and what its results do to an order. Results may come twice; the states know.

use base::{ApiError, Ctx, hospital};
use records::his::{
    ExamRevoke, ExamSubmit, LabRevoke, LabSubmit, Operation, OrderReceipt, OrderWithdrawal, SubmittedOrder,
    SubmittedOrderItem,
};
use records::id::OrderId;
use records::{HisCommand, HisCommandResult, Outcome, TenantId};
use serde::Serialize;
use store::{StoreError, Tx};

use super::store::{self as table, Sheet};
use super::{Kind, State};
use crate::signed;
use crate::signing::{self, Purpose};

/// Tells everybody whom an order concerns that it changed; after the commit.
pub async fn announce(ctx: &Ctx, tenant: &TenantId, id: &OrderId) {
    if let Err(error) = signed::announce::<Sheet>(ctx, tenant, id).await {
        tracing::warn!(order.id = %id, %error, "change not announced");
    }
}

/// Orders a HIS write under a key of its own.
async fn command<R: Serialize + Sync>(
    tx: &mut Tx<'_>,
    sheet: &mut Sheet,
    act: &str,
    method: &'static str,
    request: &R,
) -> Result<(), StoreError> {
    let request = serde_json::to_value(request).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    sheet.commands += 1;
    table::save(tx, sheet).await?;
    let command = HisCommand {
        key: format!("{}.{act}.{}", sheet.id, sheet.commands),
        method: method.to_owned(),
        subject: sheet.id.to_string(),
        request,
    };
    hospital::command(tx, &command).await
}

/// Orders the submission: what was signed, with the codes of the lines.
pub(super) async fn submit(tx: &mut Tx<'_>, ctx: &Ctx, sheet: &mut Sheet) -> Result<(), ApiError> {
    let tenant = tx.tenant().clone();
    let kept = signing::store::of_subject(tx, Purpose::Order, sheet.id.as_str()).await?;
    let kept = kept.ok_or_else(|| ApiError::internal("a signed order has no signature"))?;
    let bytes = kept.document(&ctx.vault, &tenant)?;
    let document: records::document::OrderDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    let items = sheet.lines()?.into_iter().map(|l| SubmittedOrderItem {
        code: l.code,
        name: l.name,
        department_code: l.department_code,
        specimen_code: l.specimen_code,
        amount_fen: l.price_fen,
        note: l.note,
    });
    let submitted = SubmittedOrder {
        order_number: sheet.id.to_string(),
        visit_order_number: sheet.visit_id.to_string(),
        his_patient_id: sheet.his_patient_id.clone(),
        doctor_code: sheet.doctor_code.clone(),
        department_code: sheet.department_code.clone(),
        diagnoses: document.diagnoses,
        purpose: document.purpose,
        items: items.collect(),
        total_fen: document.total_fen,
        document_sm3: kept.document_sm3,
        signed_at: kept.signed_at,
    };
    let method = match sheet.kind {
        Kind::Exam => ExamSubmit::METHOD,
        Kind::Lab => LabSubmit::METHOD,
    };
    Ok(command(tx, sheet, "submit", method, &submitted).await?)
}

/// Orders the revocation when the HIS has the order. One whose submission is still on its way is withdrawn by the answer
/// to that; one whose submission nobody knows of is asked for first, so that there is a number to take back.
pub(super) async fn withdraw(tx: &mut Tx<'_>, sheet: &mut Sheet) -> Result<(), StoreError> {
    let Some(his_order_number) = sheet.his_number.clone() else {
        return Ok(());
    };
    let withdrawal = OrderWithdrawal {
        order_number: sheet.id.to_string(),
        his_order_number,
        reason: sheet.revoke_reason.clone().unwrap_or_default(),
    };
    let method = match sheet.kind {
        Kind::Exam => ExamRevoke::METHOD,
        Kind::Lab => LabRevoke::METHOD,
    };
    command(tx, sheet, "revoke", method, &withdrawal).await
}

/// Takes the result of a command. `Some` is the order it was about, to be announced after the commit; `None` means that
/// the result was not about an order.
///
/// # Errors
/// When the database fails; the log entry is then taken again.
pub async fn on_command_result(tx: &mut Tx<'_>, result: &HisCommandResult) -> Result<Option<OrderId>, ApiError> {
    let Some(id) = OrderId::parse(&result.subject) else {
        return Ok(None);
    };
    let Some(mut sheet) = table::find(tx, &id).await? else {
        tracing::error!(order.id = %id, his.method = result.method, "result for an unknown order");
        return Ok(None);
    };
    match result.method.as_str() {
        ExamSubmit::METHOD | LabSubmit::METHOD => submitted(tx, &mut sheet, result).await?,
        ExamRevoke::METHOD | LabRevoke::METHOD => revoked(tx, &mut sheet, result).await?,
        other => {
            tracing::warn!(order.id = %id, his.method = other, "result of a command we do not order");
            return Ok(None);
        }
    }
    Ok(Some(id))
}

/// What the HIS has said.
enum Said<T> {
    Done(T),
    Refused(String),
    /// Nobody knows, in words.
    Nothing(String),
}

fn said<T: serde::de::DeserializeOwned>(sheet: &Sheet, result: &HisCommandResult, what: &str) -> Said<T> {
    let unknown = || Said::Nothing(format!("{what}的结果未知，请点“再次核实”，或与医院系统核对"));
    if result.needs_hand {
        return unknown();
    }
    match &result.outcome {
        Outcome::Done(body) => serde_json::from_value(body.clone()).map_or_else(
            |error| {
                tracing::error!(order.id = %sheet.id, his.method = result.method, %error, "unreadable result");
                Said::Nothing(format!("{what}的答复无法识别，请与医院系统核对"))
            },
            Said::Done,
        ),
        Outcome::Refused { text, .. } => Said::Refused(text.clone()),
        _ => unknown(),
    }
}

async fn submitted(tx: &mut Tx<'_>, sheet: &mut Sheet, result: &HisCommandResult) -> Result<(), ApiError> {
    let (now, order) = (tx.now(), sheet.order()?);
    match (said::<OrderReceipt>(sheet, result, "提交申请单"), sheet.state) {
        (Said::Done(receipt), State::Signed | State::Unknown) => {
            let to = order.take(now, &receipt.his_order_number)?;
            received(sheet, receipt);
            table::moved(tx, sheet, to).await?;
        }
        // Taken back in the meantime: now there is a number to take back.
        (Said::Done(receipt), State::Revoking | State::RevokeUnknown) if sheet.his_number.is_none() => {
            received(sheet, receipt);
            withdraw(tx, sheet).await?;
        }
        (Said::Refused(words), State::Signed | State::Unknown) => {
            let to = order.refuse(now, &words)?;
            sheet.words = Some(words);
            table::moved(tx, sheet, to).await?;
        }
        (Said::Refused(words), State::Revoking | State::RevokeUnknown) if sheet.his_number.is_none() => {
            let to = order.withdraw(now, &format!("医院未受理，无需撤回：{words}"))?;
            sheet.words = None;
            table::moved(tx, sheet, to).await?;
        }
        (Said::Nothing(words), State::Signed | State::Revoking) if sheet.his_number.is_none() => {
            let to = order.doubt(now, &words)?;
            sheet.words = Some(words);
            table::moved(tx, sheet, to).await?;
        }
        _ => {}
    }
    Ok(())
}

fn received(sheet: &mut Sheet, receipt: OrderReceipt) {
    sheet.his_number = Some(receipt.his_order_number);
    sheet.bill_id = receipt.bill_id;
    sheet.bill_fen = receipt.total_fen;
    sheet.words = None;
}

async fn revoked(tx: &mut Tx<'_>, sheet: &mut Sheet, result: &HisCommandResult) -> Result<(), ApiError> {
    let (now, order) = (tx.now(), sheet.order()?);
    let to = match (said::<records::his::Nothing>(sheet, result, "撤回申请单"), sheet.state) {
        (Said::Done(_), State::Open | State::Revoking | State::RevokeUnknown) => {
            sheet.words = None;
            order.withdraw(now, "")?
        }
        (Said::Refused(words), State::Revoking | State::RevokeUnknown) => {
            let to = order.keep(now, &words)?;
            sheet.words = Some(format!("医院不同意撤回：{words}"));
            to
        }
        (Said::Nothing(words), State::Revoking) => {
            let to = order.doubt(now, &words)?;
            sheet.words = Some(words);
            to
        }
        _ => return Ok(()),
    };
    Ok(table::moved(tx, sheet, to).await?)
}
