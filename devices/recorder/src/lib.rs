//! Work recorders: families of drivers, index of footage, copy with hashes.
