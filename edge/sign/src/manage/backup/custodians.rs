//! Appointing custodians, and handing each their share.

use zeroize::Zeroizing;

use super::ShareText;
use super::share::{self, GROUP, SECRET, Share};
use crate::Refusal;
use crate::engine::{Engine, open_key};
use crate::vault::{CustodianRow, GroupRow};
use crate::wrap::{self, Wrapping};

/// The owner's name under which the recovery key is wrapped.
pub(super) fn recovery_owner(group: &[u8]) -> String {
    format!("recovery {}", hex::encode(group))
}

fn share_owner(group: &[u8], number: u8) -> String {
    format!("share {} {number}", hex::encode(group))
}

impl Engine {
    /// Makes a recovery key and splits it among new custodians, in the place of all before.
    pub(crate) fn appoint_custodians(&self, by: &str, names: &[String], needed: u8) -> Result<(), Refusal> {
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        let named = names
            .iter()
            .all(|name| (1..=32).contains(&name.chars().count()) && !name.chars().any(char::is_control));
        let apart = names
            .iter()
            .enumerate()
            .all(|(n, name)| !names.iter().take(n).any(|other| other == name));
        if !(2..=16).contains(&names.len()) || !named || !apart {
            return Err(Refusal::no(
                "custodians",
                "托管人应为 2 至 16 位，姓名各不相同，每个 1 至 32 个字。",
            ));
        }
        let count = u8::try_from(names.len()).unwrap_or(u8::MAX);
        if !(2..=count).contains(&needed) {
            return Err(Refusal::no("custodians", "恢复所需人数应至少为 2，且不超过托管人数。"));
        }
        let group: [u8; GROUP] = wrap::random()?;
        let secret = Zeroizing::new(wrap::random::<SECRET>()?);
        let kek = self.kek()?;
        let now = self.clock.now();
        let owner = recovery_owner(&group);
        let row = GroupRow {
            id: group.to_vec(),
            needed,
            wrapped: Wrapping::derive(&kek, None, &owner)?.wrap(secret.as_slice(), &owner)?,
            made_at: now,
        };
        let mut custodians = Vec::new();
        for (share, name) in share::split(&secret, group, needed, count)?.iter().zip(&names) {
            let owner = share_owner(&group, share.number);
            custodians.push(CustodianRow {
                group: group.to_vec(),
                number: share.number,
                name: (*name).to_owned(),
                share: Some(Wrapping::derive(&kek, None, &owner)?.wrap(share.value.as_slice(), &owner)?),
                taken_at: None,
            });
        }
        self.vault.write(|unit| {
            unit.replace_custody_group(&row, &custodians)?;
            let detail = format!("group {} {needed} of {}", hex::encode(group), names.join(", "));
            unit.log(now, "custodians.appointed", by, &detail)
        })
    }

    /// Gives a share out, once.
    pub(crate) fn take_share(&self, by: &str, number: u8) -> Result<ShareText, Refusal> {
        let kek = self.kek()?;
        let now = self.clock.now();
        self.vault.write(|unit| {
            let unknown = || Refusal::no("custodian_unknown", "没有这位托管人。");
            let group = unit.custody_group()?.ok_or_else(unknown)?;
            let rows = unit.custodians(&group.id)?;
            let row = rows.into_iter().find(|row| row.number == number).ok_or_else(unknown)?;
            let used = || Refusal::no("share_used", "该分量已被领取；如已遗失，请重新设置托管人。");
            let wrapped = row.share.ok_or_else(used)?;
            let value = open_key(&kek, &wrapped, &share_owner(&group.id, number), "share")?;
            let mut share = Share {
                group: group.id.as_slice().try_into().map_err(|_| Refusal::Damaged("share"))?,
                needed: group.needed,
                number,
                value: Zeroizing::new([0; SECRET]),
            };
            if value.len() != SECRET {
                return Err(Refusal::Damaged("share"));
            }
            share.value.copy_from_slice(&value);
            if !unit.take_share(&group.id, number, now)? {
                return Err(used());
            }
            let detail = format!("group {} share {number} {}", hex::encode(&group.id), row.name);
            unit.log(now, "custodians.share_taken", by, &detail)?;
            Ok(ShareText {
                file_name: format!("signd-share-{}-{number}.txt", hex::encode(&group.id)),
                name: row.name,
                text: share.text().to_string(),
            })
        })
    }
}
