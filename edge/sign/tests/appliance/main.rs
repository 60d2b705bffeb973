//! The signature server as a process, with a software TPM.

mod day;
mod outside;
mod site;
