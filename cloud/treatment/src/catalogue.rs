//! The part of the hospital's dictionaries that one prescription needs, and what the hospital has set about prescribing.

use axum::http::StatusCode;
use base::settings::Setting;
use base::{ApiError, Ctx};
use care::dictionary::{self, lookup};
use records::{Fen, TenantId};
use serde::{Deserialize, Serialize};
use store::{StoreError, Tx};

use crate::prescribing::Line;
use crate::prescribing::policy::{Catalogue, Wish};

/// What a hospital sets about prescribing. The fee for decocting stands on its price list (收费项目), which no interface of
/// the tenders hands over; the bill of the HIS charges it, and a bill that differs from the signed sum is shown to both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrescribingSettings {
    /// The hospital decocts herbs (代煎).
    pub offers_decoction: bool,
    /// Its fee per dose, fen; none of it is in the prices of the herbs.
    pub decoction_fee_fen: Fen,
}

/// A fee above this is a slip of the pen (200 yuan a dose).
const MOST_FEE: Fen = Fen(20_000);

impl Setting for PrescribingSettings {
    const NAME: &'static str = "treatment.prescribing";

    fn check(&self) -> Result<(), String> {
        if (Fen(0)..=MOST_FEE).contains(&self.decoction_fee_fen) {
            Ok(())
        } else {
            Err(format!("代煎费应为每剂 0 至 {MOST_FEE} 元（以分填写）"))
        }
    }
}

/// The fee per dose; `None` when the hospital does not decoct.
pub(crate) async fn decoction_fee(tx: &mut Tx<'_>) -> Result<Option<Fen>, StoreError> {
    let set: PrescribingSettings = base::settings::get(tx).await?;
    Ok(set.offers_decoction.then_some(set.decoction_fee_fen))
}

/// The dictionaries are here. One the appliance has not delivered yet is asked for now; while it cannot answer, that is
/// said, instead of calling a drug unknown that nobody has looked for.
pub(crate) async fn ready(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    if dictionary::ready(ctx, tenant).await? {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "catalogue_pending",
        "正在从医院获取药品、用法和诊断目录，请稍后再试",
    ))
}

/// The entries these wishes name; what the dictionary does not know is simply missing.
pub(crate) async fn of(tx: &mut Tx<'_>, wishes: &[Wish]) -> Result<Catalogue, StoreError> {
    let mut found = Catalogue {
        decoction_fee: decoction_fee(tx).await?,
        ..Catalogue::default()
    };
    for wish in wishes {
        goods(tx, &mut found, &wish.drug_code).await?;
        if let Some(route) = lookup(tx, &wish.route_code).await? {
            found.routes.insert(wish.route_code.clone(), route);
        }
        if let Some(frequency) = lookup(tx, &wish.frequency_code).await? {
            found.frequencies.insert(wish.frequency_code.clone(), frequency);
        }
    }
    Ok(found)
}

/// Drugs and herbs of lines already written.
pub(crate) async fn of_lines(tx: &mut Tx<'_>, lines: &[Line]) -> Result<Catalogue, StoreError> {
    let mut found = Catalogue::default();
    for line in lines {
        goods(tx, &mut found, &line.drug_code).await?;
    }
    Ok(found)
}

async fn goods(tx: &mut Tx<'_>, found: &mut Catalogue, code: &str) -> Result<(), StoreError> {
    if let Some(drug) = lookup(tx, code).await? {
        found.drugs.insert(code.to_owned(), drug);
    }
    if let Some(herb) = lookup(tx, code).await? {
        found.herbs.insert(code.to_owned(), herb);
    }
    Ok(())
}
