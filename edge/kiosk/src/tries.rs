//! How often the second thing beside a card may be wrong. Each wrong answer counts for the card, so that whoever has a card
//! does not guess its patient's number, and for the terminal, so that whoever has many card numbers does not guess at all
//! of them. Counted in the appliance's database, so that neither another terminal nor a restart gives more tries; each
//! answer that was judged goes to the hospital's audit in the unit that counted it.
//!
//! What is shown without typing (identity card, patient code, insurance code) is never locked.

use std::sync::Arc;
use std::time::Duration;

use records::line::{CardCheck, CardCheckOutcome, kind};
use records::{Clock, Lane, PeerId, Timestamp};
use store::{Migration, Scope, Store, StoreError, Tx};

use crate::card::CardRules;

pub(crate) const MIGRATION: Migration = Migration {
    name: "kiosk/0003_card_check",
    sql: "
CREATE TABLE kiosk_card_wrong (
  tenant_id TEXT NOT NULL, his_patient_id TEXT NOT NULL, wrong BIGINT NOT NULL, last_at BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, his_patient_id)
);
CREATE TABLE kiosk_terminal_wrong (tenant_id TEXT NOT NULL, terminal TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX kiosk_terminal_wrong_at ON kiosk_terminal_wrong (tenant_id, terminal, at);
",
};

const HOUR: Duration = Duration::from_secs(3600);
/// A card is locked for no longer at a time.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A card whose last wrong answer is older begins anew; longer than any lock, so that waiting one out gains nothing.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is their card.
    Right,
    /// It is not what the hospital has; so many tries are left.
    Wrong {
        /// Before the card is locked; never 0.
        left: u32,
    },
    /// No answer is taken for this card for so many minutes; this one was not looked at, or was one wrong too many.
    CardLocked {
        /// Whole minutes, at least 1.
        minutes: u32,
    },
    /// Nor at this terminal, for any card.
    TerminalLocked {
        /// Whole minutes, at least 1.
        minutes: u32,
    },
    /// The hospital has nothing to compare it with.
    NotOnRecord,
}

/// Counts them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Tries {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    /// Which terminal this is.
    pub(crate) terminal: String,
    pub(crate) rules: CardRules,
}

/// How it stands, in a unit of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Wrong answers for the card, and the last one's time.
    card: Option<(u32, Timestamp)>,
    /// When the terminal takes answers again.
    terminal_until: Option<Timestamp>,
}

impl Counted {
    fn wrong(&self) -> u32 {
        self.card.map_or(0, |(wrong, _)| wrong)
    }

    fn card_until(&self, rules: &CardRules) -> Option<Timestamp> {
        let (wrong, last) = self.card?;
        let over = wrong.checked_sub(rules.tries)?;
        let lock = Duration::from_secs(u64::from(rules.lock_min) * 60);
        Some(last.plus(lock.saturating_mul(2_u32.saturating_pow(over)).min(LONGEST)))
    }

    fn locked(&self, rules: &CardRules, now: Timestamp) -> Option<Checked> {
        let minutes = |until: Option<Timestamp>| {
            let left = until.filter(|until| *until > now)?.since(now).as_secs_f64() / 60.0;
            Some(left.ceil().clamp(1.0, 1_440.0) as u32)
        };
        if let Some(minutes) = minutes(self.card_until(rules)) {
            return Some(Checked::CardLocked { minutes });
        }
        minutes(self.terminal_until).map(|minutes| Checked::TerminalLocked { minutes })
    }
}

impl Tries {
    /// Why no answer is taken now, if so.
    pub(crate) async fn locked(&self, his_patient_id: &str) -> Result<Option<Checked>, StoreError> {
        let (own, patient) = (self.clone(), his_patient_id.to_owned());
        let counted = self.store.read(&self.scope, move |tx| {
            let (own, patient) = (own.clone(), patient.clone());
            Box::pin(async move { own.counted(tx, &patient).await })
        });
        Ok(counted.await?.locked(&self.rules, self.clock.now()))
    }

    /// Takes an answer that is right or wrong, unless none is taken any more: two terminals may have asked at once.
    pub(crate) async fn judge(&self, his_patient_id: &str, right: bool) -> Result<Checked, StoreError> {
        let (own, patient) = (self.clone(), his_patient_id.to_owned());
        let judged = self.store.write(&self.scope, move |tx| {
            let (own, patient) = (own.clone(), patient.clone());
            Box::pin(async move {
                let now = tx.now();
                let before = own.counted(tx, &patient).await?;
                if let Some(locked) = before.locked(&own.rules, now) {
                    return Ok::<_, StoreError>(locked);
                }
                if right {
                    own.forget(tx, &patient).await?;
                    own.note(tx, &patient, CardCheckOutcome::Passed, Counted::default())
                        .await?;
                    return Ok(Checked::Right);
                }
                own.count(tx, &patient, before.wrong() + 1).await?;
                let after = own.counted(tx, &patient).await?;
                own.note(tx, &patient, CardCheckOutcome::Wrong, after).await?;
                let left = own.rules.tries.saturating_sub(after.wrong()).max(1);
                Ok(after.locked(&own.rules, now).unwrap_or(Checked::Wrong { left }))
            })
        });
        judged.await
    }

    async fn counted(&self, tx: &mut Tx<'_>, patient: &str) -> Result<Counted, StoreError> {
        let (tenant, now) = (tx.tenant().clone(), tx.now());
        let card: Option<(u32, Timestamp)> = tx
            .opt(
                "SELECT wrong, last_at FROM kiosk_card_wrong
                 WHERE tenant_id = $1 AND his_patient_id = $2 AND last_at > $3",
                &[&tenant, &patient, &now.minus(FORGOTTEN)],
            )
            .await?;
        // As many as are one too many, the newest first: the oldest of them has to be an hour ago.
        let recent: Vec<(Timestamp,)> = tx
            .all(
                "SELECT at FROM kiosk_terminal_wrong WHERE tenant_id = $1 AND terminal = $2 AND at > $3
                 ORDER BY at DESC LIMIT $4",
                &[&tenant, &self.terminal, &now.minus(HOUR), &self.rules.terminal_tries],
            )
            .await?;
        let full = u32::try_from(recent.len()).is_ok_and(|n| n >= self.rules.terminal_tries);
        let terminal_until = recent.last().filter(|_| full).map(|(at,)| at.plus(HOUR));
        Ok(Counted { card, terminal_until })
    }

    async fn count(&self, tx: &mut Tx<'_>, patient: &str, wrong: u32) -> Result<(), StoreError> {
        let (tenant, now) = (tx.tenant().clone(), tx.now());
        tx.exec(
            "INSERT INTO kiosk_card_wrong (tenant_id, his_patient_id, wrong, last_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, his_patient_id) DO UPDATE SET wrong = $3, last_at = $4",
            &[&tenant, &patient, &wrong, &now],
        )
        .await?;
        tx.exec(
            "INSERT INTO kiosk_terminal_wrong (tenant_id, terminal, at) VALUES ($1, $2, $3)",
            &[&tenant, &self.terminal, &now],
        )
        .await?;
        // What counts no more is not kept.
        tx.exec(
            "DELETE FROM kiosk_terminal_wrong WHERE tenant_id = $1 AND at <= $2",
            &[&tenant, &now.minus(HOUR)],
        )
        .await?;
        tx.exec(
            "DELETE FROM kiosk_card_wrong WHERE tenant_id = $1 AND last_at <= $2",
            &[&tenant, &now.minus(FORGOTTEN)],
        )
        .await
        .map(drop)
    }

    async fn forget(&self, tx: &mut Tx<'_>, patient: &str) -> Result<(), StoreError> {
        let tenant = tx.tenant().clone();
        let sql = "DELETE FROM kiosk_card_wrong WHERE tenant_id = $1 AND his_patient_id = $2";
        tx.exec(sql, &[&tenant, &patient]).await.map(drop)
    }

    /// For the hospital's audit, also when the line to the cloud is down.
    async fn note(
        &self,
        tx: &mut Tx<'_>,
        patient: &str,
        outcome: CardCheckOutcome,
        counted: Counted,
    ) -> Result<(), StoreError> {
        let now = tx.now();
        let check = CardCheck {
            terminal: self.terminal.clone(),
            his_patient_id: patient.to_owned(),
            outcome,
            wrong: counted.wrong(),
            card_locked_until: counted.card_until(&self.rules).filter(|until| *until > now),
            terminal_locked_until: counted.terminal_until,
            at: now,
        };
        let body = serde_json::to_value(&check).unwrap_or_default();
        tx.append(&PeerId::cloud(), Lane::Clinical, kind::CARD_CHECK, patient, &body)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use records::{ManualClock, TenantId};
    use store::{SqliteOptions, StreamKey};

    use super::*;

    struct Ward {
        folder: tempfile::TempDir,
        clock: Arc<ManualClock>,
        scope: Scope,
    }

    const MINUTE: Duration = Duration::from_secs(60);

    impl Ward {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_795_000_000))),
                scope: Scope::system(TenantId::parse("hos_binhe").unwrap()),
            }
        }

        /// A terminal of an appliance that has just started.
        async fn terminal(&self, name: &str) -> Tries {
            let clock: Arc<dyn Clock> = self.clock.clone();
            let path = self.folder.path().join("edge.sqlite");
            let store = Store::open_sqlite(&path, SqliteOptions::default(), Arc::clone(&clock))
                .await
                .unwrap();
            store.migrate(crate::MIGRATIONS).await.unwrap();
            Tries {
                store,
                scope: self.scope.clone(),
                clock,
                terminal: name.to_owned(),
                rules: CardRules::default(),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_card_is_locked_longer_each_time_and_a_restart_forgives_nothing() {
        let ward = Ward::new();
        let tries = ward.terminal("a").await;
        let judged = async |tries: &Tries, right| tries.judge("P1", right).await.unwrap();
        assert_eq!(judged(&tries, false).await, Checked::Wrong { left: 2 });
        assert_eq!(judged(&tries, true).await, Checked::Right);
        assert_eq!(
            judged(&tries, false).await,
            Checked::Wrong { left: 2 },
            "the count began anew"
        );
        assert_eq!(judged(&tries, false).await, Checked::Wrong { left: 1 });
        let mut lock = 30;
        for _ in 0..7 {
            let tries = ward.terminal("a").await;
            // The hour of the terminal has its own bound.
            ward.clock.advance(HOUR);
            let locked = Checked::CardLocked { minutes: lock };
            assert_eq!(judged(&tries, false).await, locked);
            assert_eq!(judged(&tries, true).await, locked, "not even looked at");
            assert_eq!(tries.locked("P1").await.unwrap(), Some(locked));
            assert_eq!(tries.locked("P2").await.unwrap(), None);
            ward.clock.advance(MINUTE * lock);
            assert_eq!(tries.locked("P1").await.unwrap(), None);
            lock = (lock * 2).min(1_440);
        }
        let tries = ward.terminal("a").await;
        assert_eq!(judged(&tries, true).await, Checked::Right);
        assert_eq!(judged(&tries, false).await, Checked::Wrong { left: 2 });
        // Nobody is asked about last month.
        ward.clock.advance(FORGOTTEN);
        assert_eq!(judged(&tries, false).await, Checked::Wrong { left: 2 });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_cards_at_one_terminal_are_no_more_tries_and_its_neighbour_serves_on() {
        let ward = Ward::new();
        let (tries, neighbour) = (ward.terminal("a").await, ward.terminal("b").await);
        for n in 0..9 {
            ward.clock.advance(MINUTE);
            let judged = tries.judge(&format!("P{n}"), false).await.unwrap();
            assert_eq!(judged, Checked::Wrong { left: 2 });
            // Whoever has a card of their own gains nothing by it.
            assert_eq!(tries.judge("own", true).await.unwrap(), Checked::Right);
        }
        ward.clock.advance(MINUTE);
        let locked = Checked::TerminalLocked { minutes: 51 };
        assert_eq!(tries.judge("P9", false).await.unwrap(), locked);
        assert_eq!(tries.judge("own", true).await.unwrap(), locked);
        assert_eq!(neighbour.judge("own", true).await.unwrap(), Checked::Right);
        ward.clock.advance(51 * MINUTE);
        assert_eq!(tries.judge("own", true).await.unwrap(), Checked::Right);
        let key = StreamKey::new(ward.scope.tenant.clone(), PeerId::cloud(), Lane::Clinical);
        let told = tries.store.outbox_after(&key, 0, 1_000, 1 << 20).await.unwrap();
        assert_eq!(told.len(), 9 + 9 + 1 + 2, "each that was judged, and none that was not");
        let last_wrong: CardCheck = serde_json::from_str(&told[18].body).unwrap();
        assert!(last_wrong.terminal_locked_until.is_some() && last_wrong.his_patient_id == "P9");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_terminals_at_once_give_one_card_no_more_tries() {
        let ward = Ward::new();
        let (a, b) = (ward.terminal("a").await, ward.terminal("b").await);
        let both = (0..8).map(|n| if n % 2 == 0 { a.clone() } else { b.clone() });
        let judged: Vec<_> = both
            .map(|tries| tokio::spawn(async move { tries.judge("P1", false).await.unwrap() }))
            .collect();
        let mut wrong = 0;
        for judged in judged {
            wrong += u32::from(matches!(judged.await.unwrap(), Checked::Wrong { .. }));
        }
        assert_eq!(wrong, 2, "the third locks it, and nothing comes after");
        let key = StreamKey::new(ward.scope.tenant.clone(), PeerId::cloud(), Lane::Clinical);
        assert_eq!(a.store.outbox_after(&key, 0, 100, 1 << 20).await.unwrap().len(), 3);
    }
}
