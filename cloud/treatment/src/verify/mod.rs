//! Public verification (验真): anybody with the code of a prescription sees, checked anew at each request over the bytes
//! that were signed, whether doctor and pharmacist signed it and whether it still holds; and whether a PDF in hand is
//! the one that was issued.

pub(crate) mod pdf;
mod routes;
pub(crate) mod store;

pub(crate) use routes::routes;
