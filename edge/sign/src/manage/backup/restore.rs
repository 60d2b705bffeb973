//! Previewing and applying a restore.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use records::Timestamp;
use zeroize::Zeroizing;

use super::content::{Cell, Content, Row, Table, cell};
use super::file::{self, Opened};
use super::{Kind, Preview, preview};
use crate::Refusal;
use crate::engine::open_key;
use crate::keys::device::Devices;
use crate::manage::Manage;
use crate::manage::account::{REMOVED, Who, keep_an_administrator};
use crate::state::State;
use crate::vault::Unit;
use crate::wrap::{self, Wrapping};

/// A preview is good for so long.
const GOOD: Duration = Duration::from_secs(600);

/// Opened files that wait to be applied, by token: one of each account.
#[derive(Default)]
pub(crate) struct Staged(Mutex<HashMap<String, (Instant, String, Opened)>>);

impl Manage {
    /// Opens a file and says what would change.
    pub(crate) fn preview_restore(&self, by: &Who, bytes: &[u8], shares: &[String]) -> Result<Preview, Refusal> {
        let engine = self.engine();
        let kek = engine.kek()?;
        let now = engine.clock.now();
        let opened = match file::open(bytes, &kek, shares) {
            Ok(opened) => opened,
            Err(Refusal::No { code, text }) => {
                engine
                    .vault
                    .write(|unit| unit.log(now, "backup.refused", &by.name, code))?;
                return Err(Refusal::No { code, text });
            }
            Err(refusal) => return Err(refusal),
        };
        let here = engine.vault.read(|unit| {
            check(unit, &opened)?;
            Content::read(unit)
        })?;
        let digest = |under: &[u8], owner: &str, kept: &[u8]| -> Result<Zeroizing<Vec<u8>>, Refusal> {
            let secret = open_key(under, kept, owner, "key")?;
            Ok(Zeroizing::new(gm::key::sha256(&secret).to_vec()))
        };
        let here = here.secrets(|owner, kept| digest(&kek, owner, kept))?;
        let there = opened
            .content
            .clone()
            .secrets(|owner, kept| digest(&opened.key, owner, kept))?;
        let token = hex::encode(wrap::random::<16>()?);
        let preview = Preview {
            token: token.clone(),
            made_at: opened.header.made_at,
            version: opened.header.version.clone(),
            own: opened.own,
            changes: preview::changes(&here, &there)?,
        };
        let mut staged = self.restores.0.lock().unwrap_or_else(PoisonError::into_inner);
        staged.retain(|_, (since, of, _)| since.elapsed() < GOOD && *of != by.id);
        staged.insert(token, (Instant::now(), by.id.clone(), opened));
        Ok(preview)
    }

    /// Applies a previewed file, whole or not at all.
    pub(crate) fn apply_restore(&self, by: &Who, token: &str) -> Result<(), Refusal> {
        let mut staged = self.restores.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = staged
            .remove(token)
            .filter(|(since, of, _)| since.elapsed() < GOOD && *of == by.id);
        drop(staged);
        let (_, _, opened) = found.ok_or_else(|| Refusal::no("restore_unknown", "预览已过期，请重新选择备份文件。"))?;
        let engine = self.engine();
        let kek = engine.kek()?;
        let now = engine.clock.now();
        engine.vault.write(|unit| {
            check(unit, &opened)?;
            let content = opened.content.clone().secrets(|owner, kept| {
                let secret = open_key(&opened.key, kept, owner, "key")?;
                Ok(Zeroizing::new(
                    Wrapping::derive(&kek, None, owner)?.wrap(&secret, owner)?,
                ))
            })?;
            apply(unit, &content, opened.own, now)?;
            keep_an_administrator(unit)?;
            // All of it opens and can be served, or nothing of it is taken.
            State::load(unit, &State::default(), Some(&kek), &Devices::default())?;
            let made = opened.header.made_at;
            let detail = format!(
                "made {made} by {} version {}",
                opened.header.device, opened.header.version
            );
            unit.log(now, "backup.restored", &by.name, &detail)
        })
    }
}

/// What must not happen: a key or an authority in the place of another one.
fn check(unit: &Unit<'_>, opened: &Opened) -> Result<(), Refusal> {
    let here = Content::read(unit)?;
    for row in opened.content.rows("server_key") {
        let same = |other: &&Row| other.get("key_index") == row.get("key_index");
        let other = here.rows("server_key").iter().find(same);
        if other.is_some_and(|other| other.get("public_key") != row.get("public_key")) {
            let index = cell(row, "key_index")?.as_text();
            let text = format!("本设备的密钥 {index} 与备份中的不是同一把，不能恢复；请在没有密钥的设备上恢复。");
            return Err(Refusal::no("restore_key", text));
        }
    }
    for row in opened.content.rows("authority") {
        let organisation = cell(row, "organisation")?.as_text();
        let same = |other: &&Row| other.get("organisation") == row.get("organisation");
        let other = here.rows("authority").iter().find(same);
        let differs = other.is_some_and(|other| other.get("root") != row.get("root"));
        if differs && unit.has_signers(&organisation)? {
            let text = format!("本设备已有{organisation}的签名人，其签发证书与备份中的不同，不能恢复。");
            return Err(Refusal::no("restore_authority", text));
        }
    }
    Ok(())
}

fn apply(unit: &Unit<'_>, content: &Content, own: bool, now: Timestamp) -> Result<(), Refusal> {
    accounts(unit, content, now)?;
    for row in content.rows("authority") {
        put(unit, "authority", row)?;
    }
    put_keys(unit, content)?;
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
    unit.clear_settings(crate::settings::CARRIED)?;
    for row in content.rows("setting") {
        put(unit, "setting", row)?;
    }
    // On its own device the custodians are those of today: shares that were handed out since stay good.
    if !own {
        unit.clear("custodian")?;
        unit.clear("custody_group")?;
        for table in ["custody_group", "custodian"] {
            for row in content.rows(table) {
                put(unit, table, row)?;
            }
        }
    }
    Ok(())
}

fn accounts(unit: &Unit<'_>, content: &Content, now: Timestamp) -> Result<(), Refusal> {
    unit.clear("account_certificate")?;
    let there = content.rows("account");
    for mut row in unit.accounts()? {
        if there
            .iter()
            .any(|other| other.get("id") == Some(&Cell::Text(row.id.clone())))
        {
            continue;
        }
        if there
            .iter()
            .any(|other| other.get("name") == Some(&Cell::Text(row.name.clone())))
        {
            // The name belongs to another account from now on.
            unit.forget_account(&row.id)?;
            continue;
        }
        row.state = REMOVED.to_owned();
        (row.totp, row.password) = (None, Vec::new());
        unit.put_account(&row, now)?;
    }
    for row in there {
        let mut row = row.clone();
        let used = cell(&row, "totp_last")?.as_integer().unwrap_or_default();
        let here = unit
            .account(&cell(&row, "id")?.as_text())?
            .map_or(0, |known| known.totp_last);
        // A code that was used stays used.
        row.insert("totp_last".to_owned(), Cell::Integer(used.max(here)));
        put(unit, "account", &row)?;
    }
    for row in content.rows("account_certificate") {
        put(unit, "account_certificate", row)?;
    }
    Ok(())
}

/// Puts keys in with what belongs to them. One that was destroyed here stays destroyed.
pub(crate) fn put_keys(unit: &Unit<'_>, content: &Content) -> Result<(), Refusal> {
    let here = Content::read(unit)?;
    for row in content.rows("server_key") {
        let index = cell(row, "key_index")?;
        let known = here
            .rows("server_key")
            .iter()
            .find(|other| other.get("key_index") == Some(index));
        if known.is_some_and(|known| preview::is_destroyed(Kind::Key, known)) {
            continue;
        }
        put(unit, "server_key", row)?;
        unit.clear_key_certificates(index.as_integer().unwrap_or_default())?;
        for purpose in content.rows("server_key_purpose") {
            if purpose.get("key_index") == Some(index) {
                put(unit, "server_key_purpose", purpose)?;
            }
        }
        for certificate in content.rows("server_certificate") {
            if certificate.get("key_index") == Some(index) {
                put(unit, "server_certificate", certificate)?;
            }
        }
    }
    Ok(())
}

/// Puts a row in, or in the place of the one with its key.
pub(crate) fn put(unit: &Unit<'_>, table: &str, row: &Row) -> Result<(), Refusal> {
    let table = Table::named(table)?;
    let mut values = Vec::new();
    for column in table.columns {
        if let Some(cell) = row.get(*column) {
            values.push((*column, cell.value()?));
        }
    }
    let keys: Vec<&str> = table.columns.iter().take(table.key).copied().collect();
    unit.put_row(table.name, &keys, values)
}
