//! The bench payment channel.
