//! Stories of a hospital's day, told through the public APIs, and the comparison of the books afterwards.

pub mod books;
pub mod client;
pub mod faults;
pub mod journey;
