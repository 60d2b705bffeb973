//! The one shape in which the API refuses: `{"code","message","field"?,"request_id"}`.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use records::Outcome;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// A refusal or failure on its way to the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: Cow<'static, str>,
    /// Plain Chinese for the person.
    pub message: Cow<'static, str>,
    /// The field of the request that is wrong.
    pub field: Option<Cow<'static, str>>,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u64>,
}

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Stable word for programs.
    pub code: String,
    /// Plain Chinese for the person.
    pub message: String,
    /// The field of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// To name when asking for help.
    pub request_id: String,
}

impl ApiError {
    /// A refusal with status, code and words.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            field: None,
            retry_after: None,
        }
    }

    /// 422: a field of the request is wrong.
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
        }
    }

    /// 404: there is no such thing, or it is not this person's.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "没有找到相关内容")
    }

    /// 401: not signed in, or no longer.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "请先登录")
    }

    /// 403: signed in, but this is not theirs to do.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "您没有权限进行此操作")
    }

    /// 409: the state of the thing does not allow it.
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 429: too often.
    pub fn too_many(retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many",
                format!("操作过于频繁，请在{retry_after}秒后再试"),
            )
        }
    }

    /// 503: the hospital's appliance cannot be reached.
    pub fn hospital_offline() -> Self {
        Self {
            retry_after: Some(15),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "hospital_offline",
                "医院系统暂时无法连接，请稍后再试",
            )
        }
    }

    /// 500: our fault; `cause` goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "系统出现问题，请稍后再试",
        )
    }

    /// The answer of the outside, or why there is none. For acts whose unknown outcome the caller settles itself, look
    /// at the outcome instead.
    pub fn of<T>(outcome: Outcome<T>) -> Result<T, Self> {
        match outcome {
            Outcome::Done(answer) => Ok(answer),
            Outcome::Refused { code, text } => Err(Self::conflict(code, text)),
            Outcome::Later { .. } => Err(Self::hospital_offline()),
            Outcome::Unknown => Err(Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "hospital_silent",
                "医院系统没有及时答复，请稍后查看结果",
            )),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unique { .. } => Self::conflict("exists", "该记录已存在"),
            // All of these pass, and nothing was written (or it will be found when asked again).
            StoreError::Busy | StoreError::Full | StoreError::Closed => Self {
                retry_after: Some(1),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "系统繁忙，请稍后再试")
            },
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            code: self.code.into_owned(),
            message: self.message.into_owned(),
            field: self.field.map(Cow::into_owned),
            request_id: crate::http::request_id(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
