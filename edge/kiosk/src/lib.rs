//! The self-service terminal (自助终端): check-in and queue ticket, reports, prescriptions, fees.
//!
//! The appliance decides what is on the screen; the page only draws it ([`screen::Screen`]) and says what was tapped. So
//! a page that was reloaded, or an appliance that was started again, shows what is true now, and nothing of a person is
//! ever kept in the browser. One person stands there at a time: [`session`] is what is known of them, as states; it ends
//! when they leave, and what was known is dropped.
//!
//! What needs only the hospital's own system works without the internet: people are found, checked in and served over
//! the bridge ([`his`]), paper goes through the spool ([`hub`]). Money does not move here: a fee shows a code that opens
//! the bill in the patient's own app.
//!
//! A tap may come twice and an answer may be lost: a check-in has the key of its registration and a document the key of
//! what it shows, so the same act gives the same ticket and the same paper; another copy is asked for and says 补打.

mod config;
mod desk;
mod hospital;
mod paper;
mod routes;
pub mod screen;
pub mod session;
mod show;
mod words;

pub use config::{Config, Wrong};
pub use desk::{Kiosk, Needs};

#[cfg(test)]
mod tests;
