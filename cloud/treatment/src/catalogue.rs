//! The part of the hospital's dictionaries that one prescription needs.

use care::dictionary::lookup;
use store::{StoreError, Tx};

use crate::prescribing::Line;
use crate::prescribing::policy::{Catalogue, Wish};

/// The entries these wishes name; what the dictionary does not know is simply missing.
pub(crate) async fn of(tx: &mut Tx<'_>, wishes: &[Wish]) -> Result<Catalogue, StoreError> {
    let mut found = Catalogue::default();
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
