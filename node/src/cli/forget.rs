//! `hedgerow forget`: removes what this node shows and keeps of one that is gone.

use super::failure::{CliError, Exit};
use super::member_arguments::ForgetArguments;
use super::output::{OutputFormat, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::{ForgetReport, ForgetRequest};

/// Has the node forget it; refused for members, which come back.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &ForgetArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let request = ForgetRequest { target: arguments.node.clone() };
    let report: ForgetReport = client.post("forget the node", "/admin/v1/forgotten", &request).await?;
    print(format, &report, |report, wide| {
        let node = if wide { report.node.clone() } else { short(&report.node) };
        format!("node {node} is forgotten here; other nodes show it until its certificate ends, or forget it, too")
    })?;
    Ok(Exit::Ok)
}
