//! `hedgerow nearest MODEL`: the ranking that a request would follow, with the reason for each place in it.

use super::arguments::NearestArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, milliseconds, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::NearestReport;

/// Prints the candidates best first, then the members that were passed over; exit code 3 where nobody would answer.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &NearestArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let path = format!("/mesh/v1/nearest?model={}", super::model::in_path(&arguments.model)?);
    let ranking: NearestReport = client.get("rank the peers", &path).await?;
    print(format, &ranking, |ranking, _| table(ranking))?;
    Ok(if ranking.candidates.is_empty() { Exit::NotReady } else { Exit::Ok })
}

fn table(ranking: &NearestReport) -> String {
    let region = |region: &Option<String>| region.clone().unwrap_or_else(|| "-".to_owned());
    let candidates = ranking.candidates.iter().enumerate().map(|(index, candidate)| {
        vec![
            (index + 1).to_string(),
            short(&candidate.node),
            region(&candidate.region),
            milliseconds(Some(candidate.expected_ms)),
            candidate.reason.clone(),
        ]
    });
    let refused = ranking.refused.iter().map(|refused| {
        vec!["-".to_owned(), short(&refused.node), region(&refused.region), "-".to_owned(), refused.reason.clone()]
    });
    columns(&["RANK", "NODE", "REGION", "EXPECTED", "WHY"], candidates.chain(refused).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn candidates_are_numbered_and_the_others_follow() {
        let ranking = json!({
            "candidates": [{ "node": "abcdefghijkl", "region": "eu", "hops": 1, "expected_ms": 1.5, "reason": "near" }],
            "refused": [{ "node": "mnopqrstuvwx", "region": null, "reason": "down" }],
        });
        assert_eq!(
            table(&serde_json::from_value(ranking).unwrap()),
            "RANK  NODE      REGION  EXPECTED  WHY\n\
             1     abcdefgh  eu      1.50 ms   near\n\
             -     mnopqrst  -       -         down"
        );
    }
}
