//! Public verification (验真): anybody with the code of a prescription, order or record sees, checked anew at each request over
//! the bytes that were signed, who signed it and whether it still holds; and whether a PDF in hand is the one that was
//! issued. Of a record nothing clinical is shown: the code proves the paper, it does not open the record.

mod order;
pub(crate) mod pdf;
mod record;
mod revocation;
mod routes;
pub(crate) mod store;

pub(crate) use routes::{VerifiedSignature, routes, shown};
