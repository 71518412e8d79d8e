//! `hedgerow placement explain`: which nodes hold a session or a model, and why these.

use serde_json::Value;

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, print};
use crate::admin::AdminClient;

/// Explains the placement of a session id or of a model.
pub(super) async fn explain(client: &AdminClient, key: &str, format: OutputFormat) -> Result<Exit, CliError> {
    let path = format!("/admin/v1/placement/{}", super::model::in_path(key)?);
    let answer: Value = client.get("explain the placement", &path).await?;
    print(format, &answer, |answer, _| table(answer))?;
    Ok(Exit::Ok)
}

fn table(answer: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let rows = answer["nodes"].as_array().into_iter().flatten().map(|node| {
        let id: String = text(&node["node"]).chars().take(8).collect();
        vec![id, text(&node["region"]), text(&node["verdict"]), text(&node["reason"])]
    });
    format!(
        "{}, placement epoch {}\n{}",
        text(&answer["what"]),
        text(&answer["epoch"]),
        columns(&["NODE", "REGION", "VERDICT", "WHY"], rows.collect())
    )
}
