//! Signing in, staying signed in, and being kept out.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode, header};
use base::Role;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use ward::{HOSPITAL, PASSWORD, Site};

fn at_the_door<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    ward::on_both(OpenApiRouter::new, &[], story);
}

async fn give_code(site: &Site, phone: &str, code: &str) -> (StatusCode, Value) {
    site.browser()
        .post(
            "/auth/phone/login",
            json!({"hospital": HOSPITAL, "phone": phone, "code": code}),
        )
        .await
}

async fn give_password(site: &Site, password: &str) -> (StatusCode, Value) {
    site.browser()
        .post(
            "/auth/staff/login",
            json!({"hospital": HOSPITAL, "login": "zhang", "password": password}),
        )
        .await
}

#[test]
fn a_patient_signs_in_by_phone_and_comes_back_to_the_same_account() {
    at_the_door(|site| async move {
        let first = site.patient("13800000001").await;
        let (status, me) = first.get("/auth/me").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(me["kind"], "patient");
        assert_eq!(me["account"]["phone_masked"], "138****0001");
        assert_eq!(me["hospital"], json!({"code": "people1", "name": "市第一人民医院"}));

        site.clock.advance(Duration::from_secs(61));
        let again = site.patient("13800000001").await;
        assert_eq!(again.get("/auth/me").await.1["account"], me["account"]);
        let (_, sessions) = again.get("/auth/sessions").await;
        assert_eq!(sessions.as_array().unwrap().len(), 2);

        // Signing the other browser out takes effect there.
        let other = sessions
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["current"] == false)
            .unwrap();
        let (status, _) = again
            .delete(&format!("/auth/sessions/{}", other["id"].as_str().unwrap()))
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(first.get("/auth/me").await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(again.get("/auth/me").await.0, StatusCode::OK);
        again.post("/auth/logout", Value::Null).await;
        assert_eq!(again.get("/auth/me").await.0, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn a_phone_code_is_good_once_for_five_minutes_and_five_tries() {
    at_the_door(|site| async move {
        let phone = "13800000002";
        let ask = json!({"hospital": HOSPITAL, "phone": phone});
        let code = |site: &Site| site.sms.last(phone).unwrap().params[0].clone();
        site.browser().post("/auth/phone/code", ask.clone()).await;
        let (status, body) = site.browser().post("/auth/phone/code", ask.clone()).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::TOO_MANY_REQUESTS, Some("too_many"))
        );

        let right = code(&site);
        let wrong = if right == "000000" { "111111" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(give_code(&site, phone, wrong).await.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(
            give_code(&site, phone, &right).await.0,
            StatusCode::UNAUTHORIZED,
            "five tries void it"
        );

        site.clock.advance(Duration::from_secs(61));
        site.browser().post("/auth/phone/code", ask.clone()).await;
        site.clock.advance(Duration::from_secs(301));
        assert_eq!(
            give_code(&site, phone, &code(&site)).await.0,
            StatusCode::UNAUTHORIZED,
            "too late"
        );

        site.browser().post("/auth/phone/code", ask).await;
        let right = code(&site);
        assert_eq!(give_code(&site, phone, &right).await.0, StatusCode::OK);
        assert_eq!(
            give_code(&site, phone, &right).await.0,
            StatusCode::UNAUTHORIZED,
            "used"
        );
    });
}

#[test]
fn one_address_does_not_have_codes_sent_to_a_whole_town() {
    at_the_door(|site| async move {
        let ask = |n: u32| json!({"hospital": HOSPITAL, "phone": format!("139{n:08}")});
        for n in 0..300 {
            let (status, body) = site.browser().post("/auth/phone/code", ask(n)).await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{n}: {body}");
        }
        let (status, _) = site.browser().post("/auth/phone/code", ask(300)).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        site.clock.advance(Duration::from_secs(601));
        let (status, _) = site.browser().post("/auth/phone/code", ask(300)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    });
}

/// Rows: AP-045
#[test]
fn staff_need_both_factors_and_are_locked_out_after_five_wrong_tries() {
    at_the_door(|site| async move {
        site.hire("zhang", &[Role::Doctor]).await;
        let (status, body) = give_password(&site, "Wrong-password-1").await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("wrong_password"))
        );
        let (status, unknown) = site
            .browser()
            .post(
                "/auth/staff/login",
                json!({"hospital": HOSPITAL, "login": "nobody", "password": PASSWORD}),
            )
            .await;
        assert_eq!(
            (status, &unknown["message"]),
            (StatusCode::UNAUTHORIZED, &body["message"]),
            "nobody learns who exists"
        );

        let (_, ticket) = give_password(&site, PASSWORD).await;
        let second = |code: String| {
            let (browser, ticket) = (site.browser(), ticket["ticket"].clone());
            async move {
                browser
                    .post("/auth/staff/second-factor", json!({"ticket": ticket, "code": code}))
                    .await
            }
        };
        let right = site.totp();
        let wrong = if right == "000000" { "111111" } else { "000000" };
        assert_eq!(second(wrong.to_owned()).await.0, StatusCode::UNAUTHORIZED);
        let (status, body) = second(right.clone()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["staff"]["roles"], json!(["doctor"]));
        assert_eq!(
            second(right).await.0,
            StatusCode::UNAUTHORIZED,
            "ticket and code are used up"
        );

        for _ in 0..5 {
            assert_eq!(
                give_password(&site, "Wrong-password-1").await.0,
                StatusCode::UNAUTHORIZED
            );
        }
        let (status, body) = give_password(&site, PASSWORD).await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::LOCKED, Some("locked")));
        site.clock.advance(Duration::from_secs(15 * 60 + 1));
        assert_eq!(give_password(&site, PASSWORD).await.0, StatusCode::OK);
    });
}

#[test]
fn a_session_ends_when_idle_and_when_the_shift_is_over() {
    at_the_door(|site| async move {
        let doctor = site.staff("zhang", &[Role::Doctor]).await;
        for _ in 0..23 {
            site.clock.advance(Duration::from_secs(29 * 60));
            assert_eq!(doctor.get("/auth/me").await.0, StatusCode::OK);
        }
        site.clock.advance(Duration::from_secs(60 * 60));
        assert_eq!(
            doctor.get("/auth/me").await.0,
            StatusCode::UNAUTHORIZED,
            "twelve hours are over"
        );

        let again = site.sign_in("zhang").await;
        site.clock.advance(Duration::from_secs(30 * 60 + 1));
        assert_eq!(again.get("/auth/me").await.0, StatusCode::UNAUTHORIZED, "idle");
    });
}

#[test]
fn weak_passwords_and_people_who_would_review_themselves_are_not_taken_in() {
    at_the_door(|site| async move {
        let new = |password: &str, roles: &[Role]| base::identity::staff::NewStaff {
            login: "li".to_owned(),
            password: password.to_owned(),
            totp_secret: ward::TOTP_SECRET.to_owned(),
            name: "李".to_owned(),
            roles: roles.to_vec(),
            title: String::new(),
            department_code: String::new(),
            department_name: String::new(),
            his_code: String::new(),
        };
        for (password, roles, field) in [
            ("short-A1", &[Role::Doctor][..], "password"),
            ("alllowercase", &[Role::Doctor], "password"),
            (PASSWORD, &[], "roles"),
            (PASSWORD, &[Role::Doctor, Role::Pharmacist], "roles"),
        ] {
            let refused =
                base::identity::staff::prepare(&site.ctx.vault, &site.ctx.ids, &site.tenant, new(password, roles));
            assert_eq!(refused.unwrap_err().field.as_deref(), Some(field), "{password}");
        }
    });
}

#[test]
fn a_page_of_another_site_cannot_act_with_the_cookie() {
    at_the_door(|site| async move {
        let doctor = site.staff("zhang", &[Role::Doctor]).await;
        let token = doctor.token.clone().unwrap();
        let request = |own_page: bool| {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri("/auth/logout")
                .header(header::COOKIE, format!("other=1; yq_session={token}"));
            if own_page {
                request = request.header("x-yiqiao", "1");
            }
            request.body(axum::body::Body::empty()).unwrap()
        };
        assert_eq!(doctor.send(request(false)).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(doctor.get("/auth/me").await.0, StatusCode::OK);
        assert_eq!(doctor.send(request(true)).await.status(), StatusCode::NO_CONTENT);
        assert_eq!(doctor.get("/auth/me").await.0, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn every_role_sees_only_its_own_pages() {
    at_the_door(|site| async move {
        let (doctor, admin, auditor) = (
            site.staff("zhang", &[Role::Doctor]).await,
            site.staff("wang", &[Role::Admin]).await,
            site.staff("zhao", &[Role::Auditor]).await,
        );
        let patient = site.patient("13800000003").await;
        for (browser, settings, audit) in [
            (&doctor, 403, 403),
            (&admin, 200, 403),
            (&auditor, 403, 200),
            (&patient, 403, 403),
        ] {
            assert_eq!(browser.get("/admin/settings").await.0.as_u16(), settings);
            assert_eq!(browser.get("/admin/audit").await.0.as_u16(), audit);
        }
        let (status, body) = site.browser().get("/admin/audit").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"), "{body}");
    });
}

#[test]
fn the_administrator_opens_changes_disables_and_resets_accounts() {
    at_the_door(|site| async move {
        let admin = site.staff("wang", &[Role::Admin]).await;
        let form = json!({"login": "Liu", "password": PASSWORD, "name": "刘药师", "roles": ["pharmacist"]});
        let (status, made) = admin.post("/admin/staff", form.clone()).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        assert!(
            made["totp_uri"]
                .as_str()
                .unwrap()
                .contains(made["totp_secret"].as_str().unwrap())
        );
        let (status, body) = admin.post("/admin/staff", form).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::CONFLICT, Some("login_taken"))
        );

        let enter = |secret: Value, password: &'static str| {
            let site = site.clone();
            async move {
                let secret = base::identity::totp::secret(secret.as_str().unwrap()).unwrap();
                let code = base::identity::totp::code_at(&secret, site.ctx.now()).unwrap();
                let (status, ticket) = site
                    .browser()
                    .post(
                        "/auth/staff/login",
                        json!({"hospital": HOSPITAL, "login": "liu", "password": password}),
                    )
                    .await;
                if status != StatusCode::OK {
                    return (status, ticket);
                }
                let given = json!({"ticket": ticket["ticket"], "code": code});
                site.browser().post("/auth/staff/second-factor", given).await
            }
        };
        let (status, signed_in) = enter(made["totp_secret"].clone(), PASSWORD).await;
        assert_eq!(status, StatusCode::OK, "{signed_in}");
        let liu = site.browser().with_token(signed_in["token"].as_str().unwrap());
        let path = format!("/admin/staff/{}", made["id"].as_str().unwrap());
        assert_eq!(liu.get("/admin/staff").await.0, StatusCode::FORBIDDEN);

        let changed = json!({"name": "刘主管药师", "roles": ["pharmacist"], "title": "主管药师"});
        assert_eq!(admin.put(&path, changed).await.0, StatusCode::NO_CONTENT);
        assert_eq!(liu.get("/auth/me").await.1["staff"]["title"], "主管药师");
        let both = json!({"name": "刘", "roles": ["pharmacist", "doctor"]});
        assert_eq!(admin.put(&path, both).await.1["field"], "roles");

        assert_eq!(
            admin.post(&format!("{path}/disable"), Value::Null).await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(liu.get("/auth/me").await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(enter(made["totp_secret"].clone(), PASSWORD).await.1["code"], "disabled");
        assert_eq!(
            admin.post(&format!("{path}/enable"), Value::Null).await.0,
            StatusCode::NO_CONTENT
        );

        let (status, fresh) = admin
            .post(&format!("{path}/reset"), json!({"password": "Another-horse-7"}))
            .await;
        assert_eq!(status, StatusCode::OK, "{fresh}");
        assert_eq!(
            enter(made["totp_secret"].clone(), PASSWORD).await.0,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            enter(fresh["totp_secret"].clone(), "Another-horse-7").await.0,
            StatusCode::OK
        );
        let (_, all) = admin.get("/admin/staff").await;
        let logins: Vec<_> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["login"].as_str().unwrap())
            .collect();
        assert_eq!(logins, ["liu", "wang"]);
        assert!(!all.to_string().contains("argon2"));

        let own = all.as_array().unwrap().iter().find(|s| s["login"] == "wang").unwrap()["id"].clone();
        let (status, _) = admin
            .post(&format!("/admin/staff/{}/disable", own.as_str().unwrap()), Value::Null)
            .await;
        assert_eq!(status, StatusCode::CONFLICT, "nobody locks themselves out");
    });
}
