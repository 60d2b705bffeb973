//! Work recorders (工作记录仪) of the hospital: register, white list, issue (发放) and return (回收).
//!
//! The white list says whose footage is taken: the appliance is told of every change. An issue ends when its recorder is
//! docked, by itself, or by hand. Deleting keeps the row: footage names the recorder for as long as it is kept.

mod routes;
mod standing;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::str::FromStr;

pub(crate) use routes::routes;
pub use standing::RecorderSettings;
pub use store::docked;

/// Where a recorder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In the dock or the cupboard.
    Stock,
    /// Somebody has it.
    Issued,
    /// 停用.
    Retired,
    /// Not a device of the hospital any more.
    Deleted,
}

/// What is done with a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// 发放.
    Issue,
    /// 回收, by docking or by hand.
    Return,
    /// 停用.
    Retire,
    /// 启用.
    Restore,
    /// 删除.
    Delete,
    /// 添加白名单.
    List,
    /// 移除白名单.
    Unlist,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Stock, Self::Issued, Self::Retired, Self::Deleted];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Issued => "issued",
            Self::Retired => "retired",
            Self::Deleted => "deleted",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Stock => "在库",
            Self::Issued => "已发放",
            Self::Retired => "已停用",
            Self::Deleted => "已删除",
        }
    }

    /// The state after a step.
    ///
    /// # Errors
    /// In plain words, when the step does not fit.
    pub const fn after(self, step: Step, listed: bool) -> Result<Self, &'static str> {
        match (self, step) {
            (Self::Deleted, _) => Err("该设备已删除"),
            (Self::Stock, Step::Issue) if !listed => Err("该设备不在白名单，不能发放"),
            (Self::Stock, Step::Issue) => Ok(Self::Issued),
            (Self::Issued, Step::Issue) => Err("该设备已发放，请先归还"),
            (Self::Retired, Step::Issue) => Err("该设备已停用，不能发放"),
            (Self::Issued, Step::Return) | (Self::Retired, Step::Restore) => Ok(Self::Stock),
            (_, Step::Return) => Err("该设备没有发放，无需归还"),
            (Self::Stock, Step::Retire) => Ok(Self::Retired),
            (Self::Issued, Step::Retire | Step::Delete | Step::Unlist) => Err("该设备已发放，请先归还"),
            (Self::Retired, Step::Retire) => Err("该设备已停用"),
            (_, Step::Restore) => Err("该设备没有停用"),
            (Self::Stock | Self::Retired, Step::Delete) => Ok(Self::Deleted),
            (Self::Retired, Step::List) => Err("该设备已停用，请先启用"),
            (state, Step::List | Step::Unlist) => Ok(state),
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no recorder state {text}"))
    }
}

::store::text_value!(State);

/// A serial number: letters, digits, `-` and `_`, 3 to 40 of them, in capitals.
pub fn serial(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (3..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    fits.then(|| text.to_ascii_uppercase())
}
