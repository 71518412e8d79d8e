//! `hedgerow placement explain`: which nodes hold a session or a model, and why these.

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::PlacementReport;

/// Explains the placement of a session id or of a model.
pub(super) async fn explain(client: &AdminClient, key: &str, format: OutputFormat) -> Result<Exit, CliError> {
    let path = format!("/admin/v1/placement/{}", super::model::in_path(key)?);
    let report: PlacementReport = client.get("explain the placement", &path).await?;
    print(format, &report, |report, _| table(report))?;
    Ok(Exit::Ok)
}

fn table(report: &PlacementReport) -> String {
    let rows = report.nodes.iter().map(|row| {
        let region = row.region.clone().unwrap_or_else(|| "-".to_owned());
        vec![short(&row.node), region, row.verdict.clone(), row.reason.clone()]
    });
    let epoch =
        report.epoch.map_or_else(|| "nothing placed yet".to_owned(), |epoch| format!("placement epoch {epoch}"));
    let moving = if report.moving { ", a former one still counts" } else { "" };
    format!("{}, {epoch}{moving}\n{}", report.what, columns(&["NODE", "REGION", "VERDICT", "WHY"], rows.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_about_stands_above_its_nodes() {
        let row = json!({ "node": "abcdefghijkl", "region": "eu", "verdict": "holds", "reason": "home" });
        let mut report = json!({ "what": "model digits@1, 2 per region", "epoch": 3, "nodes": [row] });
        assert_eq!(
            table(&serde_json::from_value(report.clone()).unwrap()),
            "model digits@1, 2 per region, placement epoch 3\n\
             NODE      REGION  VERDICT  WHY\n\
             abcdefgh  eu      holds    home"
        );
        report["moving"] = json!(true);
        let moving = table(&serde_json::from_value(report.clone()).unwrap());
        assert!(moving.starts_with("model digits@1, 2 per region, placement epoch 3, a former one still counts\n"));
        report["moving"] = json!(false);
        report["epoch"] = serde_json::Value::Null;
        assert!(
            table(&serde_json::from_value(report).unwrap())
                .starts_with("model digits@1, 2 per region, nothing placed yet\n")
        );
    }
}
