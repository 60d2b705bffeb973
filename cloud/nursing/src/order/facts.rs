//! What the desk knows of the patient: sealed whole, recognised by keyed indexes, shown masked.

use base::identity::{is_phone, mask_phone};
use base::{ApiError, Ctx};
use records::{LocalDate, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::patient::Marked;

/// What the sealed text is of.
const PURPOSE: &str = "nursing.order";
/// How accounts find their phone; see `base::identity`.
const PHONE: &str = "account.phone";

/// The patient and where they live, as the desk writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NursingPatient)]
pub(crate) struct Facts {
    /// Name.
    pub(crate) name: String,
    /// Mobile number: of the patient, or of whoever looks after them. Its account sees the order.
    pub(crate) phone: String,
    /// Card or outpatient number; may be empty.
    #[serde(default)]
    pub(crate) number: String,
    /// `M`, `F` or empty.
    #[serde(default)]
    pub(crate) sex: String,
    /// Day of birth.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) birth_date: Option<LocalDate>,
    /// Where the nurse goes.
    pub(crate) address: String,
    /// What the nurse should know before; may be empty.
    #[serde(default)]
    pub(crate) note: String,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Facts(…)")
    }
}

/// The same as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) body: Vec<u8>,
    pub(crate) marked: Marked,
    pub(crate) phone_index: String,
}

fn text(field: &'static str, text: &str, least: usize, most: usize) -> Result<String, ApiError> {
    let text = text.trim();
    let count = text.chars().count();
    let odd = |c: char| c.is_control() && c != '\n';
    if count < least || count > most || text.chars().any(odd) {
        let words = if least == 0 {
            format!("最多{most}个字")
        } else {
            format!("请填写{least}到{most}个字")
        };
        return Err(ApiError::field(field, words));
    }
    Ok(text.to_owned())
}

impl Facts {
    /// Checked, every text trimmed.
    pub(crate) fn checked(&self, today: LocalDate) -> Result<Self, ApiError> {
        let phone = self.phone.trim().to_owned();
        if !is_phone(&phone) {
            return Err(ApiError::field("phone", "请填写11位手机号"));
        }
        if !matches!(self.sex.as_str(), "" | "M" | "F") {
            return Err(ApiError::field("sex", "请选择男或女"));
        }
        if self.birth_date.is_some_and(|day| day > today) {
            return Err(ApiError::field("birth_date", "出生日期不能晚于今天"));
        }
        Ok(Self {
            name: text("name", &self.name, 2, 30)?,
            phone,
            number: text("number", &self.number, 0, 30)?,
            sex: self.sex.clone(),
            birth_date: self.birth_date,
            address: text("address", &self.address, 4, 120)?,
            note: text("note", &self.note, 0, 500)?,
        })
    }

    pub(crate) fn seal(&self, ctx: &Ctx, tenant: &TenantId) -> Result<Sealed, ApiError> {
        let body = serde_json::to_vec(self).map_err(ApiError::internal)?;
        Ok(Sealed {
            body: ctx.vault.seal(tenant, PURPOSE, &body)?,
            marked: Marked::of(ctx, tenant, &self.name, &self.number)?,
            phone_index: phone_index(ctx, tenant, &self.phone)?,
        })
    }

    pub(crate) fn open(ctx: &Ctx, tenant: &TenantId, sealed: &[u8]) -> Result<Self, ApiError> {
        let body = ctx.vault.open(tenant, PURPOSE, sealed)?;
        serde_json::from_slice(&body).map_err(ApiError::internal)
    }

    /// `138****0000`.
    pub(crate) fn phone_masked(&self) -> String {
        mask_phone(&self.phone)
    }
}

/// As the account of this phone is found.
pub(crate) fn phone_index(ctx: &Ctx, tenant: &TenantId, phone: &str) -> Result<String, ApiError> {
    Ok(ctx.vault.index(tenant, PHONE, phone)?)
}
