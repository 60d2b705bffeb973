//! What results of commands and print states do to a prescription. Results may come twice; the states know.

use ::store::Tx;
use base::{ApiError, Ctx, hospital};
use records::document::PrescriptionDocument;
use records::his::{
    BillConfirm, BillReceipt, BillRefund, DeliveryPush, Operation, PrescriptionReceipt, PrescriptionReview,
    PrescriptionRevoke, PrescriptionSubmit, RefundReceipt, ReviewReceipt,
};
use records::id::{PrescriptionId, RefundId};
use records::line::{PrintOutcome, PrintState, Slip, SlipItem};
use records::paper::PaperKind;
use records::{HisCommandResult, Outcome, PrintJob};
use serde::de::DeserializeOwned;

use super::{SUBJECT, let_go, push_opinion, tell_delivery, withdraw};
use crate::prescribing::State;
use crate::prescribing::store::{self as table, Chart, Rejection};
use crate::signing::{self, Purpose};

/// Role of the printer at the window.
const WINDOW: &str = "dispensing_window";

fn slip_key(id: &PrescriptionId) -> String {
    format!("{id}.slip")
}

/// Takes the result of a command. `Some` is the prescription it was about, to be announced after the commit; `None`
/// means the result was not about a prescription.
///
/// # Errors
/// When the database fails; the log entry is then taken again.
pub async fn on_command_result(
    ctx: &Ctx,
    tx: &mut Tx<'_>,
    result: &HisCommandResult,
) -> Result<Option<PrescriptionId>, ApiError> {
    let Some(id) = PrescriptionId::parse(&result.subject) else {
        return Ok(None);
    };
    let Some(mut chart) = table::find(tx, &id).await? else {
        tracing::error!(rx.id = %id, his.method = result.method, "result for an unknown prescription");
        return Ok(None);
    };
    if result.needs_hand || !result.outcome.is_settled() {
        let words = format!("{}的结果未知，请与医院系统核对", named(&result.method));
        // The money's own page lists what is left of a refund and lets a person tell the HIS again or settle it.
        if let Some(refund) = refund_of(result) {
            money::hold_refund(tx, &refund, &words).await?;
        }
        hold(tx, &mut chart, words).await?;
        return Ok(Some(id));
    }
    let known = match result.method.as_str() {
        PrescriptionSubmit::METHOD => submitted(tx, &mut chart, result).await?,
        PrescriptionReview::METHOD => billed(tx, ctx, &mut chart, result).await?,
        BillConfirm::METHOD => confirmed(tx, ctx, &mut chart, result).await?,
        BillRefund::METHOD => refunded(tx, &mut chart, result).await?,
        PrescriptionRevoke::METHOD | DeliveryPush::METHOD => told(tx, &mut chart, result).await?,
        _ => false,
    };
    if !known {
        tracing::warn!(rx.id = %id, his.method = result.method, "result of a command we do not order");
    }
    Ok(known.then_some(id))
}

/// A command in the words of the hospital.
fn named(method: &str) -> &str {
    match method {
        PrescriptionSubmit::METHOD => "提交处方",
        PrescriptionReview::METHOD => "审方结果登记",
        PrescriptionRevoke::METHOD => "撤销处方",
        BillConfirm::METHOD => "缴费确认",
        BillRefund::METHOD => "退费登记",
        DeliveryPush::METHOD => "快递信息登记",
        other => other,
    }
}

async fn hold(tx: &mut Tx<'_>, chart: &mut Chart, words: String) -> Result<(), ApiError> {
    base::audit::record(
        tx,
        "prescription.hold",
        chart.id.as_str(),
        serde_json::json!({ "why": words }),
    )
    .await?;
    chart.needs_hand = Some(words);
    Ok(table::save(tx, chart).await?)
}

enum Said<T> {
    Done(T),
    Refused(String),
}

/// The result as the operation's own answer; one that cannot be read is for a person.
async fn said<T: DeserializeOwned>(
    tx: &mut Tx<'_>,
    chart: &mut Chart,
    result: &HisCommandResult,
) -> Result<Option<Said<T>>, ApiError> {
    match &result.outcome {
        Outcome::Done(body) => match serde_json::from_value(body.clone()) {
            Ok(answer) => Ok(Some(Said::Done(answer))),
            Err(error) => {
                tracing::error!(rx.id = %chart.id, his.method = result.method, %error, "unreadable result");
                hold(
                    tx,
                    chart,
                    format!("{}的答复无法识别，请与医院系统核对", named(&result.method)),
                )
                .await?;
                Ok(None)
            }
        },
        Outcome::Refused { text, .. } => Ok(Some(Said::Refused(text.clone()))),
        _ => Ok(None),
    }
}

async fn submitted(tx: &mut Tx<'_>, chart: &mut Chart, result: &HisCommandResult) -> Result<bool, ApiError> {
    let Some(said) = said::<PrescriptionReceipt>(tx, chart, result).await? else {
        return Ok(true);
    };
    let now = tx.now();
    match (said, chart.state) {
        (Said::Done(receipt), State::Approved) => {
            let to = chart.prescription()?.send(now, &receipt.his_prescription_number)?;
            chart.his_number = Some(receipt.his_prescription_number);
            table::moved(tx, chart, to).await?;
            push_opinion(tx, chart, format!("{}.review", chart.id)).await?;
        }
        // Void in the meantime, and not yet withdrawn, because the HIS's number was not known.
        (Said::Done(receipt), State::Revoked | State::Expired | State::Revised) if chart.his_number.is_none() => {
            chart.his_number = Some(receipt.his_prescription_number);
            table::save(tx, chart).await?;
            withdraw(tx, chart, "处方已失效").await?;
        }
        (Said::Refused(words), State::Approved) => declined(tx, chart, &words).await?,
        _ => {}
    }
    Ok(true)
}

/// The HIS refuses the prescription: the doctor sees its words like a pharmacist's.
async fn declined(tx: &mut Tx<'_>, chart: &mut Chart, words: &str) -> Result<(), ApiError> {
    let now = tx.now();
    let to = chart.prescription()?.decline(now, words)?;
    table::moved(tx, chart, to).await?;
    let rejection = Rejection {
        reasons: serde_json::json!(["his"]),
        comment: words.to_owned(),
        by_name: "医院系统".to_owned(),
        at: now,
    };
    Ok(table::reject(tx, &chart.id, &rejection).await?)
}

async fn billed(tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart, result: &HisCommandResult) -> Result<bool, ApiError> {
    let Some(said) = said::<ReviewReceipt>(tx, chart, result).await? else {
        return Ok(true);
    };
    if chart.state != State::SentToHis {
        return Ok(true);
    }
    let now = tx.now();
    match said {
        Said::Done(ReviewReceipt {
            bill_id: Some(bill),
            total_fen,
        }) => {
            let total = total_fen.unwrap_or(chart.total_fen);
            let to = chart.prescription()?.bill(now, total)?;
            chart.bill_id = Some(bill);
            chart.bill_fen = Some(total);
            table::moved(tx, chart, to).await?;
            // The HIS takes no other amount than its own: the bill stands, the patient sees both sums before paying, and a
            // person at the hospital compares the price lists.
            if total != chart.total_fen {
                let signed = chart.total_fen;
                hold(
                    tx,
                    chart,
                    format!(
                        "医院账单 {total} 元与医师签名的处方 {signed} 元不一致，请核对价目与代煎费；患者可见两个金额"
                    ),
                )
                .await?;
            }
        }
        Said::Done(ReviewReceipt { bill_id: None, .. }) => hold(tx, chart, "医院系统未生成账单".to_owned()).await?,
        Said::Refused(words) => {
            declined(tx, chart, &words).await?;
            let_go(tx, ctx, chart, &words).await?;
        }
    }
    Ok(true)
}

async fn confirmed(tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart, result: &HisCommandResult) -> Result<bool, ApiError> {
    let Some(said) = said::<BillReceipt>(tx, chart, result).await? else {
        return Ok(true);
    };
    if chart.state != State::Paid {
        return Ok(true);
    }
    match said {
        Said::Done(receipt) => taken(tx, ctx, chart, receipt.his_order_number, &receipt.collect_at).await?,
        Said::Refused(words) => not_taken(tx, ctx, chart, &words).await?,
    }
    Ok(true)
}

async fn payment_of(tx: &mut Tx<'_>, chart: &Chart) -> Result<Option<money::Payment>, ApiError> {
    let payments = money::payments_of(tx, SUBJECT, chart.id.as_str()).await?;
    Ok(payments.into_iter().find(|p| p.state.holds_money()))
}

/// The HIS has the payment in its books: the pharmacy begins.
pub(super) async fn taken(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    chart: &mut Chart,
    his_order_number: String,
    collect_at: &str,
) -> Result<(), ApiError> {
    let now = tx.now();
    let to = chart.prescription()?.dispense(now, collect_at)?;
    if let Some(payment) = payment_of(tx, chart).await? {
        money::his_done(tx, &payment.id).await?;
    }
    chart.his_order_number = Some(his_order_number);
    chart.collect_at = Some(collect_at.to_owned()).filter(|w| !w.is_empty());
    if chart.fulfilment.as_deref() != Some("delivery") {
        chart.pickup_code = Some(super::code::<8>(&ctx.ids).to_uppercase());
    }
    table::moved(tx, chart, to).await?;
    print(tx, ctx, chart).await?;
    Ok(tell_delivery(tx, ctx, chart, "ordered").await?)
}

/// The HIS has not taken the payment: the prescription is void and the money goes back.
pub(super) async fn not_taken(tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart, words: &str) -> Result<(), ApiError> {
    let now = tx.now();
    let note = format!("医院未受理缴费：{words}；款项将原路退回");
    let to = chart.prescription()?.decline(now, &note)?;
    let payment = payment_of(tx, chart).await?;
    table::moved(tx, chart, to).await?;
    if let Some(payment) = payment {
        money::open_refund(tx, &ctx.ids, &payment.id, &format!("医院未受理缴费：{words}")).await?;
    }
    Ok(withdraw(tx, chart, "缴费未成功").await?)
}

/// Orders the slip at the window: for the patient with the pick-up code, for a parcel as picking list.
pub(crate) async fn print(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart) -> Result<(), ApiError> {
    let tenant = tx.tenant().clone();
    let hospital_name = base::tenants::by_id(tx).await?.name;
    let kept = signing::store::of_subject(tx, Purpose::Prescription, chart.id.as_str()).await?;
    let document: Option<PrescriptionDocument> = match kept {
        Some(kept) => serde_json::from_slice(&kept.document(&ctx.vault, &tenant)?).ok(),
        None => None,
    };
    let patient = document.map_or_else(|| chart.patient_masked.clone(), |d| d.patient.name);
    let delivery = chart.fulfilment.as_deref() == Some("delivery");
    let mut fields = vec![
        ("患者".to_owned(), patient),
        ("处方号".to_owned(), chart.id.to_string()),
        ("科室".to_owned(), chart.department_name.clone()),
        ("医生".to_owned(), chart.doctor_name.clone()),
        ("审方药师".to_owned(), chart.pharmacist_name.clone().unwrap_or_default()),
    ];
    // A parcel is collected at no window, and its code is nobody's business there.
    if let Some(window) = chart.collect_at.as_ref().filter(|_| !delivery) {
        fields.push(("取药窗口".to_owned(), window.clone()));
    }
    if let Some(code) = chart.pickup_code.as_ref().filter(|_| !delivery) {
        fields.push(("取药码".to_owned(), code.clone()));
    }
    let herbal = chart.herbal()?;
    let mut footer = vec![format!("打印时间 {}", tx.now().local_text())];
    if let Some(h) = &herbal {
        let decoction = if h.decoction { "，代煎" } else { "" };
        footer.insert(0, format!("共{}剂{decoction}。{}", h.doses, h.usage));
    }
    let fee = herbal.as_ref().and_then(|h| Some((h.doses, h.decoction_fee_fen?)));
    let fee = fee.map(|(doses, fee)| SlipItem {
        note: String::new(),
        name: "代煎费".to_owned(),
        quantity: format!("{doses}剂"),
        amount_fen: Some(fee),
    });
    let items = chart.lines()?.into_iter().map(|l| SlipItem {
        note: if herbal.is_some() {
            l.note
        } else {
            format!(
                "每次{}{} {} {} {}天",
                l.dose, l.dose_unit, l.frequency_name, l.route_name, l.days
            )
        },
        name: [l.name, l.specification].join(" ").trim().to_owned(),
        quantity: format!("{}{}", l.quantity, l.quantity_unit),
        amount_fen: Some(l.amount_fen),
    });
    let job = PrintJob {
        key: slip_key(&chart.id),
        printer: WINDOW.to_owned(),
        subject: chart.id.to_string(),
        kind: PaperKind::PickupSlip,
        slip: Slip {
            header: hospital_name,
            title: if delivery { "配送拣药单" } else { "取药凭条" }.to_owned(),
            fields,
            items: items.chain(fee).collect(),
            total_fen: chart.bill_fen,
            qr: chart.pickup_code.clone(),
            footer,
        },
    };
    Ok(hospital::print(tx, &job).await?)
}

/// The refund a result is about: the key of the command is the refund's number and the act.
fn refund_of(result: &HisCommandResult) -> Option<RefundId> {
    if result.method != BillRefund::METHOD {
        return None;
    }
    let (id, _) = result.key.split_once('.')?;
    RefundId::parse(id)
}

async fn refunded(tx: &mut Tx<'_>, chart: &mut Chart, result: &HisCommandResult) -> Result<bool, ApiError> {
    let Some(said) = said::<RefundReceipt>(tx, chart, result).await? else {
        return Ok(true);
    };
    let Some(refund) = refund_of(result) else {
        return Ok(false);
    };
    match said {
        Said::Done(receipt) => {
            money::written_back(tx, &refund, Some(receipt.his_refund_number)).await?;
            withdraw(tx, chart, "已退费").await?;
        }
        Said::Refused(words) => {
            money::hold_refund(tx, &refund, &format!("医院未登记退费：{words}")).await?;
            hold(tx, chart, format!("医院未登记退费：{words}")).await?;
        }
    }
    Ok(true)
}

async fn told(tx: &mut Tx<'_>, chart: &mut Chart, result: &HisCommandResult) -> Result<bool, ApiError> {
    if let Outcome::Refused { text, .. } = &result.outcome {
        hold(tx, chart, format!("医院未受理{}：{text}", named(&result.method))).await?;
    }
    Ok(true)
}

/// Takes the state of a slip: printed at the window means the drugs are being put there. `None` when it was not ours.
///
/// # Errors
/// When the database fails.
pub async fn on_print_state(_: &Ctx, tx: &mut Tx<'_>, state: &PrintState) -> Result<Option<PrescriptionId>, ApiError> {
    let Some(id) = PrescriptionId::parse(&state.subject).filter(|id| state.key == slip_key(id)) else {
        return Ok(None);
    };
    let Some(mut chart) = table::find(tx, &id).await? else {
        return Ok(None);
    };
    let pickup = chart.fulfilment.as_deref() == Some("pickup");
    match state.state {
        PrintOutcome::Printed if chart.state == State::Dispensing && pickup => {
            let (now, by) = (tx.now(), tx.actor().clone());
            let to = chart.prescription()?.prepare(now, &by)?;
            table::moved(tx, &mut chart, to).await?;
        }
        PrintOutcome::Unknown | PrintOutcome::Failed => {
            hold(tx, &mut chart, format!("取药凭条未确认打印：{}", state.note)).await?;
        }
        PrintOutcome::Printed | PrintOutcome::Waiting => {}
    }
    Ok(Some(id))
}
