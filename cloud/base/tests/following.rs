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

/// The next message, or nothing within a moment.
async fn hears(stream: &mut axum::body::BodyDataStream) -> Option<String> {
    let next = tokio::time::timeout(Duration::from_millis(300), stream.next())
        .await
        .ok()??;
    Some(String::from_utf8(next.unwrap().to_vec()).unwrap())
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
        let heard = hears(&mut at_home).await.unwrap();
        assert_eq!(
            heard,
            format!("data: {{\"kind\":\"visit.changed\",\"id\":\"{visit}\"}}\n\n")
        );
        assert_eq!(hears(&mut stranger).await, None);

        site.ctx
            .events
            .publish(&site.tenant, Audience::Visit(visit), event.clone());
        assert!(hears(&mut on_the_page).await.is_some());
        assert_eq!(hears(&mut at_home).await, None);

        site.ctx.events.publish(&site.tenant, Audience::Admins, event.clone());
        assert!(hears(&mut office).await.is_some());

        let elsewhere = records::TenantId::parse("hos_elsewhere").unwrap();
        site.ctx
            .events
            .publish(&elsewhere, Audience::Patient(account), event.clone());
        site.ctx.events.publish(&elsewhere, Audience::Admins, event);
        assert_eq!(hears(&mut at_home).await, None);
        assert_eq!(hears(&mut office).await, None);
    });
}
