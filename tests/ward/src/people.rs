//! People of the hospital, signed in through the front door.

use std::time::Duration;

use axum::http::StatusCode;
use base::Role;
use base::identity::staff::{NewStaff, prepare, put};
use base::identity::totp;
use records::Clock;
use records::id::StaffId;
use serde_json::json;
use store::StoreError;

use crate::{Browser, HOSPITAL, Site};

/// Everybody's password.
pub const PASSWORD: &str = "Correct-horse-9";
/// Everybody's second factor.
pub const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// Everybody's department (code, name).
pub const DEPARTMENT: (&str, &str) = ("0101", "心血管内科");

impl Site {
    /// Signs a patient in by the code sent to their phone.
    pub async fn patient(&self, phone: &str) -> Browser {
        let browser = self.browser();
        let (status, body) = browser
            .post("/auth/phone/code", json!({"hospital": HOSPITAL, "phone": phone}))
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let code = self.sms.last(phone).expect("a message came").params[0].clone();
        let (status, body) = browser
            .post(
                "/auth/phone/login",
                json!({"hospital": HOSPITAL, "phone": phone, "code": code}),
            )
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        browser.with_token(body["token"].as_str().expect("a token"))
    }

    /// Takes a member of staff in. Their HIS code is `H-{login}`.
    pub async fn hire(&self, login: &str, roles: &[Role]) -> StaffId {
        let new = NewStaff {
            login: login.to_owned(),
            password: PASSWORD.to_owned(),
            totp_secret: TOTP_SECRET.to_owned(),
            name: format!("员工{login}"),
            roles: roles.to_vec(),
            title: "主任医师".to_owned(),
            department_code: DEPARTMENT.0.to_owned(),
            department_name: DEPARTMENT.1.to_owned(),
            his_code: format!("H-{login}"),
        };
        let prepared = prepare(&self.ctx.vault, &self.ctx.ids, &self.tenant, new).expect("a sound member of staff");
        let fresh = StaffId::generate(&self.ctx.ids, self.clock.now());
        self.ctx
            .store
            .write(&self.scope(), move |tx| {
                let (fresh, prepared) = (fresh.clone(), prepared.clone());
                Box::pin(async move { put(tx, &fresh, &prepared).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"))
    }

    /// The code the authenticator shows now.
    pub fn totp(&self) -> String {
        let secret = totp::secret(TOTP_SECRET).expect("base 32");
        totp::code_at(&secret, self.clock.now()).expect("a code")
    }

    /// Signs a member of staff in with password and second factor. The clock moves half a minute on, so that the next
    /// sign-in has a fresh code.
    pub async fn sign_in(&self, login: &str) -> Browser {
        let browser = self.browser();
        let (status, body) = browser
            .post(
                "/auth/staff/login",
                json!({"hospital": HOSPITAL, "login": login, "password": PASSWORD}),
            )
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body) = browser
            .post(
                "/auth/staff/second-factor",
                json!({"ticket": body["ticket"], "code": self.totp()}),
            )
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        self.clock.advance(Duration::from_secs(30));
        browser.with_token(body["token"].as_str().expect("a token"))
    }

    /// Takes in and signs in.
    pub async fn staff(&self, login: &str, roles: &[Role]) -> Browser {
        self.hire(login, roles).await;
        self.sign_in(login).await
    }
}
