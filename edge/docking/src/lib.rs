//! Recorder docking: footage is copied, sealed, uploaded and only then cleared.
