//! The canonical operations as a table: which write, and that an answer has the shape its readers expect.

use records::his::{self, Operation};
use serde_json::Value;

macro_rules! table {
    ($($op:ident)*) => {
        /// Whether an operation changes something. Unknown names do not.
        pub fn writes(method: &str) -> bool {
            $(if method == his::$op::METHOD { return his::$op::WRITES; })*
            false
        }

        /// Whether a request has the shape of its operation.
        ///
        /// # Errors
        /// In words for the operator; never with values of the request.
        pub fn check_request(method: &str, request: &Value) -> Result<(), String> {
            $(if method == his::$op::METHOD { return fits::<<his::$op as Operation>::Request>(request); })*
            Err("no such operation".to_owned())
        }

        /// Whether a response has the shape of its operation.
        ///
        /// # Errors
        /// In words for the operator; never with values of the response.
        pub fn check_response(method: &str, response: &Value) -> Result<(), String> {
            $(if method == his::$op::METHOD { return fits::<<his::$op as Operation>::Response>(response); })*
            Err("no such operation".to_owned())
        }

        /// The operations of this table; a test keeps it equal to the annex.
        pub const TABLE: &[&str] = &[$(his::$op::METHOD),*];
    };
}

table! {
    PatientQuery PatientByCard PatientByInsurance PatientCreate FollowUpCheck DepartmentList DoctorList SlotList SlotLock
    SlotUnlock RegistrationConfirm RegistrationStatus RegistrationList RegistrationCheckIn RegistrationQueue
    RegistrationRefund BillPendingList BillConfirm BillRefund BillStatus ExamReports ExamImage
    LabReports VisitList PastPrescriptions DiagnosisList ExamItemList ExamSubmit ExamRevoke SpecimenList LabItemList LabSubmit
    LabRevoke RouteList FrequencyList HerbList DrugList PrescriptionSubmit PrescriptionReview PrescriptionRevoke DeliveryPush
}

fn fits<T: serde::de::DeserializeOwned>(value: &Value) -> Result<(), String> {
    serde_json::from_value::<T>(value.clone()).map(|_| ()).map_err(|e| {
        // serde quotes the offending value between backquotes or after a colon: keep only what comes before.
        let text = e.to_string();
        if text.starts_with("missing field") {
            text
        } else {
            text.split([':', '"']).next().unwrap_or_default().to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_holds_every_operation() {
        assert_eq!(super::TABLE, records::his::METHODS);
    }
}
