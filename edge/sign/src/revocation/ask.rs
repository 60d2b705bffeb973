//! OCSP: each question is asked once for all who wait for it, with a nonce, within a deadline; its answer is kept until a
//! newer one is due. A responder that fails is left alone for some seconds, so that a dead one costs nobody the deadline
//! again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gm::evidence::{Moment, Status};
use gm::ocsp::{Answer, MAX_RESPONSE, NameHash, Question, Response};
use gm::{Certificate, Refused};
use records::Timestamp;
use tokio::sync::{OnceCell, Semaphore};

use super::{Revocation, Trouble};

/// Time for an answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// A responder that failed is not asked for so long.
const REST: Duration = Duration::from_secs(2);
/// Answers kept, of some kilobytes each.
const ANSWERS: usize = 8_192;
/// Responders remembered as failing.
const RESTING: usize = 256;
/// Questions on the line at a time.
const ASKED: usize = 64;
/// Bytes of a nonce (RFC 9654 2.1).
const NONCE: usize = 32;

/// An answer that verified.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) answer: Answer,
    /// As it came: the evidence.
    pub(crate) bytes: Vec<u8>,
    /// Kept until then.
    until: Timestamp,
}

type Key = [u8; 32];
type Flight = Arc<OnceCell<Result<Arc<Given>, Trouble>>>;

/// Answers kept, questions under way, responders at rest.
#[derive(Debug)]
pub(super) struct Asking {
    answers: Mutex<HashMap<Key, Arc<Given>>>,
    flights: Mutex<HashMap<Key, Flight>>,
    resting: Mutex<HashMap<String, (Instant, Trouble)>>,
    places: Semaphore,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
            flights: Mutex::default(),
            resting: Mutex::default(),
            places: Semaphore::new(ASKED),
        }
    }
}

/// A question and where it is asked.
pub(super) struct Asked<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) issuer: &'a Certificate,
    pub(super) responder: &'a str,
    /// The answer must carry our nonce.
    pub(super) nonce: bool,
}

impl Asked<'_> {
    fn key(&self) -> Key {
        key(self.certificate, self.issuer)
    }
}

fn key(certificate: &Certificate, issuer: &Certificate) -> Key {
    let both = [
        gm::key::sha256(&certificate.der),
        gm::key::sha256(&issuer.public_key.to_spki()),
    ];
    gm::key::sha256(&both.concat())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Revocation {
    /// The kept answer about a certificate.
    pub(super) fn answer(&self, certificate: &Certificate, issuer: &Certificate, now: Timestamp) -> Option<Arc<Given>> {
        let answers = lock(&self.asking.answers);
        let given = answers.get(&key(certificate, issuer))?;
        (given.until > now).then(|| Arc::clone(given))
    }

    /// Asks, unless somebody is asking already.
    pub(super) async fn ask(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Arc<Given>, Trouble> {
        if let Some(given) = self.answer(asked.certificate, asked.issuer, now) {
            return Ok(given);
        }
        let rested = lock(&self.asking.resting).get(asked.responder).cloned();
        if let Some((_, trouble)) = rested.filter(|(until, _)| *until > Instant::now()) {
            return Err(trouble);
        }
        let key = asked.key();
        let flight = Arc::clone(lock(&self.asking.flights).entry(key).or_default());
        let outcome = flight.get_or_init(|| self.ask_now(asked, now)).await.clone();
        let mut flights = lock(&self.asking.flights);
        if flights.get(&key).is_some_and(|here| Arc::ptr_eq(here, &flight)) {
            flights.remove(&key);
        }
        outcome
    }

    async fn ask_now(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Arc<Given>, Trouble> {
        let outcome = tokio::time::timeout(DEADLINE, self.exchange(asked, now)).await;
        match outcome.unwrap_or(Err(Trouble::Slow)) {
            Ok(given) => {
                let given = Arc::new(given);
                self.keep(asked.key(), &given, now);
                Ok(given)
            }
            Err(trouble) => {
                tracing::warn!(%trouble, responder = asked.responder, "no answer about a certificate");
                if matches!(trouble, Trouble::Unreachable | Trouble::Slow) {
                    let mut resting = lock(&self.asking.resting);
                    if resting.len() >= RESTING {
                        resting.clear();
                    }
                    let until = Instant::now() + REST;
                    resting.insert(asked.responder.to_owned(), (until, trouble.clone()));
                }
                Err(trouble)
            }
        }
    }

    async fn exchange(&self, asked: &Asked<'_>, now: Timestamp) -> Result<Given, Trouble> {
        let _place = self.asking.places.acquire().await.map_err(|_| Trouble::Internal)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| Trouble::Internal)?;
        let question = Question::new(asked.certificate, asked.issuer, NameHash::usual(asked.issuer));
        let question = question
            .map_err(Trouble::list)?
            .to_der(asked.nonce.then_some(&nonce[..]));
        let kind = "application/ocsp-request";
        let bytes = self
            .web
            .post(asked.responder, kind, question, MAX_RESPONSE, DEADLINE)
            .await?;
        let read = || -> Result<Answer, Refused> {
            let answer = Response::read(&bytes)?.verify(asked.issuer)?;
            if asked.nonce {
                answer.has_nonce(&nonce)?;
            }
            Ok(answer)
        };
        let answer = read().map_err(Trouble::list)?;
        // A responder whose own state is to be asked, and whose authority revoked it.
        if answer.unchecked && self.lists().revoke(&answer.responder, now) {
            return Err(Trouble::Unfit("应答者的证书已被吊销".to_owned()));
        }
        let status = answer.status(asked.certificate, Moment::present(now.offset()));
        let until = match status.map_err(Trouble::list)? {
            // Not knowing may end soon: the certificate may be on its way to the responder.
            Status::Unknown => now,
            Status::Good | Status::Revoked(_) => answer
                .next_update(asked.certificate)
                .map_or(now, Timestamp::from_offset),
        };
        Ok(Given { answer, bytes, until })
    }

    fn keep(&self, key: Key, given: &Arc<Given>, now: Timestamp) {
        if given.until <= now {
            return;
        }
        let mut answers = lock(&self.asking.answers);
        if answers.len() >= ANSWERS {
            answers.retain(|_, given| given.until > now);
        }
        if answers.len() >= ANSWERS
            && let Some(first) = answers.iter().min_by_key(|(_, given)| given.until).map(|(key, _)| *key)
        {
            answers.remove(&first);
        }
        answers.insert(key, Arc::clone(given));
    }
}
