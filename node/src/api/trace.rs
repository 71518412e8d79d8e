//! The trace that an application's request belongs to.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::observe::{TraceContext, traced};

/// Does the work of a request as part of the trace that its `traceparent` names; every node that works for it is told.
pub(super) async fn of_the_caller(request: Request, next: Next) -> Response {
    let header = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = header.and_then(TraceContext::parse);
    traced(trace, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::observe::current_trace;

    #[tokio::test]
    async fn a_handler_works_in_the_trace_of_its_request() {
        let told = || async { current_trace().map_or_else(|| "none".to_owned(), |trace| trace.to_string()) };
        let router = Router::new().route("/", get(told)).layer(from_fn(of_the_caller));
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (header, expected) in [(Some(traceparent), traceparent), (Some("garbage"), "none"), (None, "none")] {
            let mut request = Request::builder().uri("/");
            if let Some(header) = header {
                request = request.header("traceparent", header);
            }
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), expected);
        }
    }
}
