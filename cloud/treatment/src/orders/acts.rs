//! The transitions of an order: who may do what, and when. Each takes it by value and answers the new one with the line of
//! its trail, or a [`Refusal`].

use records::{Actor, Timestamp};

use super::{Command, Event, NotEditable, Refusal, ServiceOrder, State, next};

type Moved = Result<(ServiceOrder, Event), Refusal>;

impl ServiceOrder {
    fn step(mut self, command: Command, at: Timestamp, by: &Actor, note: &str) -> Moved {
        let Some(to) = next(self.state, command) else {
            return Err(self.refuse_to(command, ""));
        };
        let event = Event {
            from: self.state,
            to,
            command,
            at,
            by: by.clone(),
            note: note.to_owned(),
        };
        self.state = to;
        Ok((self, event))
    }

    fn refuse_to(&self, command: Command, reason: &str) -> Refusal {
        Refusal {
            kind: self.kind,
            state: self.state,
            command,
            reason: reason.to_owned(),
        }
    }

    fn only_the_doctor(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.doctor => Ok(()),
            Actor::Staff(_) => Err(self.refuse_to(command, "只有接诊医生本人可以操作")),
            _ => Err(self.refuse_to(command, "检查检验只能由医师本人开立，系统不得代开")),
        }
    }

    /// May `by` still change, throw away or sign the draft? Nobody but the doctor, and no signed one.
    ///
    /// # Errors
    /// When signed already, or not the doctor's.
    pub fn may_edit(&self, by: &Actor) -> Result<(), NotEditable> {
        let refuse = |reason| NotEditable {
            kind: self.kind,
            state: self.state,
            reason,
        };
        if *by != Actor::Staff(self.doctor.clone()) {
            return Err(refuse("只有接诊医生本人可以操作"));
        }
        match self.state {
            State::Draft => Ok(()),
            _ => Err(refuse("已签名的申请单不能改动，请撤回后重开")),
        }
    }

    /// 签名: the doctor's signature over the canonical document is verified and kept.
    ///
    /// # Errors
    /// In any state but draft, without lines, or by anyone but the treating doctor.
    pub fn sign(self, at: Timestamp, by: &Actor) -> Moved {
        self.only_the_doctor(Command::Sign, by)?;
        if self.lines.is_empty() {
            return Err(self.refuse_to(Command::Sign, "没有项目"));
        }
        self.step(Command::Sign, at, by, "")
    }

    /// 医院受理: the HIS took it under its number.
    ///
    /// # Errors
    /// Unless it is on its way.
    pub fn take(self, at: Timestamp, his_number: &str) -> Moved {
        self.step(Command::Take, at, &Actor::His, &format!("院内申请单号 {his_number}"))
    }

    /// 医院拒收, in the HIS's words.
    ///
    /// # Errors
    /// Unless it is on its way.
    pub fn refuse(self, at: Timestamp, words: &str) -> Moved {
        self.step(Command::Refuse, at, &Actor::His, words)
    }

    /// 结果未知: what was on its way could not be found out.
    ///
    /// # Errors
    /// Unless something is on its way.
    pub fn doubt(self, at: Timestamp, words: &str) -> Moved {
        self.step(Command::Doubt, at, &Actor::System, words)
    }

    /// 再次核实, by the doctor.
    ///
    /// # Errors
    /// Unless the outcome is unknown, or by anyone but the doctor.
    pub fn retry(self, at: Timestamp, by: &Actor) -> Moved {
        self.only_the_doctor(Command::Retry, by)?;
        self.step(Command::Retry, at, by, "")
    }

    /// 撤回: by the doctor, with a reason.
    ///
    /// # Errors
    /// In a state that has no way back, without a reason, or by anyone but the doctor.
    pub fn revoke(self, at: Timestamp, by: &Actor, reason: &str) -> Moved {
        self.only_the_doctor(Command::Revoke, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse_to(Command::Revoke, "请写明撤回原因"));
        }
        self.step(Command::Revoke, at, by, reason)
    }

    /// 医院已撤回.
    ///
    /// # Errors
    /// When it was void already, or never with the HIS.
    pub fn withdraw(self, at: Timestamp, note: &str) -> Moved {
        self.step(Command::Withdraw, at, &Actor::His, note)
    }

    /// 医院不同意撤回, in the HIS's words: the order stands.
    ///
    /// # Errors
    /// Unless it is being taken back.
    pub fn keep(self, at: Timestamp, words: &str) -> Moved {
        self.step(Command::Keep, at, &Actor::His, words)
    }
}
