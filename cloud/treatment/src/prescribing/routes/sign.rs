//! The doctor's signature: the draft becomes a document, the signature server is asked, the prescription goes to review.

use async_trait::async_trait;
use axum::extract::State;
use base::permission::Prescribes;
use base::session::Member;
use base::{ApiError, Ctx, Json, Path, Staff};
use records::Actor;
use records::document::{DocumentHerbal, DocumentItem, PrescriptionDocument, canonical};
use records::id::PrescriptionId;
use records::sign::Pin;
use store::{Scope, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::draft::circumstances;
use super::objected;
use crate::prescribing::policy::{self, VALID_DAYS, Wish};
use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::{Edit, Herbal, HerbalWish, Kind, Line, PrescriptionView};
use crate::signed::{self, Draft};
use crate::signing::{Order, PinBody, Purpose, Signed};
use crate::{catalogue, visit};

/// Signs: the signature server is asked, its signature verified, and the prescription goes to the pharmacists.
#[utoipa::path(post, path = "/doctor/prescriptions/{id}/sign", tag = "prescription", params(("id" = String, Path)),
    request_body = PinBody, responses((status = 200, body = PrescriptionView), (status = 422, body = base::error::ErrorBody),
    (status = 504, description = "unknown outcome: enter the PIN again", body = base::error::ErrorBody)))]
async fn sign(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<Json<PrescriptionView>, ApiError> {
    let number = PrescriptionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let view = sign_draft(&ctx, &staff.scope(), &staff.member, &number, Pin(body.pin)).await?;
    Ok(Json(view))
}

/// The doctor signs a draft of their own and submits it to the pharmacists.
pub(crate) async fn sign_draft(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    number: &PrescriptionId,
    pin: Pin,
) -> Result<PrescriptionView, ApiError> {
    catalogue::ready(ctx, &scope.tenant).await?;
    signed::sign::<Chart>(ctx, scope, member, number, pin).await
}

#[async_trait]
impl Draft for Chart {
    /// The document of a draft, its lines checked once more against today's catalogue.
    async fn to_sign(&self, tx: &mut Tx<'_>, ctx: &Ctx, member: &Member) -> Result<Order, ApiError> {
        let p = self.prescription()?;
        p.may_edit(Edit::Sign, &Actor::Staff(member.id.clone()))?;
        let parties = visit::of(tx, &ctx.vault, &self.visit_id).await?;
        let c = circumstances(tx, ctx, &parties).await?;
        let again: Vec<Wish> = p.lines.iter().map(|l| wish_of(p.kind, l)).collect();
        let catalogue = catalogue::of(tx, &again).await?;
        let wish = p.herbal.as_ref().map(wish_of_part);
        let written = policy::write(p.kind, &again, wish.as_ref(), &catalogue, &c).map_err(|o| objected(&o))?;
        let amounts = |lines: &[Line]| lines.iter().map(|l| l.amount_fen).collect::<Vec<_>>();
        let same = written.total_fen == p.total_fen && written.herbal == p.herbal;
        if !same || amounts(&written.lines) != amounts(&p.lines) {
            return Err(ApiError::conflict(
                "prices_changed",
                "药品价格或代煎费已变化，请重新保存处方、核对金额后再签名",
            ));
        }
        let (now, hospital) = (tx.now(), base::tenants::by_id(tx).await?.name);
        let today = now.local_date();
        let document = PrescriptionDocument {
            format: "yiqiao.prescription/1".to_owned(),
            number: self.id.to_string(),
            revision: self.revision,
            hospital,
            department: self.department_name.clone(),
            visit: self.visit_id.to_string(),
            patient: signed::patient(&parties, now),
            doctor: signed::signer(member, &self.doctor_code),
            diagnoses: c.diagnoses,
            kind: p.kind.as_str().to_owned(),
            items: p.lines.iter().map(item).collect(),
            herbal: p.herbal.as_ref().map(|h| DocumentHerbal {
                doses: h.doses,
                decoction: h.decoction,
                decoction_fee_fen: h.decoction_fee_fen,
                usage: h.usage.clone(),
            }),
            total_fen: p.total_fen,
            written_at: now,
            // The day of writing counts as the first.
            valid_until: today.plus_days(VALID_DAYS - 1),
        };
        Ok(Order {
            purpose: Purpose::Prescription,
            subject: self.id.to_string(),
            intent: signed::intent(self.edition, &document.diagnoses, today)?,
            signer: member.id.clone(),
            document: canonical(&document).map_err(ApiError::internal)?,
        })
    }

    /// The prescription is in the pharmacists' queue, valid as long as the signed document says.
    async fn take_effect(mut self, tx: &mut Tx<'_>, _: &Ctx, signed: &Signed) -> Result<Self, ApiError> {
        let (by, now) = (tx.actor().clone(), tx.now());
        let valid_until = signed.document::<PrescriptionDocument>()?.valid_until;
        let to = self.prescription()?.sign(now, &by, valid_until)?;
        table::moved(tx, &mut self, to).await?;
        let to = self.prescription()?.submit(now, &by)?;
        table::moved(tx, &mut self, to).await?;
        Ok(self)
    }
}

fn wish_of(kind: Kind, line: &Line) -> Wish {
    Wish {
        drug_code: line.drug_code.clone(),
        dose: line.dose.clone(),
        dose_unit: line.dose_unit.clone(),
        route_code: line.route_code.clone(),
        frequency_code: line.frequency_code.clone(),
        days: line.days,
        quantity: line.quantity,
        quantity_unit: line.quantity_unit.clone(),
        dose_g: if kind == Kind::Herbal {
            line.dose.parse().unwrap_or(0)
        } else {
            0
        },
        note: line.note.clone(),
    }
}

fn wish_of_part(part: &Herbal) -> HerbalWish {
    HerbalWish {
        doses: part.doses,
        decoction: part.decoction,
        usage: part.usage.clone(),
    }
}

fn item(line: &Line) -> DocumentItem {
    DocumentItem {
        code: line.drug_code.clone(),
        name: line.name.clone(),
        specification: line.specification.clone(),
        dose: line.dose.clone(),
        dose_unit: line.dose_unit.clone(),
        route: line.route_name.clone(),
        frequency: line.frequency_name.clone(),
        days: line.days,
        quantity: line.quantity,
        quantity_unit: line.quantity_unit.clone(),
        amount_fen: line.amount_fen,
        note: line.note.clone(),
    }
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(sign))
}
