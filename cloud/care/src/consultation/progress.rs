//! The transitions of a visit: pure, each with the duties that follow in the same unit of work.

use super::{Duty, Event, Hand, HisSide, Refusal, VisitState};

/// Where a visit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// State.
    pub state: VisitState,
    /// As what it ended, when its money went back afterwards.
    pub ended_as: Option<VisitState>,
    /// What the HIS knows.
    pub his: HisSide,
    /// As what the unpaid visit will end, once its order is closed at the channel.
    pub closing_as: Option<VisitState>,
    /// Plain words for the patient on how it ended.
    pub message: Option<String>,
}

/// A transition's result.
pub type Moved = Result<(Progress, Event), Refusal>;

impl Progress {
    /// A visit that is about to ask the HIS for its place.
    pub const fn begin() -> Self {
        Self {
            state: VisitState::Locking,
            ended_as: None,
            his: HisSide::Nothing,
            closing_as: None,
            message: None,
        }
    }

    const fn refuse<T>(&self, act: &'static str) -> Result<T, Refusal> {
        Err(Refusal { state: self.state, act })
    }

    fn to(
        mut self,
        state: VisitState,
        word: &'static str,
        note: &str,
        hand: &Hand,
        duties: &'static [Duty],
    ) -> (Self, Event) {
        let from = self.state;
        self.state = state;
        if !note.is_empty() {
            self.message = Some(note.to_owned());
        }
        let event = Event {
            word,
            from,
            to: state,
            note: note.to_owned(),
            by: hand.by.clone(),
            at: hand.at,
            duties,
        };
        (self, event)
    }

    /// The HIS holds the place.
    ///
    /// # Errors
    /// Unless it was asked and has not answered.
    pub fn lock(mut self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Locking | VisitState::LockUnknown => {
                self.his = HisSide::Locked;
                self.message = None;
                Ok(self.to(VisitState::AwaitingPayment, "lock", "", hand, &[]))
            }
            _ => self.refuse("锁定号源"),
        }
    }

    /// The HIS did not answer in time.
    ///
    /// # Errors
    /// Unless it was just asked.
    pub fn lose_lock(self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Locking => Ok(self.to(
                VisitState::LockUnknown,
                "lose_lock",
                "正在与医院确认号源，请稍候",
                hand,
                &[],
            )),
            _ => self.refuse("确认号源"),
        }
    }

    /// The HIS gave no place. When that was found out by asking later, the place is unlocked all the same: a request
    /// of ours may still be on its way.
    ///
    /// # Errors
    /// Unless it was asked and has not answered.
    pub fn refuse_lock(mut self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Locking => Ok(self.to(VisitState::Declined, "refuse_lock", words, hand, &[])),
            VisitState::LockUnknown => {
                self.his = HisSide::Released;
                Ok(self.to(VisitState::Declined, "refuse_lock", words, hand, &[Duty::Unlock]))
            }
            _ => self.refuse("退回号源"),
        }
    }

    /// The money arrived.
    pub fn pay(mut self, hand: &Hand) -> (Self, Event) {
        match (self.state, self.closing_as) {
            (VisitState::AwaitingPayment, None | Some(VisitState::Expired)) => {
                self.closing_as = None;
                self.message = None;
                self.his = HisSide::Telling;
                self.to(VisitState::Confirming, "pay", "", hand, &[Duty::Confirm])
            }
            // Cancelled or stopped while the payer was faster than the closing.
            (VisitState::AwaitingPayment, Some(wish)) => {
                self.closing_as = None;
                self.his = HisSide::Released;
                let words = self.message.clone().unwrap_or_default();
                self.to(wish, "pay", &words, hand, &[Duty::Refund, Duty::Unlock])
            }
            (state, _) => self.to(
                state,
                "pay_late",
                "付款到账时问诊已结束，款项将原路退回",
                hand,
                &[Duty::Refund],
            ),
        }
    }

    /// The unpaid visit is to end as `wish` (cancelled, expired, stopped) once nobody can pay it any more.
    ///
    /// # Errors
    /// Unless it waits for payment.
    pub fn let_go(mut self, wish: VisitState, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::AwaitingPayment => {
                self.closing_as = Some(wish);
                let state = self.state;
                Ok(self.to(state, "let_go", words, hand, &[]))
            }
            _ => self.refuse("关闭"),
        }
    }

    /// Nobody can pay it any more.
    ///
    /// # Errors
    /// Unless it waits for payment.
    pub fn end_unpaid(mut self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::AwaitingPayment => {
                let wish = self.closing_as.take().unwrap_or(VisitState::Expired);
                let words = self
                    .message
                    .clone()
                    .unwrap_or_else(|| "超时未支付，号源已释放".to_owned());
                self.his = HisSide::Released;
                Ok(self.to(wish, "end_unpaid", &words, hand, &[Duty::Unlock]))
            }
            _ => self.refuse("关闭"),
        }
    }

    /// The HIS has the registration as paid. Returned money is written back when it was only waiting for this.
    ///
    /// # Errors
    /// Unless it was being told.
    pub fn register(mut self, money_is_back: bool, hand: &Hand) -> Moved {
        if self.his != HisSide::Telling {
            return self.refuse("登记");
        }
        self.his = HisSide::Confirmed;
        match self.state {
            VisitState::Confirming | VisitState::Manual => Ok(self.to(VisitState::Waiting, "register", "", hand, &[])),
            state => {
                let duties: &'static [Duty] = if money_is_back { &[Duty::WriteBack] } else { &[] };
                Ok(self.to(state, "register_late", "", hand, duties))
            }
        }
    }

    /// The HIS refused the registration.
    ///
    /// # Errors
    /// Unless it was being told.
    pub fn refuse_registration(mut self, words: &str, money_is_back: bool, hand: &Hand) -> Moved {
        if self.his != HisSide::Telling {
            return self.refuse("登记");
        }
        self.his = HisSide::Refused;
        match self.state {
            VisitState::Confirming | VisitState::Manual => Ok(self.to(
                VisitState::Refunding,
                "refuse_registration",
                words,
                hand,
                &[Duty::Refund, Duty::Unlock],
            )),
            state => {
                let duties: &'static [Duty] = if money_is_back { &[Duty::CloseRefund] } else { &[] };
                Ok(self.to(state, "refuse_registration", "", hand, duties))
            }
        }
    }

    /// 报到.
    ///
    /// # Errors
    /// Unless 待报到.
    pub fn check_in(self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Waiting => Ok(self.to(VisitState::CheckedIn, "check_in", "", hand, &[])),
            _ => self.refuse("报到"),
        }
    }

    /// 接诊.
    ///
    /// # Errors
    /// Unless 待接诊.
    pub fn accept(self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::CheckedIn => Ok(self.to(VisitState::InProgress, "accept", "", hand, &[])),
            _ => self.refuse("接诊"),
        }
    }

    /// 拒绝接诊.
    ///
    /// # Errors
    /// Unless 待报到 or 待接诊.
    pub fn decline(self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Waiting | VisitState::CheckedIn => {
                Ok(self.to(VisitState::Declined, "decline", words, hand, &[Duty::Refund]))
            }
            _ => self.refuse("拒绝接诊"),
        }
    }

    /// 取消接诊.
    ///
    /// # Errors
    /// Unless 问诊中.
    pub fn withdraw(self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::InProgress => Ok(self.to(VisitState::Withdrawn, "withdraw", words, hand, &[Duty::Refund])),
            _ => self.refuse("取消接诊"),
        }
    }

    /// 结束问诊.
    ///
    /// # Errors
    /// Unless 问诊中.
    pub fn finish(self, hand: &Hand) -> Moved {
        match self.state {
            VisitState::InProgress => Ok(self.to(VisitState::Finished, "finish", "", hand, &[])),
            _ => self.refuse("结束问诊"),
        }
    }

    /// The patient cancels a paid visit, or nobody attended to it.
    ///
    /// # Errors
    /// Once it has begun.
    pub fn cancel(self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Waiting | VisitState::CheckedIn => {
                Ok(self.to(VisitState::Cancelled, "cancel", words, hand, &[Duty::Refund]))
            }
            _ => self.refuse("取消"),
        }
    }

    /// 停诊. A visit that has begun goes on.
    ///
    /// # Errors
    /// Unless it is paid and has not begun.
    pub fn stop(self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Confirming | VisitState::Waiting | VisitState::CheckedIn => {
                Ok(self.to(VisitState::Stopped, "stop", words, hand, &[Duty::Refund]))
            }
            _ => self.refuse("停诊"),
        }
    }

    /// The payer has the money back. What the HIS still has to be told follows from what it knows.
    pub fn return_money(self, hand: &Hand) -> (Self, Event) {
        let (state, his) = (self.state, self.his);
        match his {
            HisSide::Confirmed => self.to(state, "money_back", "", hand, &[Duty::WriteBack]),
            HisSide::Telling => self.to(state, "money_back", "", hand, &[]),
            _ => self.to(state, "money_back", "", hand, &[Duty::CloseRefund]),
        }
    }

    /// The refund is over, in all books.
    pub fn end_refund(mut self, hand: &Hand) -> (Self, Event) {
        if self.his == HisSide::Confirmed {
            self.his = HisSide::Refunded;
        }
        match self.state {
            VisitState::Declined
            | VisitState::Withdrawn
            | VisitState::Cancelled
            | VisitState::Stopped
            | VisitState::Refunding => {
                self.ended_as = Some(self.state);
                self.to(VisitState::Refunded, "refund", "", hand, &[])
            }
            state => self.to(state, "refund", "", hand, &[]),
        }
    }

    /// A person has to look: the HIS does not say whether it took the payment.
    ///
    /// # Errors
    /// Unless the HIS is being told, or asked for the place.
    pub fn hold(self, words: &str, hand: &Hand) -> Moved {
        match self.state {
            VisitState::Confirming | VisitState::LockUnknown => {
                Ok(self.to(VisitState::Manual, "hold", words, hand, &[]))
            }
            _ => self.refuse("转人工"),
        }
    }

    /// A person says: tell the HIS again.
    ///
    /// # Errors
    /// Unless a person had to look at a payment.
    pub fn retry(self, hand: &Hand) -> Moved {
        match (self.state, self.his) {
            (VisitState::Manual, HisSide::Telling) => {
                Ok(self.to(VisitState::Confirming, "retry", "", hand, &[Duty::Confirm]))
            }
            _ => self.refuse("重试"),
        }
    }

    /// A person says: the place is not ours; it is unlocked.
    ///
    /// # Errors
    /// Unless a person had to look at a place that was never paid.
    pub fn give_up_place(mut self, words: &str, hand: &Hand) -> Moved {
        match (self.state, self.his) {
            (VisitState::Manual, HisSide::Nothing | HisSide::Locked) => {
                self.his = HisSide::Released;
                Ok(self.to(VisitState::Declined, "give_up_place", words, hand, &[Duty::Unlock]))
            }
            _ => self.refuse("释放号源"),
        }
    }
}
