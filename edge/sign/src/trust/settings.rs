//! Where the state of a chain's certificates is found out.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Refusal;
use crate::revocation::is_web;

/// Addresses of one kind, at most.
const MOST: usize = 16;

/// A chain's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSettings {
    /// Addresses of its lists (CRL), besides those in its certificates.
    pub crls: Vec<String>,
    /// Addresses of deltas to them.
    pub delta_crls: Vec<String>,
    /// Its OCSP responder, instead of those that certificates name.
    pub responder: Option<String>,
    /// Answers must carry our nonce. Responders that answer from a store have none.
    pub nonce: bool,
    /// Lists are fetched at least this often, in minutes (1 to 10,080): a revocation is known before the list's end.
    pub every_minutes: u32,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            crls: Vec::new(),
            delta_crls: Vec::new(),
            responder: None,
            nonce: true,
            every_minutes: 60,
        }
    }
}

impl ChainSettings {
    /// As it is kept; what an older version wrote has the rest by default.
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|_| Refusal::Damaged("chain's settings"))
    }

    /// Time between two fetches, at most.
    pub(crate) fn every(&self) -> Duration {
        Duration::from_secs(u64::from(self.every_minutes) * 60)
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        let all = self.crls.iter().chain(&self.delta_crls).chain(&self.responder);
        for address in all {
            if !is_web(address) {
                let text = format!("地址 {address} 不正确，应以 http:// 或 https:// 开头。");
                return Err(Refusal::no("address", text));
            }
        }
        if self.crls.len() > MOST || self.delta_crls.len() > MOST {
            return Err(Refusal::no("address", format!("每种地址最多 {MOST} 个。")));
        }
        if !(1..=10_080).contains(&self.every_minutes) {
            return Err(Refusal::no("every_minutes", "更新间隔应为 1 至 10080 分钟。"));
        }
        Ok(())
    }
}
