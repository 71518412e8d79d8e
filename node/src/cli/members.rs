//! `hedgerow members`: who is in the mesh, as this node sees it.

use std::net::SocketAddr;

use hedgerow_attest::id::NodeId;
use hedgerow_protocol::link::relay_of;

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, milliseconds, print, short, way};
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
        header.extend(["PATH", "CLASS", "DOMAIN", "INCARNATION", "CELL", "ADDRESSES"]);
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
        let addresses: Vec<_> = member.addresses.iter().map(place).collect();
        let cell = member.cell.as_deref().map_or_else(|| "-".to_owned(), short);
        let domain = member.domain.clone().unwrap_or_else(|| "-".to_owned());
        row.push(member.path.as_ref().map_or_else(|| "-".to_owned(), way));
        row.extend([member.class.clone(), domain, member.incarnation.to_string(), cell, list(&addresses)]);
    }
    row
}

/// An address of a node that waits at a relay names the relay, by the first letters of its NodeId.
fn place(address: &SocketAddr) -> String {
    let Some(relay) = relay_of(address) else { return address.to_string() };
    let mut start = [0; 32];
    start[..8].copy_from_slice(&relay.to_be_bytes());
    format!("at relay {}", short(&NodeId::from_bytes(start).to_string()))
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
    use hedgerow_protocol::link::through;

    use super::*;
    use crate::admin::wire::LinkPath;

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
            addresses: vec!["10.0.0.1:4334".parse().unwrap(), through(&NodeId::from_bytes([0x11; 32]))],
            path: Some(LinkPath::Relayed { by: "mnopqrstuvwx".to_owned() }),
            rtt_ms: Some(1.25),
            heard_ms_ago: Some(300),
            warm: vec!["digits@1".to_owned()],
            aggregator: true,
            me: false,
        };
        assert_eq!(
            table(std::slice::from_ref(&member), false),
            "NODE      REGION  STATE  ROLE        RTT      HEARD       WARM\n\
             abcdefgh  eu      alive  aggregator  1.25 ms  300 ms ago  digits@1"
        );
        let wide = table(&[member], true);
        let words = ["PATH", "relayed by mnopqrst", "10.0.0.1:4334,at relay ceirceir"];
        assert!(words.iter().all(|word| wide.contains(word)), "{wide}");
    }
}
