//! `/mesh/v1/sessions`: sessions with entity tags and causal tokens.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hedgerow_crdt::etag::{CausalToken, Etag};
use hedgerow_crdt::ops::{Scalar, SessionOp};
use hedgerow_protocol::name::{ClassName, Namespace};
use hedgerow_protocol::placement::{PlacementError, REPLICAS_MAX, class_rule};
use hedgerow_protocol::session_id::{GROUP_PREFIXES, SessionId};
use hedgerow_protocol::view::MeshView;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::problem::Problem;
use crate::api::state::ApiState;
use crate::observe::chain;
use crate::session::{ReadRequest, Refused, SessionAnswer, SessionError, WriteRequest};

/// The header in which a client shows what it has seen.
const TOKEN: HeaderName = HeaderName::from_static("hedgerow-token");
/// Where a request names no timeout.
const TIMEOUT_MS: u64 = 2_000;
/// The longest that a request may ask for.
const TIMEOUT_MS_MAX: u64 = 60_000;

/// Body of `POST /mesh/v1/sessions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameBody {
    class: String,
    namespace: String,
    key: String,
}

/// Query of reads and writes.
#[derive(Debug, Deserialize)]
pub(super) struct SessionQuery {
    quorum: Option<u8>,
    timeout_ms: Option<u64>,
}

/// Body of `PATCH`: paths have their parts separated by slashes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PatchBody {
    set: Map<String, Value>,
    delete: Vec<String>,
    increment: Map<String, Value>,
}

/// Makes an application's own key into a session's id; nothing is stored until the first write.
pub(super) async fn name(State(state): State<ApiState>, body: Bytes) -> Result<Json<Value>, Problem> {
    let body: NameBody = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request("request-malformed", format!("the body is no session's name: {error}"))
    })?;
    let malformed =
        |what: &str, error: &dyn std::error::Error| Problem::bad_request("name-malformed", format!("{what}: {error}"));
    let class = ClassName::new(&body.class).map_err(|error| malformed("class", &error))?;
    let namespace = Namespace::new(&body.namespace).map_err(|error| malformed("namespace", &error))?;
    let session = state.sessions.named(class, namespace, &body.key).map_err(|error| failed(&error))?;
    Ok(Json(json!({ "id": session.to_string() })))
}

pub(super) async fn read(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(query): Query<SessionQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = parse_id(&id)?;
    let min = text_header(&headers, &TOKEN)?.map(|text| text.parse::<CausalToken>()).transpose().map_err(|_error| {
        Problem::bad_request("token-malformed", format!("{TOKEN} is no causal token of this mesh"))
            .remedy("give the token of an earlier answer, or none")
    })?;
    let answer = state.sessions.read(&session, ReadRequest { min, timeout: timeout(&query) }).await;
    respond(answer.map_err(|error| failed(&error))?)
}

pub(super) async fn write(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(query): Query<SessionQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let session = parse_id(&id)?;
    let if_match = text_header(&headers, &header::IF_MATCH)?
        .map(|text| text.trim().trim_matches('"').parse::<Etag>())
        .transpose()
        .map_err(|_error| {
            Problem::bad_request("etag-malformed", "If-Match is no entity tag of this mesh")
                .remedy("read the session and write with the ETag of the answer")
        })?;
    require_quorum(&state.core.view(), &session, query.quorum)?;
    let body: PatchBody = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request("request-malformed", format!("the body is no write: {error}")))?;
    let request = WriteRequest { ops: operations(body)?, if_match, quorum: query.quorum, timeout: timeout(&query) };
    respond(state.sessions.write(&session, request).await.map_err(|error| failed(&error))?)
}

/// A write that no set of replicas could satisfy is refused before it is made; 202 is for those that may still get there.
fn require_quorum(view: &MeshView, session: &SessionId, quorum: Option<u8>) -> Result<(), Problem> {
    let class = &session.class;
    let most = class_rule(view, &session.group(GROUP_PREFIXES)).map_or(REPLICAS_MAX, |rule| rule.replicas);
    match quorum {
        Some(quorum) if !(1..=most).contains(&quorum) => {
            let detail = format!("a quorum of {quorum} cannot be met: sessions of class {class} have {most} replicas");
            Err(Problem::bad_request("quorum-out-of-bounds", detail).remedy(format!("ask for 1 to {most}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Deletions first, then values, then increments: so `{"delete": ["a"], "set": {"a/b": 1}}` replaces a subtree.
fn operations(body: PatchBody) -> Result<Vec<SessionOp>, Problem> {
    let mut ops: Vec<_> = body.delete.iter().map(|path| SessionOp::Delete { path: parts(path) }).collect();
    for (path, value) in body.set {
        put(parts(&path), &value, &mut ops)?;
    }
    for (path, by) in body.increment {
        let by = by.as_i64().ok_or_else(|| {
            Problem::bad_request(
                "value-malformed",
                format!("the increment of `{path}` is not a whole number of 64 bits"),
            )
        })?;
        ops.push(SessionOp::Increment { path: parts(&path), by });
    }
    Ok(ops)
}

/// An object sets every value in it at its own path; what cannot be stored is named with its path.
fn put(path: Vec<String>, value: &Value, ops: &mut Vec<SessionOp>) -> Result<(), Problem> {
    if let Some(value) = Scalar::from_json(value) {
        ops.push(SessionOp::Put { path, value });
        return Ok(());
    }
    match value {
        Value::Object(members) if path.len() < DEPTH_MAX => members.iter().try_for_each(|(key, value)| {
            let mut below = path.clone();
            below.push(key.clone());
            put(below, value, ops)
        }),
        _ => Err(Problem::bad_request("value-malformed", format!("`{}` cannot hold {value}", path.join("/")))
            .remedy("values are null, true, false, numbers of 64 bits, text, or objects of these; lists are not kept")),
    }
}

/// As deep as an object in a write is followed; the bound on stored paths is the replica's.
const DEPTH_MAX: usize = 16;

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn timeout(query: &SessionQuery) -> Duration {
    Duration::from_millis(query.timeout_ms.unwrap_or(TIMEOUT_MS).min(TIMEOUT_MS_MAX))
}

fn parse_id(id: &str) -> Result<SessionId, Problem> {
    id.parse().map_err(|error: hedgerow_protocol::session_id::SessionIdError| {
        Problem::bad_request("session-malformed", format!("not a session's id: {error}"))
            .remedy("make one of your own key with POST /mesh/v1/sessions")
    })
}

fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let malformed =
        |_error| Problem::bad_request("header-malformed", format!("the header {name} is not visible ASCII"));
    headers.get(name).map(|value| value.to_str().map_err(malformed)).transpose()
}

fn respond(answer: SessionAnswer) -> Result<Response, Problem> {
    Ok(match answer {
        SessionAnswer::Written { etag, token, acked, wanted } => {
            // Durable here and on its way: not yet what was asked for, and not undone.
            let status = if acked >= wanted { StatusCode::OK } else { StatusCode::ACCEPTED };
            let body = json!({ "etag": etag, "token": token, "acked": acked, "wanted": wanted });
            tagged(status, &etag, &token, &body)
        }
        SessionAnswer::Found { etag, token, body, stale } => {
            let mut answer = stored(&body)?;
            answer["etag"] = Value::String(etag.clone());
            answer["token"] = Value::String(token.clone());
            answer["stale"] = Value::Bool(stale);
            tagged(StatusCode::OK, &etag, &token, &answer)
        }
        SessionAnswer::PreconditionFailed { etag, token, body } => {
            let mut answer = stored(&body)?;
            answer["etag"] = Value::String(etag.clone());
            answer["token"] = Value::String(token.clone());
            answer["type"] = Value::String("session-precondition-failed".to_owned());
            answer["detail"] = Value::String("the session is in another state than If-Match says".to_owned());
            answer["remedy"] = Value::String("merge with the current value and write with its etag".to_owned());
            tagged(StatusCode::PRECONDITION_FAILED, &etag, &token, &answer)
        }
        SessionAnswer::NotFound { stale: false } => {
            return Err(Problem::not_found("session-unknown", "nobody has written to this session"));
        }
        SessionAnswer::NotFound { stale: true } => {
            return Err(Problem::not_found(
                "session-unknown",
                "nobody has written to this session, as far as the reachable replicas know",
            )
            .remedy("other replicas cannot be reached; try again later"));
        }
        SessionAnswer::Behind { missing } => {
            return Err(Problem::unavailable(
                "session-behind",
                format!("the replica lacks {missing} change(s) of the token"),
            )
            .remedy("try again with a longer timeout_ms"));
        }
        SessionAnswer::Refused { why, detail } => return Err(refusal(why, detail)),
    })
}

fn refusal(why: Refused, detail: String) -> Problem {
    match why {
        Refused::Request => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "session-refused", format!("cannot {detail}"))
        }
        Refused::Elsewhere | Refused::Later => Problem::unavailable("session-later", detail).remedy("try again"),
        Refused::Broken => {
            Problem::unavailable("session-storage", detail).remedy("read through another node before repeating a write")
        }
    }
}

fn failed(error: &SessionError) -> Problem {
    let detail = format!("cannot {}", chain(error));
    match error {
        SessionError::NoCell | SessionError::Unreachable { .. } => Problem::unavailable("session-unreachable", detail),
        SessionError::Placement(PlacementError::UnknownClass(class)) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "class-unknown",
            format!("the mesh's policy has no class '{class}'"),
        )
        .remedy("use one that it has, such as `default`"),
        SessionError::Placement(_) => Problem::unavailable("session-not-placed", detail)
            .remedy("see the mesh's classes and cells with `hedgerow placement explain ID`"),
        SessionError::Unknown(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "session-unknown-outcome", detail)
            .remedy("read the session before repeating a write"),
        SessionError::Answer => Problem::new(StatusCode::BAD_GATEWAY, "session-answer", detail),
    }
}

/// A body as the replica wrote it, an object.
fn stored(body: &str) -> Result<Value, Problem> {
    let value = serde_json::from_str(body).ok().filter(Value::is_object);
    value.ok_or_else(|| Problem::new(StatusCode::BAD_GATEWAY, "session-answer", "the replica's answer holds no body"))
}

fn tagged(status: StatusCode, etag: &str, token: &str, body: &Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = [(header::ETAG, format!("\"{etag}\"")), (TOKEN, token.to_owned())];
    for (name, value) in headers {
        // Both are base64url, which a header takes.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing;

    #[test]
    fn objects_spread_over_their_paths_and_lists_are_refused() {
        let body: PatchBody = serde_json::from_value(json!({
            "set": { "a": { "b": 1, "c": { "d": "x" } } }, "delete": ["/a/"], "increment": { "n": -2 },
        }))
        .unwrap();
        let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            operations(body).unwrap(),
            [
                SessionOp::Delete { path: path(&["a"]) },
                SessionOp::Put { path: path(&["a", "b"]), value: Scalar::Int(1) },
                SessionOp::Put { path: path(&["a", "c", "d"]), value: Scalar::Text("x".to_owned()) },
                SessionOp::Increment { path: path(&["n"]), by: -2 },
            ]
        );
        let list: PatchBody = serde_json::from_value(json!({ "set": { "a": [1] } })).unwrap();
        assert!(operations(list).unwrap_err().detail.contains("`a` cannot hold [1]"));
    }

    #[tokio::test]
    async fn a_write_below_its_quorum_is_accepted_and_not_done() {
        let written = |acked| SessionAnswer::Written { etag: "e".to_owned(), token: "t".to_owned(), acked, wanted: 2 };
        let response = respond(written(1)).unwrap();
        assert_eq!(
            (response.status(), &response.headers()[header::ETAG]),
            (StatusCode::ACCEPTED, &HeaderValue::from_static("\"e\""))
        );
        assert_eq!(respond(written(2)).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn a_quorum_may_be_as_large_as_what_the_placement_keeps_until_a_smaller_one_is_committed() {
        let mut view = testing::view(&[]);
        testing::place(&mut view, 1, 0, &[1, 2, 3]);
        let session = SessionId::named(testing::CELL, testing::cart(), Namespace::new("shop").unwrap(), "alice");
        let most =
            |view: &MeshView| (1..=4).filter(|quorum| require_quorum(view, &session, Some(*quorum)).is_ok()).max();
        assert_eq!(most(&view), Some(2), "two replicas by the policy in force");
        let mut committed = (**view.policy.as_ref().unwrap()).clone();
        committed.classes[0].replicas = 3;
        view.placements.get_mut(&testing::CELL).unwrap().policy = Some(std::sync::Arc::new(committed));
        assert_eq!(most(&view), Some(3), "three by the placement, which is what holds the session");
        view.policy = None;
        assert_eq!(most(&view), Some(4), "whoever knows no rule leaves it to the replica");
    }
}
