//! Shapes shared by all routes: request ids, bodies, queries and pages.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use records::Ids;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ApiError, Ctx};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request being served; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Gives each request an id, for the error body, the log and the header `x-request-id`.
pub async fn with_request_id(
    axum::extract::State(ctx): axum::extract::State<Ctx>,
    request: Request,
    next: Next,
) -> Response {
    let id = Ids::next(&ctx.ids, "req", ctx.now());
    let header = HeaderValue::from_str(&id).ok();
    let mut response = REQUEST_ID.scope(id, next.run(request)).await;
    if let Some(header) = header {
        response.headers_mut().insert("x-request-id", header);
    }
    response
}

/// A JSON body; unreadable ones are refused in the house's shape.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(refused) => {
                tracing::debug!(error = %refused.body_text(), "unreadable body");
                Err(ApiError::new(
                    refused.status(),
                    "invalid_body",
                    "提交的内容有误，请检查后重试",
                ))
            }
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A query string.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(refused) => Err(ApiError::new(refused.status(), "invalid_query", "查询条件有误")),
        }
    }
}

/// A path parameter; one that cannot be read names nothing.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| ApiError::not_found())
    }
}

/// `?page=1&size=20`.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// From 1.
    #[serde(default = "first_page")]
    pub page: u32,
    /// Up to 100.
    #[serde(default = "page_size")]
    pub size: u32,
}

const fn first_page() -> u32 {
    1
}

const fn page_size() -> u32 {
    20
}

impl Default for Page {
    fn default() -> Self {
        Self {
            page: first_page(),
            size: page_size(),
        }
    }
}

impl Page {
    /// For `LIMIT`.
    pub fn limit(self) -> u32 {
        self.size.clamp(1, 100)
    }

    /// For `OFFSET`.
    pub fn offset(self) -> u64 {
        u64::from(self.page.max(1) - 1) * u64::from(self.limit())
    }

    /// The answer for this page.
    pub fn of<T>(self, items: Vec<T>, total: u64) -> Paged<T> {
        Paged {
            items,
            total,
            page: self.page.max(1),
            size: self.limit(),
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paged<T> {
    /// This page.
    pub items: Vec<T>,
    /// Items on all pages.
    pub total: u64,
    /// From 1.
    pub page: u32,
    /// Items per page.
    pub size: u32,
}
