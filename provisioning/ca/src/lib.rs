//! Device certificate authority
