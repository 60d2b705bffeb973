//! Network time: NTP and NTS against configured sources, offsets, and whether the clock may be believed.
