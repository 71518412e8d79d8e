//! `hedgerow doctor`: what keeps this node from working, checked from the outside in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::failure::{CliError, Exit, JOIN_AFRESH};
use super::finding::{Finding, Verdict, bad, broken, cannot, good, told, warn};
use super::join::last_failure;
use super::output::{OutputFormat, print};
use super::reach::unreached;
use crate::admin::wire::{CertificateReport, IssuingReport, NodeState, RightState, Status};
use crate::admin::{AdminClient, ClientError};
use crate::config::ArtifactLimits;
use crate::identity::{Enrolled, EnrolledError};
use crate::observe::{system, wall};
use crate::peer::{Fate, fate};
use crate::store::{DataFolder, Layout, Store};
use hedgerow_attest::time::UnixSeconds;

/// Looks at the folder, the membership and the running node; exit code 1 where something is wrong.
pub(super) async fn run(client: &AdminClient, data: &Path, format: OutputFormat) -> Result<Exit, CliError> {
    let mut findings = vec![folder(data)];
    if data.exists() {
        findings.push(clock(&Layout::new(data), system().unix_seconds()));
        let (membership, is_member) = membership(data);
        findings.push(membership);
        if is_member {
            findings.extend(node(client, data).await);
        }
    }
    print(format, &findings, |findings, _| told(findings))?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Ok })
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

/// A clock that stands behind what has passed makes certificates seem to begin in the future, and ended ones to hold.
fn clock(layout: &Layout, now: UnixSeconds) -> Finding {
    let what = "clock";
    match layout.read_clock() {
        Ok(Some(passed)) if now.plus_s(BEHIND_MOST_S) < passed => bad(
            what,
            format!("this machine says {now}, and {passed} has passed as far as this node knows"),
            &format!(
                "set the clock of this machine; if it is right, and was wrong before, stop the node and remove {}",
                layout.clock().display()
            ),
        ),
        Ok(_) => good(what, now.to_string()),
        // It names its remedy itself.
        Err(error) => broken(what, cannot(&error)),
    }
}

/// What the folder says, and whether it is that of a member whose node may run.
fn membership(data: &Path) -> (Finding, bool) {
    let what = "membership";
    let now = wall().unix_seconds();
    match Enrolled::load(&Layout::new(data), now) {
        Ok(enrolled) => {
            let (mesh, region, ends) = (enrolled.root.mesh(), enrolled.member.region(), enrolled.member.not_after());
            let seen = |holds: &str| format!("of mesh {mesh}, region {region}, {holds} {ends}");
            let finding = if now > ends {
                bad(what, seen("ended"), "the node renews it by itself while it runs: `hedgerow run`")
            } else {
                good(what, seen("until"))
            };
            (finding, true)
        }
        Err(error @ EnrolledError::NotAMember { .. }) => match last_failure(&Layout::new(data)) {
            Some(failure) => (broken(what, format!("{}; the last attempt to join: {failure}", cannot(&error))), false),
            None => (broken(what, cannot(&error)), false),
        },
        // The errors of this room name their remedies themselves.
        Err(error) => (broken(what, cannot(&error)), false),
    }
}

/// Whether the node goes on being a member.
fn certificate(report: &CertificateReport) -> Finding {
    let what = "certificate";
    let CertificateReport { serial, renews_from, not_after, failure, .. } = report;
    match failure {
        // The failure names its remedy itself.
        Some(why) => {
            let seen = format!("serial {serial}, until {not_after}, is not renewed: cannot {why}");
            broken(what, seen)
        }
        None => good(what, format!("serial {serial}, until {not_after}, renews itself from {renews_from} on")),
    }
}

/// A mesh whose only issuer is away admits nobody, and its members end with their certificates.
fn issuers(count: u64) -> Finding {
    let what = "issuers";
    match count {
        0 => {
            bad(what, "none is known here".to_owned(), "see that one runs and that UDP reaches it: `hedgerow members`")
        }
        1 => warn(
            what,
            "one alone: while it is away nobody joins, and no certificate is renewed".to_owned(),
            "let another member issue: `hedgerow issuer add NODE`, with an operator's key",
        ),
        _ => good(what, format!("{count} may admit and renew")),
    }
}

/// Only operators lengthen a right to issue.
fn issuing(report: &IssuingReport) -> Finding {
    let what = "right to issue";
    let (until, remedy) = (&report.until, "an operator gives it again: `hedgerow issuer add` and the id of this node");
    match report.state {
        RightState::Holds | RightState::Unknown => good(what, format!("until {until}")),
        RightState::EndsSoon => warn(what, format!("ends soon, {until}"), remedy),
        RightState::Ended => bad(what, format!("ended {until}"), remedy),
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
    if let Some(report) = &status.certificate {
        findings.push(certificate(report));
        findings.push(issuers(report.issuers));
    }
    findings.extend(status.issuing.as_ref().map(issuing));
    let others = status.members.total.saturating_sub(1);
    let heard = status.members.alive.saturating_sub(1);
    findings.push(if others > 0 && heard == 0 {
        bad("peers", format!("none of {others} answers"), "see that UDP reaches them: `hedgerow members -o wide` has their addresses, `hedgerow ping IP:PORT` says who answers there")
    } else {
        good("peers", format!("{heard} of {others} answer"))
    });
    findings.extend(unreached(client).await);
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
    match fate_here(data).await {
        Ok(Fate::Left) => bad("node", "it left its mesh for good".to_owned(), JOIN_AFRESH),
        Ok(Fate::Revoked(revocation)) => {
            let (at, reason) = (revocation.at(), revocation.reason());
            bad("node", format!("it was put out of its mesh for good on {at}: {reason}"), JOIN_AFRESH)
        }
        Ok(Fate::Stays) => bad("node", cannot(unheard), "start it with `hedgerow run`"),
        // `hedgerow run` would meet the same; it names its remedy itself.
        Err(error) => broken("node", cannot(error.as_ref())),
    }
}

async fn fate_here(data: &Path) -> anyhow::Result<Fate> {
    let layout = Layout::new(data);
    if !layout.mesh_store().exists() {
        return Ok(Fate::Stays);
    }
    let enrolled = Enrolled::load(&layout, wall().unix_seconds())?;
    let folder = DataFolder::open(data)?;
    let store = Store::open(&folder, ArtifactLimits::default())?;
    let fate = fate(&store, &enrolled);
    store.close().await;
    Ok(fate?)
}

/// A clock that is set is moved by less.
const BEHIND_MOST_S: u64 = 10;

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
        let (finding, is_member) = membership(folder.path());
        assert!(!is_member);
        assert_eq!(
            told(&[finding]),
            format!(
                "FAIL  membership: cannot start: the data folder {} belongs to no mesh; run `hedgerow init` to found one, \
                 or `hedgerow join TICKET`",
                folder.path().display()
            )
        );
    }

    #[test]
    fn a_clock_behind_what_has_passed_is_told_with_both_remedies() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let now = UnixSeconds(1_700_000_000);
        assert_eq!(told(&[clock(&layout, now)]), "ok    clock: 2023-11-14T22:13:20Z", "nothing is known yet");
        layout.write_clock(now.plus_s(7_200)).unwrap();
        assert_eq!(
            told(&[clock(&layout, now)]),
            format!(
                "FAIL  clock: this machine says 2023-11-14T22:13:20Z, and 2023-11-15T00:13:20Z has passed as far as this node \
                 knows\n      next: set the clock of this machine; if it is right, and was wrong before, stop the node and \
                 remove {}",
                layout.clock().display()
            )
        );
        layout.write_clock(now.plus_s(5)).unwrap();
        assert_eq!(clock(&layout, now).verdict, Verdict::Ok, "as much is set");
    }

    #[test]
    fn a_mesh_that_hangs_on_one_issuer_or_on_a_right_that_ends_is_warned_of() {
        let report = |state| IssuingReport { until: "2031-02-01T00:00:00Z".to_owned(), state };
        assert_eq!(
            told(&[
                issuers(1),
                issuers(2),
                issuing(&report(RightState::EndsSoon)),
                issuing(&report(RightState::Ended))
            ]),
            "warn  issuers: one alone: while it is away nobody joins, and no certificate is renewed\n      \
             next: let another member issue: `hedgerow issuer add NODE`, with an operator's key\n\
             ok    issuers: 2 may admit and renew\n\
             warn  right to issue: ends soon, 2031-02-01T00:00:00Z\n      \
             next: an operator gives it again: `hedgerow issuer add` and the id of this node\n\
             FAIL  right to issue: ended 2031-02-01T00:00:00Z\n      \
             next: an operator gives it again: `hedgerow issuer add` and the id of this node"
        );
    }

    #[test]
    fn a_certificate_that_is_not_renewed_says_why_and_until_when_it_holds() {
        let report = |failure: Option<&str>| CertificateReport {
            issuer: "issuer".to_owned(),
            serial: 7,
            renews_from: "2031-01-01T00:00:00Z".to_owned(),
            not_after: "2031-02-01T00:00:00Z".to_owned(),
            failure: failure.map(str::to_owned),
            issuers: 1,
        };
        assert_eq!(
            told(&[
                certificate(&report(None)),
                certificate(&report(Some("reach issuer x: no address of it is known")))
            ]),
            "ok    certificate: serial 7, until 2031-02-01T00:00:00Z, renews itself from 2031-01-01T00:00:00Z on\n\
             FAIL  certificate: serial 7, until 2031-02-01T00:00:00Z, is not renewed: cannot reach issuer x: no address of it \
             is known"
        );
    }
}
