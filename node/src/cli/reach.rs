//! Why members are not reached from a node: which addresses were tried, and what came of it.

use futures::future::join_all;
use serde_json::json;

use super::finding::{Finding, Verdict, broken, cannot, warn};
use super::output::short;
use crate::admin::AdminClient;
use crate::admin::wire::{MemberRow, PingReport};

/// More would take long and fill the screen.
const MEMBERS_MAX: usize = 8;
const ADDRESSES_MAX: usize = 4;

/// Tries the members of whom nothing is heard, and those to whom there is no link; tells of those who do not answer. A member
/// that others hear of and this node does not reach is wrong; one that is down may simply be off.
pub(super) async fn unreached(client: &AdminClient) -> Vec<Finding> {
    let members: Vec<MemberRow> = match client.get("list the members", "/admin/v1/members").await {
        Ok(members) => members,
        Err(error) => return vec![broken("members", cannot(&error))],
    };
    let silent: Vec<_> = members.iter().filter(|member| !member.me && is_silent(member)).collect();
    let found = join_all(silent.iter().take(MEMBERS_MAX).map(|member| look(client, member))).await;
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    let left = silent.len().saturating_sub(MEMBERS_MAX);
    if left > 0 {
        let seen = format!("{left} more of whom little is heard were not tried");
        found.push(warn("members", seen, "try them one by one: `hedgerow ping NODE`"));
    }
    found
}

fn is_silent(member: &MemberRow) -> bool {
    match member.state.as_str() {
        "suspect" | "down" => true,
        "alive" => member.path.is_none(),
        _ => false,
    }
}

async fn look(client: &AdminClient, member: &MemberRow) -> Option<Finding> {
    let by_link = ping(client, &member.node).await;
    if by_link.reached {
        return None;
    }
    let addresses: Vec<_> = member.addresses.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect();
    let dialled = join_all(addresses.iter().map(|address| ping(client, address))).await;
    Some(finding(member, &by_link, &dialled))
}

async fn ping(client: &AdminClient, target: &str) -> PingReport {
    let asked = client.post("ping", "/admin/v1/ping", &json!({ "target": target })).await;
    asked.unwrap_or_else(|error| PingReport { reason: Some(cannot(&error)), ..PingReport::default() })
}

fn finding(member: &MemberRow, by_link: &PingReport, dialled: &[PingReport]) -> Finding {
    let reason = |report: &PingReport| match &report.node {
        Some(node) if report.reached && *node == member.node => "it answers there, and yet no link comes up".to_owned(),
        Some(node) if report.reached => format!("node {} answers there", short(node)),
        _ => report.reason.clone().unwrap_or_else(|| "no reason told".to_owned()),
    };
    let mut tried = vec![format!("over a link: {}", reason(by_link))];
    let address = |report: &PingReport| report.address.clone().unwrap_or_else(|| "-".to_owned());
    tried.extend(dialled.iter().map(|report| format!("{}: {}", address(report), reason(report))));
    if member.addresses.is_empty() {
        tried.push("no address of it is known".to_owned());
    }
    let verdict = if member.state == "down" { Verdict::Warn } else { Verdict::Fail };
    let remedy = dialled.iter().find_map(|report| report.remedy.clone());
    let remedy = remedy.unwrap_or_else(|| "see that it runs and that UDP reaches it".to_owned());
    Finding {
        what: "member",
        verdict,
        seen: format!("{} is {} and not reached ({})", short(&member.node), member.state, tried.join("; ")),
        remedy: Some(remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(address: &str, reason: &str) -> PingReport {
        PingReport { address: Some(address.to_owned()), reason: Some(reason.to_owned()), ..PingReport::default() }
    }

    #[test]
    fn every_way_that_was_tried_is_told_with_what_came_of_it() {
        let mut member: MemberRow = serde_json::from_value(json!({
            "node": "abcdefghijkl", "peer": "12D3", "region": "eu", "class": "edge", "state": "alive", "aggregator": false,
            "incarnation": 1, "addresses": ["192.0.2.1:4334"], "warm": []
        }))
        .unwrap();
        let by_link = report("192.0.2.1:4334", "no link to the node");
        let mut dialled = report("192.0.2.1:4334", "no answer within 3 s");
        dialled.remedy = Some("see that a node runs there and that UDP reaches it".to_owned());
        let found = finding(&member, &by_link, &[dialled]);
        assert_eq!(
            (found.verdict, found.seen.as_str(), found.remedy.as_deref()),
            (
                Verdict::Fail,
                "abcdefgh is alive and not reached (over a link: no link to the node; 192.0.2.1:4334: no answer within 3 s)",
                Some("see that a node runs there and that UDP reaches it")
            )
        );
        member.state = "down".to_owned();
        member.addresses.clear();
        let found = finding(&member, &by_link, &[]);
        assert_eq!(
            (found.verdict, found.seen.as_str()),
            (
                Verdict::Warn,
                "abcdefgh is down and not reached (over a link: no link to the node; no address of it is known)"
            )
        );
    }
}
