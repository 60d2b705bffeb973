//! Signers whose key an outside server keeps: what their PIN opens, and how they come to it.

use std::sync::Arc;

use gm::{Certificate, Sm2Key};
use records::{Timestamp, sign as ops};
use zeroize::Zeroizing;

use super::Engine;
use super::authority::open_key;
use super::signer::{Opened, wrap_under_pin};
use crate::Refusal;
use crate::outside::{BindingState, Server, chain, password_owner};
use crate::pin::TRIES;
use crate::vault::{BindingRow, SignerRow};

/// What a PIN opens.
#[derive(Clone)]
pub(super) enum Key {
    /// The key itself.
    Here(Arc<Sm2Key>),
    /// The access password of a key at an outside server.
    Outside(Arc<Zeroizing<Vec<u8>>>),
}

impl Key {
    /// What lies wrapped under the PIN.
    pub(super) fn secret(&self) -> &[u8] {
        match self {
            Self::Here(key) => key.secret(),
            Self::Outside(password) => password.as_slice(),
        }
    }

    /// The key that is here.
    pub(super) fn here(&self) -> Result<&Sm2Key, Refusal> {
        match self {
            Self::Here(key) => Ok(key),
            Self::Outside(_) => Err(Refusal::Damaged("signer's key")),
        }
    }
}

impl Engine {
    /// The binding and the server of a signer who may sign there now.
    pub(super) fn outside_of(&self, opened: &Opened) -> Result<(BindingRow, Arc<Server>), Refusal> {
        let binding = self.vault.read(|unit| unit.outside_signer(&opened.row.id))?;
        let binding = binding
            .filter(|row| row.held)
            .ok_or(Refusal::Damaged("outside signer"))?;
        if let Some(refusal) = BindingState::of(&binding)?.refusal() {
            return Err(refusal);
        }
        let server = Arc::clone(self.outside.named(&binding.server)?);
        Ok((binding, server))
    }

    /// A signer who is bound and not enrolled: the PIN takes the access password over.
    pub(super) fn enrol_outside(
        &self,
        kek: &[u8],
        asked: &mut ops::EnrolRequest,
        binding: BindingRow,
        now: Timestamp,
    ) -> Result<ops::SignerStatus, Refusal> {
        let password = self.bound_password(kek, &binding)?;
        let password = password.ok_or(Refusal::Damaged("outside password"))?;
        let certificate = own(&binding)?;
        let (root, under) = self.root(kek)?;
        let (wrapped, salt) = wrap_under_pin(&under, &asked.signer_id, &mut asked.pin, &password)?;
        let row = SignerRow {
            id: asked.signer_id.clone(),
            organisation: asked.organisation.clone(),
            name: asked.name.clone(),
            role: asked.role.clone(),
            certificate,
            wrapped,
            salt,
            tries_left: TRIES,
            root: Some(root),
        };
        self.take_over(row, binding, true, now)
    }

    /// A signer who is enrolled and bound, with the PIN proven: what is waiting is taken over. `None` when nothing is, and
    /// the signer goes on with a key here.
    pub(super) fn enrol_outside_again(
        &self,
        kek: &[u8],
        opened: &mut Opened,
        pin: &mut ops::Pin,
        now: Timestamp,
    ) -> Result<Option<ops::SignerStatus>, Refusal> {
        let id = opened.row.id.clone();
        let Some(binding) = self.vault.read(|unit| unit.outside_signer(&id))? else {
            return Ok(None);
        };
        match (BindingState::of(&binding)?, binding.held) {
            (BindingState::Waiting, _) => {
                let password = match self.bound_password(kek, &binding)? {
                    Some(password) => password,
                    // Only the certificate was exchanged.
                    None => Zeroizing::new(opened.key.secret().to_vec()),
                };
                let (root, under) = self.root(kek)?;
                (opened.row.wrapped, opened.row.salt) = wrap_under_pin(&under, &id, pin, &password)?;
                opened.row.root = Some(root);
                opened.row.certificate = own(&binding)?;
                opened.row.tries_left = TRIES;
                self.take_over(opened.row.clone(), binding, false, now).map(Some)
            }
            (BindingState::Ended, _) | (_, false) => Ok(None),
            (BindingState::Used, true) => {
                self.vault.write(|unit| opened.give_back(unit))?;
                self.status(&id).map(Some)
            }
            (state @ (BindingState::Changed | BindingState::Locked), true) => {
                self.vault.write(|unit| opened.give_back(unit))?;
                Err(state.refusal().unwrap_or(Refusal::Damaged("outside signer")))
            }
        }
    }

    /// Who may speak of the certificates of signers at outside servers: everyone in the accepted paths, and the roots of those
    /// before.
    pub(crate) fn outside_issuers(&self) -> Result<Vec<Certificate>, Refusal> {
        let (paths, roots) = self.vault.read(|unit| {
            let mut paths = Vec::new();
            for server in self.outside.all() {
                for row in unit.outside_signers(&server.name)? {
                    paths.extend(chain(&row)?);
                }
            }
            Ok((paths, unit.outside_roots()?))
        })?;
        let mut all = paths;
        for root in roots {
            all.push(Certificate::parse(&root)?);
        }
        all.sort_by(|a, b| a.der.cmp(&b.der));
        all.dedup_by(|a, b| a.der == b.der);
        Ok(all)
    }

    fn bound_password(&self, kek: &[u8], binding: &BindingRow) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
        let wrapped = binding.password.as_deref();
        wrapped
            .map(|wrapped| open_key(kek, wrapped, &password_owner(&binding.signer), "outside password"))
            .transpose()
    }

    /// The signer with the outside certificate, and the binding in use: one unit.
    fn take_over(
        &self,
        row: SignerRow,
        binding: BindingRow,
        new: bool,
        now: Timestamp,
    ) -> Result<ops::SignerStatus, Refusal> {
        self.proven.forget(&row.id);
        self.vault.write(|unit| {
            let same = |found: &BindingRow| found.chain == binding.chain && found.password == binding.password;
            let found = unit.outside_signer(&row.id)?.filter(same);
            let mut found = found.filter(|found| found.state == BindingState::Waiting.name());
            let Some(found) = found.as_mut() else {
                return Err(Refusal::no("outside_moved", "外部签名的登记刚刚变化，请重试。"));
            };
            if !unit.put_signer(&row, new, now)? {
                return Err(Refusal::no("enrolled_meanwhile", "该人员刚刚完成登记，请刷新后使用。"));
            }
            found.password = None;
            found.held = true;
            found.state = BindingState::Used.name().to_owned();
            unit.put_outside_signer(found, now)?;
            let act = if new { "signer.enrolled" } else { "signer.renewed" };
            let detail = format!("outside {} key {}", found.server, found.key_index);
            unit.log(now, act, &row.id, &detail)
        })?;
        self.status(&row.id)
    }
}

fn own(binding: &BindingRow) -> Result<Vec<u8>, Refusal> {
    let own = chain(binding)?.into_iter().next();
    Ok(own.ok_or(Refusal::Damaged("certificate"))?.der)
}
