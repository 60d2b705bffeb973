//! Refusals on the wire of the management interface.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Refusal;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// The stable name.
    pub code: String,
    /// Plain words.
    pub text: String,
}

/// A refusal with its status.
#[derive(Debug)]
pub(crate) struct Failure(StatusCode, Refused);

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &str, text: impl Into<String>) -> Self {
        let code = code.to_owned();
        Self(
            status,
            Refused {
                code,
                text: text.into(),
            },
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "签名服务器内部错误，请查看运行日志。",
        )
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "signed_out",
            "尚未登录或登录已超时，请重新登录。",
        )
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::No { code, text } => Self::new(status(code), code, text),
            Refusal::Tpm(error) => {
                let code = format!("tpm_{}", error.code());
                Self::new(StatusCode::SERVICE_UNAVAILABLE, &code, error.person())
            }
            Refusal::Storage(error) => {
                tracing::error!(%error, "the state file");
                let text = "状态文件暂时无法读写（磁盘可能已满），本次操作未生效，请处理后重试。";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage", text)
            }
            Refusal::LogUnwritten => {
                let text = "签名日志无法写入，本次操作未生效，请处理后重试。";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "log_unwritten", text)
            }
            Refusal::Damaged(what) => {
                tracing::error!(what, "damaged");
                let text = "签名服务器的存储已损坏，请联系厂家。";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "state_damaged", text)
            }
            Refusal::Crypto(gm::Refused::Device { code, text }) => Self::new(status(code), code, text),
            Refusal::Crypto(refused) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.code(), refused.person()),
        }
    }
}

fn status(code: &str) -> StatusCode {
    match code {
        "sign_in_wrong" | "certificate_not_registered" | "setup_code" => StatusCode::UNAUTHORIZED,
        "too_many_tries" => StatusCode::TOO_MANY_REQUESTS,
        "self_only" | "not_own" => StatusCode::FORBIDDEN,
        code if code.ends_with("_unknown") => StatusCode::NOT_FOUND,
        code if code.ends_with("_exists") || code.ends_with("_used") || code == "last_administrator" => {
            StatusCode::CONFLICT
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
