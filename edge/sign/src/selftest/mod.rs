//! Self-test 自检, at start, daily and on demand: known answers of every algorithm, the random source, the lock of the
//! memory, the stored keys and the log (GB/T 38629 annex; GM/T 0028 7.10). **A failure stops all signing** until a test
//! passes; but a device that keeps keys and fails is named and stops its own keys alone.
//!
//! A log that was tampered with stays broken: once it has been looked into, an administrator at the machine accepts it
//! (`signd --accept-log`), which is itself an entry, and the check begins after it.

mod known;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use records::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::Refusal;
use crate::checkpoint::Found;
use crate::engine::Engine;
use crate::guard::{self, MemoryLock};
use crate::keys::device::{self, DeviceState};
use crate::keys::{self, KeyState};
use crate::service::Service;

/// Time between two tests.
pub const INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// The first opening of the devices is waited for so long.
const OPENING: Duration = Duration::from_secs(5);
/// Whether memory is still locked is looked at so often, and its lock tried again when it is not.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of randomness looked at.
const RANDOM: usize = 4096;

/// One thing that was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Item {
    /// What, by its stable name.
    pub name: &'static str,
    /// It passed.
    pub passed: bool,
    /// Its failure stops all signing. A device that fails stops its own keys alone.
    pub stops_signing: bool,
    /// What was wrong, in plain words; empty when nothing was.
    pub detail: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// What a self-test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// When it was made.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Everything passed.
    pub passed: bool,
    /// What was tested.
    pub items: Vec<Item>,
}

impl Service {
    /// Tests this server. Who asked for it stands in the log; so does what failed.
    pub fn self_test(&self, by: &str) -> Result<Arc<Report>, Refusal> {
        let engine = &self.engine;
        let mut items: Vec<Item> = known::ANSWERS.iter().map(|(name, test)| item(name, *test)).collect();
        items.push(item("random", random));
        items.push(item("memory-lock", memory_lock));
        items.push(item("server-keys", || self.stored_keys()));
        items.push(Item {
            stops_signing: false,
            ..item("device-keys", || self.device_keys())
        });
        items.push(item("log", || whole_log(engine)));
        items.push(checkpoint(engine));
        let report = Arc::new(Report {
            at: engine.clock.now(),
            passed: items.iter().all(|item| item.passed || !item.stops_signing),
            items,
        });
        engine.stop_signing(!report.passed);
        *self.tested.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&report));
        let failed: Vec<String> = report
            .items
            .iter()
            .filter(|item| !item.passed)
            .map(|item| format!("{}: {}", item.name, item.detail))
            .collect();
        let act = if report.passed {
            if !failed.is_empty() {
                tracing::error!(sign.failed = %failed.join("; "), "the self-test found device keys that cannot be used");
            }
            "selftest.passed"
        } else {
            tracing::error!(sign.failed = %failed.join("; "), "the self-test failed: signing is stopped");
            "selftest.failed"
        };
        engine
            .vault
            .write(|unit| unit.log(report.at, act, by, &failed.join("; ")))?;
        Ok(report)
    }

    /// Looks after the lock of the memory until `stop`. Where it is lost the self-test says so and signing is stopped; it is
    /// tried again until it holds, and a self-test that passes lets signing go on.
    pub async fn keep_memory_locked(self: Arc<Self>, stop: CancellationToken) {
        let mut stopped = false;
        while !stop.is_cancelled() {
            let lost = guard::memory_lock() == MemoryLock::Lost;
            let lost = lost && (!stopped || guard::lock_again().is_err());
            if lost != stopped {
                let service = Arc::clone(&self);
                let tested = tokio::task::spawn_blocking(move || service.self_test("signd")).await;
                if let Ok(Err(refusal)) = tested {
                    tracing::error!(sign.refusal = %refusal, "the self-test could not be logged");
                }
                stopped = lost;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// What the last self-test found.
    #[must_use]
    pub fn tested(&self) -> Option<Arc<Report>> {
        self.tested.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every key that is wrapped here and may be used is what its row says, and does what it is for.
    fn stored_keys(&self) -> Result<(), String> {
        let state = self.state();
        for key in state.keys.values().filter(|key| key.in_device.is_none()) {
            let Some(signer) = &key.signer else {
                continue; // shut or destroyed
            };
            if signer.public_key().to_spki() != key.public_key {
                return Err(format!("密钥 {} 与存储的公钥不符", key.index.0));
            }
            device::attempt(&**signer, key.purpose).map_err(|why| format!("密钥 {}：{}", key.index.0, words(why)))?;
        }
        Ok(())
    }

    /// The same of keys in devices, and that every device answers. A device that does not answer is waited for once: the
    /// wait is bounded by its deadline, however many keys it keeps.
    fn device_keys(&self) -> Result<(), String> {
        self.engine.devices.settle(OPENING);
        let devices = self.devices();
        let down = devices.iter().filter(|device| device.state != DeviceState::Ready);
        let mut failed: Vec<String> = down
            .map(|device| {
                let why = device
                    .trouble
                    .as_ref()
                    .map_or("正在打开", |trouble| trouble.text.as_str());
                format!("密码设备 {}：{why}", device.name)
            })
            .collect();
        for key in self.state().keys.values().filter(|key| key.custody != keys::TPM) {
            if !matches!(key.state, KeyState::Certified | KeyState::Active | KeyState::Retired) {
                continue;
            }
            let tried = match &key.signer {
                Some(signer) => device::attempt(&**signer, key.purpose).map_err(words),
                None => Err(format!("没有配置名为 {} 的密码设备", key.custody)),
            };
            if let Err(why) = tried {
                failed.push(format!("密钥 {}（{}）停用：{why}", key.index.0, key.label));
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("；"))
        }
    }
}

fn words(why: Refusal) -> String {
    match why {
        Refusal::No { text, .. } => text,
        Refusal::Crypto(gm::Refused::Device { text, .. }) => text,
        other => other.to_string(),
    }
}

fn whole_log(engine: &Engine) -> Result<(), String> {
    match engine.check_whole_log() {
        Ok(check) => match check.broken_at {
            None => Ok(()),
            Some(at) => Err(format!("签名日志第 {at} 条被改动或缺失")),
        },
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// While the TPM does not answer, nothing is said against the log.
fn checkpoint(engine: &Engine) -> Item {
    let mut told = String::new();
    let tested = item("log-checkpoint", || match engine.check_checkpoint() {
        Found::Whole => Ok(()),
        Found::Unknown(error) => {
            told = format!("未核对：{}", error.person());
            Ok(())
        }
        Found::Broken(text) => Err(text),
    });
    if tested.passed {
        Item { detail: told, ..tested }
    } else {
        tested
    }
}

/// Memory that could not be locked at the start was said then; one whose lock was lost may be in swap by now.
fn memory_lock() -> Result<(), String> {
    match guard::memory_lock() {
        MemoryLock::Lost => Err("内存锁定已失效，正在重试：请提高 LimitMEMLOCK".to_owned()),
        MemoryLock::Never | MemoryLock::Holds => Ok(()),
    }
}

/// A source that is stuck or repeats itself is found out; its quality is the operating system's.
fn random() -> Result<(), String> {
    let mut bytes = vec![0u8; RANDOM];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let mut seen = std::collections::HashSet::new();
    if !bytes.chunks_exact(16).all(|block| seen.insert(block.to_vec())) {
        return Err("随机数重复".to_owned());
    }
    let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    // Half of 32,768 bits, give or take nine standard deviations of 90.5.
    if (16_384 - 815..=16_384 + 815).contains(&ones) {
        Ok(())
    } else {
        Err("随机数分布异常".to_owned())
    }
}

fn item(name: &'static str, test: impl FnOnce() -> Result<(), String>) -> Item {
    let begun = Instant::now();
    let found = test();
    Item {
        name,
        passed: found.is_ok(),
        stops_signing: true,
        detail: found.err().unwrap_or_default(),
        took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}
