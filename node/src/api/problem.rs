//! Refusals as applications read them: RFC 9457 problem documents under `/mesh` and `/admin`, `{"error": …}` under `/v2`, where the
//! Open Inference Protocol's clients look for it.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::observe::chain;

/// A refusal with its status, what is wrong in words, and what to do about it.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// HTTP status code.
    #[serde(serialize_with = "status_number")]
    pub status: StatusCode,
    /// A stable code for programs, such as `session-precondition-failed`.
    #[serde(rename = "type")]
    pub code: &'static str,
    /// What is wrong with this request.
    pub detail: String,
    /// The next thing to try, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Problem {
    /// A refusal without a remedy.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), remedy: None }
    }

    /// The same with the next thing to try.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The request itself is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Nothing of that name is known here.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// A refusal whose reason is an error that reads after "failed to", told with its causes.
    pub fn because(status: StatusCode, code: &'static str, error: &dyn std::error::Error) -> Self {
        Self::new(status, code, format!("cannot {}", chain(error)))
    }

    /// It may work later.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// The same refusal in the form of the Open Inference Protocol.
    pub fn into_oip(self) -> OipProblem {
        OipProblem(self)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// A [`Problem`] whose body is `{"error": …}`, beside which our clients find the `remedy`.
#[derive(Debug)]
pub struct OipProblem(Problem);

impl From<Problem> for OipProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for OipProblem {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.0.detail });
        if let Some(remedy) = self.0.remedy {
            body["remedy"] = remedy.into();
        }
        (self.0.status, Json(body)).into_response()
    }
}

fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn an_error_becomes_a_sentence_with_its_causes() {
        let error = anyhow::anyhow!("the disk is full").context("write the log");
        let problem = Problem::because(StatusCode::SERVICE_UNAVAILABLE, "storage", error.as_ref());
        assert_eq!(problem.detail, "cannot write the log: the disk is full");
    }

    #[tokio::test]
    async fn both_forms_carry_the_detail_and_the_remedy() {
        let problem = || Problem::not_found("model-unknown", "no such model").remedy("push it");
        let response = problem().into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            json!({ "status": 404, "type": "model-unknown", "detail": "no such model", "remedy": "push it" })
        );
        let body = to_bytes(problem().into_oip().into_response().into_body(), 1_000).await.unwrap();
        assert_eq!(&body[..], br#"{"error":"no such model","remedy":"push it"}"#);
    }
}
