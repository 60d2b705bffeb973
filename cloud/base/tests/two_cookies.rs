//! One browser, two people: a patient's session and a member of staff's live side by side.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base::Role;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use ward::Site;

fn on_site<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    ward::on_both(OpenApiRouter::new, &[], story);
}

/// A request of a browser that holds these cookies, from a page of ours.
async fn ask(
    site: &Site,
    method: Method,
    path: &str,
    cookies: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::COOKIE, cookies)
        .header("x-yiqiao", "1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap_or_else(|e| panic!("{e}"));
    let response = site.browser().send(request).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    (status, headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Who the server says is there.
async fn who(site: &Site, cookies: &str, headers: &[(&str, &str)]) -> String {
    let (status, _, me) = ask(site, Method::GET, "/auth/me", cookies, headers).await;
    match status {
        StatusCode::OK => me.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
        StatusCode::UNAUTHORIZED => "nobody".to_owned(),
        other => panic!("{other}: {me}"),
    }
}

const AS_PATIENT: &[(&str, &str)] = &[("x-yiqiao-as", "patient")];
const AS_STAFF: &[(&str, &str)] = &[("x-yiqiao-as", "staff")];
const IN_DOCTOR_APP: &[(&str, &str)] = &[("referer", "https://h.example/doctor/visits/con_1")];

fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::SET_COOKIE).iter();
    all.map(|v| v.to_str().unwrap_or_else(|e| panic!("{e}")).to_owned())
        .collect()
}

#[test]
fn patient_and_staff_in_one_browser_do_not_end_each_other() {
    on_site(|site| async move {
        let patient = site.patient("13800000001").await.token.unwrap();
        let admin = site.staff("wang", &[Role::Admin]).await.token.unwrap();
        let both = format!("yq_patient={patient}; yq_staff={admin}");
        assert_eq!(who(&site, &both, AS_PATIENT).await, "patient");
        assert_eq!(who(&site, &both, AS_STAFF).await, "staff");
        assert_eq!(who(&site, &both, IN_DOCTOR_APP).await, "staff");
        assert_eq!(who(&site, &both, &[]).await, "patient", "some answer without a page");
        // A route for staff takes theirs, whatever the page says.
        let settings = ask(&site, Method::GET, "/admin/settings", &both, AS_PATIENT).await.0;
        assert_eq!(settings, StatusCode::OK);
        // With the other kind's cookie alone nobody is signed in here.
        let only_patient = format!("yq_patient={patient}");
        assert_eq!(who(&site, &only_patient, AS_STAFF).await, "nobody");
        let settings = ask(&site, Method::GET, "/admin/settings", &only_patient, &[]).await.0;
        assert_eq!(settings, StatusCode::UNAUTHORIZED);
        // A cookie of one kind under the name of the other opens nothing.
        let swapped = format!("yq_staff={patient}; yq_patient={admin}");
        assert_eq!(who(&site, &swapped, AS_STAFF).await, "nobody");
        let settings = ask(
            &site,
            Method::GET,
            "/admin/settings",
            &format!("yq_staff={patient}"),
            &[],
        )
        .await;
        assert_eq!(settings.0, StatusCode::UNAUTHORIZED);
        // Signing out as one leaves the other in.
        let (status, headers, _) = ask(&site, Method::POST, "/auth/logout", &both, AS_STAFF).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let gone = set_cookies(&headers);
        assert!(gone.len() == 1 && gone[0].starts_with("yq_staff=;"), "{gone:?}");
        assert_eq!(who(&site, &both, AS_STAFF).await, "nobody");
        assert_eq!(who(&site, &both, AS_PATIENT).await, "patient");
    });
}

#[test]
fn the_cookie_of_before_is_honoured_until_its_session_ends() {
    on_site(|site| async move {
        let patient = site.patient("13800000001").await.token.unwrap();
        let newer = site.patient("13800000002").await.token.unwrap();
        let admin = site.staff("wang", &[Role::Admin]).await.token.unwrap();
        let old = format!("yq_session={admin}");
        assert_eq!(who(&site, &old, AS_STAFF).await, "staff");
        assert_eq!(who(&site, &old, AS_PATIENT).await, "nobody");
        assert_eq!(
            ask(&site, Method::GET, "/admin/settings", &old, &[]).await.0,
            StatusCode::OK
        );
        // Signing out ends one of the same kind too, which would sign the person in again; one of the other kind stays.
        let jar = format!("yq_session={admin}; yq_patient={newer}");
        let (_, headers, _) = ask(&site, Method::POST, "/auth/logout", &jar, AS_PATIENT).await;
        assert_eq!(set_cookies(&headers).len(), 1);
        assert_eq!(who(&site, &jar, AS_STAFF).await, "staff");
        let again = site.patient("13800000003").await.token.unwrap();
        let jar = format!("yq_session={patient}; yq_patient={again}");
        let (_, headers, _) = ask(&site, Method::POST, "/auth/logout", &jar, AS_PATIENT).await;
        assert_eq!(set_cookies(&headers).len(), 2);
        assert_eq!(who(&site, &jar, AS_PATIENT).await, "nobody");
        assert_eq!(who(&site, &jar, &[]).await, "nobody");
    });
}

#[test]
fn neither_cookie_acts_for_a_page_of_another_site() {
    on_site(|site| async move {
        let patient = site.patient("13800000001").await.token.unwrap();
        let doctor = site.staff("zhang", &[Role::Doctor]).await.token.unwrap();
        for (name, token) in [("yq_patient", patient), ("yq_staff", doctor)] {
            let request = Request::builder()
                .method(Method::POST)
                .uri("/auth/logout")
                .header(header::COOKIE, format!("{name}={token}"));
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(site.browser().send(request).await.status(), StatusCode::FORBIDDEN);
            assert_ne!(who(&site, &format!("{name}={token}"), &[]).await, "nobody");
        }
    });
}

#[test]
fn each_sign_in_gives_the_cookie_of_its_kind() {
    on_site(|site| async move {
        let phone = "13800000009";
        let body = serde_json::json!({ "hospital": ward::HOSPITAL, "phone": phone });
        assert!(site.browser().post("/auth/phone/code", body).await.0.is_success());
        let code = site.sms.last(phone).unwrap().params[0].clone();
        let body = serde_json::json!({ "hospital": ward::HOSPITAL, "phone": phone, "code": code });
        let request = Request::builder()
            .method(Method::POST)
            .uri("/auth/phone/login")
            .header(header::CONTENT_TYPE, "application/json");
        let response = site
            .browser()
            .send(request.body(Body::from(body.to_string())).unwrap())
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        let given = set_cookies(response.headers());
        assert!(
            given.len() == 1 && given[0].starts_with("yq_patient=") && given[0].contains("HttpOnly"),
            "{given:?}"
        );
    });
}
