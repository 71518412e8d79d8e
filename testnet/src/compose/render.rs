//! The compose file, as a function of the plan.
//!
//! Without a `version` line, because docker-compose 1.27 to 1.29 and `docker compose` both read that as the Compose
//! Specification and the latter warns about anything else. Anchors and `x-` keys are part of it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::plan::{Plan, PlannedNode, region_name};

/// The image that the file names; `up` builds it.
pub(super) const IMAGE: &str = "hedgerow:testnet";

/// The first ports on the host: node *i* answers REST on `127.0.0.1:41000 + 10 i`.
pub(crate) const PORT_BASE: u16 = 41_000;

/// The whole file; equal plans give equal bytes.
pub(crate) fn render(plan: Plan, port_base: u16) -> String {
    let mut file = header(plan);
    file.push_str(NODE);
    file.push_str("\nservices:\n");
    for node in plan.nodes() {
        file.push_str(&service(plan, &node, port_base));
    }
    file.push_str("\nnetworks:\n");
    if let Some(networks) = plan.networks() {
        file.push_str("  # n1 alone is in all of them: the others reach each other through it.\n");
        for number in networks {
            file.push_str(&network(&network_name(number), number));
        }
    } else {
        file.push_str(
            "  # All nodes are in this one, so that the regions reach each other; disconnect it to part them.\n",
        );
        file.push_str(&network("backbone", BACKBONE));
        for region in plan.regions() {
            file.push_str(&network(&region_name(region), region));
        }
    }
    file.push_str("\nvolumes:\n  tickets:\n");
    for node in plan.nodes() {
        line(&mut file, format_args!("  {}:", node.name));
    }
    file
}

/// Where the mesh socket of a node is.
pub(super) fn mesh_addresses(plan: Plan, node: &PlannedNode) -> Vec<SocketAddrV4> {
    attachments(plan, node).into_iter().map(|(_, address)| address).collect()
}

/// The networks that a node is in, and where in them its mesh socket is: its region's and the backbone, or those of a plan with
/// networks of its own.
fn attachments(plan: Plan, node: &PlannedNode) -> Vec<(String, SocketAddrV4)> {
    let last = u8::try_from(10 + node.number).expect("a plan has at most 60 nodes");
    let [first, second] = SUBNETS;
    let at = |name: String, third_byte: u16| {
        let third_byte = u8::try_from(third_byte).expect("a plan has at most 16 regions or networks");
        (name, SocketAddrV4::new(Ipv4Addr::new(first, second, third_byte, last), MESH_PORT))
    };
    match (plan.networks(), node.network) {
        (Some(all), _) if node.is_founder() => all.map(|number| at(network_name(number), number)).collect(),
        (_, Some(number)) => vec![at(network_name(number), number)],
        (_, None) => vec![at(region_name(node.region), node.region), at("backbone".to_owned(), BACKBONE)],
    }
}

fn network_name(number: u16) -> String {
    format!("net{number}")
}

fn header(plan: Plan) -> String {
    format!(
        "# A mesh of {} nodes in {} regions. Written by `hedgerow-testnet compose-file`; a test keeps them equal.\n\
         # The image holds one static binary: `hedgerow-testnet up --backend compose` builds it, and docs/testnet.md\n\
         # says how to build it by hand.\n\n",
        plan.node_count(),
        plan.region_count()
    )
}

fn service(plan: Plan, node: &PlannedNode, port_base: u16) -> String {
    let region = region_name(node.region);
    let attachments = attachments(plan, node);
    let mut words = vec!["run".to_owned(), "--region".to_owned(), region.clone(), "--emulate".to_owned()];
    if node.is_founder() {
        words.extend(["--init".to_owned(), "--uses".to_owned(), plan.ticket_uses().to_string()]);
        words.extend(plan.regions().map(region_name).flat_map(|region| {
            let file = format!("{region}=/tickets/{region}");
            ["--ticket-out".to_owned(), file]
        }));
    } else {
        words.extend(["--ticket-file".to_owned(), format!("/tickets/{region}")]);
    }
    for (_, address) in &attachments {
        words.extend(["--advertise".to_owned(), address.to_string()]);
    }
    words.extend(["--rest".to_owned(), format!("0.0.0.0:{REST_PORT}"), "--open-rest".to_owned()]);
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let tickets = if node.is_founder() { "tickets:/tickets" } else { "tickets:/tickets:ro" };

    let mut text = String::new();
    line(&mut text, format_args!("  {}:", node.name));
    line(&mut text, format_args!("    <<: *node"));
    line(&mut text, format_args!("    command: [{}]", words.join(", ")));
    line(&mut text, format_args!("    networks:"));
    for (network, address) in &attachments {
        line(&mut text, format_args!("      {network}: {{ipv4_address: {}}}", address.ip()));
    }
    line(&mut text, format_args!("    ports: [\"127.0.0.1:{}:{REST_PORT}\"]", node.port(port_base)));
    line(&mut text, format_args!("    volumes: [\"{}:/data\", \"{tickets}\"]", node.name));
    text
}

fn network(name: &str, third_byte: u16) -> String {
    let [first, second] = SUBNETS;
    format!("  {name}:\n    ipam:\n      config: [{{subnet: {first}.{second}.{third_byte}.0/24}}]\n")
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("a string takes everything");
}

/// The first half of every address: a private range away from those that Docker and home routers hand out.
const SUBNETS: [u8; 2] = [10, 144];

/// The third byte of the shared network; regions have their own numbers, from 1.
const BACKBONE: u16 = 0;

const MESH_PORT: u16 = 4334;
const REST_PORT: u16 = 8000;

/// What all services share. Root without capabilities, since a scratch image has no other user to own the volumes.
const NODE: &str = r#"x-node: &node
  image: hedgerow:testnet
  init: true
  read_only: true
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  tmpfs: [/tmp]
  restart: "no"
  stop_grace_period: 10s
  healthcheck:
    test: ["CMD", "/hedgerow", "status"]
    interval: 5s
    timeout: 5s
    retries: 3
    start_period: 60s
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_is_what_is_rendered() {
        let rendered = render(Plan::new(6, 2).expect("a plan"), PORT_BASE);
        assert_eq!(
            include_str!("../../compose/docker-compose.yml"),
            rendered,
            "write it anew: cargo run -p hedgerow-testnet -- compose-file > testnet/compose/docker-compose.yml"
        );
    }

    #[test]
    fn the_shared_part_names_the_image_that_is_built() {
        assert!(NODE.contains(&format!("image: {IMAGE}\n")));
    }

    #[test]
    fn only_the_founder_may_write_tickets_and_each_region_gets_one() {
        let file = render(Plan::new(3, 3).expect("a plan"), PORT_BASE);
        assert_eq!(file.matches("--ticket-out").count(), 3);
        assert_eq!(file.matches("\"tickets:/tickets\"").count(), 1);
        for region in ["r2", "r3"] {
            assert!(file.contains(&format!("\"--ticket-file\", \"/tickets/{region}\"")), "{file}");
        }
    }

    #[test]
    fn of_several_networks_the_founder_is_in_all_and_others_in_one() {
        let plan = Plan::new(5, 2).and_then(|plan| plan.over(2)).expect("a plan");
        let addresses: Vec<Vec<String>> =
            plan.nodes().map(|node| mesh_addresses(plan, &node).iter().map(ToString::to_string).collect()).collect();
        let expected = [
            &["10.144.1.11:4334", "10.144.2.11:4334"][..],
            &["10.144.2.12:4334"],
            &["10.144.1.13:4334"],
            &["10.144.2.14:4334"],
            &["10.144.1.15:4334"],
        ];
        assert_eq!(addresses, expected);
        let file = render(plan, PORT_BASE);
        assert!(!file.contains("backbone") && file.matches("ipv4_address").count() == 6, "{file}");
    }

    #[test]
    fn every_port_is_published_on_loopback_and_every_address_is_used_once() {
        let file = render(Plan::new(60, 16).expect("a plan"), PORT_BASE);
        assert_eq!(file.matches("ports: [\"127.0.0.1:").count(), 60);
        assert!(file.contains("127.0.0.1:41600:8000"), "{file}");
        let addresses: Vec<_> = file.lines().filter(|line| line.contains("ipv4_address")).collect();
        let distinct: std::collections::BTreeSet<_> = addresses.iter().collect();
        assert_eq!((addresses.len(), distinct.len()), (120, 120));
    }
}
