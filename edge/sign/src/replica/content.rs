//! What travels: the tables that applications are served from, and how a follower becomes as its source is.

use crate::Refusal;
use crate::keys;
use crate::keys::device::Devices;
use crate::manage::backup::content::{Cell, Content, Row, cell};
use crate::manage::backup::restore::{put, put_keys};
use crate::pin::TRIES;
use crate::state::State;
use crate::vault::Unit;

/// Tables that travel.
const TRAVELS: &[&str] = &[
    "authority",
    "revoked_certificate",
    "own_list",
    "server_key",
    "server_key_purpose",
    "server_certificate",
    "application",
    "application_certificate",
    "chain",
    "chain_certificate",
    "certificate",
    "signer_root",
    "signer",
    "signer_wrapping",
];

/// What is there now for followers; secrets still wrapped under the key of keys. Keys in devices are left out, and named.
pub(super) fn read(unit: &Unit<'_>) -> Result<(Content, Vec<String>), Refusal> {
    let mut content = Content::read_with_signers(unit)?.only(TRAVELS);
    let mut stay = Vec::new();
    let mut labels = Vec::new();
    for row in content.rows("server_key") {
        if cell(row, "custody")?.as_text() != keys::TPM {
            stay.push(cell(row, "key_index")?.clone());
            let (index, label) = (cell(row, "key_index")?.as_text(), cell(row, "label")?.as_text());
            labels.push(format!("{index} {label}"));
        }
    }
    for table in ["server_key", "server_key_purpose", "server_certificate"] {
        content.retain(table, |row| {
            row.get("key_index").is_none_or(|index| !stay.contains(index))
        });
    }
    let portable: Vec<_> = content
        .rows("signer_wrapping")
        .iter()
        .filter_map(|row| row.get("signer").cloned())
        .collect();
    // As keys in devices: who signs by an outside server does so at the appliance that is bound to it.
    let outside = unit.held_outside()?;
    content.retain("signer_wrapping", |row| {
        let signer = row.get("signer").map(Cell::as_text).unwrap_or_default();
        !outside.contains(&signer)
    });
    labels.extend(outside.iter().map(|signer| format!("signer {signer}")));
    content.retain("signer", |row| {
        if outside.contains(&row.get("id").map(Cell::as_text).unwrap_or_default()) {
            return false;
        }
        // A try is taken and given back at each signature: what matters to others is whether there are any.
        let locked = row.get("tries_left").and_then(Cell::as_integer) == Some(0);
        row.insert(
            "tries_left".to_owned(),
            Cell::Integer(if locked { 0 } else { i64::from(TRIES) }),
        );
        row.get("id").is_some_and(|id| portable.contains(id))
    });
    Ok((content, labels))
}

/// Signers of the source, with the same PINs. One that the source sent before and has not changed stays as it is here (the
/// PIN may have been changed here, and tries are counted here), and so does one that was enrolled here.
fn signers(unit: &Unit<'_>, content: &Content) -> Result<(), Refusal> {
    for row in content.rows("signer_root") {
        if unit.signer_root(&cell(row, "id")?.as_text())?.is_none() {
            put(unit, "signer_root", row)?;
        }
    }
    for row in content.rows("signer") {
        let id = cell(row, "id")?.as_text();
        let text = serde_json::to_vec(row).map_err(|_| Refusal::Damaged("signer"))?;
        let digest = gm::sm3(&text).to_vec();
        let sent_before = unit.taken_signer(&id)?;
        let stays = match &sent_before {
            Some(before) => *before == digest,
            None => unit.signer(&id)?.is_some(),
        };
        if stays {
            continue;
        }
        put(unit, "signer", row)?;
        for wrapping in content.rows("signer_wrapping") {
            if wrapping.get("signer") == row.get("id") {
                put(unit, "signer_wrapping", wrapping)?;
            }
        }
        unit.put_taken_signer(&id, &digest)?;
    }
    Ok(())
}

/// SM3 of what is there: another one when anything changed.
pub(super) fn digest(content: &Content) -> Result<Vec<u8>, Refusal> {
    let text = serde_json::to_vec(content).map_err(|_| Refusal::Damaged("configuration"))?;
    Ok(gm::sm3(&text).to_vec())
}

/// Puts it in the place of what is there, all of it; `kek` opens it afterwards as a trial. The caller's unit makes it whole
/// or not at all.
pub(super) fn apply(unit: &Unit<'_>, content: &Content, kek: &[u8]) -> Result<(), Refusal> {
    fits(unit, content)?;
    for row in content.rows("authority") {
        put(unit, "authority", row)?;
    }
    for row in content.rows("revoked_certificate") {
        put(unit, "revoked_certificate", row)?;
    }
    let here = Content::read(unit)?;
    for row in content.rows("own_list") {
        let older = |other: &Row| {
            let number = |row: &Row| row.get("number").and_then(Cell::as_integer);
            other.get("issuer") == row.get("issuer") && number(other) >= number(row)
        };
        // A list's number never goes back.
        if !here.rows("own_list").iter().any(older) {
            put(unit, "own_list", row)?;
        }
    }
    put_keys(unit, content)?;
    signers(unit, content)?;
    for tables in [
        &["application_certificate", "application"][..],
        &["chain_certificate", "chain"],
        &["certificate"],
    ] {
        for table in tables {
            unit.clear(table)?;
        }
        for table in tables.iter().rev() {
            for row in content.rows(table) {
                put(unit, table, row)?;
            }
        }
    }
    // All of it opens and can be served, or nothing of it is taken.
    State::load(unit, &State::default(), Some(kek), &Devices::default())?;
    Ok(())
}

/// What must not happen: a key or an authority in the place of another one.
fn fits(unit: &Unit<'_>, content: &Content) -> Result<(), Refusal> {
    let here = Content::read(unit)?;
    for row in content.rows("server_key") {
        let same = |other: &&Row| other.get("key_index") == row.get("key_index");
        let other = here.rows("server_key").iter().find(same);
        if other.is_some_and(|other| other.get("public_key") != row.get("public_key")) {
            let index = cell(row, "key_index")?.as_text();
            let text = format!("本设备的密钥 {index} 与主设备的不是同一把，不能复制；请用没有密钥的设备跟随。");
            return Err(Refusal::no("replica_key", text));
        }
    }
    for row in content.rows("authority") {
        let organisation = cell(row, "organisation")?.as_text();
        let same = |other: &&Row| other.get("organisation") == row.get("organisation");
        let other = here.rows("authority").iter().find(same);
        if other.is_some_and(|other| other.get("root") != row.get("root")) && unit.has_signers(&organisation)? {
            let text = format!("本设备已有{organisation}的签名人，其签发证书与主设备的不同，不能复制。");
            return Err(Refusal::no("replica_authority", text));
        }
    }
    Ok(())
}
