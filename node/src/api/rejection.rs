//! The refusals that axum makes by itself, of paths, methods, queries and bodies, in the forms that the interface promises.
//!
//! They leave the extractors as text. Forming them in one layer holds for every route, also for one that is added later.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The longest text of a rejection that is passed on.
const TEXT_BYTES_MAX: usize = 4096;

/// Gives every refusal without a JSON body one: `{"error": …}` under `/v2`, a problem document elsewhere.
pub(crate) async fn formed(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let oip = path == "/v2" || path.starts_with("/v2/");
    let response = next.run(request).await;
    let refusal = response.status().is_client_error() || response.status().is_server_error();
    if !refusal || is_json(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let problem = problem(parts.status, &text(body).await);
    let mut response = if oip { problem.into_oip().into_response() } else { problem.into_response() };
    if let Some(methods) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, methods.clone());
    }
    response
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/"))
}

async fn text(body: Body) -> String {
    match to_bytes(body, TEXT_BYTES_MAX).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_longer) => String::new(),
    }
}

/// The reason phrases of 404 and 405 are the texts that clients of the Open Inference Protocol know.
fn problem(status: StatusCode, text: &str) -> Problem {
    let reason = status.canonical_reason().unwrap_or("Refused");
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, "not-found", reason)
            .remedy("the routes are under /v2 (Open Inference Protocol) and /mesh/v1"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(status, "method-not-allowed", reason),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "body-too-large", "the body is larger than this route takes")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(status, "not-json", "the body is JSON here")
            .remedy("send the header `content-type: application/json`"),
        _ if text.is_empty() => Problem::new(status, "request-malformed", reason),
        _ => Problem::new(status, "request-malformed", text),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Query;
    use axum::routing::get;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Wanted {
        model: String,
    }

    async fn asked(method: &str, path: &str) -> (u16, Option<String>, Value) {
        let answer = async |Query(wanted): Query<Wanted>| axum::Json(wanted.model);
        let router = Router::new()
            .route("/v2/x", get(answer))
            .route("/mesh/v1/x", get(answer))
            .layer(axum::middleware::from_fn(formed));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let allow = response.headers().get(header::ALLOW).map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, allow, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn refusals_have_the_form_of_their_interface_and_answers_are_left_alone() {
        assert_eq!(asked("GET", "/mesh/v1/x?model=m").await, (200, None, json!("m")));
        let missing = "Failed to deserialize query string: missing field `model`";
        assert_eq!(asked("GET", "/v2/x").await, (400, None, json!({ "error": missing })));
        assert_eq!(
            asked("GET", "/mesh/v1/x").await,
            (400, None, json!({ "status": 400, "type": "request-malformed", "detail": missing }))
        );
        let (status, _, body) = asked("GET", "/v2/y").await;
        assert_eq!((status, &body["error"]), (404, &json!("Not Found")));
        assert_eq!(
            asked("PUT", "/v2/x").await,
            (405, Some("GET,HEAD".to_owned()), json!({ "error": "Method Not Allowed" }))
        );
    }
}
