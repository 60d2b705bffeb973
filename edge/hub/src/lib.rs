//! Runs device drivers as supervised tasks; print spool
