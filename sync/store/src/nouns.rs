//! How the identifiers, times and amounts of `records` are stored.

use std::borrow::Cow;

use records::footage::{ClipId, DockingId, IssueId};
use records::id::{
    AccountId, BlobId, EdgeId, OrderId, PatientId, PaymentId, PrescriptionId, RefundId, StaffId, VisitId,
};
use records::{Fen, Lane, LocalDate, PeerId, TenantId, Timestamp};

use crate::{FromValue, ToValue, Value};

crate::id_value!(
    TenantId,
    EdgeId,
    PatientId,
    AccountId,
    StaffId,
    VisitId,
    PrescriptionId,
    OrderId,
    PaymentId,
    RefundId,
    BlobId,
    PeerId,
    DockingId,
    ClipId,
    IssueId,
);

impl ToValue for Timestamp {
    fn to_value(&self) -> Value<'_> {
        Value::Int(self.as_micros())
    }
}
impl FromValue for Timestamp {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        i64::from_value(value).map(Self::from_micros)
    }
}
impl ToValue for Fen {
    fn to_value(&self) -> Value<'_> {
        Value::Int(self.0)
    }
}
impl FromValue for Fen {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        i64::from_value(value).map(Self)
    }
}
impl ToValue for LocalDate {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Owned(self.to_string()))
    }
}
impl FromValue for LocalDate {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        Self::parse(&String::from_value(value)?).map_err(|e| e.to_string())
    }
}
impl ToValue for Lane {
    fn to_value(&self) -> Value<'_> {
        Value::Int(self.number().into())
    }
}
impl FromValue for Lane {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        let number = u8::from_value(value)?;
        Self::from_number(number).ok_or_else(|| format!("no lane {number}"))
    }
}
