//! Events to browsers: only the kind and id of what changed; the app asks again for what it may see.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use records::TenantId;
use records::id::{AccountId, StaffId, VisitId};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::permission::Permission;
use crate::{ApiError, Ctx, Query, Session, Who};

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What, e.g. `visit.changed`.
    pub kind: String,
    /// Which.
    #[serde(rename = "id")]
    pub subject_id: String,
}

impl Event {
    /// An event.
    pub fn new(kind: &str, subject_id: impl std::fmt::Display) -> Self {
        Self {
            kind: kind.to_owned(),
            subject_id: subject_id.to_string(),
        }
    }
}

/// Whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// One account holder.
    Patient(AccountId),
    /// One member of staff.
    Staff(StaffId),
    /// Whoever has this visit open (asked for it with `?visit=`).
    Visit(VisitId),
    /// All pharmacists.
    Pharmacists,
    /// All who review medical records.
    RecordReviewers,
    /// All administrators.
    Admins,
}

#[derive(Debug, Clone)]
struct Addressed {
    tenant: TenantId,
    audience: Audience,
    event: Event,
}

/// The hub; cheap to clone. Lossy by intent: apps also ask every few seconds.
#[derive(Debug, Clone)]
pub struct Events {
    hub: broadcast::Sender<Addressed>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            hub: broadcast::Sender::new(1024),
        }
    }
}

impl Events {
    /// Tells whoever listens. Call it after the commit.
    pub fn publish(&self, tenant: &TenantId, audience: Audience, event: Event) {
        // Nobody listening is no error.
        let _ = self.hub.send(Addressed {
            tenant: tenant.clone(),
            audience,
            event,
        });
    }
}

#[derive(Debug, Deserialize)]
struct Wanted {
    /// A visit the page has open.
    visit: Option<String>,
}

fn concerns(sent: &Addressed, session: &Session, visit: Option<&VisitId>) -> bool {
    if sent.tenant != session.tenant {
        return false;
    }
    match (&sent.audience, &session.who) {
        (Audience::Patient(account), Who::Patient(own)) => account == own,
        (Audience::Staff(staff), Who::Staff(own)) => *staff == own.id,
        (Audience::Visit(id), _) => visit == Some(id),
        (Audience::Pharmacists, Who::Staff(own)) => own.may(Permission::Review),
        (Audience::RecordReviewers, Who::Staff(own)) => own.may(Permission::ReviewRecords),
        (Audience::Admins, Who::Staff(own)) => own.may(Permission::Oversee),
        _ => false,
    }
}

type Message = Result<axum::response::sse::Event, Infallible>;

/// A stream of changes that concern the person.
#[utoipa::path(get, path = "/events", tag = "events",
    params(("visit" = Option<String>, Query, description = "A visit the page has open")),
    responses((status = 200, description = "text/event-stream of `{kind, id}`", body = Event)))]
async fn follow(
    State(ctx): State<Ctx>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Message>>, ApiError> {
    let visit = wanted.visit.as_deref().and_then(VisitId::parse);
    let heard = ctx.events.hub.subscribe();
    let changes = stream::unfold((heard, session, visit), |(mut heard, session, visit)| async move {
        loop {
            match heard.recv().await {
                Ok(sent) if concerns(&sent, &session, visit.as_ref()) => {
                    let message = axum::response::sse::Event::default()
                        .json_data(&sent.event)
                        .unwrap_or_default();
                    return Some((Ok(message), (heard, session, visit)));
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    // Some were missed: the app should ask for everything it shows.
                    let message = axum::response::sse::Event::default()
                        .json_data(Event::new("all.changed", ""))
                        .unwrap_or_default();
                    return Some((Ok(message), (heard, session, visit)));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    Ok(Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(follow))
}
