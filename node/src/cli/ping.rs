//! `hedgerow ping`: reach a member, or find out why an address refuses.

use serde_json::{Value, json};

use super::arguments::PingArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, milliseconds, print};
use crate::admin::AdminClient;

/// Asks the node to reach the target and prints what came of it; exit code 1 where it was not reached.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &PingArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let answer: Value = client.post("ping", "/admin/v1/ping", &json!({ "target": arguments.target })).await?;
    print(format, &answer, |answer, _| sentence(answer))?;
    Ok(if answer["reached"] == true { Exit::Ok } else { Exit::Failed })
}

fn sentence(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
    if answer["reached"] == true {
        let node: String = text("node").chars().take(8).collect();
        return format!("{node} at {} answered in {}", text("address"), milliseconds(answer["rtt_ms"].as_f64()));
    }
    match answer["remedy"].as_str() {
        Some(remedy) => format!("{} was not reached: {}\n  next: {remedy}", text("address"), text("reason")),
        None => format!("{} was not reached: {}", text("address"), text("reason")),
    }
}
