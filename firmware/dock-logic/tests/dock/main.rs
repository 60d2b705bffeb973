//! The dock's logic under simulated time and on a simulated flash whose power is cut at every step.

mod bays;
mod flash;
mod session;
mod settings;
mod slots;
