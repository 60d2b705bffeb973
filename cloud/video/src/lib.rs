//! Video within a visit: who may call whom and when, the room server that carries and records it, and the replay.
//!
//! The application starts a [`engine::RoomServer`], adds [`Video`] as extension of the router, merges [`routes`], runs
//! [`MIGRATIONS`], registers [`VideoOfVisit`] with care, and calls [`tick`] every few seconds.

pub mod call;
pub mod engine;
pub mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use base::Ctx;
use care::consultation::{VideoBrief, VisitExtras};
use records::id::VisitId;
use store::{Migration, StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;

pub use call::{Relay, tick};
pub use engine::VideoEngine;

/// Tables of this crate.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "video/0001_calls",
    sql: include_str!("schema.sql"),
}];

/// What the handlers of this crate work with besides [`Ctx`]; an extension of the router.
#[derive(Clone)]
pub struct Video {
    /// Carries pictures and sound.
    pub engine: Arc<dyn VideoEngine>,
    /// Name of this run of the process: recordings of an earlier run were cut off.
    pub boot: Arc<str>,
    /// Relays (STUN, TURN) handed to browsers.
    pub relays: Arc<[Relay]>,
}

impl Video {
    /// With this engine and these relays.
    pub fn new(ctx: &Ctx, engine: Arc<dyn VideoEngine>, relays: Vec<Relay>) -> Self {
        Self {
            engine,
            boot: ctx.ids.next("run", ctx.now()).into(),
            relays: relays.into(),
        }
    }
}

/// The routes of this crate. They need [`Video`] as extension of the router.
pub fn routes() -> OpenApiRouter<Ctx> {
    call::routes()
}

/// What video adds to a visit.
#[derive(Clone, Copy, Debug, Default)]
pub struct VideoOfVisit;

#[async_trait]
impl VisitExtras for VideoOfVisit {
    async fn video(&self, tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<VideoBrief>, StoreError> {
        let state = call::store::latest(tx, visit)
            .await?
            .map_or(call::State::Idle, |c| c.state);
        Ok(Some(VideoBrief {
            state: state.as_str().to_owned(),
        }))
    }
}
