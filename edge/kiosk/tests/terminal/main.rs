//! Terminals before the bench hospital: answers that are lost, refusals that pass, every way to show who one is, codes on
//! phones and on prescriptions, and who may open the page.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails the test")]
#![expect(clippy::indexing_slicing, reason = "JSON answers null")]

mod cards;
mod codes;
mod door;
mod hall;
mod number;
mod phone;
mod prescription;
mod ways;
