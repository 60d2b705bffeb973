//! What the bearer of a hospital card is asked for besides it: see [`crate::card`].

use super::{Ask, Session, Stage, Task};
use crate::card::{Second, Tail};
use crate::hospital::Trouble;
use crate::tries::Checked;

impl Session {
    /// Whether the one who stands there showed more than a number anybody may have copied.
    pub(super) const fn is_proven(&self) -> bool {
        self.person.is_some() && self.card.is_none()
    }

    /// Nobody is known any more; what they came for is kept for whoever shows more than a card.
    pub(super) fn begin_anew(&mut self) -> Vec<Ask> {
        let wanted = self.wanted.take();
        let asks = self.end();
        self.wanted = wanted;
        asks
    }

    /// Asks for the second thing.
    pub(super) fn prove(&mut self, task: Option<Task>) -> Vec<Ask> {
        if self.rules.second == Second::None {
            let mut asks = self.begin_anew();
            let words = "凭就诊卡不能办理这项业务，请出示身份证、手机就诊码或医保电子凭证";
            asks.extend(self.once_more(task, words.to_owned()));
            return asks;
        }
        self.stage = Stage::Prove { task, trouble: None };
        Vec::new()
    }

    /// Asked for by the person: they want to see what a card alone does not show.
    pub(super) fn verify(&mut self) -> Vec<Ask> {
        if self.card.is_none() {
            return Vec::new();
        }
        match self.stage {
            Stage::Fees { .. } | Stage::Fee { .. } => self.prove(Some(Task::Fees)),
            Stage::Menu => self.prove(None),
            _ => Vec::new(),
        }
    }

    pub(super) fn check(&mut self, tail: Tail) -> Vec<Ask> {
        let (Stage::Prove { task, .. }, Some(person), Some(card)) = (&self.stage, &self.person, &self.card) else {
            return Vec::new();
        };
        let (task, ask) = (*task, Ask::Check(person.clone(), card.clone(), tail));
        self.ask(ask, task)
    }

    pub(super) fn checked(&mut self, checked: Result<Checked, Trouble>, task: Option<Task>) -> Vec<Ask> {
        let again = match checked {
            Ok(Checked::Right) => {
                self.card = None;
                if self.wanted.is_some() {
                    return self.open_scanned();
                }
                if let Some(task) = task {
                    return self.begin(task);
                }
                self.stage = Stage::Menu;
                return Vec::new();
            }
            Ok(Checked::Wrong { left }) => format!("与医院登记的不一致，还可以再试 {left} 次"),
            Ok(Checked::CardLocked { minutes }) => {
                let words = format!("这张就诊卡核对不一致的次数过多，请 {} 后再试", after(minutes));
                return self.unproven(&words, task);
            }
            Ok(Checked::TerminalLocked { minutes }) => {
                let words = format!("本机暂停用就诊卡核对身份，请 {} 后再试", after(minutes));
                return self.unproven(&words, task);
            }
            Ok(Checked::NotOnRecord) => return self.unproven("医院没有登记可以核对的号码", task),
            Err(Trouble::Refused(words)) => words,
            Err(Trouble::Away | Trouble::Unsure) => "医院系统暂时连接不上，没有核对，请稍后再试".to_owned(),
        };
        self.stage = Stage::Prove {
            task,
            trouble: Some(again),
        };
        Vec::new()
    }

    /// Typing helps no more; what is held against a reader does, and what harms nobody still goes by the card.
    fn unproven(&mut self, words: &str, task: Option<Task>) -> Vec<Ask> {
        self.wanted = None;
        let words = format!("{words}。也可以现在出示身份证、手机就诊码或医保电子凭证，或到服务台办理");
        // What was typed is not kept.
        let Some(card) = self.card.clone() else {
            return Vec::new();
        };
        self.failed(Trouble::Refused(words), Ask::Who(card), task)
    }
}

fn after(minutes: u32) -> String {
    match minutes {
        0..=90 => format!("{minutes} 分钟"),
        _ => format!("{} 小时", minutes.div_ceil(60)),
    }
}
