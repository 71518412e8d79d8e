//! Graphs that ask more of the check than any model does.

use super::*;
use crate::{
    ir::{Limits, OperatorId, Signature},
    tensor::{DType, Tensor},
    weights,
};

fn info(name: &str, dtype: DType) -> ValueInfo {
    ValueInfo { name: name.into(), dtype, shape: vec![] }
}

fn node(op: &str, version: u32, inputs: &[&str], outputs: &[&str]) -> Node {
    let name = |name: &&str| Some(ValueName((*name).into()));
    Node {
        name: "n".into(),
        operator: OperatorId { domain: String::new(), name: op.into(), version },
        inputs: inputs.iter().map(name).collect(),
        outputs: outputs.iter().map(name).collect(),
        attributes: vec![],
    }
}

/// An `If` whose branches are the bodies of these indices.
fn branching(then_branch: u32, else_branch: u32) -> Node {
    let branch = |name: &str, at| NamedAttribute { name: name.into(), value: Attribute::Graph(at) };
    let attributes = vec![branch("else_branch", else_branch), branch("then_branch", then_branch)];
    Node { attributes, ..node("If", 1, &["c"], &["y"]) }
}

fn graph(nodes: Vec<Node>, subgraphs: Vec<Subgraph>) -> Graph {
    let inputs = vec![info("c", DType::Bool), info("x", DType::F32)];
    Graph {
        signature: Signature { inputs, outputs: vec![] },
        limits: Limits::default(),
        weights: vec![],
        nodes,
        subgraphs,
    }
}

fn refusal(graph: &Graph) -> Option<String> {
    let error = Trace::of(graph, &weights::serialize(&BTreeMap::new())).err()?;
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Some(innermost.to_string())
}

/// Branches inside each other, each beside one that makes what is around it.
fn nested(depth: u32) -> Graph {
    let leaf = || Subgraph { inputs: vec![], outputs: vec![ValueName("x".into())], nodes: vec![] };
    let inner = |level: u32| Subgraph {
        outputs: vec![ValueName("y".into())],
        nodes: vec![branching(2 * level, 2 * level + 1)],
        ..leaf()
    };
    let bodies = (1..=depth).flat_map(|level| [if level == depth { leaf() } else { inner(level) }, leaf()]);
    graph(vec![branching(0, 1)], bodies.collect())
}

#[test]
fn bodies_are_nested_only_so_deep() {
    assert_eq!(refusal(&nested(16)), None);
    assert_eq!(refusal(&nested(17)).unwrap(), "bodies are nested more than 16 deep");
}

#[test]
fn values_are_counted_in_all_bodies() {
    let scopes = |slots| Scopes {
        subgraphs: &[],
        is_used: vec![],
        scopes: vec![Trace::default(), Trace::default()],
        compares_types: true,
        folding_left: 0,
        slots,
    };
    let mut full = scopes(SLOTS_MAX - 1);
    full.scopes[0].define("x", Fact::of_dims(DType::F32, &[]).unwrap()).unwrap();
    let relu = |output| node("Relu", 6, &["x"], &[output]);
    // What it makes, and what it reads from around.
    assert_eq!(full.apply(&relu("y")), Ok(()));
    assert_eq!(full.slots, SLOTS_MAX + 1);
    assert_eq!(full.apply(&relu("z")), Err(GraphError::Values { most: SLOTS_MAX }));
}

#[test]
fn only_what_is_cheap_is_folded() {
    let tensor = Tensor::from_f32(vec![1, 1, 1, 1], &[1.0]).unwrap();
    let weights = weights::serialize(&BTreeMap::from([("w".to_owned(), tensor)]));
    let window = NamedAttribute { name: "kernel_shape".into(), value: Attribute::Ints(vec![1, 1]) };
    let pool = Node { attributes: vec![window], ..node("MaxPool", 1, &["w"], &["pooled"]) };
    let folded =
        Graph { weights: weights.infos().collect(), ..graph(vec![node("Neg", 6, &["w"], &["less"]), pool], vec![]) };
    let trace = Trace::of(&folded, &weights).unwrap();
    let is_known = |name| trace.facts[trace.slot(name).unwrap()].content.is_some();
    assert_eq!((is_known("less"), is_known("pooled")), (true, false));
}
