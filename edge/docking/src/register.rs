//! Which recorders are the hospital's, and who has which: kept as the cloud tells, so that a docking needs no line.

use records::footage::{IssueId, RecorderIssue, RecorderListed, RecorderReturn, RecorderUnlisted};
use records::{Ids, Timestamp};
use store::{StoreError, Tx};

use crate::ports::Signer;

store::row! {
    /// A recorder as listed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Listed {
        pub(crate) model: String,
        pub(crate) hospital: String,
        pub(crate) listed: bool,
        pub(crate) reason: String,
    }
}

store::row! {
    /// An issue.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Issue {
        pub(crate) id: IssueId,
        pub(crate) holder: String,
        pub(crate) holder_name: String,
        pub(crate) order_no: String,
        pub(crate) issued_at: Timestamp,
        pub(crate) returned_at: Option<Timestamp>,
    }
}

pub(crate) async fn list(tx: &mut Tx<'_>, body: &RecorderListed) -> Result<(), StoreError> {
    put(tx, &body.serial, &body.model, &body.hospital, true, "").await
}

pub(crate) async fn unlist(tx: &mut Tx<'_>, body: &RecorderUnlisted) -> Result<(), StoreError> {
    let (model, hospital) = listed(tx, &body.serial)
        .await?
        .map(|l| (l.model, l.hospital))
        .unwrap_or_default();
    put(tx, &body.serial, &model, &hospital, false, &body.reason).await
}

async fn put(
    tx: &mut Tx<'_>,
    serial: &str,
    model: &str,
    hospital: &str,
    listed: bool,
    reason: &str,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO docking_recorder(tenant_id, serial, model, hospital, listed, reason, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, serial) DO UPDATE SET model = EXCLUDED.model, hospital = EXCLUDED.hospital,
            listed = EXCLUDED.listed, reason = EXCLUDED.reason, changed_at = EXCLUDED.changed_at",
        &[&tenant, &serial, &model, &hospital, &listed, &reason, &now],
    )
    .await
    .map(drop)
}

pub(crate) async fn listed(tx: &mut Tx<'_>, serial: &str) -> Result<Option<Listed>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_recorder WHERE tenant_id = $1 AND serial = $2",
        Listed::COLUMNS
    );
    tx.opt(&sql, &[&tenant, &serial]).await
}

pub(crate) async fn issue(tx: &mut Tx<'_>, body: &RecorderIssue) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    // Who has it now has not returned it yet: an issue that was never ended ends here.
    tx.exec(
        "UPDATE docking_issue SET returned_at = $3 WHERE tenant_id = $1 AND serial = $2 AND returned_at IS NULL AND id <> $4",
        &[&tenant, &body.serial, &body.at, &body.id],
    )
    .await?;
    tx.exec(
        "INSERT INTO docking_issue(tenant_id, id, serial, holder, holder_name, order_no, issued_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            &tenant,
            &body.id,
            &body.serial,
            &body.holder,
            &body.holder_name,
            &body.order,
            &body.at,
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn give_back(tx: &mut Tx<'_>, body: &RecorderReturn) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE docking_issue SET returned_at = $3 WHERE tenant_id = $1 AND id = $2 AND returned_at IS NULL",
        &[&tenant, &body.id, &body.at],
    )
    .await
    .map(drop)
}

/// Who had the recorder at that moment; without one, who had it last before it was docked.
pub(crate) async fn holder_at(
    tx: &mut Tx<'_>,
    serial: &str,
    recorded: Option<Timestamp>,
    docked: Timestamp,
) -> Result<Option<Issue>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM docking_issue WHERE tenant_id = $1 AND serial = $2 AND issued_at <= $3 ORDER BY issued_at DESC, id DESC",
        Issue::COLUMNS
    );
    let issues: Vec<Issue> = tx.all(&sql, &[&tenant, &serial, &docked]).await?;
    let had = |at: Timestamp| {
        issues
            .iter()
            .find(|i| i.issued_at <= at && i.returned_at.is_none_or(|returned| at <= returned))
    };
    let by_time = recorded.and_then(had);
    Ok(by_time.or_else(|| issues.first()).cloned())
}

/// The appliance as signer for this organisation; made when there is none, and then the same for ever.
pub(crate) async fn signer(tx: &mut Tx<'_>, fresh: &Signer) -> Result<Signer, StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO docking_signer(tenant_id, id, pin, organisation) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[&tenant, &fresh.id, &fresh.pin, &fresh.organisation],
    )
    .await?;
    let (id, pin, organisation) = tx
        .one(
            "SELECT id, pin, organisation FROM docking_signer WHERE tenant_id = $1",
            &[&tenant],
        )
        .await?;
    Ok(Signer { id, pin, organisation })
}

/// A signer nobody has used.
pub(crate) fn fresh(ids: &Ids, edge: &str, organisation: &str) -> Signer {
    let mut pin;
    loop {
        pin = records::sign::Pin(ids.random::<12>().iter().map(|b| char::from(b'0' + b % 10)).collect());
        if pin.choose().is_ok() {
            break;
        }
    }
    Signer {
        id: format!("{edge}/{}", hex::encode(ids.random::<4>())),
        pin: pin.0,
        organisation: organisation.to_owned(),
    }
}

/// Whether somebody was given it since it came: they wait for it.
pub(crate) async fn wanted(tx: &mut Tx<'_>, serial: &str, since: Timestamp) -> Result<bool, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM docking_issue WHERE tenant_id = $1 AND serial = $2 AND issued_at >= $3 AND returned_at IS NULL",
            &[&tenant, &serial, &since],
        )
        .await?;
    Ok(count > 0)
}
