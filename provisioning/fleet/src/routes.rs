//! `POST /enrol/v1/attest` and `/enrol/v1/activate`, for a listener without client certificates.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use evidence::{ActivateRequest, Activated, AttestRequest, Challenge};

use crate::{Fleet, FleetError};

/// Larger bodies are not read.
const MAX_BODY: usize = 32 * 1024;

/// The enrolment routes.
pub fn routes(fleet: Fleet) -> Router {
    Router::new()
        .route("/enrol/v1/attest", post(attest))
        .route("/enrol/v1/activate", post(activate))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(fleet)
}

type Asked<T> = Result<Json<T>, JsonRejection>;

async fn attest(State(fleet): State<Fleet>, asked: Asked<AttestRequest>) -> Result<Json<Challenge>, Refused> {
    let Json(asked) = asked.map_err(Refused::body)?;
    fleet
        .attest(&asked)
        .await
        .map(Json)
        .map_err(|error| Refused::of(&fleet, &error))
}

async fn activate(State(fleet): State<Fleet>, asked: Asked<ActivateRequest>) -> Result<Json<Activated>, Refused> {
    let Json(asked) = asked.map_err(Refused::body)?;
    let activated = fleet
        .activate(&asked)
        .await
        .map_err(|error| Refused::of(&fleet, &error))?;
    tracing::info!(edge.id = activated.edge_id, "certificate issued");
    Ok(Json(activated))
}

struct Refused {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    request_id: String,
}

impl Refused {
    fn body(rejection: JsonRejection) -> Self {
        Self {
            status: rejection.status(),
            code: "bad_request",
            message: "请求格式不正确。",
            request_id: String::new(),
        }
    }

    fn of(fleet: &Fleet, error: &FleetError) -> Self {
        let request_id = fleet.ids.next("req", fleet.store.clock().now());
        tracing::warn!(request.id = request_id, enrol.refusal = %error, "enrolment refused");
        let (status, code, message) = match error {
            FleetError::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "登记服务暂时不可用，请稍后再试。",
            ),
            FleetError::Unknown(_) | FleetError::Refusal(_) => (
                StatusCode::FORBIDDEN,
                "not_claimed",
                "设备未登记、未认领或已停用，请联系管理员。",
            ),
            FleetError::Evidence(_) | FleetError::Unanswered | FleetError::Ca(_) | FleetError::Record(_) => {
                (StatusCode::FORBIDDEN, "not_proven", "设备未能证明身份，请联系管理员。")
            }
            FleetError::Expired => (StatusCode::CONFLICT, "challenge_expired", "登记请求已过期，请重试。"),
            FleetError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many", "登记请求过多，请稍后再试。"),
        };
        Self {
            status,
            code,
            message,
            request_id,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "code": self.code,
            "message": self.message,
            "request_id": self.request_id,
        });
        (self.status, Json(body)).into_response()
    }
}
