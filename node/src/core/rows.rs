//! The mesh as rows for people and programs.

use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::view::{MemberState, MeshView};

use crate::admin::wire::{Aggregator, MemberCounts, MemberRow};
use crate::observe::milliseconds;

/// Every member of the view.
pub fn member_rows(view: &MeshView, roster: &Roster) -> Vec<MemberRow> {
    let row = |member: &hedgerow_protocol::view::MemberView| MemberRow {
        node: member.node.to_string(),
        peer: roster.member(&member.node).map_or_else(String::new, |known| known.peer().to_string()),
        region: member.region.to_string(),
        cell: member.cell.map(|cell| cell.to_string()),
        class: member.class.clone(),
        domain: member.domain.as_ref().map(ToString::to_string),
        state: member.state.to_string(),
        incarnation: member.incarnation.0,
        addresses: member.addresses.clone(),
        path: None,
        rtt_ms: member.rtt_us.map(milliseconds),
        heard_ms_ago: member.heard_ms_ago,
        warm: member.health.warm.iter().map(ToString::to_string).collect(),
        aggregator: view.aggregators.values().any(|row| row.valid && row.holder == member.node),
        me: member.node == view.me,
    };
    view.members.values().map(row).collect()
}

/// Members by state.
pub fn member_counts(view: &MeshView) -> MemberCounts {
    let mut counts = MemberCounts::default();
    for member in view.members.values() {
        counts.total += 1;
        *match member.state {
            MemberState::Alive => &mut counts.alive,
            MemberState::Suspect => &mut counts.suspect,
            MemberState::Down => &mut counts.down,
            MemberState::Stopping | MemberState::Draining => &mut counts.stopping,
            MemberState::Left => &mut counts.left,
        } += 1;
    }
    counts
}

/// The aggregators whose leases are believed to run.
pub fn aggregators(view: &MeshView) -> Vec<Aggregator> {
    let valid = view.aggregators.iter().filter(|(_, row)| row.valid);
    valid
        .map(|(region, row)| Aggregator {
            region: region.to_string(),
            cell: row.cell.to_string(),
            holder: row.holder.to_string(),
            generation: row.generation.0,
            term: row.term.0,
            voters: u64::try_from(row.voters).unwrap_or(u64::MAX),
        })
        .collect()
}
