//! Orders of nursing at home (上门护理订单): who visits whom, when and for what, with which recorder.
//!
//! ```text
//! requested ──assign──▶ assigned ──accept──▶ accepted ──take──▶ taken ──start──▶ started ──finish──▶ finished
//!                          ▲  └──decline──▶ declined              │ ▲ put back
//!                          └──assign─────────────┘                └─┘
//! ```
//!
//! A visit under way whose nurse cannot use her phone is ended by the desk (started ──end──▶ finished), or handed over to
//! another nurse (started ──hand_over──▶ assigned), by the time the nurse tells: [`ending`], [`part`]. Her record stays due
//! (`record`), which the order says until it is written.
//!
//! Made by the hospital's nursing desk; payment is not part of it. Name, phone, number and address of the patient are
//! sealed, found by a keyed index, and shown whole only to the nurse of the order and to the desk; each such look is
//! audited. The order belongs to the account whose phone it names: there the patient sees it and fills in the form.
//!
//! An order's number (`HL202611220001`) is what its recorder's issue and so each custody entry of its footage names.

mod desk;
mod ending;
mod facts;
mod nurse;
mod part;
mod patient;
mod recorder;
mod search;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub mod track;
mod view;

use std::str::FromStr;

use base::Ctx;
use base::settings::Setting;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use facts::Facts;

records::id_type!(
    /// An order of nursing at home (护理订单).
    OrderId,
    "nur"
);
::store::id_value!(OrderId);

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody was named yet.
    Requested,
    /// A nurse was named and has not answered.
    Assigned,
    /// The nurse will go.
    Accepted,
    /// The nurse has a recorder for it.
    Taken,
    /// At the patient's.
    Started,
    /// Done, with its record.
    Finished,
    /// The nurse cannot; the desk names another.
    Declined,
    /// It does not happen.
    Cancelled,
}

/// What is done with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// 指派 or 改派.
    Assign,
    /// 接单.
    Accept,
    /// 谢绝.
    Decline,
    /// 取记录仪.
    Take,
    /// The recorder is back before anything began.
    PutBack,
    /// 开始服务.
    Start,
    /// 完成.
    Finish,
    /// 护理台代为结束.
    End,
    /// 护理台转交.
    HandOver,
    /// 补写服务记录, after the desk ended the visit.
    Record,
    /// 取消.
    Cancel,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Assigned,
        Self::Accepted,
        Self::Taken,
        Self::Started,
        Self::Finished,
        Self::Declined,
        Self::Cancelled,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Taken => "taken",
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Requested => "待指派",
            Self::Assigned => "待接单",
            Self::Accepted => "已接单",
            Self::Taken => "已取记录仪",
            Self::Started => "服务中",
            Self::Finished => "已完成",
            Self::Declined => "护士谢绝",
            Self::Cancelled => "已取消",
        }
    }

    /// Whether nothing more happens to it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// Whether its patient may still fill in the form.
    pub const fn awaits_visit(self) -> bool {
        matches!(
            self,
            Self::Requested | Self::Assigned | Self::Accepted | Self::Taken | Self::Declined
        )
    }

    /// The state after a step.
    ///
    /// # Errors
    /// In plain words, when the step does not fit.
    pub const fn after(self, step: Step) -> Result<Self, &'static str> {
        match (self, step) {
            // What is missing may still be written.
            (Self::Finished, Step::Record) => Ok(Self::Finished),
            (Self::Finished, _) => Err("该订单已完成"),
            (Self::Cancelled, _) => Err("该订单已取消"),
            (Self::Requested | Self::Assigned | Self::Accepted | Self::Declined, Step::Assign) => Ok(Self::Assigned),
            (Self::Taken, Step::Assign) => Err("护士已取记录仪，请先归还再改派"),
            (Self::Started, Step::Assign) => Err("服务已开始，不能改派；护士无法继续时请“转交”"),
            (Self::Assigned, Step::Accept) => Ok(Self::Accepted),
            (Self::Accepted | Self::Taken | Self::Started, Step::Accept) => Err("该订单已接单"),
            (Self::Assigned | Self::Accepted, Step::Decline) => Ok(Self::Declined),
            (Self::Taken, Step::Decline) => Err("请先归还记录仪"),
            (Self::Accepted, Step::Take) => Ok(Self::Taken),
            // Who began without one may fetch one.
            (Self::Started, Step::Take) => Ok(Self::Started),
            (Self::Taken, Step::Take) => Err("该订单已取记录仪"),
            (Self::Taken, Step::PutBack) => Ok(Self::Accepted),
            (Self::Accepted | Self::Taken, Step::Start) => Ok(Self::Started),
            (Self::Started, Step::Start) => Err("服务已开始"),
            (Self::Started, Step::Finish | Step::End) => Ok(Self::Finished),
            (Self::Started, Step::HandOver) => Ok(Self::Assigned),
            (Self::Started, Step::Cancel) => Err("服务已开始，请由护士完成订单，或由护理台代为结束"),
            (Self::Started, Step::Decline) => Err("服务已开始，不能谢绝"),
            (_, Step::Cancel) => Ok(Self::Cancelled),
            (_, Step::PutBack) => Err("该订单没有待归还的记录仪"),
            (_, Step::Finish | Step::End | Step::HandOver) => Err("服务尚未开始"),
            (_, Step::Record) => Err("服务尚未结束"),
            (Self::Requested | Self::Declined, _) => Err("该订单尚未指派给您"),
            (Self::Assigned, _) => Err("请先接单"),
        }
    }
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 11] = [
        Self::Assign,
        Self::Accept,
        Self::Decline,
        Self::Take,
        Self::PutBack,
        Self::Start,
        Self::Finish,
        Self::End,
        Self::HandOver,
        Self::Record,
        Self::Cancel,
    ];

    /// Its word, as in the trail and (after `nursing.`) in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Take => "take",
            Self::PutBack => "put_back",
            Self::Start => "start",
            Self::Finish => "finish",
            Self::End => "end",
            Self::HandOver => "hand_over",
            Self::Record => "record",
            Self::Cancel => "cancel",
        }
    }

    /// In the audit.
    pub const fn act(self) -> &'static str {
        match self {
            Self::Assign => "nursing.assign",
            Self::Accept => "nursing.accept",
            Self::Decline => "nursing.decline",
            Self::Take => "nursing.take",
            Self::PutBack => "nursing.put_back",
            Self::Start => "nursing.start",
            Self::Finish => "nursing.finish",
            Self::End => "nursing.end",
            Self::HandOver => "nursing.hand_over",
            Self::Record => "nursing.record",
            Self::Cancel => "nursing.cancel",
        }
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no order state {text}"))
    }
}

::store::text_value!(State);

/// What the hospital offers at home, and when a recorder is good to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSettings {
    /// Services (护理项目) an order may be for.
    pub services: Vec<String>,
    /// A recorder whose charge is known goes out with at least so many percent.
    pub least_charge_percent: u8,
}

impl Default for OrderSettings {
    fn default() -> Self {
        let services = [
            "伤口换药",
            "造口护理",
            "压力性损伤护理",
            "PICC维护",
            "导尿管护理",
            "鼻饲管护理",
            "静脉采血",
            "肌内注射",
            "母婴护理",
        ];
        Self {
            services: services.map(str::to_owned).to_vec(),
            least_charge_percent: 60,
        }
    }
}

impl Setting for OrderSettings {
    const NAME: &'static str = "nursing.orders";

    fn check(&self) -> Result<(), String> {
        let short = |s: &String| (1..=30).contains(&s.trim().chars().count()) && !s.chars().any(char::is_control);
        if !(1..=100).contains(&self.services.len()) || !self.services.iter().all(short) {
            return Err("“护理项目”应有1到100项，每项不超过30个字".to_owned());
        }
        if self.least_charge_percent > 100 {
            return Err("“记录仪最低电量（%）”不能超过100".to_owned());
        }
        Ok(())
    }

    fn label(field: &str) -> Option<&'static str> {
        match field {
            "services" => Some("护理项目"),
            "least_charge_percent" => Some("记录仪最低电量（%）"),
            _ => None,
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    desk::routes()
        .merge(nurse::routes())
        .merge(patient::routes())
        .merge(recorder::routes())
        .merge(track::routes())
}
