//! Accounts of the management page. Every act is logged with who did it, in the unit that does it.
//!
//! Invariants: there is always an active administrator; nobody changes the role or state of their own account; the name
//! of a removed account is never used again, so that a name in the log always means one person.

use gm::Certificate;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::password;
use crate::Refusal;
use crate::engine::Engine;
use crate::vault::{AccountCertificateRow, AccountRow, Unit};
use crate::wrap;

/// Duties, separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// 管理员: accounts, keys, backup, TLS.
    Administrator,
    /// 操作员: applications, chains, certificates, revocation, time, the log's receiver, the web service.
    Operator,
    /// 审计员: the log, its export and verification.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Operator, Self::Auditor];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or(Refusal::Damaged("role"))
    }
}

/// States of an account.
pub(crate) const ACTIVE: &str = "active";
pub(crate) const DISABLED: &str = "disabled";
pub(crate) const REMOVED: &str = "removed";

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Who {
    /// The account's id.
    pub id: String,
    /// The name to sign in with.
    pub name: String,
    /// The person's name.
    pub person: String,
    /// What they may do.
    pub role: Role,
}

impl Who {
    pub(crate) fn of(row: &AccountRow) -> Result<Self, Refusal> {
        Ok(Self {
            id: row.id.clone(),
            name: row.name.clone(),
            person: row.person.clone(),
            role: Role::named(&row.role)?,
        })
    }
}

/// A new account's or a recovered one's password, shown once; the person changes it at the first sign-in and enrols the
/// one-time codes then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Handed {
    /// The account's id.
    pub id: String,
    /// The password to begin with.
    pub password: String,
}

impl Engine {
    /// Makes an account.
    pub(crate) fn create_account(&self, by: &str, name: &str, person: &str, role: Role) -> Result<Handed, Refusal> {
        let password = password::fresh()?;
        let mut row = new_row(name, person, role, &password, self.clock.now())?;
        row.change_password = true;
        self.vault.write(|unit| {
            if unit.account_named(&row.name)?.is_some() {
                return Err(Refusal::no(
                    "account_exists",
                    format!("用户名 {} 已被使用过，请换一个。", row.name),
                ));
            }
            unit.put_account(&row, row.made_at)?;
            unit.log(
                row.made_at,
                "account.created",
                by,
                &format!("{} {}", row.name, row.role),
            )
        })?;
        Ok(Handed { id: row.id, password })
    }

    /// Makes the very first account, an administrator's, with a password of their own.
    pub(crate) fn create_first_account(&self, name: &str, person: &str, chosen: &str) -> Result<(), Refusal> {
        let kept = password::keep(chosen, name)?;
        let mut row = new_row(name, person, Role::Administrator, "", self.clock.now())?;
        (row.salt, row.password) = (kept.salt, kept.stretched);
        self.vault.write(|unit| {
            if !unit.accounts()?.is_empty() {
                return Err(Refusal::no("account_exists", "已有管理员账户，初始化已完成。"));
            }
            unit.put_account(&row, row.made_at)?;
            unit.log(
                row.made_at,
                "account.created",
                &row.name,
                &format!("{} {} first", row.name, row.role),
            )
        })
    }

    /// Changes an account's person, role and whether it may sign in.
    pub(crate) fn change_account(
        &self,
        by: &Who,
        id: &str,
        person: &str,
        role: Role,
        enabled: bool,
    ) -> Result<(), Refusal> {
        let person = check_person(person)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let mut row = present(unit, id)?;
            let state = if enabled { ACTIVE } else { DISABLED };
            if row.id == by.id && (row.role != role.name() || row.state != state) {
                return Err(Refusal::no(
                    "not_own",
                    "不能修改自己的角色或停用自己，请由另一位管理员操作。",
                ));
            }
            row.person = person.to_owned();
            row.role = role.name().to_owned();
            row.state = state.to_owned();
            unit.put_account(&row, now)?;
            keep_an_administrator(unit)?;
            let detail = format!("{} {} {}", row.name, row.role, row.state);
            unit.log(now, "account.changed", &by.name, &detail)
        })
    }

    /// Removes an account for good.
    pub(crate) fn remove_account(&self, by: &Who, id: &str) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            let mut row = present(unit, id)?;
            row.state = REMOVED.to_owned();
            (row.totp, row.password) = (None, Vec::new());
            unit.put_account(&row, now)?;
            keep_an_administrator(unit)?;
            if row.id == by.id {
                return Err(Refusal::no("not_own", "不能删除自己，请由另一位管理员操作。"));
            }
            for certificate in unit.account_certificates()? {
                if certificate.account == row.id {
                    unit.remove_account_certificate(&row.id, &certificate.fingerprint)?;
                }
            }
            unit.log(now, "account.removed", &by.name, &row.name)
        })
    }

    /// Gives the person of another account a new password to begin with; one-time codes are enrolled anew.
    pub(crate) fn recover_account(&self, by: &Who, id: &str) -> Result<Handed, Refusal> {
        let fresh = password::fresh()?;
        let now = self.clock.now();
        let name = self.vault.write(|unit| {
            let mut row = present(unit, id)?;
            if row.id == by.id {
                return Err(Refusal::no("not_own", "不能恢复自己的账户，请由另一位管理员操作。"));
            }
            set_password(&mut row, &fresh)?;
            row.change_password = true;
            row.totp = None;
            unit.put_account(&row, now)?;
            unit.log(now, "account.recovered", &by.name, &row.name)?;
            Ok(row.name)
        })?;
        self.forgive(&name)?;
        Ok(Handed {
            id: id.to_owned(),
            password: fresh,
        })
    }

    /// Changes the password of the account that acts.
    pub(crate) fn change_password(&self, by: &Who, old: &str, new: &str) -> Result<(), Refusal> {
        let row = self.vault.read(|unit| present(unit, &by.id))?;
        self.take_attempt(&row.name)?;
        if !password::is(Some((&row.salt, &row.password)), old)? {
            return Err(Refusal::no("password_wrong", "原密码不正确。"));
        }
        let kept = password::keep(new, &row.name)?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let mut row = present(unit, &by.id)?;
            (row.salt, row.password) = (kept.salt.clone(), kept.stretched.clone());
            row.change_password = false;
            unit.put_account(&row, now)?;
            unit.log(now, "account.password_changed", &by.name, "")
        })?;
        self.forgive(&row.name)
    }

    /// Lets an account sign in by this certificate, which leads to a chain of this server.
    pub(crate) fn add_account_certificate(&self, by: &Who, id: &str, certificate: &Certificate) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            let row = present(unit, id)?;
            check_certificate(unit, certificate, now)?;
            let added = AccountCertificateRow {
                fingerprint: gm::key::sha256(&certificate.der).to_vec(),
                account: row.id,
                certificate: certificate.der.clone(),
                added_at: now,
            };
            if !unit.add_account_certificate(&added)? {
                return Err(Refusal::no("certificate_used", "该证书已用于一个账户的登录。"));
            }
            let detail = format!("{} {}", row.name, hex::encode(&added.fingerprint));
            unit.log(now, "account.certificate_added", &by.name, &detail)
        })
    }

    /// The account no longer signs in by this certificate.
    pub(crate) fn remove_account_certificate(&self, by: &Who, id: &str, fingerprint: &[u8]) -> Result<(), Refusal> {
        let now = self.clock.now();
        self.vault.write(|unit| {
            let row = present(unit, id)?;
            if !unit.remove_account_certificate(id, fingerprint)? {
                return Err(Refusal::no("certificate_unknown", "该账户没有登记这张证书。"));
            }
            let detail = format!("{} {}", row.name, hex::encode(fingerprint));
            unit.log(now, "account.certificate_removed", &by.name, &detail)
        })
    }
}

/// An account that is not removed.
pub(crate) fn present(unit: &Unit<'_>, id: &str) -> Result<AccountRow, Refusal> {
    let found = unit.account(id)?.filter(|row| row.state != REMOVED);
    found.ok_or_else(|| Refusal::no("account_unknown", "没有这个账户。"))
}

/// A certificate of any authority whose chain is here.
pub(crate) fn check_certificate(unit: &Unit<'_>, certificate: &Certificate, now: Timestamp) -> Result<(), Refusal> {
    certificate.is_valid_at(now.offset())?;
    let chains = unit.chains()?;
    let trust = gm::Trust::new(chains.iter().flat_map(|chain| &chain.certificates))?;
    trust.path(certificate, &[], now.offset())?;
    Ok(())
}

pub(crate) fn set_password(row: &mut AccountRow, password: &str) -> Result<(), Refusal> {
    row.salt = wrap::random::<16>()?.to_vec();
    row.password = crate::pin::stretch(password, &row.salt)?.to_vec();
    Ok(())
}

pub(crate) fn keep_an_administrator(unit: &Unit<'_>) -> Result<(), Refusal> {
    let administrator = Role::Administrator.name();
    let left = unit
        .accounts()?
        .iter()
        .any(|row| row.state == ACTIVE && row.role == administrator);
    if left {
        Ok(())
    } else {
        Err(Refusal::no("last_administrator", "至少要保留一位启用的管理员。"))
    }
}

fn new_row(name: &str, person: &str, role: Role, password: &str, now: Timestamp) -> Result<AccountRow, Refusal> {
    let name = name.trim();
    let mut row = AccountRow {
        id: format!("acc_{}", hex::encode(wrap::random::<10>()?)),
        name: check_name(name)?.to_owned(),
        person: check_person(person)?.to_owned(),
        role: role.name().to_owned(),
        state: ACTIVE.to_owned(),
        salt: Vec::new(),
        password: Vec::new(),
        change_password: false,
        totp: None,
        totp_last: 0,
        made_at: now,
    };
    set_password(&mut row, password)?;
    Ok(row)
}

fn check_name(name: &str) -> Result<&str, Refusal> {
    let fits = (2..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        Ok(name)
    } else {
        Err(Refusal::no(
            "account_name",
            "用户名应为 2 至 32 位小写字母、数字、“.”、“_”或“-”。",
        ))
    }
}

fn check_person(person: &str) -> Result<&str, Refusal> {
    let person = person.trim();
    if person.is_empty() || person.chars().count() > 32 || person.chars().any(char::is_control) {
        return Err(Refusal::no("person", "姓名应为 1 至 32 个字。"));
    }
    Ok(person)
}
