//! Whom a recorder's use is for: kept so that footage is found by name or number, never so that either can be read.
//!
//! The name is not needed again, only recognised: what is stored is its mask and a keyed index (see [`base::vault`]). Neither
//! goes to the appliance or into a custody entry; footage finds it through the issue that its entry names.

use base::vault::Vault;
use base::{ApiError, Ctx};
use records::TenantId;

/// What a name is indexed for.
const NAME: &str = "nursing.patient_name";
/// What a number (就诊卡号, 门诊号) is indexed for.
const NUMBER: &str = "nursing.patient_number";

/// A patient as an issue keeps them; all empty when nobody was named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) masked: String,
    pub(crate) name_index: String,
    pub(crate) number_index: String,
}

/// Letters and digits of a number, as scanners and people write it differently.
fn plain(number: &str) -> String {
    number
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}

fn index(vault: &Vault, tenant: &TenantId, purpose: &str, text: &str) -> Result<String, ApiError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    Ok(vault.index(tenant, purpose, text)?)
}

impl Marked {
    /// Of a name and a number; either may be empty.
    pub(crate) fn of(ctx: &Ctx, tenant: &TenantId, name: &str, number: &str) -> Result<Self, ApiError> {
        let short = |field: &'static str, text: &str| {
            let text = text.trim();
            if text.chars().count() > 60 || text.chars().any(char::is_control) {
                return Err(ApiError::field(field, "最多60个字，不能含控制字符"));
            }
            Ok(text.to_owned())
        };
        let (name, number) = (short("patient_name", name)?, plain(&short("patient_number", number)?));
        Ok(Self {
            masked: care::patients::mask_name(&name),
            name_index: index(&ctx.vault, tenant, NAME, &name)?,
            number_index: index(&ctx.vault, tenant, NUMBER, &number)?,
        })
    }

    /// How somebody who types this is found: by the whole name, or by the number.
    pub(crate) fn wanted(ctx: &Ctx, tenant: &TenantId, text: &str) -> Result<Self, ApiError> {
        Ok(Self {
            masked: String::new(),
            name_index: index(&ctx.vault, tenant, NAME, text.trim())?,
            number_index: index(&ctx.vault, tenant, NUMBER, &plain(text))?,
        })
    }
}
