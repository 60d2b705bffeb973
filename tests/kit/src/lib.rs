//! What tests need around them: a private PostgreSQL server, free ports, guarded child processes, changed bytes. Depends on none of
//! our crates, so that any of them may use it.

pub mod fuzz;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod swtpm;
