//! Nodes as operators name them.

use std::collections::BTreeSet;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;

use crate::admin::state::AdminState;
use crate::api::Problem;

/// A node by its id, known here or not, or by the first characters of it where they name one alone.
pub(super) fn named(state: &AdminState, target: &str) -> Result<NodeId, Problem> {
    if let Ok(node) = target.parse::<NodeId>() {
        return Ok(node);
    }
    let (view, roster) = (state.api.core.view(), state.api.core.roster());
    let known = view.members.keys().copied().chain(roster.members().map(Member::node)).chain(roster.revoked().nodes());
    let found: BTreeSet<NodeId> = known.filter(|node| node.to_string().starts_with(target)).collect();
    match found.iter().collect::<Vec<_>>()[..] {
        [node] if !target.is_empty() => Ok(*node),
        [_, _, ..] => Err(Problem::bad_request("target-ambiguous", format!("several nodes begin with '{target}'"))
            .remedy("give more characters of the id")),
        _ => Err(Problem::not_found("target-unknown", format!("no node that is known here begins with '{target}'"))
            .remedy("list the members with `hedgerow members`, or give the whole id")),
    }
}
