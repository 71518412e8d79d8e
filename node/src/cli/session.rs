//! `hedgerow session`: read and write sessions through the nearest replica.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::arguments::{SessionGetArguments, SessionKey, SessionPutArguments};
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, print};
use crate::admin::AdminClient;

/// Sets values; exit code 4 where the write is durable here but has not reached its quorum.
pub(super) async fn put(
    client: &AdminClient,
    arguments: &SessionPutArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let id = session_id(client, &arguments.key).await?;
    let mut set = Map::new();
    for pair in &arguments.values {
        let (path, value) = assignment(pair)?;
        if set.insert(path, value).is_some() {
            return Err(CliError::Usage {
                what: format!("`{pair}` gives a value to a path that has one already"),
                remedy: "write every path once",
            });
        }
    }
    let quorum = arguments.quorum.map_or_else(String::new, |quorum| format!("?quorum={quorum}"));
    let headers: Vec<_> = arguments.if_match.iter().map(|etag| ("if-match", etag.as_str())).collect();
    let response = client
        .exchange(
            Method::PATCH,
            &format!("/mesh/v1/sessions/{id}{quorum}"),
            &headers,
            json!({ "set": set }).to_string(),
        )
        .await?;
    let answer: Value = response.json_or_refusal("write the session")?;
    print(format, &answer, |answer, _| written(answer))?;
    Ok(if response.status == 202 { Exit::PartlyDone } else { Exit::Ok })
}

/// Prints the value.
pub(super) async fn get(
    client: &AdminClient,
    arguments: &SessionGetArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let id = session_id(client, &arguments.key).await?;
    let headers: Vec<_> = arguments.token.iter().map(|token| ("hedgerow-token", token.as_str())).collect();
    let response = client.exchange(Method::GET, &format!("/mesh/v1/sessions/{id}"), &headers, String::new()).await?;
    let answer: Value = response.json_or_refusal("read the session")?;
    print(format, &answer, |answer, _| {
        serde_json::to_string_pretty(&answer["value"]).unwrap_or_else(|_error| answer["value"].to_string())
    })?;
    Ok(Exit::Ok)
}

/// Lists what this node holds.
pub(super) async fn list(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let sessions: Vec<Value> = client.get("list the sessions", "/admin/v1/sessions").await?;
    print(format, &sessions, |sessions, _| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let rows = sessions.iter().map(|row| vec![text(&row["class"]), text(&row["etag"]), text(&row["session"])]);
        columns(&["CLASS", "ETAG", "SESSION"], rows.collect())
    })?;
    Ok(Exit::Ok)
}

/// Prints which nodes hold the session.
pub(super) async fn locate(client: &AdminClient, key: &SessionKey, format: OutputFormat) -> Result<Exit, CliError> {
    let id = session_id(client, key).await?;
    super::placement::explain(client, &id, format).await
}

/// An id is taken as it is; anything else is a key that the node makes into one.
async fn session_id(client: &AdminClient, key: &SessionKey) -> Result<String, CliError> {
    if key.session.parse::<hedgerow_protocol::session_id::SessionId>().is_ok() {
        return Ok(key.session.clone());
    }
    if looks_like_an_id(&key.session) {
        return Err(CliError::Usage {
            what: format!("`{}` is a session id that is cut short or mistyped", key.session),
            remedy: "copy it again, whole; `hedgerow session ls` lists those that this node holds",
        });
    }
    let body = json!({ "class": key.class, "namespace": key.namespace, "key": key.session });
    let answer: Value = client.post("name the session", "/mesh/v1/sessions", &body).await?;
    answer["id"].as_str().map(str::to_owned).ok_or_else(|| CliError::Local {
        operation: "name the session",
        source: anyhow::anyhow!("the node's answer holds no id"),
        remedy: Some("run the same version of hedgerow as the node".to_owned()),
        exit: Exit::Failed,
    })
}

/// Taken for a key of the caller's own, a damaged id would name another session.
fn looks_like_an_id(text: &str) -> bool {
    let cell = text.strip_prefix("1.").and_then(|rest| rest.split('.').next()).unwrap_or_default();
    cell.len() >= 16 && cell.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

fn assignment(pair: &str) -> Result<(String, Value), CliError> {
    let Some((path, value)) = pair.split_once('=').filter(|(path, _)| !path.is_empty()) else {
        return Err(CliError::Usage {
            what: format!("`{pair}` is not PATH=VALUE"),
            remedy: "write for example: hedgerow session put cart-7 items/milk=2",
        });
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_error| Value::String(value.to_owned()));
    Ok((path.to_owned(), value))
}

fn written(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
    let (acked, wanted) = (&answer["acked"], &answer["wanted"]);
    let yet = if acked.as_u64() < wanted.as_u64() { " so far; it is kept and goes on to the others" } else { "" };
    format!("durable on {acked} of {wanted}{yet}\netag   {}\ntoken  {}", text("etag"), text("token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_below_its_quorum_is_told_as_unfinished() {
        let answer = |acked| json!({ "acked": acked, "wanted": 2, "etag": "e", "token": "t" });
        assert_eq!(written(&answer(2)), "durable on 2 of 2\netag   e\ntoken  t");
        assert!(written(&answer(1)).starts_with("durable on 1 of 2 so far; it is kept"));
    }

    #[test]
    fn a_damaged_id_is_not_taken_for_a_key() {
        assert!(looks_like_an_id("1.pk72scumrbews4xsuiac7jdowqzja6gogzgoodoxxagg6if2twmq.default.app.2xk"));
        assert!(looks_like_an_id("1.pk72scumrbews4xsui"));
        assert!(!looks_like_an_id("cart-7") && !looks_like_an_id("1.5") && !looks_like_an_id("2.pk72scumrbews4xsui"));
    }

    #[test]
    fn a_value_that_is_not_json_is_text() {
        assert_eq!(assignment("a/b=2").unwrap(), ("a/b".to_owned(), json!(2)));
        assert_eq!(assignment("a=hello=x").unwrap(), ("a".to_owned(), json!("hello=x")));
        assert!(assignment("=2").is_err() && assignment("a").is_err());
    }
}
