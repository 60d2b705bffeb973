//! Signing in and out, and the first administrator.

use axum::Json;
use axum::extract::{Extension, State};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door};
use crate::Refusal;
use crate::http::Peer;
use crate::manage::account::Who;
use crate::manage::failure::{Failure, Refused};
use crate::manage::session::COOKIE;
use crate::manage::sign_in::Step;
use crate::manage::totp;

/// Who is signed in, if anyone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// The account; absent when nobody is signed in.
    who: Option<Who>,
    /// The first administrator is still to be made.
    setup_needed: bool,
    /// The connection carries a client certificate: signing in by it may be offered.
    certificate_offered: bool,
    /// Seconds without any request after which the session ends.
    idle_s: u32,
}

/// Who is signed in.
#[utoipa::path(get, path = "/manage/v1/session", tag = "session", responses((status = 200, body = SessionView)))]
pub(super) async fn current(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    signed: Option<Extension<Signed>>,
) -> Answer<SessionView> {
    Ok(Json(SessionView {
        who: signed.map(|Extension(signed)| signed.who),
        setup_needed: door.setup.needed(),
        certificate_offered: peer.certificate.is_some(),
        idle_s: door.config.idle_s,
    }))
}

/// Signing in by password and one-time code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// The account's name.
    name: String,
    /// The password.
    password: String,
    /// The code that the authenticator app shows; empty at the very first sign-in.
    #[serde(default)]
    code: String,
}

/// What follows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum SignInStep {
    /// Signed in; the cookie is set.
    SignedIn {
        /// The account.
        who: Who,
    },
    /// The very first sign-in, or one after recovery: the authenticator app is to be set up
    /// (`POST /manage/v1/session/first`).
    First {
        /// To be sent back.
        token: String,
        /// What the app reads from the QR picture.
        otpauth_uri: String,
        /// The same secret to be typed, base 32.
        secret: String,
        /// A new password must be chosen as well.
        change_password: bool,
    },
}

/// Signs in. The refusal is the same for a wrong name, password or code (`sign_in_wrong`); after five wrong tries a name
/// pauses for longer and longer (`too_many_tries`).
#[utoipa::path(post, path = "/manage/v1/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = SignInStep), (status = 401, body = Refused), (status = 429, body = Refused)))]
pub(super) async fn sign_in(
    State(door): State<Door>,
    jar: CookieJar,
    Asked(asked): Asked<SignIn>,
) -> Result<(CookieJar, Json<SignInStep>), Failure> {
    let step = door
        .stretch(move |manage| manage.engine().sign_in(&asked.name, &asked.password, &asked.code))
        .await?;
    match step {
        Step::In(who) => signed_in(&door, jar, who),
        Step::First(first) => {
            let (secret, change_password) = (totp::base32(&first.secret), first.change_password);
            let otpauth_uri = totp::uri(&first.secret, &first.who.name);
            let token = door.setup.firsts.begin(first)?;
            let step = SignInStep::First {
                token,
                otpauth_uri,
                secret,
                change_password,
            };
            Ok((jar, Json(step)))
        }
    }
}

/// Signs in by the connection's client certificate: the proof of its key stands for both factors.
#[utoipa::path(post, path = "/manage/v1/session/certificate", tag = "session",
    responses((status = 200, body = SignInStep), (status = 401, body = Refused)))]
pub(super) async fn sign_in_by_certificate(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    jar: CookieJar,
) -> Result<(CookieJar, Json<SignInStep>), Failure> {
    let fingerprint = peer.certificate.ok_or_else(|| {
        Refusal::no(
            "certificate_not_registered",
            "浏览器没有出示客户端证书，请插入证书介质后重新打开页面。",
        )
    })?;
    let who = door
        .act(move |manage| manage.engine().sign_in_by_certificate(&fingerprint))
        .await?;
    signed_in(&door, jar, who)
}

/// The end of a first sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishFirst {
    /// From the step before.
    token: String,
    /// The code that the authenticator app shows now.
    code: String,
    /// The password of one's own, where one must be chosen.
    #[serde(default)]
    new_password: Option<String>,
}

/// Finishes a first sign-in.
#[utoipa::path(post, path = "/manage/v1/session/first", tag = "session", request_body = FinishFirst,
    responses((status = 200, body = SignInStep), (status = 422, body = Refused)))]
pub(super) async fn finish_first(
    State(door): State<Door>,
    jar: CookieJar,
    Asked(asked): Asked<FinishFirst>,
) -> Result<(CookieJar, Json<SignInStep>), Failure> {
    let finish = move |manage: &crate::manage::Manage| {
        manage.finish_first(&asked.token, &asked.code, asked.new_password.as_deref())
    };
    let who = door.stretch(finish).await?;
    signed_in(&door, jar, who)
}

fn signed_in(door: &Door, jar: CookieJar, who: Who) -> Result<(CookieJar, Json<SignInStep>), Failure> {
    let cookie = Cookie::build((COOKIE, door.sessions.open(&who.id)?))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict);
    Ok((jar.add(cookie), Json(SignInStep::SignedIn { who })))
}

/// Signs out.
#[utoipa::path(delete, path = "/manage/v1/session", tag = "session", responses((status = 200, body = Done)))]
pub(super) async fn sign_out(
    State(door): State<Door>,
    signed: Signed,
    jar: CookieJar,
) -> Result<(CookieJar, Json<Done>), Failure> {
    door.sessions.close(&signed.token);
    let name = signed.who.name;
    door.act(move |manage| {
        let engine = manage.engine();
        let now = engine.clock.now();
        engine.vault.write(|unit| unit.log(now, "session.closed", &name, ""))
    })
    .await?;
    let cookie = Cookie::build(COOKIE).path("/").secure(true);
    Ok((jar.remove(cookie), Json(Done {})))
}

/// A new password of one's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    /// The present one.
    old: String,
    /// The new one.
    new: String,
}

/// Changes one's own password; one's other sessions end.
#[utoipa::path(post, path = "/manage/v1/session/password", tag = "session", request_body = ChangePassword,
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn change_password(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<ChangePassword>,
) -> Answer<Done> {
    let Signed { who, token } = signed;
    let id = who.id.clone();
    door.stretch(move |manage| manage.engine().change_password(&who, &asked.old, &asked.new))
        .await?;
    door.sessions.close_others(&id, Some(&token));
    Ok(Json(Done {}))
}

/// The first administrator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetUp {
    /// The code from the file `setup-code` in the server's state directory.
    code: String,
    /// The name to sign in with.
    name: String,
    /// The person's name.
    person: String,
    /// The password.
    password: String,
}

/// Makes the first administrator, once; they then sign in.
#[utoipa::path(post, path = "/manage/v1/setup", tag = "session", request_body = SetUp,
    responses((status = 200, body = Done), (status = 401, body = Refused)))]
pub(super) async fn set_up(State(door): State<Door>, Asked(asked): Asked<SetUp>) -> Answer<Done> {
    door.stretch(move |manage| {
        let make = || {
            manage
                .engine()
                .create_first_account(&asked.name, &asked.person, &asked.password)
        };
        manage.setup.finish(&asked.code, make)
    })
    .await?;
    Ok(Json(Done {}))
}
