//! Whoever sends without end fills nothing: refusals in number, counters that are over, uploads.

use std::time::Duration;

use axum::http::StatusCode;
use base::{Role, flood};
use serde_json::json;
use store::StoreError;
use utoipa_axum::router::OpenApiRouter;
use ward::Site;

fn on_site<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    ward::on_both(OpenApiRouter::new, &[], story);
}

/// How many of these were to be written down in full.
async fn sent(site: &Site, source: &'static str, times: usize) -> usize {
    let mut full = 0;
    for _ in 0..times {
        let kept: bool = site
            .ctx
            .store
            .write(&site.scope(), move |tx| {
                Box::pin(async move { flood::count(tx, "payment.notice_refused", source).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        full += usize::from(kept);
    }
    full
}

async fn rows(site: &Site, sql: &'static str) -> i64 {
    let (count,): (i64,) = site.look(sql).await;
    count
}

const COUNTERS: &str = "SELECT COUNT(*) FROM base_flood";
const SUMS: &str = "SELECT COUNT(*) FROM base_audit WHERE action = 'payment.notice_refused.flood'";

#[test]
fn of_a_flood_the_first_are_kept_and_the_rest_are_one_number() {
    on_site(|site| async move {
        assert_eq!(sent(&site, "10.0.0.1", 40).await, 5);
        assert_eq!(sent(&site, "10.0.0.2", 2).await, 2, "another source is heard");
        base::tick(&site.ctx).await;
        assert_eq!(rows(&site, SUMS).await, 0, "the minute is not over");
        site.clock.advance(Duration::from_secs(60));
        assert_eq!(sent(&site, "10.0.0.1", 1).await, 1, "a new minute");
        base::tick(&site.ctx).await;
        base::tick(&site.ctx).await;
        assert_eq!(rows(&site, SUMS).await, 1);
        let (detail,): (String,) = site
            .look("SELECT detail FROM base_audit WHERE action = 'payment.notice_refused.flood'")
            .await;
        let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
        assert_eq!(
            (&detail["times"], &detail["sources"]),
            (&json!(42), &json!({ "10.0.0.1": 40 }))
        );
        assert_eq!(rows(&site, COUNTERS).await, 2, "only the minute that goes on");
        site.clock.advance(Duration::from_secs(120));
        base::tick(&site.ctx).await;
        assert_eq!(
            (rows(&site, COUNTERS).await, rows(&site, SUMS).await),
            (0, 1),
            "a quiet minute is no flood"
        );
    });
}

/// Addresses can be made up.
#[test]
fn many_sources_together_are_one_flood_too() {
    const SOURCES: [&str; 20] = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
    ];
    on_site(|site| async move {
        let mut full = 0;
        for source in SOURCES {
            full += sent(&site, source, 4).await;
        }
        assert_eq!(full, 50);
        assert!(
            rows(&site, COUNTERS).await <= 14,
            "a source beyond the limit has no row of its own"
        );
    });
}

#[test]
fn counters_of_made_up_login_names_are_forgotten_after_a_day() {
    on_site(|site| async move {
        let body = |login: &str| json!({ "hospital": ward::HOSPITAL, "login": login, "password": "wrong-password" });
        for login in ["nobody-1", "nobody-2", "nobody-3"] {
            let (status, body) = site.browser().post("/auth/staff/login", body(login)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
        }
        const ROWS: &str = "SELECT COUNT(*) FROM base_throttle WHERE name LIKE 'login:nobody-%'";
        site.clock.advance(Duration::from_secs(3600));
        base::tick(&site.ctx).await;
        assert_eq!(rows(&site, ROWS).await, 3);
        site.clock.advance(Duration::from_secs(86_400));
        base::tick(&site.ctx).await;
        assert_eq!(rows(&site, ROWS).await, 0);
    });
}

const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 0xff, 0xd9];

#[test]
fn an_account_uploads_so_much_a_day_and_hears_plainly_that_it_is_enough() {
    on_site(|site| async move {
        let (patient, other) = (site.patient("13800000001").await, site.patient("13800000002").await);
        for _ in 0..100 {
            assert_eq!(patient.upload("chat_image", JPEG).await.0, StatusCode::OK);
        }
        let (status, body) = patient.upload("chat_image", JPEG).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::TOO_MANY_REQUESTS, Some("upload_quota"))
        );
        assert!(body["message"].as_str().unwrap().contains("明天"), "{body}");
        assert_eq!(
            rows(&site, "SELECT COUNT(*) FROM base_blob").await,
            100,
            "nothing was kept of it"
        );
        assert_eq!(
            other.upload("chat_image", JPEG).await.0,
            StatusCode::OK,
            "another account has its own"
        );
        // Size counts as well as number.
        site.tamper("UPDATE base_blob SET size = 3000000").await;
        site.clock.advance(Duration::from_secs(86_400));
        let patient = site.patient("13800000001").await;
        assert_eq!(patient.upload("chat_image", JPEG).await.0, StatusCode::OK, "a new day");
        site.tamper("UPDATE base_blob SET size = 209715200 WHERE size < 100")
            .await;
        assert_eq!(
            patient.upload("chat_image", JPEG).await.0,
            StatusCode::TOO_MANY_REQUESTS
        );
        site.hire("zhang", &[Role::Doctor]).await;
        assert_eq!(
            site.sign_in("zhang").await.upload("chat_image", JPEG).await.0,
            StatusCode::OK
        );
    });
}
