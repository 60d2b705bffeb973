//! Builders and guards for tests
