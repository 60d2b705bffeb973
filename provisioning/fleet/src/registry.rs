//! The registry's rows.

use evidence::{ClaimCode, FactoryRecord};
use records::id::EdgeId;
use records::{Actor, TenantId, Timestamp};
use store::{StoreError, Tx};

use crate::appliance::{Appliance, Event, Refusal, State};
use crate::{Fleet, FleetError};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The appliance.
    pub edge_id: EdgeId,
    /// The hospital it serves.
    pub hospital: TenantId,
    /// Serial number on its label.
    pub serial: String,
    /// End of the certificate it came with.
    pub not_after: Timestamp,
}

/// An appliance in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The appliance.
    pub appliance: Appliance,
    /// Kind of board.
    pub board: String,
    /// End of its newest certificate.
    pub certificate_not_after: Option<Timestamp>,
}

const COLUMNS: &str = "serial, edge_id, state, hospital";
type ApplianceRow = (String, EdgeId, String, Option<TenantId>);

fn read(row: ApplianceRow) -> Result<Appliance, FleetError> {
    let (serial, edge_id, state, hospital) = row;
    let state = State::read(&state, hospital).ok_or(FleetError::Unknown("state"))?;
    Ok(Appliance { serial, edge_id, state })
}

/// The appliance with this value in this column.
pub(crate) async fn find(tx: &mut Tx<'_>, column: &'static str, value: &str) -> Result<Option<Appliance>, FleetError> {
    let tenant = tx.tenant().clone();
    let sql = format!("SELECT {COLUMNS} FROM fleet_appliance WHERE tenant_id = $1 AND {column} = $2");
    tx.opt::<ApplianceRow>(&sql, &[&tenant, &value])
        .await?
        .map(read)
        .transpose()
}

/// Keeps a step with its history.
pub(crate) async fn keep(tx: &mut Tx<'_>, stepped: (Appliance, Event), note: &str) -> Result<Appliance, StoreError> {
    let (appliance, event) = stepped;
    let tenant = tx.tenant().clone();
    let state = appliance.state.name();
    tx.exec(
        "UPDATE fleet_appliance SET state = $3, hospital = $4, changed_at = $5 WHERE tenant_id = $1 AND serial = $2",
        &[
            &tenant,
            &appliance.serial,
            &state,
            &appliance.state.hospital(),
            &event.at,
        ],
    )
    .await?;
    let by = event.by.to_string();
    history(
        tx,
        &appliance.serial,
        event.at,
        &by,
        &event.step.to_string(),
        state,
        note,
    )
    .await?;
    Ok(appliance)
}

async fn history(
    tx: &mut Tx<'_>,
    serial: &str,
    at: Timestamp,
    by: &str,
    step: &str,
    state: &str,
    note: &str,
) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO fleet_history (tenant_id, serial, seq, at, actor, step, state, note) \
         SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5, $6, $7 FROM fleet_history \
         WHERE tenant_id = $1 AND serial = $2",
        &[&tenant, &serial, &at, &by, &step, &state, &note],
    )
    .await?;
    Ok(())
}

impl Fleet {
    /// Takes a factory record. The same record twice is once; a serial number with other contents is refused.
    pub async fn import(&self, record: &FactoryRecord, by: Actor) -> Result<EdgeId, FleetError> {
        let hash = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let named = |text: &str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        if !named(&record.serial) || !named(&record.board) {
            return Err(FleetError::Record("serial number or board"));
        }
        if !hash(&record.ek_sha256) || !hash(&record.claim_sha256) {
            return Err(FleetError::Record("digest"));
        }
        let (record, fresh) = (record.clone(), EdgeId::generate(&self.ids, self.store.clock().now()));
        self.store
            .write(&Self::scope(), move |tx| {
                let (record, fresh, by) = (record.clone(), fresh.clone(), by.clone());
                Box::pin(async move { import(tx, record, fresh, by).await })
            })
            .await
    }

    /// A hospital claims the appliance with this code on its label.
    pub async fn claim(&self, code: &ClaimCode, hospital: TenantId, by: Actor) -> Result<Appliance, FleetError> {
        let digest = code.sha256();
        self.store
            .write(&Self::scope(), move |tx| {
                let (digest, hospital, by) = (digest.clone(), hospital.clone(), by.clone());
                Box::pin(async move {
                    let found = find(tx, "claim_sha256", &digest).await?;
                    let appliance = found.ok_or(FleetError::Unknown("claim code"))?;
                    let again = matches!(appliance.state, State::Claimed(_));
                    let stepped = appliance.claim(hospital, tx.now(), by)?;
                    if again {
                        return Ok(stepped.0);
                    }
                    Ok(keep(tx, stepped, "").await?)
                })
            })
            .await
    }

    /// Who presents this certificate, if it may connect now. To be asked for every connection, after TLS has verified the
    /// chain. The first connection makes an attested appliance active.
    pub async fn peer(&self, certificate: &[u8]) -> Result<Peer, FleetError> {
        let named = ca::edge_of(certificate).ok_or(FleetError::Unknown("certificate"))?;
        let fingerprint = ca::fingerprint(certificate);
        let (asked, print) = (named.clone(), fingerprint.clone());
        let (peer, first) = self
            .store
            .read(&Self::scope(), move |tx| {
                let (named, fingerprint) = (asked.clone(), print.clone());
                Box::pin(async move {
                    recognise(tx, &named, &fingerprint)
                        .await
                        .map(|(_, peer, first)| (peer, first))
                })
            })
            .await?;
        // Only the first connection changes anything: later ones come in even while the disk is full.
        if first {
            self.store
                .write(&Self::scope(), move |tx| {
                    let (named, fingerprint) = (named.clone(), fingerprint.clone());
                    Box::pin(async move {
                        let (appliance, _, first) = recognise(tx, &named, &fingerprint).await?;
                        if first {
                            let stepped = appliance.connect(tx.now(), Actor::Edge(named))?;
                            keep(tx, stepped, "").await?;
                        }
                        Ok::<_, FleetError>(())
                    })
                })
                .await?;
        }
        Ok(peer)
    }

    /// Keeps an appliance out for the time being.
    pub async fn suspend(&self, edge: &EdgeId, by: Actor, note: &str) -> Result<Appliance, FleetError> {
        self.take(edge, note, move |a, at| a.suspend(at, by.clone())).await
    }

    /// Lets it in again.
    pub async fn resume(&self, edge: &EdgeId, by: Actor, note: &str) -> Result<Appliance, FleetError> {
        self.take(edge, note, move |a, at| a.resume(at, by.clone())).await
    }

    /// Keeps it out for ever; its certificates are void from now.
    pub async fn revoke(&self, edge: &EdgeId, by: Actor, note: &str) -> Result<Appliance, FleetError> {
        self.take(edge, note, move |a, at| a.revoke(at, by.clone())).await
    }

    async fn take<F>(&self, edge: &EdgeId, note: &str, step: F) -> Result<Appliance, FleetError>
    where
        F: Fn(Appliance, Timestamp) -> Result<(Appliance, Event), Refusal> + Clone + Send + Sync + 'static,
    {
        let (edge, note) = (edge.clone(), note.to_owned());
        self.store
            .write(&Self::scope(), move |tx| {
                let (edge, note, step) = (edge.clone(), note.clone(), step.clone());
                Box::pin(async move {
                    let found = find(tx, "edge_id", edge.as_str()).await?;
                    let appliance = found.ok_or(FleetError::Unknown("appliance"))?;
                    let stepped = step(appliance, tx.now())?;
                    let appliance = keep(tx, stepped, &note).await?;
                    if matches!(appliance.state, State::Revoked(_)) {
                        let (tenant, now) = (tx.tenant().clone(), tx.now());
                        tx.exec(
                            "UPDATE fleet_certificate SET revoked_at = $3 \
                             WHERE tenant_id = $1 AND serial = $2 AND revoked_at IS NULL",
                            &[&tenant, &appliance.serial, &now],
                        )
                        .await?;
                    }
                    Ok(appliance)
                })
            })
            .await
    }

    /// The appliances of a hospital, or all of them.
    pub async fn list(&self, hospital: Option<&TenantId>) -> Result<Vec<Listed>, FleetError> {
        type Row = (String, EdgeId, String, Option<TenantId>, String, Option<Timestamp>);
        let hospital = hospital.cloned();
        let rows: Vec<Row> = self
            .store
            .read(&Self::scope(), move |tx| {
                let hospital = hospital.clone();
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.all(
                        "SELECT a.serial, a.edge_id, a.state, a.hospital, a.board, \
                         (SELECT max(c.not_after) FROM fleet_certificate c \
                          WHERE c.tenant_id = a.tenant_id AND c.serial = a.serial AND c.revoked_at IS NULL) \
                         FROM fleet_appliance a WHERE a.tenant_id = $1 \
                         AND (CAST($2 AS TEXT) IS NULL OR a.hospital = $2) ORDER BY a.serial",
                        &[&tenant, &hospital],
                    )
                    .await
                })
            })
            .await
            .map_err(|error: StoreError| FleetError::Store(error))?;
        rows.into_iter()
            .map(|(serial, edge_id, state, hospital, board, certificate_not_after)| {
                let appliance = read((serial, edge_id, state, hospital))?;
                Ok(Listed {
                    appliance,
                    board,
                    certificate_not_after,
                })
            })
            .collect()
    }
}

async fn import(tx: &mut Tx<'_>, record: FactoryRecord, fresh: EdgeId, by: Actor) -> Result<EdgeId, FleetError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    // The serial number may be one appliance's and the chip another's.
    let known: Vec<(String, EdgeId, String, String)> = tx
        .all(
            "SELECT serial, edge_id, ek_sha256, claim_sha256 FROM fleet_appliance \
             WHERE tenant_id = $1 AND (serial = $2 OR ek_sha256 = $3)",
            &[&tenant, &record.serial, &record.ek_sha256],
        )
        .await?;
    if let Some((_, edge_id, ..)) = known.first() {
        let same = |(serial, _, ek, claim): &(String, EdgeId, String, String)| {
            *serial == record.serial && *ek == record.ek_sha256 && *claim == record.claim_sha256
        };
        return if known.iter().all(same) {
            Ok(edge_id.clone())
        } else {
            Err(FleetError::Record("serial number or chip is known with other contents"))
        };
    }
    tx.exec(
        "INSERT INTO fleet_appliance (tenant_id, serial, edge_id, board, ek_sha256, ek_certificate, claim_sha256, state, \
         made_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'manufactured', $8, $8)",
        &[
            &tenant,
            &record.serial,
            &fresh,
            &record.board,
            &record.ek_sha256,
            &record.ek_certificate,
            &record.claim_sha256,
            &now,
        ],
    )
    .await?;
    history(tx, &record.serial, now, &by.to_string(), "import", "manufactured", "").await?;
    Ok(fresh)
}

/// The appliance of a certificate, who it is on the line, and whether this is its first connection.
async fn recognise(tx: &mut Tx<'_>, named: &EdgeId, fingerprint: &str) -> Result<(Appliance, Peer, bool), FleetError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let found: Option<(String, Timestamp, Option<Timestamp>)> = tx
        .opt(
            "SELECT serial, not_after, revoked_at FROM fleet_certificate WHERE tenant_id = $1 AND fingerprint = $2",
            &[&tenant, &fingerprint],
        )
        .await?;
    let Some((serial, not_after, None)) = found else {
        return Err(FleetError::Unknown("certificate"));
    };
    if now > not_after {
        return Err(FleetError::Expired);
    }
    let appliance = find(tx, "serial", &serial)
        .await?
        .ok_or(FleetError::Unknown("appliance"))?;
    if appliance.edge_id != *named {
        return Err(FleetError::Unknown("certificate"));
    }
    let (connected, _) = appliance.clone().connect(now, Actor::Edge(named.clone()))?;
    let hospital = connected
        .state
        .hospital()
        .cloned()
        .ok_or(FleetError::Unknown("hospital"))?;
    let first = matches!(appliance.state, State::Attested(_));
    let peer = Peer {
        edge_id: named.clone(),
        hospital,
        serial,
        not_after,
    };
    Ok((appliance, peer, first))
}
