//! filled in shortly
