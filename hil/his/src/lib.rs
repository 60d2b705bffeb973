//! The bench hospital.
