//! Tenancy, identity, permission, audit, clock, errors
