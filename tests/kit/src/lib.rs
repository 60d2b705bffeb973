//! What tests need around them: a private PostgreSQL server, free ports, child processes that end with us, changed bytes. Depends on none of
//! our crates, so that any of them may use it.

pub mod children;
pub mod fuzz;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod swtpm;
