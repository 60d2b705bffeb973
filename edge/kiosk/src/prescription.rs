//! The code on the paper of an e-prescription (电子处方): the address of its public check, `https://…/verify/7k2m9q4x1c8v5b3n`.
//!
//! The code says which prescription it is and nothing of who stands there: paper is found, photographed, handed on. So it
//! is printed only for the patient it was written for, who shows a card or code of their own; until then the screen tells
//! nothing of it, and to anybody else only that it is not theirs. Whether it holds is judged without the cloud: the
//! command that took it to the hospital's system named its code, and what withdraws it comes down the same line.

use std::fmt;
use std::sync::Arc;

use his::journal::{self, Entry, State};
use records::his::{
    BillConfirm, BillRefund, Operation, PrescriptionReceipt, PrescriptionRevoke, PrescriptionSubmit,
    SubmittedPrescription,
};
use records::{Clock, HisCommand, LocalDate, Outcome};
use store::{Migration, Scope, Store, StoreError, Tx};

pub(crate) const MIGRATION: Migration = Migration {
    name: "kiosk/0002_prescription",
    sql: "
CREATE TABLE kiosk_prescription (
  tenant_id TEXT NOT NULL, code TEXT NOT NULL, number TEXT NOT NULL, his_patient_id TEXT NOT NULL, valid_until TEXT,
  PRIMARY KEY (tenant_id, code)
);
",
};

/// Letters of a code.
const LETTERS: usize = 16;

/// Keeps which prescription a code on paper names, in the unit that takes the command to tell the hospital of it. Other
/// commands change nothing here.
///
/// # Errors
/// Of the database.
pub async fn accept_prescription(tx: &mut Tx<'_>, command: &HisCommand) -> Result<(), StoreError> {
    if command.method != PrescriptionSubmit::METHOD {
        return Ok(());
    }
    // What cannot be read is refused by the bridge, in the hospital's words.
    let Ok(told) = serde_json::from_value::<SubmittedPrescription>(command.request.clone()) else {
        return Ok(());
    };
    let Some(code) = told.verify_code else {
        return Ok(());
    };
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO kiosk_prescription (tenant_id, code, number, his_patient_id, valid_until) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        &[
            &tenant,
            &code,
            &told.prescription_number,
            &told.his_patient_id,
            &told.valid_until,
        ],
    )
    .await
    .map(drop)
}

/// A scanned code of an e-prescription, not looked up yet. `Debug` shows nothing of it: it opens the public check.
#[derive(Clone, PartialEq, Eq)]
pub struct PaperCode {
    /// Host, with its port, where it is checked.
    site: String,
    code: String,
}

impl fmt::Debug for PaperCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaperCode(…)")
    }
}

/// Host, with its port, of an address of the web.
fn site(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(..end).map(str::to_ascii_lowercase)
}

impl PaperCode {
    /// A scanned text that means to be the code of an e-prescription; `None` when it is something else.
    ///
    /// # Errors
    /// In words for the person, when it was not read whole.
    pub(crate) fn scanned(text: &str) -> Option<Result<Self, &'static str>> {
        let (before, rest) = text.split_once("/verify/")?;
        let site = site(before)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let code = rest.get(..end).unwrap_or_default().to_ascii_lowercase();
        if code.len() == LETTERS && code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Some(Ok(Self { site, code }))
        } else {
            Some(Err("处方上的二维码没有读全，请把纸展平、对准扫码口再扫一次"))
        }
    }
}

/// The prescription a code names. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Prescribed {
    /// Its number in the hospital's system.
    pub(crate) his_number: String,
    /// For whom it was written.
    pub(crate) his_patient_id: String,
}

impl fmt::Debug for Prescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prescribed(…)")
    }
}

/// Why a prescription is not printed by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPrinted {
    /// Checked at another hospital.
    #[error("这不是本院的电子处方，本机不能打印")]
    Foreign,
    /// This appliance was never told of it: a record, an order, or a prescription from before it could be told.
    #[error("本机没有查到这张处方，请出示证件后在“打印处方”中查找，或到窗口办理")]
    NotFound,
    /// The hospital's system has not taken it yet.
    #[error("这张处方正在送往医院系统，请稍后再扫")]
    UnderWay,
    /// Its last day is over and nobody has paid for it.
    #[error("这张处方已过有效期，不能打印。需要用药请联系医生重新开方")]
    Outdated,
    /// Taken back, refused or paid back.
    #[error("这张处方已作废，不能打印。如有疑问请联系开方医生")]
    Void,
    /// Somebody else's.
    #[error("这张处方不是您本人的，不能打印。请由处方上的患者本人出示证件")]
    NotYours,
    /// The hospital's system does not list it any more.
    #[error("医院系统中没有查到这张处方，请到窗口打印")]
    NotListed,
    /// Nothing can be looked up now.
    #[error("暂时不能核对处方，请稍后再扫")]
    Busy,
}

/// Knows codes on paper.
#[derive(Clone)]
pub(crate) struct Papers {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    /// The patients' app, at the host where this hospital's papers are checked.
    pub(crate) patient_app: Option<String>,
}

impl Papers {
    /// Which prescription this is, when it may be printed. Nothing of it is for a screen yet.
    pub(crate) async fn find(&self, paper: &PaperCode) -> Result<Prescribed, NotPrinted> {
        let (code, today) = (paper.code.clone(), self.clock.now().local_date());
        let found = self.store.read(&self.scope, move |tx| {
            let code = code.clone();
            Box::pin(async move { look(tx, &code, today).await })
        });
        let found = found.await.map_err(|error: StoreError| {
            tracing::error!(%error, "the code of a prescription was not looked up");
            NotPrinted::Busy
        })?;
        let foreign = || {
            let ours = self.patient_app.as_deref().and_then(site);
            ours.is_some_and(|ours| ours != paper.site)
        };
        match found {
            Err(NotPrinted::NotFound) if foreign() => Err(NotPrinted::Foreign),
            other => other,
        }
    }
}

async fn look(tx: &mut Tx<'_>, code: &str, today: LocalDate) -> Result<Result<Prescribed, NotPrinted>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = "SELECT number, his_patient_id, valid_until FROM kiosk_prescription WHERE tenant_id = $1 AND code = $2";
    let row: Option<(String, String, Option<LocalDate>)> = tx.opt(sql, &[&tenant, &code]).await?;
    let Some((number, his_patient_id, valid_until)) = row else {
        return Ok(Err(NotPrinted::NotFound));
    };
    let submitted = journal::of_subject(tx, &number, PrescriptionSubmit::METHOD).await?;
    let paid = journal::of_subject(tx, &number, BillConfirm::METHOD).await?;
    let mut withdrawn = journal::of_subject(tx, &number, PrescriptionRevoke::METHOD).await?;
    withdrawn.extend(journal::of_subject(tx, &number, BillRefund::METHOD).await?);
    let is = |entry: &Entry, state| entry.work.state == state;
    if valid_until.is_some_and(|last| today > last) && !paid.iter().any(|p| is(p, State::Done)) {
        return Ok(Err(NotPrinted::Outdated));
    }
    // What the hospital refuses to take back stays in force.
    if withdrawn.iter().any(|w| !is(w, State::Refused)) {
        return Ok(Err(NotPrinted::Void));
    }
    let taken = submitted.iter().rev().find_map(|s| match &s.work.outcome {
        Some(Outcome::Done(answer)) => serde_json::from_value::<PrescriptionReceipt>(answer.clone()).ok(),
        _ => None,
    });
    Ok(match taken {
        Some(receipt) => Ok(Prescribed {
            his_number: receipt.his_prescription_number,
            his_patient_id,
        }),
        None if submitted.iter().all(|s| is(s, State::Refused)) => Err(NotPrinted::Void),
        None => Err(NotPrinted::UnderWay),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_check_is_told_from_others_and_read_whole_or_not_at_all() {
        let code = |text: &str| match PaperCode::scanned(text) {
            Some(Ok(paper)) => format!("{} {}", paper.site, paper.code),
            Some(Err(_)) => "again".to_owned(),
            None => "none".to_owned(),
        };
        for (text, read) in [
            (
                "https://hospital.example/verify/7k2m9q4x1c8v5b3n",
                "hospital.example 7k2m9q4x1c8v5b3n",
            ),
            (
                "HTTPS://Hospital.Example:8443/app/verify/7K2M9Q4X1C8V5B3N?x=1",
                "hospital.example:8443 7k2m9q4x1c8v5b3n",
            ),
            ("https://hospital.example/verify/7k2m9q4", "again"),
            ("https://hospital.example/verify/", "again"),
            ("https://hospital.example/verify/7k2m9q4x1c8v5b3'", "again"),
            ("https://hospital.example/verify", "none"),
            ("https://hospital.example/7k2m9q4x1c8v5b3n", "none"),
            ("javascript://hospital.example/verify/7k2m9q4x1c8v5b3n", "none"),
            ("/verify/7k2m9q4x1c8v5b3n", "none"),
            ("8000000001", "none"),
            ("", "none"),
        ] {
            assert_eq!(code(text), read, "{text}");
        }
        let shown = format!("{:?}", PaperCode::scanned("https://h/verify/7k2m9q4x1c8v5b3n"));
        assert!(!shown.contains("7k2m"), "{shown}");
    }
}
