//! The rules for data: what they are, what a change would move, and the change.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_protocol::core::{Command, CommandRefusal};
use hedgerow_protocol::fact::{Fact, SignedFact, VerifiedFact};
use hedgerow_protocol::id::PolicyVersion;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{
    BUILT_IN, ClassFate, ClassPlan, DataClass, Move, NodeClassRule, NodeClasses, Note, Plan, Policy, Proposal,
    parent_of, preview,
};

use crate::admin::state::AdminState;
use crate::admin::wire::{
    DataClassRow, NodeClassReport, NodeClassRow, NodeClassShare, PlanReport, PlanRequest, PlannedClass, PlannedMove,
    PlannedRefusal, PolicyAccepted, PolicyHead, PolicyReport,
};
use crate::api::Problem;
use crate::core::CommandError;
use crate::observe::{chain, wall};

/// What is in force.
pub(in crate::admin) async fn show(State(state): State<AdminState>) -> Json<PolicyReport> {
    let view = state.api.core.view();
    let head = |(version, digest): &(PolicyVersion, Sha256Digest)| PolicyHead {
        version: version.0,
        digest: digest.to_string(),
    };
    Json(PolicyReport {
        heads: view.policy_heads.iter().map(head).collect(),
        classes: view.policy.iter().flat_map(|policy| &policy.classes).map(row).collect(),
    })
}

/// The node classes that are written, built in, or that members have.
pub(in crate::admin) async fn node_classes(State(state): State<AdminState>) -> Json<NodeClassReport> {
    let view = state.api.core.view();
    let shares = &view.node_classes;
    let mut nodes: BTreeMap<String, u64> = BUILT_IN.iter().map(|(name, _)| ((*name).to_owned(), 0)).collect();
    nodes.extend(shares.classes.iter().map(|rule| (rule.name.to_string(), 0)));
    for member in view.members.values() {
        *nodes.entry(member.class.clone()).or_default() += 1;
    }
    let row = |(name, nodes): (String, u64)| {
        let weight = NodeClass::new(&name).map_or(0, |class| shares.weight(&class));
        NodeClassRow { name, weight, nodes }
    };
    let share = |rule: &NodeClassRule| NodeClassShare { name: rule.name.to_string(), weight: rule.weight };
    Json(NodeClassReport {
        revision: shares.revision,
        written: shares.classes.iter().map(share).collect(),
        classes: nodes.into_iter().map(row).collect(),
    })
}

/// What a change would move in the cell of this node. Nothing is changed.
pub(in crate::admin) async fn plan(
    State(state): State<AdminState>,
    Json(request): Json<PlanRequest>,
) -> Result<Json<PlanReport>, Problem> {
    let view = state.api.core.view();
    let classes = request.classes.iter().map(class).collect::<Result<Vec<_>, _>>()?;
    let policy = Policy { version: PolicyVersion(0), parent: None, classes };
    if !policy.is_well_formed() {
        return Err(malformed("classes that are not in order of their names, or that cannot be kept"));
    }
    let share = |share: &NodeClassShare| {
        let name = NodeClass::new(&share.name);
        let name = name.map_err(|error| malformed(&format!("node class {}: {error}", share.name)))?;
        Ok(NodeClassRule { name, weight: share.weight })
    };
    let written = request.node_classes.iter().map(share).collect::<Result<_, Problem>>()?;
    let node_classes = NodeClasses { revision: 0, classes: written };
    let cell = view.cell.ok_or_else(|| {
        Problem::unavailable("cell-unknown", "the region of this node has no cell yet")
            .remedy("wait until `hedgerow status` names a cell")
    })?;
    let bytes = state.api.sessions.sizes(cell).await;
    let proposal = Proposal { policy: Some(&policy), node_classes: &node_classes };
    let plan = preview(&view, cell, proposal, &bytes)
        .map_err(|error| Problem::because(StatusCode::SERVICE_UNAVAILABLE, "cell-unknown", &error))?;
    Ok(Json(report(&plan, cell.to_string(), view.region.to_string())))
}

/// Takes in a signed policy that replaces exactly what is in force here.
pub(in crate::admin) async fn apply(
    State(state): State<AdminState>,
    body: Bytes,
) -> Result<Json<PolicyAccepted>, Problem> {
    let fact = verified(&state, &body)?;
    let Fact::Policy(policy, _) = fact.fact() else {
        return Err(malformed("the signed fact is no policy"));
    };
    let accepted = PolicyAccepted { version: policy.version.0 };
    let heads: Vec<Sha256Digest> = state.api.core.view().policy_heads.iter().map(|(_, digest)| *digest).collect();
    if policy.parent != parent_of(&heads) {
        return Err(outdated());
    }
    state.api.core.command(Command::Announce(Box::new(fact))).await.map_err(|error| not_announced(&error))?;
    Ok(Json(accepted))
}

/// Takes in signed shares of node classes.
pub(in crate::admin) async fn apply_node_classes(
    State(state): State<AdminState>,
    body: Bytes,
) -> Result<Json<PolicyAccepted>, Problem> {
    let fact = verified(&state, &body)?;
    let Fact::NodeClasses(classes) = fact.fact() else {
        return Err(malformed("the signed fact holds no node classes"));
    };
    let accepted = PolicyAccepted { version: classes.revision };
    state.api.core.command(Command::Announce(Box::new(fact))).await.map_err(|error| not_announced(&error))?;
    Ok(Json(accepted))
}

fn verified(state: &AdminState, body: &[u8]) -> Result<VerifiedFact, Problem> {
    let signed = SignedFact::from_bytes(body).map_err(|error| malformed(&chain(&error)))?;
    signed.verify(&state.api.core.roster(), &state.root, wall().unix_seconds()).map_err(|error| {
        Problem::new(StatusCode::FORBIDDEN, "policy-refused", chain(&error))
            .remedy("sign with a policy key that the mesh's root names: --key FILE")
    })
}

fn outdated() -> Problem {
    let detail = "another policy came into force since this one was made";
    Problem::new(StatusCode::CONFLICT, "policy-outdated", detail)
        .remedy("look at the difference again with `hedgerow diff -f FILE`, then apply it")
}

fn malformed(detail: &str) -> Problem {
    Problem::bad_request("policy-malformed", detail)
}

fn not_announced(error: &CommandError) -> Problem {
    match error {
        CommandError::Refused(CommandRefusal::Stale) => outdated(),
        CommandError::Refused(_) | CommandError::Stopping | CommandError::Storage => {
            super::not_obeyed("policy-refused", error)
        }
    }
}

fn row(class: &DataClass) -> DataClassRow {
    DataClassRow {
        name: class.name.to_string(),
        replicas: class.replicas,
        write_quorum: class.write_quorum,
        regions: class.regions.iter().map(Region::to_string).collect(),
        personal: class.personal,
        ttl_s: class.ttl_s,
    }
}

fn class(row: &DataClassRow) -> Result<DataClass, Problem> {
    let region = |text: &String| {
        Region::new(text).map_err(|error| malformed(&format!("class {}: region {text}: {error}", row.name)))
    };
    Ok(DataClass {
        name: ClassName::new(&row.name).map_err(|error| malformed(&format!("class {}: {error}", row.name)))?,
        replicas: row.replicas,
        write_quorum: row.write_quorum,
        regions: row.regions.iter().map(region).collect::<Result<_, _>>()?,
        personal: row.personal,
        ttl_s: row.ttl_s,
    })
}

fn report(plan: &Plan, cell: String, region: String) -> PlanReport {
    let (bytes, unknown) = plan.bytes();
    let models = plan.models.iter().filter(|model| is_told(&model.nodes));
    PlanReport {
        cell,
        region,
        copies: plan.copies() as u64,
        bytes,
        copies_of_unknown_size: unknown as u64,
        classes: plan.classes.iter().map(planned_class).collect(),
        models: models.map(|model| planned_move(model.model.to_string(), &model.nodes)).collect(),
    }
}

fn planned_class(plan: &ClassPlan) -> PlannedClass {
    let fate = match plan.fate {
        ClassFate::Placed => "placed",
        ClassFate::Removed => "removed",
        ClassFate::Forbidden => "forbidden",
        ClassFate::Nobody => "nobody",
    };
    let moves = (0..).zip(&plan.groups).filter(|(_, group)| is_told(group));
    let refusal = |(node, rules): (&NodeId, &Vec<_>)| PlannedRefusal {
        node: node.to_string(),
        rules: rules.iter().map(ToString::to_string).collect(),
    };
    PlannedClass {
        class: plan.class.to_string(),
        fate: fate.to_owned(),
        groups: plan.groups.len() as u64,
        moves: moves.map(|(prefix, group): (u16, _)| planned_move(format!("{}.{prefix}", plan.class), group)).collect(),
        refusals: plan.refusals.iter().map(refusal).collect(),
    }
}

fn is_told(group: &Move) -> bool {
    !group.stays() || !group.notes.is_empty()
}

fn planned_move(what: String, group: &Move) -> PlannedMove {
    let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect();
    PlannedMove {
        what,
        from: names(&group.from),
        to: names(&group.to),
        stops: names(&group.stops),
        waits: names(&group.waits),
        bytes: group.bytes,
        notes: group.notes.iter().map(note).collect(),
    }
}

fn note(note: &Note) -> String {
    match note {
        Note::TooFew { wanted, found } => format!("{found} of {wanted} copies"),
        Note::SharedDomain { domain, copies } => format!("{copies} copies fail with {domain}"),
    }
}
