//! The transitions of a consilium: who may do what, and when.

use records::{Actor, Timestamp};

use super::{Command, Consilium, Event, OPINION_WITHIN, Refusal, State, next};

/// A transition's result.
pub(crate) type Moved = Result<(Consilium, Event), Refusal>;

impl Consilium {
    fn step(mut self, command: Command, at: Timestamp, by: &Actor) -> Moved {
        let Some(to) = next(self.state, command) else {
            return Err(self.refuse(command, ""));
        };
        self.state = to;
        let event = Event {
            to,
            command,
            at,
            by: by.clone(),
        };
        Ok((self, event))
    }

    const fn refuse(&self, command: Command, reason: &'static str) -> Refusal {
        Refusal {
            state: self.state,
            command,
            reason,
        }
    }

    fn only_the_expert(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.expert => Ok(()),
            _ => Err(self.refuse(command, "只有受邀专家本人可以操作")),
        }
    }

    fn only_the_inviter(&self, command: Command, by: &Actor) -> Result<(), Refusal> {
        match by {
            Actor::Staff(id) if *id == self.inviter => Ok(()),
            _ => Err(self.refuse(command, "只有邀请会诊的医生本人可以操作")),
        }
    }

    fn in_time(&self, command: Command, at: Timestamp) -> Result<(), Refusal> {
        if at >= self.until {
            return Err(self.refuse(command, "已超过会诊时限，请重新邀请"));
        }
        Ok(())
    }

    /// Whether the expert may read what the visit holds.
    pub fn may_read(&self, at: Timestamp, by: &Actor) -> bool {
        self.state == State::Open && at < self.until && self.only_the_expert(Command::Sign, by).is_ok()
    }

    /// 接受.
    ///
    /// # Errors
    /// Unless invited and in time, or by anyone but the expert.
    pub fn accept(self, at: Timestamp, by: &Actor) -> Moved {
        self.only_the_expert(Command::Accept, by)?;
        self.in_time(Command::Accept, at)?;
        let (mut moved, event) = self.step(Command::Accept, at, by)?;
        moved.until = at.plus(OPINION_WITHIN);
        Ok((moved, event))
    }

    /// 谢绝, with a reason.
    ///
    /// # Errors
    /// Once an opinion is signed or it ended otherwise, without a reason, or by anyone but the expert.
    pub fn decline(self, at: Timestamp, by: &Actor, reason: &str) -> Moved {
        self.only_the_expert(Command::Decline, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Decline, "请写明原因"));
        }
        self.step(Command::Decline, at, by)
    }

    /// 签署意见: the expert's signature over the opinion is verified and kept.
    ///
    /// # Errors
    /// Unless open and in time, without words, or by anyone but the expert.
    pub fn sign(self, at: Timestamp, by: &Actor, opinion: &str) -> Moved {
        self.only_the_expert(Command::Sign, by)?;
        self.in_time(Command::Sign, at)?;
        if opinion.trim().is_empty() {
            return Err(self.refuse(Command::Sign, "请填写会诊意见"));
        }
        self.step(Command::Sign, at, by)
    }

    /// 评价.
    ///
    /// # Errors
    /// Unless there is an opinion nobody judged, or by anyone but the inviter.
    pub fn evaluate(self, at: Timestamp, by: &Actor) -> Moved {
        self.only_the_inviter(Command::Evaluate, by)?;
        self.step(Command::Evaluate, at, by)
    }

    /// 撤回, with a reason.
    ///
    /// # Errors
    /// Once an opinion is signed or it ended otherwise, without a reason, or by anyone but the inviter.
    pub fn withdraw(self, at: Timestamp, by: &Actor, reason: &str) -> Moved {
        self.only_the_inviter(Command::Withdraw, by)?;
        if reason.trim().is_empty() {
            return Err(self.refuse(Command::Withdraw, "请写明原因"));
        }
        self.step(Command::Withdraw, at, by)
    }

    /// 超时: nobody acted in time.
    ///
    /// # Errors
    /// Before that, or when it has ended.
    pub fn lapse(self, at: Timestamp) -> Moved {
        if at < self.until {
            return Err(self.refuse(Command::Lapse, "尚在时限内"));
        }
        self.step(Command::Lapse, at, &Actor::System)
    }

    /// What this person may do with it now.
    pub fn allowed(&self, at: Timestamp, by: &Actor) -> Vec<Command> {
        let may = |command: &Command| {
            let now = self.clone();
            match command {
                Command::Accept => now.accept(at, by).is_ok(),
                Command::Decline => now.decline(at, by, "-").is_ok(),
                Command::Sign => now.sign(at, by, "-").is_ok(),
                Command::Evaluate => now.evaluate(at, by).is_ok(),
                Command::Withdraw => now.withdraw(at, by, "-").is_ok(),
                Command::Lapse => false,
            }
        };
        Command::ALL.into_iter().filter(may).collect()
    }
}
