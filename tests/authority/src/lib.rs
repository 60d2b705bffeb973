//! Nothing here: see `tests/judged.rs`, where `gm` meets the bench authority over HTTP.
