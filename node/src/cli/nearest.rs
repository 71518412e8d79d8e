//! `hedgerow nearest MODEL`: the ranking that a request would follow, with the reason for each place in it.

use serde_json::Value;

use super::arguments::NearestArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, milliseconds, print};
use crate::admin::AdminClient;

/// Prints the candidates best first, then the members that were passed over.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &NearestArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let path = format!("/admin/v1/nearest?model={}", super::model::in_path(&arguments.model)?);
    let ranking: Value = client.get("rank the peers", &path).await?;
    print(format, &ranking, |ranking, _| table(ranking))?;
    let found = ranking["candidates"].as_array().is_some_and(|candidates| !candidates.is_empty());
    Ok(if found { Exit::Ok } else { Exit::NotReady })
}

fn table(ranking: &Value) -> String {
    let short = |value: &Value| -> String { value.as_str().unwrap_or("-").chars().take(8).collect() };
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let candidates = ranking["candidates"].as_array().into_iter().flatten().enumerate().map(|(index, candidate)| {
        vec![
            (index + 1).to_string(),
            short(&candidate["node"]),
            text(&candidate["region"]),
            milliseconds(candidate["expected_ms"].as_f64()),
            text(&candidate["reason"]),
        ]
    });
    let refused = ranking["refused"].as_array().into_iter().flatten().map(|refused| {
        vec![
            "-".to_owned(),
            short(&refused["node"]),
            text(&refused["region"]),
            "-".to_owned(),
            text(&refused["reason"]),
        ]
    });
    columns(&["RANK", "NODE", "REGION", "EXPECTED", "WHY"], candidates.chain(refused).collect())
}
