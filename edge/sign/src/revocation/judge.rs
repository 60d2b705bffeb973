//! An application's rule applied to a path. What the lists and kept answers decide is decided at once; what must be asked
//! is left open by the act and settled after it, so that no thread that serves connections waits for the network.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use gm::evidence::Moment;
use gm::trust::{By, Evidence, Failure, Finding, Rule, Source, Stapled};
use gm::{Certificate, Particulars, Refused, Trust};
use records::Timestamp;

use super::Revocation;
use super::ask::{Asked, Given};
use super::lists::{ListId, Lists};
use crate::application::{Policy, Revocation as Wanted};
use crate::fault::{Code, Fault};
use crate::service::{Level, Service, refused};
use crate::state::State;

/// Time for a list that a certificate names and nobody had heard of.
const FIRST_FETCH: Duration = Duration::from_secs(10);
/// Time for the kept lists to be read after the start.
const LOADING: Duration = Duration::from_secs(30);

/// What was seen of one certificate.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// Serial number in hexadecimal.
    pub(crate) serial: String,
    /// Its subject's common name.
    pub(crate) subject: String,
    /// Its state, and by what.
    pub(crate) finding: Finding,
    /// Why there is no better evidence.
    pub(crate) troubles: Vec<String>,
    evidence: Option<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    List(ListId),
    Answer(Arc<Given>),
}

/// The states of a path, signer first; there once the act has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct States(Arc<OnceLock<Vec<Checked>>>);

impl States {
    /// Certificate by certificate; none when states were not asked.
    pub(crate) fn checked(&self) -> &[Checked] {
        self.0.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn put(&self, checked: Vec<Checked>) {
        // Judged once.
        let _ = self.0.set(checked);
    }
}

/// A path to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) path: Vec<Certificate>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) rule: Rule,
    pub(crate) moment: Moment,
    /// Evidence that came with the signature.
    pub(crate) stapled: Option<Arc<Stapled>>,
}

/// A path whose judgement needs the network.
#[derive(Debug)]
pub(crate) struct Open {
    look: Look,
    states: States,
}

/// The rule of a policy, as far as the level asks.
pub(crate) fn rule(policy: &Policy, level: Level) -> Rule {
    let by = match policy.revocation {
        Wanted::None => By::Nothing,
        Wanted::Crl => By::Crl,
        Wanted::Ocsp => By::Ocsp,
        Wanted::CrlOrOcsp => By::Either,
    };
    let failure = if policy.revocation_must_be_known {
        Failure::Hard
    } else {
        Failure::Soft
    };
    match level {
        Level::Time | Level::Chain => Rule::default(),
        Level::Policy => Rule { by, failure },
        // Who asks for proof is told when there is none, whatever the policy forgives.
        Level::Revocation => Rule {
            by: if by == By::Nothing { By::Either } else { by },
            failure: Failure::Hard,
        },
    }
}

/// The rule for a certificate of a path. Of authorities above the signer whichever evidence there is will do: hardly any
/// authority answers OCSP for those below it.
fn rule_at(rule: Rule, place: usize) -> Rule {
    match rule.by {
        By::Ocsp if place > 0 => Rule { by: By::Either, ..rule },
        _ => rule,
    }
}

fn by_list(rule: Rule) -> bool {
    matches!(rule.by, By::Crl | By::Either)
}

fn by_answer(rule: Rule) -> bool {
    matches!(rule.by, By::Ocsp | By::Either)
}

/// A judgement.
struct Seen {
    checked: Vec<Checked>,
    verdict: Result<(), Refused>,
}

impl Revocation {
    /// Judges a path by what is at hand. `asked`: answers that are not kept, and troubles, by place on the path.
    fn judge(&self, look: &Look, lists: &Lists, asked: &[(usize, Result<Arc<Given>, String>)]) -> Seen {
        let now = Timestamp::from_offset(look.moment.now);
        let opened = look
            .stapled
            .as_ref()
            .map(|stapled| stapled.open(&look.path, look.trust.authorities()));
        let carried = opened.as_ref().map(gm::trust::Opened::evidence).unwrap_or_default();
        let mut crls = lists.crls().to_vec();
        crls.extend_from_slice(carried.crls);
        let mut seen = Seen {
            checked: Vec::with_capacity(look.path.len()),
            verdict: Ok(()),
        };
        for (place, certificate) in look.path.iter().enumerate() {
            let issuer = look.path.get(place + 1);
            let kept = issuer.and_then(|issuer| self.answer(certificate, issuer, now));
            let fresh = asked.iter().filter(|(at, _)| *at == place);
            let fresh: Vec<&Result<Arc<Given>, String>> = fresh.map(|(_, outcome)| outcome).collect();
            let given = kept.or_else(|| fresh.iter().find_map(|outcome| outcome.as_ref().ok().cloned()));
            let mut answers = carried.answers.to_vec();
            answers.extend(given.as_ref().map(|given| given.answer.clone()));
            let evidence = Evidence {
                crls: &crls,
                answers: &answers,
            };
            let rule = rule_at(look.rule, place);
            let judged = look.trust.judge_at(&look.path, place, rule, &evidence, look.moment);
            let Some((first, verdict)) = judged else {
                continue;
            };
            if seen.verdict.is_ok() {
                seen.verdict = verdict;
            }
            let evidence = match &first.finding {
                Finding::Good(source) | Finding::Revoked(_, source) | Finding::Unknown(source) => {
                    piece(source, certificate, lists, given.as_ref())
                }
                Finding::NotAsked | Finding::Unproven(_) => None,
            };
            seen.checked.push(Checked {
                serial: first.serial,
                subject: first.subject.common_name,
                finding: first.finding,
                troubles: fresh
                    .iter()
                    .filter_map(|outcome| outcome.as_ref().err().cloned())
                    .collect(),
                evidence,
            });
        }
        seen
    }

    /// Whether a path's states hold; `None`: somebody must be asked first.
    pub(crate) fn judge_at_hand(
        &self,
        state: &State,
        look: Look,
        lists: &Lists,
        open: &Mutex<Vec<Open>>,
    ) -> Result<States, Fault> {
        let states = States::default();
        if look.rule.by == By::Nothing {
            return Ok(states);
        }
        let seen = self.judge(&look, lists, &[]);
        let unproven = |checked: &Checked| matches!(checked.finding, Finding::Unproven(_));
        let revoked = matches!(seen.verdict, Err(Refused::Revoked { .. }));
        let lacking = seen.checked.iter().enumerate().filter(|(_, checked)| unproven(checked));
        let mut lacking = lacking.map(|(place, _)| place);
        if !revoked && lacking.any(|place| self.may_learn(state, &look, place)) {
            let waiting = Open {
                look,
                states: states.clone(),
            };
            open.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
            return Ok(states);
        }
        self.take_note(&look);
        decide(seen, &states)?;
        Ok(states)
    }

    /// A list that was at hand (kept over a restart, brought by somebody) does not say where the next one comes from; the
    /// certificates do. The schedule fetches from there.
    fn take_note(&self, look: &Look) {
        let now = Timestamp::from_offset(look.moment.now);
        let below = look.path.iter().take(look.path.len().saturating_sub(1)).enumerate();
        for (place, certificate) in below {
            if by_list(rule_at(look.rule, place)) && !self.learn(certificate, now).is_empty() {
                self.wake.notify_one();
            }
        }
    }

    /// Whether there is somebody to ask about the certificate at this place.
    fn may_learn(&self, state: &State, look: &Look, place: usize) -> bool {
        let Some((certificate, issuer)) = look.path.get(place).zip(look.path.get(place + 1)) else {
            return false;
        };
        let rule = rule_at(look.rule, place);
        let list = || {
            !*self.loaded.borrow() || {
                let sources = self.sources();
                self.addresses(certificate)
                    .iter()
                    .any(|address| sources.get(address).is_none_or(|s| s.tried_at.is_none()))
            }
        };
        (by_answer(rule) && responder(state, certificate, issuer).is_some()) || (by_list(rule) && list())
    }

    /// Evidence of these states, to be kept with the signature. Blocks.
    pub(crate) fn staple(&self, states: &States) -> Stapled {
        let lists = self.lists();
        let mut stapled = Stapled::default();
        for checked in states.checked() {
            match &checked.evidence {
                Some(Piece::List(id)) => {
                    let bytes = lists.get(id).and_then(|kept| self.bytes_of(kept));
                    if let Some(bytes) = bytes.filter(|bytes| !stapled.crls.contains(bytes)) {
                        stapled.crls.push(bytes);
                    }
                }
                Some(Piece::Answer(given)) => stapled.answers.push(given.bytes.clone()),
                None => {}
            }
        }
        stapled
    }
}

fn piece(source: &Source, certificate: &Certificate, lists: &Lists, given: Option<&Arc<Given>>) -> Option<Piece> {
    match source {
        Source::Crl { this_update, .. } => {
            let mut ours = lists
                .all()
                .filter(|kept| kept.crl.head().issuer_der == certificate.issuer_der);
            let kept = ours.find(|kept| kept.crl.head().this_update == *this_update)?;
            Some(Piece::List(kept.id))
        }
        Source::Ocsp { produced_at, .. } => {
            let given = given.filter(|given| given.answer.produced_at == *produced_at)?;
            Some(Piece::Answer(Arc::clone(given)))
        }
    }
}

/// Who answers for a certificate: the chain's responder where one is set, otherwise the certificate's own.
fn responder(state: &State, certificate: &Certificate, issuer: &Certificate) -> Option<(String, bool)> {
    let mut chains = state.chains.values();
    let chain = chains.find(|chain| chain.certificates.iter().any(|one| one.public_key == issuer.public_key));
    let settings = chain.map(|chain| &chain.settings);
    let nonce = settings.is_none_or(|settings| settings.nonce);
    if let Some(address) = settings.and_then(|settings| settings.responder.clone()) {
        return Some((address, nonce));
    }
    let named = Particulars::of(certificate).ok()?.responders;
    let address = named.into_iter().find(|address| super::web::is_web(address))?;
    Some((address, nonce))
}

/// The states, and the refusal when they do not hold.
fn decide(seen: Seen, states: &States) -> Result<(), Fault> {
    let troubles: Vec<String> = seen
        .checked
        .iter()
        .flat_map(|checked| checked.troubles.clone())
        .collect();
    let serial = seen
        .checked
        .first()
        .map(|checked| checked.serial.clone())
        .unwrap_or_default();
    states.put(seen.checked);
    seen.verdict.map_err(|reason| {
        let fault = refused(reason);
        if fault.code == Code::RevocationUnreachable && !troubles.is_empty() {
            return Fault::new(
                fault.code,
                format!("证书 {serial}：{}；{}", fault.detail, troubles.join("；")),
            );
        }
        fault
    })
}

impl Service {
    /// Settles what an act left open: asks for what is lacking, all at a time, and judges again.
    pub(crate) async fn settle(self: &Arc<Self>, open: &Mutex<Vec<Open>>) -> Result<(), Fault> {
        let open = std::mem::take(&mut *open.lock().unwrap_or_else(PoisonError::into_inner));
        for waiting in open {
            let mut loaded = self.revocation.loaded.subscribe();
            let _ = tokio::time::timeout(LOADING, loaded.wait_for(|loaded| *loaded)).await;
            let asked = self.ask_about(&waiting.look).await;
            let seen = self.revocation.judge(&waiting.look, &self.revocation.lists(), &asked);
            decide(seen, &waiting.states)?;
        }
        Ok(())
    }

    async fn ask_about(self: &Arc<Self>, look: &Look) -> Vec<(usize, Result<Arc<Given>, String>)> {
        let (state, now) = (self.state(), Timestamp::from_offset(look.moment.now));
        let state = &state;
        let pairs = look.path.iter().zip(look.path.iter().skip(1)).enumerate();
        let tasks = pairs.map(|(place, (certificate, issuer))| async move {
            let rule = rule_at(look.rule, place);
            let mut outcomes = Vec::new();
            if by_list(rule) {
                for address in self.revocation.learn(certificate, now) {
                    if let Err(trouble) = self.fetch_list(&address, FIRST_FETCH).await {
                        outcomes.push((place, Err(format!("{address} {trouble}"))));
                    }
                }
                let lists = self.revocation.lists();
                let seen = self.revocation.judge(look, &lists, &[]);
                let proven = |checked: &Checked| !matches!(checked.finding, Finding::Unproven(_));
                if rule.by == By::Crl || seen.checked.get(place).is_some_and(proven) {
                    return outcomes;
                }
            }
            if let Some((address, nonce)) = responder(state, certificate, issuer) {
                let asked = Asked {
                    certificate,
                    issuer,
                    responder: &address,
                    nonce,
                };
                let given = self.revocation.ask(&asked, now).await;
                outcomes.push((place, given.map_err(|trouble| format!("{address} {trouble}"))));
            }
            outcomes
        });
        futures_util::future::join_all(tasks).await.concat()
    }

    /// Evidence of these states, as `RevocationValues`, on a thread that may read files.
    pub(crate) async fn evidence(self: &Arc<Self>, states: &States) -> Result<Stapled, Fault> {
        let (service, states) = (Arc::clone(self), states.clone());
        let stapled = tokio::task::spawn_blocking(move || service.revocation.staple(&states)).await;
        stapled.map_err(|_| Code::Internal.into())
    }
}
