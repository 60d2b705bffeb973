//! Patients of an account (就诊人): identity checked by GB 11643, bound to a patient of the HIS.
//!
//! Name, identity card number, phone and guardian are sealed; what is shown is masked. Binding is a state of its own:
//! `pending` (the HIS has not said) → `matched` | `created` | `refused` (→ `pending` by retry).

pub mod identity_card;
pub(crate) mod name;
pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use base::Vault;
use records::{LocalDate, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CareError;
use crate::consultation::PatientIdentity;
use identity_card::{IdentityCard, years_old};
pub use store::PatientRow;

/// How a patient is related to the account holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// 本人.
    #[serde(rename = "self")]
    Myself,
    /// 配偶.
    Spouse,
    /// 子女.
    Child,
    /// 父母.
    Parent,
    /// 其他.
    Other,
}

impl Relation {
    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Myself => "self",
            Self::Spouse => "spouse",
            Self::Child => "child",
            Self::Parent => "parent",
            Self::Other => "other",
        }
    }

    /// The relation of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Myself, Self::Spouse, Self::Child, Self::Parent, Self::Other]
            .into_iter()
            .find(|r| r.as_str() == word)
    }
}

/// How the binding to the HIS stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The HIS has not said.
    Pending,
    /// The HIS knew the patient.
    Matched(String),
    /// The HIS made a record of the patient.
    Created(String),
    /// The HIS refused, in its words.
    Refused(String),
}

impl Binding {
    /// Word in the database and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Matched(_) => "matched",
            Self::Created(_) => "created",
            Self::Refused(_) => "refused",
        }
    }

    /// The patient in the HIS, when bound.
    pub fn his_patient_id(&self) -> Option<&str> {
        match self {
            Self::Matched(id) | Self::Created(id) => Some(id),
            Self::Pending | Self::Refused(_) => None,
        }
    }

    /// What the HIS said, taken once: a patient bound stays bound, whatever comes late.
    #[must_use]
    pub fn hear(self, said: Self) -> Self {
        match self {
            Self::Pending => said,
            bound_or_refused => bound_or_refused,
        }
    }

    /// The person asks for another try.
    #[must_use]
    pub fn retry(self) -> Self {
        match self {
            Self::Refused(_) => Self::Pending,
            other => other,
        }
    }
}

/// A guardian (监护人).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Guardian {
    /// Name.
    pub name: String,
    /// Identity card number.
    pub id_number: String,
}

impl std::fmt::Debug for Guardian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guardian(…)")
    }
}

/// A patient as the account holder enters them.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Entry {
    /// Name as on the identity card.
    pub name: String,
    /// Identity card number.
    pub id_number: String,
    /// Mobile phone.
    pub phone: String,
    /// Relation to the account holder.
    pub relation: Relation,
    /// Guardian, for a child.
    #[serde(default)]
    pub guardian: Option<Guardian>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(…)")
    }
}

/// A field of an entry and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// In plain words.
    pub words: String,
}

fn fault<T>(field: &'static str, words: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        field,
        words: words.into(),
    })
}

/// An entry that obeys the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Name.
    pub name: String,
    /// Identity card.
    pub card: IdentityCard,
    /// Phone.
    pub phone: String,
    /// Relation.
    pub relation: Relation,
    /// Guardian with number in its standard form.
    pub guardian: Option<Guardian>,
}

fn name_of(field: &'static str, text: &str) -> Result<String, Fault> {
    let name = name::standard(text);
    let length = name.chars().count();
    if !(2..=30).contains(&length) {
        return fault(field, "请填写真实姓名（2到30个字）");
    }
    let fits = |c: char| c.is_alphabetic() || matches!(c, '·' | '.' | ' ');
    if !name.chars().all(fits) {
        return fault(field, "姓名中不能有数字或符号");
    }
    Ok(name)
}

/// Checks an entry. A person younger than `guardian_below` years needs a guardian of full age.
///
/// # Errors
/// With the first field that is wrong.
pub fn check(entry: &Entry, today: LocalDate, guardian_below: u32) -> Result<Checked, Fault> {
    let name_checked = name_of("name", &entry.name)?;
    let card = match IdentityCard::parse(&entry.id_number, today) {
        Ok(card) => card,
        Err(wrong) => return fault("id_number", wrong.to_string()),
    };
    let phone = entry.phone.trim();
    if phone.len() != 11 || !phone.starts_with('1') || !phone.bytes().all(|b| b.is_ascii_digit()) {
        return fault("phone", "请填写11位手机号");
    }
    let young = years_old(card.birth(), today) < i32::try_from(guardian_below).unwrap_or(0);
    let guardian = match &entry.guardian {
        None if young => return fault("guardian", format!("{guardian_below}岁以下患儿需填写监护人信息")),
        None => None,
        Some(guardian) => Some(check_guardian(guardian, &card, today)?),
    };
    Ok(Checked {
        name: name_checked,
        card,
        phone: phone.to_owned(),
        relation: entry.relation,
        guardian,
    })
}

fn check_guardian(guardian: &Guardian, patient: &IdentityCard, today: LocalDate) -> Result<Guardian, Fault> {
    let name = name_of("guardian.name", &guardian.name)?;
    let card = match IdentityCard::parse(&guardian.id_number, today) {
        Ok(card) => card,
        Err(wrong) => return fault("guardian.id_number", format!("监护人{wrong}")),
    };
    if card.number() == patient.number() {
        return fault("guardian.id_number", "监护人不能是就诊人本人");
    }
    if years_old(card.birth(), today) < 18 {
        return fault("guardian.id_number", "监护人须年满18周岁");
    }
    Ok(Guardian {
        name,
        id_number: card.number().to_owned(),
    })
}

/// `张*`, `欧**娜`: the first and (from three characters on) the last stay.
pub fn mask_name(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [only] => only.to_string(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

/// `110***********002X`.
pub fn mask_id_number(number: &str) -> String {
    match (number.get(..3), number.get(14..)) {
        (Some(head), Some(tail)) => format!("{head}***********{tail}"),
        _ => "*".repeat(number.len()),
    }
}

/// `138****0000`.
pub fn mask_phone(phone: &str) -> String {
    match (phone.get(..3), phone.get(7..)) {
        (Some(head), Some(tail)) => format!("{head}****{tail}"),
        _ => "*".repeat(phone.len()),
    }
}

/// The patient in clear, for the doctor and the HIS.
pub(crate) fn identity(patient: &PatientRow, vault: &Vault, tenant: &TenantId) -> Result<PatientIdentity, CareError> {
    Ok(PatientIdentity {
        id: patient.id.clone(),
        his_patient_id: patient.his_patient_id.clone().unwrap_or_default(),
        name: vault.open_text(tenant, store::NAME, &patient.name_sealed)?,
        sex: patient.sex.clone(),
        birth_date: patient.birth_date,
        phone: vault.open_text(tenant, store::PHONE, &patient.phone_sealed)?,
        id_number_masked: patient.id_number_masked.clone(),
    })
}
