//! The transitions of a prescription: who may do what, and when. Each takes it by value and answers the new one with the
//! line of its trail, or a [`Refusal`].

use records::id::PrescriptionId;
use records::{Actor, Fen, LocalDate, Timestamp};

use super::{Command, Edit, Event, NotEditable, Prescription, Refusal, State, next};

impl Prescription {
    fn step(mut self, command: Command, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        let Some(to) = next(self.state, command) else {
            return Err(self.refuse(command, ""));
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

    fn refuse(&self, command: Command, reason: &str) -> Refusal {
        Refusal {
            state: self.state,
            command,
            reason: reason.to_owned(),
        }
    }

    fn only_the_doctor(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.doctor => Ok(()),
            Actor::Staff(_) => Err(self.refuse(command, "只有接诊医生本人可以操作")),
            _ => Err(self.refuse(command, "处方只能由医师本人开具，系统不得代开")),
        }
    }

    /// May `by` still change or throw away the draft? Nobody but the doctor, and no signed one.
    ///
    /// # Errors
    /// When signed already, or not the doctor's.
    pub fn may_edit(&self, edit: Edit, by: &Actor) -> Result<(), NotEditable> {
        let refuse = |reason| NotEditable {
            state: self.state,
            edit,
            reason,
        };
        if *by != Actor::Staff(self.doctor.clone()) {
            return Err(refuse("只有接诊医生本人可以操作"));
        }
        match self.state {
            State::Draft => Ok(()),
            _ if edit == Edit::Sign => Err(refuse("该处方已签过名，请刷新页面查看")),
            // What can be done instead depends on where it stands.
            state if next(state, Command::Revise).is_some() => Err(refuse("请用“修改重开”另开新方")),
            state if next(state, Command::Revoke).is_some() => Err(refuse("已签名的处方不能改动，请撤销后重开")),
            _ => Err(refuse("如需用药请另开处方")),
        }
    }

    /// 签名: the doctor's signature over the canonical document is verified and kept.
    ///
    /// # Errors
    /// In any state but draft, or by anyone but the treating doctor.
    pub fn sign(mut self, at: Timestamp, by: &Actor, valid_until: LocalDate) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Sign, by)?;
        if self.lines.is_empty() {
            return Err(self.refuse(Command::Sign, "处方没有药品"));
        }
        self.valid_until = Some(valid_until);
        self.step(Command::Sign, at, by, "")
    }

    /// 提交审方: into the queue, in the same unit of work as the signature.
    ///
    /// # Errors
    /// In any state but signed.
    pub fn submit(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Submit, at, by, "")
    }

    /// 审方通过: the pharmacist's signature over the opinion is verified and kept.
    ///
    /// # Errors
    /// When not in review, after the last day, or by the doctor who wrote it.
    pub fn approve(self, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        self.not_the_doctor(Command::Approve, by)?;
        self.in_time(Command::Approve, at)?;
        self.step(Command::Approve, at, by, note)
    }

    /// 审方不通过.
    ///
    /// # Errors
    /// When not in review, or by the doctor who wrote it.
    pub fn reject(self, at: Timestamp, by: &Actor, note: &str) -> Result<(Self, Event), Refusal> {
        self.not_the_doctor(Command::Reject, by)?;
        self.step(Command::Reject, at, by, note)
    }

    fn not_the_doctor(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.doctor => Err(self.refuse(command, "开方医生不能审自己的处方")),
            Actor::Staff(_) => Ok(()),
            _ => Err(self.refuse(command, "审方须由药师本人完成")),
        }
    }

    fn in_time(&self, command: Command, at: Timestamp) -> Result<(), Refusal> {
        match self.valid_until {
            Some(last) if at.local_date() > last => Err(self.refuse(command, "处方已过有效期")),
            _ => Ok(()),
        }
    }

    /// 修改重开: this one ends, a new draft (made by the caller) points at it.
    ///
    /// # Errors
    /// Unless rejected, or by anyone but the doctor.
    pub fn revise(self, at: Timestamp, by: &Actor, new: &PrescriptionId) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Revise, by)?;
        self.step(Command::Revise, at, by, &format!("新处方 {new}"))
    }

    /// 申诉: the doctor objects with reasons; the pharmacists decide again.
    ///
    /// # Errors
    /// Unless rejected, without a reason, or by anyone but the doctor.
    pub fn appeal(self, at: Timestamp, by: &Actor, reason: &str) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Appeal, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Appeal, "请写明申诉理由"));
        }
        self.step(Command::Appeal, at, by, reason)
    }

    /// 提交医院: the HIS took prescription and number.
    ///
    /// # Errors
    /// Unless approved.
    pub fn send(self, at: Timestamp, his_number: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Send, at, &Actor::His, &format!("院内处方号 {his_number}"))
    }

    /// 生成账单: the HIS's bill is there.
    ///
    /// # Errors
    /// Unless sent.
    pub fn bill(self, at: Timestamp, total: Fen) -> Result<(Self, Event), Refusal> {
        let note = if total == self.total_fen {
            format!("应付 {total} 元")
        } else {
            format!("应付 {total} 元（开方时 {} 元，以医院账单为准）", self.total_fen)
        };
        self.step(Command::Bill, at, &Actor::His, &note)
    }

    /// 缴费: the channel has the money.
    ///
    /// # Errors
    /// Unless the bill awaits payment; the caller then returns the money.
    pub fn pay(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Pay, at, by, "")
    }

    /// 调配: the HIS confirmed the payment.
    ///
    /// # Errors
    /// Unless paid.
    pub fn dispense(self, at: Timestamp, collect_at: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Dispense, at, &Actor::His, collect_at)
    }

    /// 备好: the slip is printed at the window.
    ///
    /// # Errors
    /// Unless dispensing.
    pub fn prepare(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Prepare, at, by, "")
    }

    /// 发货: the courier has the parcel.
    ///
    /// # Errors
    /// Unless dispensing.
    pub fn ship(self, at: Timestamp, by: &Actor, waybill: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Ship, at, by, waybill)
    }

    /// 取药: the patient has the drugs.
    ///
    /// # Errors
    /// Unless ready or shipped.
    pub fn collect(self, at: Timestamp, by: &Actor) -> Result<(Self, Event), Refusal> {
        self.step(Command::Collect, at, by, "")
    }

    /// 医院拒收: the HIS refuses prescription, opinion or payment, in its words.
    ///
    /// # Errors
    /// Unless something is on its way to the HIS.
    pub fn decline(self, at: Timestamp, words: &str) -> Result<(Self, Event), Refusal> {
        self.step(Command::Decline, at, &Actor::His, words)
    }

    /// 撤销: by the doctor, with a reason.
    ///
    /// # Errors
    /// In a state that has no way back, without a reason, or by anyone but the doctor.
    pub fn revoke(self, at: Timestamp, by: &Actor, reason: &str) -> Result<(Self, Event), Refusal> {
        self.only_the_doctor(Command::Revoke, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Revoke, "请写明撤销原因"));
        }
        self.step(Command::Revoke, at, by, reason)
    }

    /// 过期: the last day is over.
    ///
    /// # Errors
    /// Before that, or once money has moved.
    pub fn expire(self, at: Timestamp) -> Result<(Self, Event), Refusal> {
        match self.valid_until {
            Some(last) if at.local_date() > last => self.step(Command::Expire, at, &Actor::System, "超过有效期"),
            _ => Err(self.refuse(Command::Expire, "尚在有效期内")),
        }
    }
}
