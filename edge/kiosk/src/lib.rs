//! The self-service terminal (自助终端): check-in and queue ticket, reports, prescriptions, fees.
//!
//! The appliance decides what is on the screen; the page only draws it ([`screen::Screen`]) and says what was tapped. So
//! a page that was reloaded, or an appliance that was started again, shows what is true now, and nothing of a person is
//! ever kept in the browser. One person stands at a terminal at a time: [`session`] is what is known of them, as states;
//! it ends when they leave, and what was known is dropped. An appliance serves several terminals, each with its own
//! readers, printer and session ([`check_all`]).
//!
//! A hospital card's number alone opens only what harms nobody; for reports, prescriptions and whatever else tells of a
//! person, its bearer is asked for what the card does not carry ([`CardRules`]), a few times and no more.
//!
//! What needs only the hospital's own system works without the internet: people are found, checked in and served over
//! the bridge ([`his`]), their patient codes are judged here ([`accept_key`]), the codes on e-prescriptions are known here
//! ([`accept_prescription`]), paper goes through the spool ([`hub`]).
//! Money does not move here: a fee shows a code that opens the bill in the patient's own app, and the terminal reads in
//! the bridge's journal what became of it.
//!
//! A tap may come twice and an answer may be lost: a check-in has the key of its registration and a document the key of
//! what it shows, so the same act gives the same ticket and the same paper; another copy is asked for and says 补打.

mod answer;
mod card;
mod code;
mod config;
mod desk;
mod guests;
mod hospital;
mod money;
mod paper;
mod prescription;
mod routes;
pub mod screen;
pub mod session;
mod show;
mod tries;
mod words;

pub use card::{CardRules, Second, Tail};
pub use code::{MIGRATIONS, Refused, accept_key};
pub use config::{Config, Wrong, check_all};
pub use desk::{Kiosk, Needs};
pub use prescription::accept_prescription;

#[cfg(test)]
mod tests;
