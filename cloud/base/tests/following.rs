//! Browsers that follow changes.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, header};
use base::{Audience, Event, Role};
use futures_util::StreamExt;
use records::id::{AccountId, VisitId};
use utoipa_axum::router::OpenApiRouter;
use ward::{Browser, Site};

async fn follow(browser: &Browser, path: &str) -> axum::body::BodyDataStream {
    let token = browser.token.clone().unwrap();
    let request = Request::builder()
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response: Response<Body> = browser.send(request).await;
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

/// The next message that says anything, if it comes in time.
async fn next(stream: &mut axum::body::BodyDataStream, patience: Duration) -> Option<String> {
    let said = async {
        loop {
            let said = String::from_utf8(stream.next().await?.unwrap().to_vec()).unwrap();
            // A line that begins with a colon only keeps the connection alive.
            if !said.starts_with(':') {
                return Some(said);
            }
        }
    };
    tokio::time::timeout(patience, said).await.ok()?
}

/// The next message.
async fn hears(stream: &mut axum::body::BodyDataStream) -> String {
    next(stream, Duration::from_secs(60)).await.unwrap()
}

/// Nothing comes within a moment.
async fn hears_nothing(stream: &mut axum::body::BodyDataStream) {
    assert_eq!(next(stream, Duration::from_millis(300)).await, None);
}

#[test]
fn a_change_is_heard_by_whom_it_concerns_and_by_nobody_else() {
    ward::on_sqlite(OpenApiRouter::new, &[], |site: Site| async move {
        let (own, other) = (site.patient("13800000001").await, site.patient("13800000002").await);
        let admin = site.staff("wang", &[Role::Admin]).await;
        let (_, me) = own.get("/auth/me").await;
        let account = AccountId::parse(me["account"]["id"].as_str().unwrap()).unwrap();
        let visit = VisitId::generate(&site.ctx.ids, site.ctx.now());
        let mut at_home = follow(&own, "/events").await;
        let mut stranger = follow(&other, "/events").await;
        let mut on_the_page = follow(&other, &format!("/events?visit={visit}")).await;
        let mut office = follow(&admin, "/events").await;

        let event = Event::new("visit.changed", &visit);
        site.ctx
            .events
            .publish(&site.tenant, Audience::Patient(account.clone()), event.clone());
        let heard = hears(&mut at_home).await;
        assert_eq!(
            heard,
            format!("data: {{\"kind\":\"visit.changed\",\"id\":\"{visit}\"}}\n\n")
        );
        hears_nothing(&mut stranger).await;

        site.ctx
            .events
            .publish(&site.tenant, Audience::Visit(visit), event.clone());
        hears(&mut on_the_page).await;
        hears_nothing(&mut at_home).await;

        site.ctx.events.publish(&site.tenant, Audience::Admins, event.clone());
        hears(&mut office).await;

        let elsewhere = records::TenantId::parse("hos_elsewhere").unwrap();
        site.ctx
            .events
            .publish(&elsewhere, Audience::Patient(account), event.clone());
        site.ctx.events.publish(&elsewhere, Audience::Admins, event);
        hears_nothing(&mut at_home).await;
        hears_nothing(&mut office).await;
    });
}
