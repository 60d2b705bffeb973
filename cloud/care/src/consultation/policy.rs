//! Rules of the visit that a hospital may set, and who may do what when.

use std::time::Duration;

use base::settings::Setting;
use records::{LocalDate, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Hand, Progress, VisitState};

/// A hospital's rules for online visits (问诊业务配置).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsultationSettings {
    /// Days within which the patient must have been seen in the department (复诊期限).
    pub follow_up_days: u32,
    /// Minutes to pay; a shorter lock of the HIS counts.
    pub pay_minutes: u32,
    /// 提前接诊: checking in is possible as soon as the visit is paid. Otherwise from `check_in_minutes` before the slot.
    pub early_check_in: bool,
    /// Minutes before the slot from which the patient may check in.
    pub check_in_minutes: u32,
    /// Hours after the end of the slot after which a visit nobody attended to is cancelled and refunded.
    pub auto_cancel_hours: u32,
    /// Hours after the acceptance after which a visit is finished by itself.
    pub auto_finish_hours: u32,
    /// Patients one account may have.
    pub patients_per_account: u32,
    /// Age below which a guardian is needed.
    pub guardian_below_years: u32,
    /// Departments open online; empty: all.
    pub departments: Vec<String>,
    /// Doctors not shown online.
    pub hidden_doctors: Vec<String>,
    /// Days ahead that slots are shown.
    pub slot_days: u32,
}

impl Default for ConsultationSettings {
    fn default() -> Self {
        Self {
            follow_up_days: 180,
            pay_minutes: 15,
            early_check_in: true,
            check_in_minutes: 30,
            auto_cancel_hours: 24,
            auto_finish_hours: 24,
            patients_per_account: 8,
            guardian_below_years: 14,
            departments: Vec::new(),
            hidden_doctors: Vec::new(),
            slot_days: 14,
        }
    }
}

impl Setting for ConsultationSettings {
    const NAME: &'static str = "care.consultation";

    fn check(&self) -> Result<(), String> {
        let bounds = [
            ("follow_up_days", self.follow_up_days, 1, 3650),
            ("pay_minutes", self.pay_minutes, 1, 120),
            ("check_in_minutes", self.check_in_minutes, 0, 1440),
            ("auto_cancel_hours", self.auto_cancel_hours, 1, 720),
            ("auto_finish_hours", self.auto_finish_hours, 1, 720),
            ("patients_per_account", self.patients_per_account, 1, 50),
            // From 18 on nobody has a guardian by age (民法典 第十七条).
            ("guardian_below_years", self.guardian_below_years, 0, 18),
            ("slot_days", self.slot_days, 1, 60),
        ];
        for (field, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                let label = Self::label(field).unwrap_or(field);
                return Err(format!("“{label}”应在{least}到{most}之间"));
            }
        }
        for (field, codes) in [
            ("departments", &self.departments),
            ("hidden_doctors", &self.hidden_doctors),
        ] {
            if codes.len() > 1000 || codes.iter().any(|c| c.trim().is_empty() || c.chars().count() > 64) {
                let label = Self::label(field).unwrap_or(field);
                return Err(format!("“{label}”最多1000项，每项为1到64个字的代码"));
            }
        }
        Ok(())
    }

    fn label(field: &str) -> Option<&'static str> {
        Some(match field {
            "follow_up_days" => "复诊有效期（天）",
            "pay_minutes" => "支付时限（分钟）",
            "early_check_in" => "允许提前报到",
            "check_in_minutes" => "提前报到时间（分钟）",
            "auto_cancel_hours" => "无人接诊自动退款（小时）",
            "auto_finish_hours" => "自动结束（小时）",
            "patients_per_account" => "每账号就诊人上限",
            "guardian_below_years" => "需监护人的年龄（岁以下）",
            "departments" => "开放的科室",
            "hidden_doctors" => "不在线上显示的医生",
            "slot_days" => "开放号源天数",
            _ => return None,
        })
    }
}

impl ConsultationSettings {
    /// When the patient may check in for a slot.
    pub fn check_in_from(&self, date: LocalDate, begin: &str) -> Option<Timestamp> {
        let minutes = Duration::from_secs(u64::from(self.check_in_minutes) * 60);
        (!self.early_check_in).then(|| date.at(begin).unwrap_or_else(|| date.start()).minus(minutes))
    }

    /// Until when the patient may pay: our own time, or a little before the HIS lets the place go, so that a payment
    /// made at the last moment can still be confirmed. A lock that was just given and has ended already was given by a
    /// HIS whose clock is behind: then our own time holds, and the HIS refuses a confirmation that comes too late.
    pub fn pay_until(&self, now: Timestamp, his_lock_ends: Option<Timestamp>) -> Timestamp {
        let own = now.plus(Duration::from_secs(u64::from(self.pay_minutes) * 60));
        match his_lock_ends {
            Some(end) if end > now => {
                let left = end.since(now);
                let margin = Duration::from_secs(60).min(left / 4);
                own.min(end.minus(margin))
            }
            _ => own,
        }
    }

    /// Whether the hospital shows the department online.
    pub fn shows_department(&self, code: &str) -> bool {
        self.departments.is_empty() || self.departments.iter().any(|d| d == code)
    }

    /// Whether the hospital shows the doctor online.
    pub fn shows_doctor(&self, code: &str) -> bool {
        !self.hidden_doctors.iter().any(|d| d == code)
    }
}

/// What may be done with a visit now, in the words of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// Where it stands.
    pub progress: &'a Progress,
    /// Until when it may be paid.
    pub pay_until: Option<Timestamp>,
    /// From when the patient may check in.
    pub check_in_from: Option<Timestamp>,
    /// Whether it is rated.
    pub rated: bool,
    /// Now.
    pub now: Timestamp,
}

impl Moment<'_> {
    fn hand(&self) -> Hand {
        Hand {
            by: records::Actor::System,
            at: self.now,
        }
    }

    fn payable(&self) -> bool {
        self.progress.state == VisitState::AwaitingPayment
            && self.progress.closing_as.is_none()
            && self.pay_until.is_some_and(|until| self.now < until)
    }

    /// For the patient: computed from the transitions themselves.
    pub(crate) fn patient_may(&self) -> Vec<&'static str> {
        let (p, hand) = (self.progress, self.hand());
        let mut may = Vec::new();
        if self.payable() {
            may.push("pay");
        }
        let unpaid = p.state == VisitState::AwaitingPayment && p.closing_as.is_none();
        if unpaid || p.clone().cancel("", &hand).is_ok() {
            may.push("cancel");
        }
        let open = self.check_in_from.is_none_or(|from| self.now >= from);
        if open && p.clone().check_in(&hand).is_ok() {
            may.push("check_in");
        }
        if p.clone().finish(&hand).is_ok() {
            may.push("finish");
            may.push("message");
        }
        if p.state == VisitState::Finished && !self.rated {
            may.push("rate");
        }
        may
    }

    /// For the doctor.
    pub(crate) fn doctor_may(&self) -> Vec<&'static str> {
        let (p, hand) = (self.progress, self.hand());
        let mut may = Vec::new();
        if p.clone().accept(&hand).is_ok() {
            may.push("accept");
        }
        if p.clone().decline("", &hand).is_ok() {
            may.push("decline");
        }
        if p.clone().withdraw("", &hand).is_ok() {
            may.push("withdraw");
        }
        if p.clone().finish(&hand).is_ok() {
            may.push("finish");
            may.push("message");
            may.push("video");
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_beyond_reason_is_refused_by_its_name() {
        let check = |change: fn(&mut ConsultationSettings)| {
            let mut rules = ConsultationSettings::default();
            change(&mut rules);
            rules.check()
        };
        assert_eq!(check(|_| {}), Ok(()));
        let words = check(|r| r.guardian_below_years = 200).unwrap_err();
        assert_eq!(words, "“需监护人的年龄（岁以下）”应在0到18之间");
        for change in [
            (|r| r.pay_minutes = 0) as fn(&mut ConsultationSettings),
            |r| r.auto_cancel_hours = 0,
            |r| r.auto_finish_hours = 100_000,
            |r| r.check_in_minutes = 1441,
            |r| r.departments = vec![String::new()],
            |r| r.hidden_doctors = vec!["长".repeat(65)],
        ] {
            let words = check(change).unwrap_err();
            assert!(words.starts_with('“') && !words.contains('_'), "{words}");
        }
    }

    #[test]
    fn a_patient_may_pay_until_shortly_before_the_his_lets_go_and_a_wrong_clock_there_takes_no_time_away() {
        let rules = ConsultationSettings::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let own = now.plus(minutes(u64::from(rules.pay_minutes)));
        assert_eq!(rules.pay_until(now, None), own);
        assert_eq!(rules.pay_until(now, Some(now.plus(minutes(5)))), now.plus(minutes(4)));
        assert_eq!(rules.pay_until(now, Some(now.plus(minutes(600)))), own);
        assert_eq!(
            rules.pay_until(now, Some(now.minus(minutes(45)))),
            own,
            "the HIS's clock is an hour behind"
        );
    }
}
