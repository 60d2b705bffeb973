//! The hospital driven from outside, over its sockets.

mod hl7;
mod hospital;
mod soap;
