//! `hedgerow ping`: reach a member, or find out why an address refuses.

use serde_json::json;

use super::arguments::PingArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, milliseconds, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::PingReport;

/// Asks the node to reach the target and prints what came of it; exit code 1 where it was not reached.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &PingArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let report: PingReport = client.post("ping", "/admin/v1/ping", &json!({ "target": arguments.target })).await?;
    print(format, &report, |report, _| sentence(report))?;
    Ok(if report.reached { Exit::Ok } else { Exit::Failed })
}

fn sentence(report: &PingReport) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let node = report.node.as_deref().map_or_else(|| "-".to_owned(), short);
    let (address, reason) = (text(&report.address), text(&report.reason));
    match &report.remedy {
        _ if report.reached => format!("{node} at {address} answered in {}", milliseconds(report.rtt_ms)),
        Some(remedy) => format!("{address} was not reached: {reason}\n  next: {remedy}"),
        None => format!("{address} was not reached: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_who_answered_or_why_nobody_did() {
        let reached = PingReport {
            reached: true,
            node: Some("abcdefghijkl".to_owned()),
            address: Some("127.0.0.1:4334".to_owned()),
            rtt_ms: Some(1.5),
            ..PingReport::default()
        };
        assert_eq!(sentence(&reached), "abcdefgh at 127.0.0.1:4334 answered in 1.50 ms");
        let silent = PingReport {
            address: Some("127.0.0.1:1".to_owned()),
            reason: Some("no answer within 3 s".to_owned()),
            remedy: Some("see that a node runs there".to_owned()),
            ..PingReport::default()
        };
        assert_eq!(
            sentence(&silent),
            "127.0.0.1:1 was not reached: no answer within 3 s\n  next: see that a node runs there"
        );
    }
}
