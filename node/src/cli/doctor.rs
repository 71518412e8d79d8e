//! `hedgerow doctor`: what keeps this node from working, checked from the outside in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;

use super::failure::{CliError, Exit, JOIN_AFRESH};
use super::output::{OutputFormat, print};
use crate::admin::wire::{NodeState, Status};
use crate::admin::{AdminClient, ClientError};
use crate::config::ArtifactLimits;
use crate::identity::Enrolled;
use crate::observe::{chain, wall};
use crate::peer::has_left;
use crate::store::{DataFolder, Layout, Store};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// Looks at the folder, the membership and the running node; exit code 1 where something is wrong.
pub(super) async fn run(client: &AdminClient, data: &Path, format: OutputFormat) -> Result<Exit, CliError> {
    let mut findings = vec![folder(data)];
    if data.exists() {
        findings.push(membership(data));
    }
    if findings.iter().all(|finding| finding.ok) {
        findings.extend(node(client, data).await);
    }
    print(format, &findings, |findings, _| told(findings))?;
    Ok(if findings.iter().all(|finding| finding.ok) { Exit::Ok } else { Exit::Failed })
}

fn folder(data: &Path) -> Finding {
    let what = "data folder";
    match std::fs::metadata(data) {
        Err(error) => bad(
            what,
            format!("{}: {error}", data.display()),
            "found a mesh with `hedgerow init`, or join one with `hedgerow join TICKET`",
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            bad(what, format!("{} is open to others", data.display()), &format!("chmod 700 {}", data.display()))
        }
        Ok(_) => good(what, data.display().to_string()),
    }
}

fn membership(data: &Path) -> Finding {
    let what = "membership";
    let now = wall().unix_seconds();
    match Enrolled::load(&Layout::new(data), now) {
        Ok(enrolled) => {
            let days = enrolled.member.not_after().0.saturating_sub(now.0) / 86_400;
            good(
                what,
                format!("of mesh {}, region {}, {days} days left", enrolled.root.mesh(), enrolled.member.region()),
            )
        }
        // The errors of this room name their remedies themselves.
        Err(error) => Finding { what, ok: false, seen: cannot(&error), remedy: None },
    }
}

async fn node(client: &AdminClient, data: &Path) -> Vec<Finding> {
    let status: Status = match client.get("read the status", "/admin/v1/status").await {
        Ok(status) => status,
        Err(error @ ClientError::NoNode { .. }) => return vec![absence(data, &error).await],
        Err(error) => return vec![bad("node", cannot(&error), "see its log")],
    };
    let mut findings = vec![match status.state {
        NodeState::Ready => {
            good("node", format!("ready, mesh socket {}, REST {}", status.listen.udp, status.listen.rest))
        }
        other => {
            bad("node", format!("{other:?}: {}", status.reasons.join("; ")).to_lowercase(), "wait, or see its log")
        }
    }];
    let others = status.members.total.saturating_sub(1);
    let heard = status.members.alive.saturating_sub(1);
    findings.push(if others > 0 && heard == 0 {
        bad("peers", format!("none of {others} answers"), "see that UDP reaches them: `hedgerow members -o wide` has their addresses, `hedgerow ping IP:PORT` says who answers there")
    } else {
        good("peers", format!("{heard} of {others} answer"))
    });
    let led = status.aggregators.iter().any(|row| row.region == status.region);
    findings.push(if led {
        good("aggregator", "this region has one".to_owned())
    } else {
        bad(
            "aggregator",
            "this region has none".to_owned(),
            "a majority of its voters has to be up: `hedgerow members` says who is; where they are lost for good, \
             `hedgerow recover` names others",
        )
    });
    if !status.refusals.is_empty() {
        let counts: Vec<_> = status.refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        findings.push(good("refused since the start", counts.join(", ")));
    }
    findings
}

/// What is wrong with a node that does not answer: where it has left its mesh there is nothing to start.
async fn absence(data: &Path, unheard: &ClientError) -> Finding {
    match has_left_here(data).await {
        Ok(true) => bad("node", "it left its mesh for good".to_owned(), JOIN_AFRESH),
        Ok(false) => bad("node", cannot(unheard), "start it with `hedgerow run`"),
        // `hedgerow run` would meet the same; it names its remedy itself.
        Err(error) => Finding { what: "node", ok: false, seen: cannot(error.as_ref()), remedy: None },
    }
}

async fn has_left_here(data: &Path) -> anyhow::Result<bool> {
    let layout = Layout::new(data);
    if !layout.mesh_store().exists() {
        return Ok(false);
    }
    let enrolled = Enrolled::load(&layout, wall().unix_seconds())?;
    let folder = DataFolder::open(data)?;
    let store = Store::open(&folder, ArtifactLimits::default())?;
    let left = has_left(&store, &enrolled);
    store.close().await;
    Ok(left?)
}

/// Errors read after "failed to"; a finding is a sentence of its own.
fn cannot(error: &dyn std::error::Error) -> String {
    format!("cannot {}", chain(error))
}

fn good(what: &'static str, seen: String) -> Finding {
    Finding { what, ok: true, seen, remedy: None }
}

fn bad(what: &'static str, seen: String, remedy: &str) -> Finding {
    Finding { what, ok: false, seen, remedy: Some(remedy.to_owned()) }
}

fn told(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(format!("{}  {}: {}", if finding.ok { "ok  " } else { "FAIL" }, finding.what, finding.seen));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("      next: {remedy}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_names_the_two_ways_to_begin() {
        let folder = tempfile::tempdir().unwrap();
        let text = told(&[super::folder(&folder.path().join("none"))]);
        assert!(text.starts_with("FAIL  data folder: ") && text.contains("`hedgerow init`"), "{text}");
    }

    #[test]
    fn a_folder_of_no_member_is_told_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let finding = membership(folder.path());
        assert_eq!(
            told(&[finding]),
            format!(
                "FAIL  membership: cannot start: the data folder {} belongs to no mesh; run `hedgerow init` to found one, \
                 or `hedgerow join TICKET`",
                folder.path().display()
            )
        );
    }
}
