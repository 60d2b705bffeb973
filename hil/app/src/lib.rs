//! The bench command
