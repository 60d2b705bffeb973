//! Bills of prescriptions (annex 32–36).

use serde::{Deserialize, Serialize};

use super::HisOrderState;
use crate::{Fen, Timestamp};

/// Pending bills of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillQuestion {
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Only the bill of this prescription of ours.
    pub prescription_number: Option<String>,
}

/// A bill to be paid (待缴费).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// `mzFeeId`.
    pub bill_id: String,
    /// Our prescription number, when it stems from one.
    pub prescription_number: Option<String>,
    /// Sum.
    pub total_fen: Fen,
    /// Lines.
    pub items: Vec<BillItem>,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillItem {
    /// Name.
    pub name: String,
    /// Specification.
    pub specification: String,
    /// Quantity with unit, as text.
    pub quantity: String,
    /// Amount.
    pub amount_fen: Fen,
}

/// The patient has paid bills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillPayment {
    /// Our order number: the payment id.
    pub order_number: String,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Bills paid.
    pub bill_ids: Vec<String>,
    /// The channel's transaction number.
    pub channel_number: String,
    /// What was paid.
    pub amount_fen: Fen,
    /// When.
    pub paid_at: Timestamp,
}

/// A paid bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillReceipt {
    /// The HIS's order number.
    pub his_order_number: String,
    /// Receipt number.
    pub receipt_number: String,
    /// Where to collect (取药窗口).
    pub collect_at: String,
}

/// How a bill order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillState {
    /// `Absent`, `Unpaid`, `Paid` or `Refunded`.
    pub state: HisOrderState,
    /// The HIS's order number.
    pub his_order_number: Option<String>,
    /// Receipt number.
    pub receipt_number: Option<String>,
    /// Where to collect.
    pub collect_at: Option<String>,
    /// The HIS's refund number when refunded.
    #[serde(default)]
    pub his_refund_number: Option<String>,
}
