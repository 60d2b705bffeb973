//! What a page of the console says when it cannot do what was asked.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use store::StoreError;

use super::page::Page;

/// A refusal in words for the hospital's own staff.
pub(super) struct Failure {
    status: StatusCode,
    words: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { status, words }
    }

    /// The state of things does not allow it.
    pub(super) fn conflict(words: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, words)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "console");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "本机数据库暂时不可用，请稍后再试")
    }
}

impl From<FormRejection> for Failure {
    fn from(refused: FormRejection) -> Self {
        Self::new(refused.status(), "提交的内容不完整，请刷新页面后重试")
    }
}

impl From<QueryRejection> for Failure {
    fn from(refused: QueryRejection) -> Self {
        Self::new(refused.status(), "查询条件有误")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let page = Page::new("出错了").text(&self.words);
        (self.status, Html(page.finish(false))).into_response()
    }
}
