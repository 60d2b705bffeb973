//! A time server that lies on command.
