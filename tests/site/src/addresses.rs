//! Where everything of a run listens, and who can sign in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Addresses of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// Web apps and API, e.g. `http://localhost:8080`.
    pub web: String,
    /// Local console of the appliance.
    pub console: String,
    /// Management page of the signature server.
    pub signd: String,
    /// Control of the bench hospital.
    pub his: String,
    /// Control of the bench payment channel.
    pub pay: String,
    /// The demo phone: text messages and one-time codes.
    pub sms: String,
    /// Control of the bench printer.
    pub printer: String,
    /// Control of the line between appliance and cloud.
    pub line: String,
    /// Control of the bench dock.
    pub dock: String,
    /// The self-service terminal.
    pub kiosk: String,
    /// Control of its printer.
    pub kiosk_printer: String,
    /// Control of its card reader and scanner.
    pub reader: String,
    /// The demo phone for people.
    pub phone: String,
    /// The printer's paper for people.
    pub paper: String,
    /// Where the run keeps its data.
    pub data: PathBuf,
    /// Who can sign in.
    pub demo: Demo,
}

/// The people of the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    /// Code of the hospital.
    pub hospital: String,
    /// Phone the patient signs in with.
    pub patient_phone: String,
    /// A patient whom the HIS has seen lately.
    pub patient_name: String,
    /// Their identity card number.
    pub patient_id_number: String,
    /// Everybody of that department whom the HIS has seen lately, the one above first.
    pub patients: Vec<DemoPatient>,
    /// Department that has seen them.
    pub department_code: String,
    /// Its name.
    pub department_name: String,
    /// A doctor of it with online slots, in the HIS.
    pub doctor_code: String,
    /// The doctor's login.
    pub doctor_login: String,
    /// The pharmacist's login.
    pub pharmacist_login: String,
    /// The administrator's login.
    pub admin_login: String,
    /// Password of the demo staff.
    pub staff_password: String,
    /// First day with slots to look for.
    pub first_day: String,
    /// Last day.
    pub last_day: String,
}

/// A patient whom the bench hospital knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoPatient {
    /// Name.
    pub name: String,
    /// Identity card number.
    pub id_number: String,
    /// Phone.
    pub phone: String,
}
