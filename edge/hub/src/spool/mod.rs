//! The print spool: what waits for paper, and what became of it.
//!
//! ```text
//! waiting ──begin──▶ printing ──▶ printed │ unknown │ waiting (nothing left for the printer)
//!    └─cancel─▶ failed              unknown ──▶ printed (by hand) │ waiting (reprint, marked)
//! ```

mod rows;
mod state;

pub use rows::Job;
pub(crate) use rows::{MIGRATIONS, accept, begin, by_key, counts, explain, latest, next, recover, step};
pub use state::{Refusal, State, Step};
