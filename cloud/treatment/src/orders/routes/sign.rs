//! The doctor's signature: the draft becomes a document, the signature server is asked, the order leaves for the HIS.

use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::Actor;
use records::document::{DocumentPerson, OrderDocument, OrderedItem, canonical};
use records::id::OrderId;
use records::sign::Pin;
use store::Tx;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::draft::circumstances;
use super::{act, catalogue, objected, own};
use crate::orders::policy::{self, Wish};
use crate::orders::store::{self as table, Sheet};
use crate::orders::{Line, OrderView, effects};
use crate::signing::{self, Order, PinBody, Purpose};
use crate::{dispensing, medical_record, verify, visit};

/// Signs: the signature server is asked, its signature verified, and the order leaves for the hospital. A wrong PIN opens
/// nothing.
#[utoipa::path(post, path = "/doctor/orders/{id}/sign", tag = "order",
    params(("id" = String, Path)), request_body = PinBody,
    responses((status = 200, body = OrderView), (status = 422, body = base::error::ErrorBody),
    (status = 504, description = "unknown outcome: enter the PIN again", body = base::error::ErrorBody)))]
async fn sign(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<Json<OrderView>, ApiError> {
    sign_draft(&ctx, &staff, &id, Pin(body.pin)).await
}

/// Signs a draft of the doctor's own; also at the end of service.
pub(crate) async fn sign_draft(
    ctx: &Ctx,
    staff: &Staff<Prescribes>,
    id: &str,
    pin: Pin,
) -> Result<Json<OrderView>, ApiError> {
    let number = OrderId::parse(id).ok_or_else(ApiError::not_found)?;
    catalogue::ready(ctx, &staff.tenant).await?;
    let (own_ctx, member) = (ctx.clone(), staff.member.clone());
    let attempt = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, number) = (own_ctx.clone(), member.clone(), number.clone());
            Box::pin(async move {
                let sheet = own(tx, &member, &number).await?;
                let order = document(tx, &ctx, &member, &sheet).await?;
                signing::store::begin(tx, &ctx.vault, &ctx.ids, &order).await
            })
        })
        .await?;
    let signed = signing::call(ctx, &staff.scope(), attempt, pin).await?;
    let name = staff.name.clone();
    act(ctx, staff, id, move |tx, ctx, mut sheet| {
        let (signed, name) = (signed.clone(), name.clone());
        Box::pin(async move {
            signing::store::keep(tx, &ctx.vault, &signed, "doctor", &name).await?;
            let (by, now) = (tx.actor().clone(), tx.now());
            let to = sheet.order()?.sign(now, &by)?;
            let code = dispensing::code::<16>(&ctx.ids);
            verify::store::publish_order(tx, &code, &sheet.id).await?;
            sheet.verify_code = Some(code);
            sheet.signed_at = Some(signed.signed_at);
            table::moved(tx, &mut sheet, to).await?;
            for line in sheet.lines()? {
                table::counted(tx, &sheet.doctor_id.clone(), sheet.kind, &line.code).await?;
            }
            effects::submit(tx, &ctx, &mut sheet).await?;
            Ok(sheet)
        })
    })
    .await
}

/// The document of a draft, its lines checked once more against today's catalogue.
async fn document(tx: &mut Tx<'_>, ctx: &Ctx, member: &Member, sheet: &Sheet) -> Result<Order, ApiError> {
    let order = sheet.order()?;
    order.may_edit(&Actor::Staff(member.id.clone()))?;
    let parties = visit::of(tx, &ctx.vault, &sheet.visit_id).await?;
    let c = circumstances(tx, ctx, &sheet.visit_id).await?;
    let purpose = sheet.purpose(&ctx.vault, tx.tenant());
    let again: Vec<Wish> = order.lines.iter().map(catalogue::wish_of).collect();
    let catalogue = catalogue::of(tx, sheet.kind, &again).await?;
    let written = policy::write(sheet.kind, &again, &purpose, &catalogue, &c).map_err(|o| objected(&o))?;
    if written.lines != order.lines {
        return Err(ApiError::conflict(
            "prices_changed",
            "项目的价格或执行科室已变化，请重新保存申请单、核对后再签名",
        ));
    }
    let (now, hospital) = (tx.now(), base::tenants::by_id(tx).await?.name);
    let document = OrderDocument {
        format: "yiqiao.order/1".to_owned(),
        number: sheet.id.to_string(),
        kind: sheet.kind.as_str().to_owned(),
        hospital,
        department: sheet.department_name.clone(),
        visit: sheet.visit_id.to_string(),
        patient: medical_record::patient(&parties, now),
        doctor: DocumentPerson {
            id: member.id.to_string(),
            code: sheet.doctor_code.clone(),
            name: member.name.clone(),
            title: member.title.clone(),
        },
        diagnoses: c.diagnoses,
        purpose,
        items: order.lines.iter().map(item).collect(),
        total_fen: sheet.total_fen,
        written_at: now,
    };
    let diagnoses = serde_json::to_vec(&document.diagnoses).map_err(ApiError::internal)?;
    Ok(Order {
        purpose: Purpose::Order,
        subject: sheet.id.to_string(),
        // A new saving of the draft or of the record, or a new day, is another document.
        intent: format!(
            "{}/{}/{}",
            sheet.edition,
            hex::encode(gm::sm3(&diagnoses)),
            now.local_date()
        ),
        signer: member.id.clone(),
        document: canonical(&document).map_err(ApiError::internal)?,
    })
}

fn item(line: &Line) -> OrderedItem {
    OrderedItem {
        code: line.code.clone(),
        name: line.name.clone(),
        detail: line.detail.clone(),
        specimen: line.specimen.clone(),
        department_code: line.department_code.clone(),
        department: line.department_name.clone(),
        amount_fen: line.price_fen,
        note: line.note.clone(),
    }
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(sign))
}
