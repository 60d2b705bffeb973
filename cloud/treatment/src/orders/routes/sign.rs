//! The doctor's signature: the draft becomes a document, the signature server is asked, the order leaves for the HIS.

use async_trait::async_trait;
use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::Actor;
use records::document::{OrderDocument, OrderedItem, canonical};
use records::id::OrderId;
use records::sign::Pin;
use store::{Scope, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::draft::circumstances;
use super::{catalogue, objected};
use crate::orders::policy::{self, Wish};
use crate::orders::store::{self as table, Sheet};
use crate::orders::{Line, OrderView, effects};
use crate::signed::{self, Draft};
use crate::signing::{Order, PinBody, Purpose, Signed};
use crate::{dispensing, verify, visit};

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
    let number = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let view = sign_draft(&ctx, &staff.scope(), &staff.member, &number, Pin(body.pin)).await?;
    Ok(Json(view))
}

/// Signs a draft of the doctor's own; also at the end of service.
pub(crate) async fn sign_draft(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    number: &OrderId,
    pin: Pin,
) -> Result<OrderView, ApiError> {
    catalogue::ready(ctx, &scope.tenant).await?;
    signed::sign::<Sheet>(ctx, scope, member, number, pin).await
}

#[async_trait]
impl Draft for Sheet {
    /// The document of a draft, its lines checked once more against today's catalogue.
    async fn to_sign(&self, tx: &mut Tx<'_>, ctx: &Ctx, member: &Member) -> Result<Order, ApiError> {
        let order = self.order()?;
        order.may_edit(&Actor::Staff(member.id.clone()))?;
        let parties = visit::of(tx, &ctx.vault, &self.visit_id).await?;
        let c = circumstances(tx, ctx, &self.visit_id).await?;
        let purpose = self.purpose(&ctx.vault, tx.tenant());
        let again: Vec<Wish> = order.lines.iter().map(catalogue::wish_of).collect();
        let catalogue = catalogue::of(tx, self.kind, &again).await?;
        let written = policy::write(self.kind, &again, &purpose, &catalogue, &c).map_err(|o| objected(&o))?;
        if written.lines != order.lines {
            return Err(ApiError::conflict(
                "prices_changed",
                "项目的价格或执行科室已变化，请重新保存申请单、核对后再签名",
            ));
        }
        let (now, hospital) = (tx.now(), base::tenants::by_id(tx).await?.name);
        let document = OrderDocument {
            format: "yiqiao.order/1".to_owned(),
            number: self.id.to_string(),
            kind: self.kind.as_str().to_owned(),
            hospital,
            department: self.department_name.clone(),
            visit: self.visit_id.to_string(),
            patient: signed::patient(&parties, now),
            doctor: signed::signer(member, &self.doctor_code),
            diagnoses: c.diagnoses,
            purpose,
            items: order.lines.iter().map(item).collect(),
            total_fen: self.total_fen,
            written_at: now,
        };
        Ok(Order {
            purpose: Purpose::Order,
            subject: self.id.to_string(),
            intent: signed::intent(self.edition, &document.diagnoses, now.local_date())?,
            signer: member.id.clone(),
            document: canonical(&document).map_err(ApiError::internal)?,
        })
    }

    /// The order leaves for the hospital, can be verified by anybody, and counts among what the doctor orders often.
    async fn take_effect(mut self, tx: &mut Tx<'_>, ctx: &Ctx, signed: &Signed) -> Result<Self, ApiError> {
        let (by, now) = (tx.actor().clone(), tx.now());
        let to = self.order()?.sign(now, &by)?;
        let code = dispensing::code::<16>(&ctx.ids);
        verify::store::publish_order(tx, &code, &self.id).await?;
        self.verify_code = Some(code);
        self.signed_at = Some(signed.signed_at);
        table::moved(tx, &mut self, to).await?;
        for line in self.lines()? {
            table::counted(tx, &self.doctor_id, self.kind, &line.code).await?;
        }
        effects::submit(tx, ctx, &mut self).await?;
        Ok(self)
    }
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
