//! What must hold for a refund in any order of events.

use proptest::prelude::*;

use super::*;

fn requested() -> Refund {
    Refund {
        id: RefundId::parse("ref_1").unwrap(),
        payment_id: PaymentId::parse("pay_1").unwrap(),
        amount_fen: Fen(2500),
        reason: "患者取消".to_owned(),
        state: RefundState::Requested,
        channel_refund_number: None,
        returned_at: None,
        his_refund_number: None,
        note: None,
        created_at: Timestamp::from_seconds(0),
    }
}

fn act(refund: Refund, what: u8) -> (Refund, bool) {
    let at = Timestamp::from_seconds(9);
    match what {
        0 => (refund.accepted(Some("wxr1".to_owned())), false),
        1 => match refund.clone().returned(Some("wxr1".to_owned()), at) {
            Some(moved) => (moved, true),
            None => (refund, false),
        },
        2 => (
            refund.clone().written_back(Some("HR1".to_owned())).unwrap_or(refund),
            false,
        ),
        3 => (refund.hold("渠道退款异常"), false),
        _ => (refund.clone().retry().unwrap_or(refund), false),
    }
}

proptest! {
    #[test]
    fn money_is_returned_once_and_a_finished_refund_stays_finished(acts in prop::collection::vec(0u8..5, 0..40)) {
        let (mut refund, mut returns) = (requested(), 0);
        for what in acts {
            let before = refund.state;
            let (after, returned) = act(refund, what);
            returns += u32::from(returned);
            refund = after;
            if before == RefundState::Refunded {
                prop_assert_eq!(refund.state, RefundState::Refunded);
            }
            if matches!(refund.state, RefundState::HisWriteBack | RefundState::Refunded) {
                prop_assert!(refund.returned_at.is_some(), "the HIS is told only of money that is back");
            }
            if refund.returned_at.is_some() {
                let sent_again = matches!(refund.state, RefundState::Requested | RefundState::Processing);
                prop_assert!(!sent_again, "money that is back is not sent again");
            }
        }
        prop_assert!(returns <= 1);
    }
}

#[test]
fn a_refund_cannot_be_written_back_before_the_money_is_back() {
    let refusal = requested().written_back(None).unwrap_err();
    assert_eq!(refusal.to_string(), "refund is requested and cannot written_back");
    assert!(requested().retry().is_err(), "nothing to try again");
}
