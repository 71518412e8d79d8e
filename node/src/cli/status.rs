//! `hedgerow status`: what this node is and how it is. Also the health check of a container: it fails unless the node is ready.

use super::emulate;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::{CertificateReport, MemberCounts, NodeState, RelayReport, Status};

/// Prints the status; exit code 3 while the node is not ready.
pub(super) async fn run(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let status: Status = client.get("read the status", "/admin/v1/status").await?;
    print(format, &status, |status, _| table(status))?;
    Ok(if status.state == NodeState::Ready { Exit::Ok } else { Exit::NotReady })
}

fn table(status: &Status) -> String {
    let mut lines = vec![
        format!("node        {}", status.node),
        format!("mesh        {}", status.mesh),
        format!("region      {}", status.region),
        format!("state       {}", state(status)),
        format!("mesh port   {}", status.listen.udp),
        format!("REST        http://{}", status.listen.rest),
        format!("members     {}", members(&status.members)),
    ];
    if let Some(certificate) = &status.certificate {
        let CertificateReport { serial, not_after, issuer, .. } = certificate;
        lines.push(format!("certificate serial {serial} of {}, until {not_after}", short(issuer)));
    }
    lines.extend(relays(&status.relays));
    for aggregator in &status.aggregators {
        let holder = short(&aggregator.holder);
        let failover = if aggregator.voters > 1 { "" } else { " (no failover)" };
        let recovered =
            if aggregator.generation > 0 { format!(" of generation {}", aggregator.generation) } else { String::new() };
        let (region, term, voters) = (&aggregator.region, aggregator.term, aggregator.voters);
        lines.push(format!("aggregator  {region}: {holder}, term {term}{recovered}, {voters} voter(s){failover}"));
    }
    for model in &status.models {
        let reason = model.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        lines.push(format!("model       {}@{} {}{reason}", model.name, model.version, model.state));
    }
    if status.revoked > 0 {
        lines.push(format!("revoked     {} node(s), for good", status.revoked));
    }
    if !status.refusals.is_empty() {
        let counts: Vec<_> = status.refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        lines.push(format!("refused     {}", counts.join(", ")));
    }
    if let Some(emulation) = &status.emulation {
        lines.push(format!("emulation   {}", emulate::summary(emulation)));
        let rules = emulation.rules.iter().take(RULES_SHOWN);
        lines.extend(rules.map(|rule| format!("            {}", emulate::told(rule))));
        let left = emulation.rules.len().saturating_sub(RULES_SHOWN);
        if left > 0 {
            lines.push(format!("            and {left} more; `hedgerow emulate` has all"));
        }
    }
    let traffic = status.traffic;
    lines.push(format!(
        "traffic     {} kB sent, {} kB received",
        traffic.sent_bytes / 1000,
        traffic.received_bytes / 1000
    ));
    lines.push(format!("memory      {} MiB", status.memory_rss_bytes >> 20));
    lines.join("\n")
}

fn state(status: &Status) -> String {
    let state = format!("{:?}", status.state).to_lowercase();
    if status.reasons.is_empty() { state } else { format!("{state}: {}", status.reasons.join("; ")) }
}

/// Nothing where no relay is used.
fn relays(report: &RelayReport) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.waits_at.is_empty() {
        let relays: Vec<_> = report.waits_at.iter().map(|relay| short(relay)).collect();
        lines.push(format!("found at    {}: others may not reach this node by themselves", relays.join(", ")));
    }
    if report.relays && report.members > 0 {
        lines.push(format!("relays      for {} member(s), {} kB so far", report.members, report.carried_bytes / 1_000));
    }
    lines
}

/// Only the states that there are.
fn members(counts: &MemberCounts) -> String {
    let named = [
        (counts.alive, "alive"),
        (counts.suspect, "suspect"),
        (counts.down, "down"),
        (counts.stopping, "stopping"),
        (counts.left, "left"),
    ];
    let parts: Vec<_> =
        named.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// As many as leave the rest of the status on the screen.
const RULES_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_told_where_there_are_any() {
        assert!(relays(&RelayReport { relays: true, ..RelayReport::default() }).is_empty());
        let report =
            RelayReport { waits_at: vec!["abcdefghijkl".to_owned()], relays: true, members: 2, carried_bytes: 12_345 };
        let expected = [
            "found at    abcdefgh: others may not reach this node by themselves",
            "relays      for 2 member(s), 12 kB so far",
        ];
        assert_eq!(relays(&report), expected);
    }

    #[test]
    fn zero_counts_are_left_out() {
        let counts = MemberCounts { alive: 3, down: 1, total: 4, ..MemberCounts::default() };
        assert_eq!(members(&counts), "3 alive, 1 down");
        assert_eq!(members(&MemberCounts::default()), "-");
    }
}
