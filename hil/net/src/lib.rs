//! Bench peers at the edge of the network.
