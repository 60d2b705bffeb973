//! Who sends a request. An opaque token (`hospital.secret`) whose hash is in the database; it ends when idle, when old,
//! when signed out, or when the member of staff is disabled.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use records::id::{AccountId, StaffId};
use records::{Actor, TenantId, Timestamp};
use sm3::{Digest, Sm3};
use store::{Scope, StoreError, Tx};

use crate::cookies::{Carried, Kind, carried, meant};
use crate::permission::{Gate, Permission, Reach, Role};
use crate::{ApiError, Ctx};

/// How long a session lasts: idle, and in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) idle: Duration,
    pub(crate) whole: Duration,
}

pub(crate) const PATIENT: Patience = Patience {
    idle: Duration::from_secs(7 * 24 * 3600),
    whole: Duration::from_secs(30 * 24 * 3600),
};
pub(crate) const STAFF: Patience = Patience {
    idle: Duration::from_secs(30 * 60),
    whole: Duration::from_secs(12 * 3600),
};

/// `seen_at` is written at most this often.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// A session found is believed this long without asking the database: what another replica ended, ends here by then.
const BELIEVED: Duration = Duration::from_secs(5);
const REMEMBERED: usize = 10_000;

/// Sessions looked up a moment ago, by the hash of their token.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<String, (Session, Timestamp)>>);

impl Recent {
    fn get(&self, hash: &str, now: Timestamp) -> Option<Session> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (session, at) = known.get(hash)?;
        let fresh = *at <= now && now.since(*at) < BELIEVED;
        fresh.then(|| session.clone())
    }

    fn put(&self, hash: String, session: Session, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(hash, (session, now));
    }

    /// Something about sessions or staff changed here: asks the database again.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A member of staff, as far as requests need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Id.
    pub id: StaffId,
    /// Name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Title, e.g. 主任医师.
    pub title: String,
    /// Department code of the HIS.
    pub department_code: String,
    /// Department name.
    pub department_name: String,
    /// Code of this person in the HIS.
    pub his_code: String,
}

impl Member {
    /// How far a permission reaches: the farthest of the roles.
    pub fn reach(&self, permission: Permission) -> Reach {
        self.roles
            .iter()
            .map(|role| role.reach(permission))
            .max()
            .unwrap_or(Reach::Nothing)
    }

    /// Whether a permission is held at all.
    pub fn may(&self, permission: Permission) -> bool {
        self.reach(permission) > Reach::Nothing
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An account holder.
    Patient(AccountId),
    /// A member of staff.
    Staff(Box<Member>),
}

/// A signed-in request. Use it where both patients and staff may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id (not the token).
    pub id: String,
    /// The hospital.
    pub tenant: TenantId,
    /// Who.
    pub who: Who,
}

impl Session {
    /// Patient or staff.
    pub const fn kind(&self) -> Kind {
        match self.who {
            Who::Patient(_) => Kind::Patient,
            Who::Staff(_) => Kind::Staff,
        }
    }

    /// As the actor of histories.
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Patient(account) => Actor::Patient(account.clone()),
            Who::Staff(member) => Actor::Staff(member.id.clone()),
        }
    }

    /// The scope of this person's units of work.
    pub fn scope(&self) -> Scope {
        Scope::new(self.tenant.clone(), self.actor())
    }

    /// The id of the person.
    pub fn subject(&self) -> &str {
        match &self.who {
            Who::Patient(account) => account.as_str(),
            Who::Staff(member) => member.id.as_str(),
        }
    }
}

/// A signed-in account holder.
#[derive(Debug, Clone)]
pub struct Patient {
    /// The hospital.
    pub tenant: TenantId,
    /// The account.
    pub account: AccountId,
}

impl Patient {
    /// The scope of this person's units of work.
    pub fn scope(&self) -> Scope {
        Scope::new(self.tenant.clone(), Actor::Patient(self.account.clone()))
    }
}

/// A signed-in member of staff who holds the permission `G` needs: `Staff<permission::Treats>`.
#[derive(Debug, Clone)]
pub struct Staff<G = crate::permission::Anyone> {
    /// The hospital.
    pub tenant: TenantId,
    /// Who.
    pub member: Member,
    gate: PhantomData<fn() -> G>,
}

impl<G> Staff<G> {
    /// The scope of this person's units of work.
    pub fn scope(&self) -> Scope {
        Scope::new(self.tenant.clone(), Actor::Staff(self.member.id.clone()))
    }
}

impl<G> Deref for Staff<G> {
    type Target = Member;
    fn deref(&self) -> &Member {
        &self.member
    }
}

/// The hash under which a token's secret is kept.
pub(crate) fn hash_of(secret: &str) -> String {
    hex::encode(Sm3::digest(secret.as_bytes()))
}

/// Splits `hospital.secret`.
pub(crate) fn split_token(token: &str) -> Option<(TenantId, &str)> {
    let (tenant, secret) = token.split_once('.')?;
    Some((TenantId::parse(tenant)?, secret))
}

/// A page of another site can make the browser send the cookie, but not this header.
fn refuse_foreign_pages(parts: &Parts) -> Result<(), ApiError> {
    let harmless = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if harmless || parts.headers.get("x-yiqiao").is_some_and(|v| v == "1") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "请求来源不受信任，请刷新页面后重试",
    ))
}

type SessionRow = (String, String, String, Timestamp, Timestamp);
type MemberRow = (String, String, String, String, String, String, Option<Timestamp>);

struct Found {
    session: Session,
    seen_at: Timestamp,
}

async fn find(tx: &mut Tx<'_>, hash: &str) -> Result<Option<Found>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let row: Option<SessionRow> = tx
        .opt(
            "SELECT id, kind, subject_id, seen_at, expires_at FROM base_session
             WHERE tenant_id = $1 AND hash = $2 AND ended_at IS NULL",
            &[&tenant, &hash],
        )
        .await?;
    let Some((id, kind, subject, seen_at, expires_at)) = row else {
        return Ok(None);
    };
    let idle = if kind == "staff" { STAFF.idle } else { PATIENT.idle };
    if now >= expires_at || now.since(seen_at) >= idle {
        return Ok(None);
    }
    let who = if kind == "staff" {
        member(tx, &subject).await?.map(|m| Who::Staff(Box::new(m)))
    } else {
        AccountId::parse(&subject).map(Who::Patient)
    };
    Ok(who.map(|who| Found {
        session: Session { id, tenant, who },
        seen_at,
    }))
}

/// A member of staff who is not disabled.
pub(crate) async fn member(tx: &mut Tx<'_>, id: &str) -> Result<Option<Member>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<MemberRow> = tx
        .opt(
            "SELECT name, roles, title, department_code, department_name, his_code, disabled_at FROM base_staff
             WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &id],
        )
        .await?;
    let (Some((name, roles, title, department_code, department_name, his_code, None)), Some(id)) =
        (row, StaffId::parse(id))
    else {
        return Ok(None);
    };
    Ok(Some(Member {
        id,
        name,
        roles: roles.split(',').filter_map(Role::parse).collect(),
        title,
        department_code,
        department_name,
        his_code,
    }))
}

/// The session of a token, if it is a living one.
pub async fn of_token(ctx: &Ctx, token: &str) -> Result<Session, ApiError> {
    let (tenant, secret) = split_token(token).ok_or_else(ApiError::unauthenticated)?;
    let (scope, hash) = (Scope::system(tenant), hash_of(secret));
    if let Some(session) = ctx.sessions.get(&hash, ctx.now()).filter(|s| s.tenant == scope.tenant) {
        return Ok(session);
    }
    let wanted = hash.clone();
    let found = ctx
        .store
        .read(&scope, move |tx| {
            let hash = wanted.clone();
            Box::pin(async move { find(tx, &hash).await })
        })
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    ctx.sessions.put(hash.clone(), found.session.clone(), ctx.now());
    if ctx.now().since(found.seen_at) >= SEEN_EVERY {
        let seen = ctx
            .store
            .write_relieving(&scope, move |tx| {
                let hash = hash.clone();
                Box::pin(async move {
                    let (tenant, now) = (tx.tenant().clone(), tx.now());
                    tx.exec(
                        "UPDATE base_session SET seen_at = $3 WHERE tenant_id = $1 AND hash = $2",
                        &[&tenant, &hash, &now],
                    )
                    .await
                })
            })
            .await;
        if let Err(error) = seen {
            tracing::warn!(%error, "session activity not written");
        }
    }
    Ok(found.session)
}

/// The session of a request: of this kind, or of either. One that came by the header may be of another kind; whoever
/// needs a kind looks.
async fn of_request(parts: &mut Parts, ctx: &Ctx, kind: Option<Kind>) -> Result<Session, ApiError> {
    let fits = |session: &Session| kind.is_none_or(|kind| kind == session.kind());
    let carried = carried(&parts.headers, kind);
    if let Some(known) = parts.extensions.get::<Session>()
        && (fits(known) || !matches!(&carried, Carried::Cookies(tokens) if !tokens.is_empty()))
    {
        return Ok(known.clone());
    }
    let session = match carried {
        Carried::Bearer(token) => of_token(ctx, &token).await?,
        Carried::Cookies(tokens) => {
            let mut found = None;
            for token in tokens {
                refuse_foreign_pages(parts)?;
                match of_token(ctx, &token).await {
                    Ok(session) if fits(&session) => {
                        found = Some(session);
                        break;
                    }
                    Ok(_) => {}
                    Err(ended) if ended.status == StatusCode::UNAUTHORIZED => {}
                    Err(error) => return Err(error),
                }
            }
            found.ok_or_else(ApiError::unauthenticated)?
        }
    };
    parts.extensions.insert(session.clone());
    Ok(session)
}

impl<S> FromRequestParts<S> for Session
where
    Ctx: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let kind = meant(parts);
        of_request(parts, &Ctx::from_ref(state), kind).await
    }
}

impl<S> FromRequestParts<S> for Patient
where
    Ctx: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let session = of_request(parts, &Ctx::from_ref(state), Some(Kind::Patient)).await?;
        match session.who {
            Who::Patient(account) => Ok(Self {
                tenant: session.tenant,
                account,
            }),
            Who::Staff(_) => Err(ApiError::forbidden()),
        }
    }
}

impl<S, G: Gate> FromRequestParts<S> for Staff<G>
where
    Ctx: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let session = of_request(parts, &Ctx::from_ref(state), Some(Kind::Staff)).await?;
        match session.who {
            Who::Staff(member) if G::NEEDS.is_none_or(|needs| member.may(needs)) => Ok(Self {
                tenant: session.tenant,
                member: *member,
                gate: PhantomData,
            }),
            _ => Err(ApiError::forbidden()),
        }
    }
}
