//! `hedgerow members`: who is in the mesh, as this node sees it.

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, milliseconds, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::MemberRow;

/// Lists the members.
pub(super) async fn run(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let members: Vec<MemberRow> = client.get("list the members", "/admin/v1/members").await?;
    print(format, &members, |members, wide| table(members, wide))?;
    Ok(Exit::Ok)
}

fn table(members: &[MemberRow], wide: bool) -> String {
    let mut header = vec!["NODE", "REGION", "STATE", "ROLE", "RTT", "HEARD", "WARM"];
    if wide {
        header.extend(["CLASS", "DOMAIN", "INCARNATION", "CELL", "ADDRESSES"]);
    }
    let rows = members.iter().map(|member| row(member, wide)).collect();
    columns(&header, rows)
}

fn row(member: &MemberRow, wide: bool) -> Vec<String> {
    let list = |items: &[String]| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    let role = match (member.aggregator, member.me) {
        (true, true) => "aggregator, this node",
        (true, false) => "aggregator",
        (false, true) => "this node",
        (false, false) => "-",
    };
    let mut row = vec![
        if wide { member.node.clone() } else { short(&member.node) },
        member.region.clone(),
        member.state.clone(),
        role.to_owned(),
        milliseconds(member.rtt_ms),
        heard(member.heard_ms_ago),
        list(&member.warm),
    ];
    if wide {
        let addresses: Vec<_> = member.addresses.iter().map(ToString::to_string).collect();
        let cell = member.cell.as_deref().map_or_else(|| "-".to_owned(), short);
        let domain = member.domain.clone().unwrap_or_else(|| "-".to_owned());
        row.extend([member.class.clone(), domain, member.incarnation.to_string(), cell, list(&addresses)]);
    }
    row
}

fn heard(ms_ago: Option<u64>) -> String {
    match ms_ago {
        Some(ms) if ms < 1_000 => format!("{ms} ms ago"),
        Some(ms) => format!("{} s ago", ms / 1_000),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shortens_ids_and_names_the_aggregator() {
        let member = MemberRow {
            node: "abcdefghijkl".to_owned(),
            peer: "12D3".to_owned(),
            region: "eu".to_owned(),
            cell: None,
            class: "edge".to_owned(),
            domain: None,
            state: "alive".to_owned(),
            incarnation: 3,
            addresses: Vec::new(),
            rtt_ms: Some(1.25),
            heard_ms_ago: Some(300),
            warm: vec!["digits@1".to_owned()],
            aggregator: true,
            me: false,
        };
        assert_eq!(
            table(&[member], false),
            "NODE      REGION  STATE  ROLE        RTT      HEARD       WARM\n\
             abcdefgh  eu      alive  aggregator  1.25 ms  300 ms ago  digits@1"
        );
    }
}
