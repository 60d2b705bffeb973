//! What strikes a run, and the proof that it did.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use site::{LineState, Site};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::journey::{Step, Strike};

/// A way to break things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line between appliance and cloud is cut.
    LineCut,
    /// The line swallows everything without a word.
    LineBlackHole,
    /// SIGKILL of the appliance's daemon, started again after the outage.
    KillEdge,
    /// SIGKILL of the cloud and with it the embedded broker.
    KillCloud,
    /// SIGKILL of the signature server.
    KillSignd,
    /// The HIS answers late.
    HisLate,
    /// The HIS answers twice.
    HisTwice,
    /// The HIS commits and then says nothing.
    HisSilentAfterCommit,
    /// The HIS says nothing and has done nothing.
    HisSilentBeforeCommit,
    /// The channel's notice comes twice.
    NoticeTwice,
    /// The channel's notices are lost.
    NoticeLost,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 11] = [
        Self::LineCut,
        Self::KillCloud,
        Self::HisSilentAfterCommit,
        Self::KillEdge,
        Self::LineBlackHole,
        Self::HisTwice,
        Self::NoticeLost,
        Self::KillSignd,
        Self::HisLate,
        Self::HisSilentBeforeCommit,
        Self::NoticeTwice,
    ];

    /// The last step before which it still has something to strike.
    const fn last_step(self) -> Step {
        match self {
            Self::NoticeLost | Self::NoticeTwice => Step::PayDrugs,
            Self::HisLate | Self::HisTwice | Self::HisSilentAfterCommit | Self::HisSilentBeforeCommit => Step::PayDrugs,
            _ => Step::Finish,
        }
    }
}

/// What a seed decides.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What.
    pub fault: Fault,
    /// Before which step.
    pub step: Step,
    /// For how long.
    pub outage: Duration,
}

const LONGEST_OUTAGE_MS: u64 = 180_000;
/// Longest outage of the long form.
pub const LONGEST_OUTAGE: Duration = Duration::from_millis(LONGEST_OUTAGE_MS);

impl Plan {
    /// The plan of a seed; `long` outages last minutes.
    pub fn of(seed: u64, long: bool) -> Self {
        // SplitMix64, so that neighbouring seeds differ.
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let fault = Fault::ALL
            .get((seed % Fault::ALL.len() as u64) as usize)
            .copied()
            .unwrap_or(Fault::LineCut);
        let steps: Vec<Step> = Step::ALL.into_iter().filter(|s| *s <= fault.last_step()).collect();
        let step = steps
            .get((next() % steps.len().max(1) as u64) as usize)
            .copied()
            .unwrap_or(Step::Pay);
        let outage = Duration::from_millis(if long {
            LONGEST_OUTAGE_MS / 3 + next() % (LONGEST_OUTAGE_MS / 3 * 2)
        } else {
            1_500 + next() % 3_500
        });
        Self { fault, step, outage }
    }
}

/// Strikes once, heals by itself, and knows whether it fired.
pub struct Striker {
    site: Arc<Mutex<Site>>,
    plan: Plan,
    healing: Option<JoinHandle<Result<()>>>,
    proof: Proof,
}

/// Where to look for the proof.
enum Proof {
    /// Not struck yet.
    None,
    /// Struck, and seen to be so at once.
    Seen,
    /// Counter of the line's faults before the strike.
    Line(u64),
    /// Rule at a peer's control that must have fired.
    Rule(String, u64),
}

impl Striker {
    /// Ready to strike.
    pub const fn new(site: Arc<Mutex<Site>>, plan: Plan) -> Self {
        Self {
            site,
            plan,
            healing: None,
            proof: Proof::None,
        }
    }

    /// Waits until everything is healed and answers whether the fault fired.
    ///
    /// # Errors
    /// When healing failed.
    pub async fn finish(mut self) -> Result<bool> {
        if let Some(healing) = self.healing.take() {
            healing.await.context("healing")??;
        }
        let addresses = self.site.lock().await.addresses().clone();
        match &self.proof {
            Proof::None => Ok(false),
            Proof::Seen => Ok(true),
            Proof::Line(before) => Ok(site::line_faults(&addresses).await? > *before),
            Proof::Rule(control, id) => {
                let fired = site::rule_fired(control, *id).await?;
                site::clear_rules(control).await?;
                Ok(fired)
            }
        }
    }

    async fn strike(&mut self) -> Result<()> {
        let addresses = self.site.lock().await.addresses().clone();
        match self.plan.fault {
            Fault::LineCut => self.break_line(LineState::Cut).await,
            Fault::LineBlackHole => self.break_line(LineState::BlackHole).await,
            Fault::KillEdge => self.kill("edge").await,
            Fault::KillCloud => self.kill("cloud").await,
            Fault::KillSignd => self.kill("signd").await,
            Fault::HisLate => {
                self.rule(
                    &addresses.his,
                    json!({ "op": "*", "kind": "delay", "ms": 4000, "times": 2 }),
                )
                .await
            }
            Fault::HisTwice => {
                self.rule(&addresses.his, json!({ "op": "*", "kind": "answer_twice", "times": 3 }))
                    .await
            }
            Fault::HisSilentAfterCommit => {
                self.rule(
                    &addresses.his,
                    json!({ "op": "*", "kind": "timeout_after_commit", "ms": 12_000, "times": 1 }),
                )
                .await
            }
            Fault::HisSilentBeforeCommit => {
                self.rule(
                    &addresses.his,
                    json!({ "op": "*", "kind": "timeout_before_commit", "ms": 12_000, "times": 1 }),
                )
                .await
            }
            Fault::NoticeLost => {
                self.rule(
                    &addresses.pay,
                    json!({ "op": "notify.transaction", "kind": "notify_drop", "times": 3 }),
                )
                .await
            }
            Fault::NoticeTwice => {
                self.rule(
                    &addresses.pay,
                    json!({ "op": "notify.transaction", "kind": "notify_twice", "times": 2 }),
                )
                .await
            }
        }
    }

    async fn rule(&mut self, control: &str, rule: Value) -> Result<()> {
        let id = site::add_rule(control, &rule).await?;
        self.proof = Proof::Rule(control.to_owned(), id);
        Ok(())
    }

    async fn break_line(&mut self, how: LineState) -> Result<()> {
        let addresses = self.site.lock().await.addresses().clone();
        self.proof = Proof::Line(site::line_faults(&addresses).await?);
        site::set_line(&addresses, how).await?;
        let outage = self.plan.outage;
        self.healing = Some(tokio::spawn(async move {
            tokio::time::sleep(outage).await;
            site::set_line(&addresses, LineState::Whole).await
        }));
        Ok(())
    }

    async fn kill(&mut self, name: &'static str) -> Result<()> {
        self.site.lock().await.processes().kill(name).await?;
        self.proof = Proof::Seen;
        let (site, outage) = (Arc::clone(&self.site), self.plan.outage);
        self.healing = Some(tokio::spawn(async move {
            tokio::time::sleep(outage).await;
            site.lock().await.processes().restart(name).await
        }));
        Ok(())
    }
}

impl Strike for Striker {
    async fn before(&mut self, step: Step) -> Result<()> {
        if step == self.plan.step && matches!(self.proof, Proof::None) {
            self.strike()
                .await
                .with_context(|| format!("striking with {:?}", self.plan.fault))?;
        }
        Ok(())
    }
}
