//! Pairing: taking another appliance's introduction, approving it, ending it.

use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::introduction::{Introduction, Judged, id, shown};
use super::{Belief, PeerRole, PeerState, Replica};
use crate::Refusal;
use crate::vault::{PeerRow, Unit};

/// Another appliance that is to be paired.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    /// Its introduction, as its management page gave it.
    introduction: String,
    /// What it is to be to this appliance.
    role: PeerRole,
    /// Of a follower: where its management page is reached (`https://sign2.hospital.local:8444`), so that packages are
    /// sent there; without it they are carried as files.
    #[serde(default)]
    url: Option<String>,
}

/// A paired appliance, for people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeerView {
    id: String,
    name: String,
    role: PeerRole,
    state: PeerState,
    /// To be compared with what the other appliance's own page shows.
    fingerprint: String,
    /// What its endorsement key is believed by.
    belief: Belief,
    /// SHA-256 over its measured state (PCR) when it introduced itself, hexadecimal.
    measured: String,
    /// This appliance's state is the same at present: the same firmware and settings of start.
    measured_alike: bool,
    url: String,
    proposed_by: String,
    approved_by: String,
    /// Number of the last package: made for it, or taken from it.
    number: i64,
    /// A follower has all there is at present.
    up_to_date: bool,
    /// When a package was last confirmed by it, or taken from it.
    #[schema(value_type = Option<String>, format = DateTime)]
    settled_at: Option<Timestamp>,
    /// Why it does not go on at present; empty when it does.
    trouble: String,
}

/// Replication of this appliance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replication {
    name: String,
    /// This appliance's fingerprint, to be compared on the other's page.
    fingerprint: String,
    /// This appliance's introduction, to be taken to the other.
    introduction: String,
    /// What is served here comes from another appliance, and is changed there.
    follows: bool,
    /// Makers' roots are configured: endorsement keys are judged by certificate.
    by_certificate: bool,
    /// Keys in devices: they stay on this appliance.
    stay: Vec<String>,
    peers: Vec<PeerView>,
}

fn unknown() -> Refusal {
    Refusal::no("peer_unknown", "没有这台配对设备。")
}

pub(super) fn role(row: &PeerRow) -> Result<PeerRole, Refusal> {
    let all = [PeerRole::Source, PeerRole::Follower];
    let found = all.into_iter().find(|role| role.name() == row.role);
    found.ok_or(Refusal::Damaged("peer's role"))
}

fn state(row: &PeerRow) -> Result<PeerState, Refusal> {
    let all = [PeerState::Proposed, PeerState::Approved, PeerState::Ended];
    let found = all.into_iter().find(|state| state.name() == row.state);
    found.ok_or(Refusal::Damaged("peer's state"))
}

fn belief(row: &PeerRow) -> Result<Belief, Refusal> {
    let all = [Belief::Certificate, Belief::People];
    let found = all.into_iter().find(|belief| belief.name() == row.judged);
    found.ok_or(Refusal::Damaged("peer's belief"))
}

impl Replica {
    /// The keys of a peer, as they were judged.
    pub(super) fn judged(&self, row: &PeerRow) -> Result<Judged, Refusal> {
        // By which it was believed was decided when it was proposed; what the keys say of each other is checked anew.
        Introduction::read(&row.introduction)?.judge(None, self.engine().clock.now())
    }

    /// This appliance and those it is paired with.
    pub(crate) fn overview(&self) -> Result<Replication, Refusal> {
        let own = self.own()?;
        let introduction = own.introduce(self.engine(), &self.name)?;
        let measured = introduction.judge(None, self.engine().clock.now())?.quoted.digest;
        let introduction = serde_json::to_string_pretty(&introduction).map_err(|_| Refusal::Damaged("introduction"))?;
        let (peers, (content, stay)) = self
            .engine()
            .vault
            .read(|unit| Ok((unit.peers()?, super::content::read(unit)?)))?;
        let now = super::content::digest(&content)?;
        let peers = peers.iter().map(|row| self.view(row, &now, &measured));
        Ok(Replication {
            name: self.name.clone(),
            fingerprint: shown(&own.keys.fingerprint()),
            introduction,
            follows: self.follows(),
            by_certificate: self.roots.is_some(),
            stay,
            peers: peers.collect::<Result<_, _>>()?,
        })
    }

    fn view(&self, row: &PeerRow, now: &[u8], measured: &[u8]) -> Result<PeerView, Refusal> {
        let judged = self.judged(row)?;
        Ok(PeerView {
            id: row.id.clone(),
            name: row.name.clone(),
            role: role(row)?,
            state: state(row)?,
            fingerprint: shown(&judged.fingerprint),
            belief: belief(row)?,
            measured: hex::encode(&judged.quoted.digest),
            measured_alike: judged.quoted.digest == measured,
            url: row.url.clone(),
            proposed_by: row.proposed_by.clone(),
            approved_by: row.approved_by.clone(),
            number: row.number,
            up_to_date: row.settled_at.is_some() && (row.role == PeerRole::Source.name() || row.digest == now),
            settled_at: row.settled_at,
            trouble: row.trouble.clone(),
        })
    }

    /// Takes the introduction of another appliance.
    pub(crate) fn propose(&self, by: &str, asked: &Proposal) -> Result<(), Refusal> {
        let now = self.engine().clock.now();
        let judged = Introduction::read(&asked.introduction)?.judge(self.roots.as_ref(), now)?;
        if judged.fingerprint == self.own()?.keys.fingerprint() {
            return Err(Refusal::no("peer_self", "这是本设备自己的名片，请使用对端设备的名片。"));
        }
        let url = asked
            .url
            .as_deref()
            .unwrap_or_default()
            .trim()
            .trim_end_matches('/')
            .to_owned();
        let fits = reqwest::Url::parse(&url).is_ok_and(|url| url.scheme() == "https" && url.host().is_some());
        if !url.is_empty() && !fits {
            return Err(Refusal::no("peer_url", "对端管理页面地址应以 https:// 开头。"));
        }
        let id = id(&judged.fingerprint);
        self.engine().vault.write(|unit| {
            let known = unit.peer(&id)?;
            if known
                .as_ref()
                .is_some_and(|row| row.state == PeerState::Approved.name())
            {
                return Err(Refusal::no("peer_exists", "这台设备已经配对；要重新配对，请先解除。"));
            }
            let row = PeerRow {
                id: id.clone(),
                introduction: asked.introduction.clone(),
                name: judged.name.clone(),
                url,
                role: asked.role.name().to_owned(),
                state: PeerState::Proposed.name().to_owned(),
                judged: judged.belief.name().to_owned(),
                proposed_by: by.to_owned(),
                approved_by: String::new(),
                // Numbers go on, so that no package of before is taken again.
                number: known.map_or(0, |row| row.number),
                digest: Vec::new(),
                settled_at: None,
                trouble: String::new(),
            };
            unit.put_peer(&row, now)?;
            let detail = format!(
                "{id} {} as {} fingerprint {} believed by {}",
                judged.name,
                row.role,
                shown(&judged.fingerprint),
                row.judged
            );
            unit.log(now, "replica.proposed", by, &detail)
        })
    }

    /// Approves a proposed appliance; `fingerprint` is what the person has read on the other's page.
    pub(crate) fn approve(&self, by: &str, id: &str, fingerprint: &str) -> Result<(), Refusal> {
        let now = self.engine().clock.now();
        self.engine().vault.write(|unit| {
            let mut row = unit.peer(id)?.ok_or_else(unknown)?;
            if state(&row)? != PeerState::Proposed {
                return Err(Refusal::no("peer_state", "这台设备不在等待批准。"));
            }
            if belief(&row)? == Belief::People && row.proposed_by == by {
                let text = "没有厂商证书可核对，须由另一位管理员核对指纹后批准，不能由提出配对的同一人批准。";
                return Err(Refusal::no("peer_second_person", text));
            }
            let digits = |text: &str| -> String {
                let letters = text.chars().filter(char::is_ascii_alphanumeric);
                letters.map(|letter| letter.to_ascii_uppercase()).collect()
            };
            let shown = shown(&self.judged(&row)?.fingerprint);
            if digits(fingerprint) != digits(&shown) {
                unit.log(now, "replica.refused", by, &format!("{id} fingerprint typed wrongly"))?;
                return Ok(Err(Refusal::no(
                    "peer_fingerprint",
                    "输入的指纹与名片不符，请到对端设备的页面上核对。",
                )));
            }
            one_source(unit, &row)?;
            row.state = PeerState::Approved.name().to_owned();
            row.approved_by = by.to_owned();
            unit.put_peer(&row, now)?;
            let detail = format!(
                "{id} {} as {} fingerprint {shown} believed by {} proposed by {}",
                row.name, row.role, row.judged, row.proposed_by
            );
            unit.log(now, "replica.paired", by, &detail).map(Ok)
        })??;
        self.look()?;
        self.wake();
        Ok(())
    }

    /// Ends a pairing, or drops a proposal. What a follower has stays on it.
    pub(crate) fn end(&self, by: &str, id: &str) -> Result<(), Refusal> {
        let now = self.engine().clock.now();
        self.engine().vault.write(|unit| {
            let mut row = unit.peer(id)?.ok_or_else(unknown)?;
            row.state = PeerState::Ended.name().to_owned();
            row.trouble = String::new();
            unit.put_peer(&row, now)?;
            unit.log(now, "replica.ended", by, &format!("{id} {} as {}", row.name, row.role))
        })?;
        self.look()
    }
}

/// An appliance follows one source, and one that follows has no followers: there are no chains and no circles.
fn one_source(unit: &Unit<'_>, row: &PeerRow) -> Result<(), Refusal> {
    let approved = unit.peers()?.into_iter();
    let mut approved = approved.filter(|other| other.id != row.id && other.state == PeerState::Approved.name());
    let taken = match role(row)? {
        PeerRole::Source => approved.next(),
        PeerRole::Follower => approved.find(|other| other.role == PeerRole::Source.name()),
    };
    match taken {
        None => Ok(()),
        Some(other) => {
            let text = format!(
                "本设备已与 {} 配对；一台设备只跟随一台主设备，跟随设备不能再有跟随设备。",
                other.name
            );
            Err(Refusal::no("peer_role", text))
        }
    }
}
