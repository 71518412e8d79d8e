//! Shapes that a request decides, bodies, and requests that must not get far.

use std::collections::BTreeMap;

use super::*;
use crate::{
    artifact::pack,
    onnx::testing::{self, GraphProto},
    tensor::DType,
};

const INT64: i32 = 7;
const BOOL: i32 = 9;

fn load(graph: GraphProto) -> Model {
    load_within(graph, 256 << 20)
}

fn load_within(graph: GraphProto, memory_bytes_max: u64) -> Model {
    let artifact = pack("dynamic".parse().unwrap(), "1".parse().unwrap(), &testing::lowered(graph)).unwrap();
    Model::load(&artifact.open().unwrap(), ExecLimits { memory_bytes_max, ..ExecLimits::default() }).unwrap()
}

fn run(model: &Model, inputs: &[(&str, Tensor)]) -> Result<BTreeMap<String, Tensor>, RunError> {
    model.run(inputs.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect())
}

fn floats(shape: &[u64], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), values).unwrap()
}

fn ints(shape: &[u64], values: &[i64]) -> Tensor {
    Tensor::from_i64(shape.to_vec(), values).unwrap()
}

/// `y` of one operator over inputs of any extents.
fn single(op: &str, inputs: &[(&str, i32, usize)], output: (i32, usize)) -> Model {
    let names: Vec<_> = inputs.iter().map(|(name, ..)| *name).collect();
    let port = |name: &str, dtype, rank| testing::port(name, dtype, &vec![""; rank]);
    load(GraphProto {
        node: vec![testing::node("n", op, &names, &["y"])],
        input: inputs.iter().map(|(name, dtype, rank)| port(name, *dtype, *rank)).collect(),
        output: vec![port("y", output.0, output.1)],
        ..GraphProto::default()
    })
}

#[test]
fn a_shape_may_come_with_the_request() {
    let model = single("Reshape", &[("x", testing::FLOAT, 2), ("shape", INT64, 1)], (testing::FLOAT, 1));
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let answer = run(&model, &[("x", x.clone()), ("shape", ints(&[1], &[-1]))]).unwrap();
    assert_eq!(answer["y"], floats(&[6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let refused = run(&model, &[("x", x.clone()), ("shape", ints(&[1], &[4]))]);
    assert!(matches!(refused, Err(RunError::Fit { node, .. }) if node == "n"));
    // The signature says that there is one dimension.
    let refused = run(&model, &[("x", x), ("shape", ints(&[2], &[3, 2]))]);
    assert!(matches!(refused, Err(RunError::Output { output, got, .. }) if output == "y" && got == [3, 2]));
}

#[test]
fn as_many_results_as_there_are_elements_to_find() {
    let model = single("NonZero", &[("x", testing::FLOAT, 1)], (INT64, 2));
    let found = |x: Tensor| run(&model, &[("x", x)]).unwrap().remove("y").unwrap();
    assert_eq!(found(floats(&[4], &[0.0, 2.0, f32::NAN, -0.0])), ints(&[1, 2], &[1, 2]));
    assert_eq!(found(floats(&[2], &[0.0, 0.0])), ints(&[1, 0], &[]));
    assert_eq!(found(floats(&[0], &[])), ints(&[1, 0], &[]));
}

#[test]
fn nothing_is_allocated_beyond_the_bounds() {
    let expand = single("Expand", &[("x", testing::FLOAT, 1), ("shape", INT64, 1)], (testing::FLOAT, 2));
    let wide = |extents: &[i64]| run(&expand, &[("x", floats(&[1], &[1.0])), ("shape", ints(&[2], extents))]);
    assert!(matches!(wide(&[1 << 40, 1 << 40]), Err(RunError::Elements { .. })));
    assert!(matches!(wide(&[1 << 40, 0]), Err(RunError::Elements { .. })));
    assert!(matches!(wide(&[4096, 4096]), Err(RunError::Memory { .. })));
    assert!(matches!(wide(&[-1, 1]), Err(RunError::Fit { .. })));
    assert_eq!(wide(&[2, 0]).unwrap()["y"].shape(), [2, 0]);
    let range = single("Range", &[("a", INT64, 0), ("b", INT64, 0), ("c", INT64, 0)], (INT64, 1));
    let count = |limit, delta| {
        run(&range, &[("a", ints(&[], &[i64::MIN])), ("b", ints(&[], &[limit])), ("c", ints(&[], &[delta]))])
    };
    assert!(matches!(count(i64::MAX, 1), Err(RunError::Fit { .. } | RunError::Elements { .. })));
    assert!(matches!(count(0, 0), Err(RunError::Fit { .. })));
    assert_eq!(count(i64::MIN, -1).unwrap()["y"].elements(), 0);
}

#[test]
fn shapes_of_more_extents_than_any_are_not_read() {
    let expand = load(GraphProto {
        node: vec![testing::node("n", "Expand", &["x", "shape"], &["y"])],
        input: vec![testing::port("x", testing::FLOAT, &["1"]), testing::port("shape", INT64, &["1048576"])],
        output: vec![testing::port("y", testing::FLOAT, &[""])],
        ..GraphProto::default()
    });
    let long = ints(&[1 << 20], &vec![1; 1 << 20]);
    let refused = run(&expand, &[("x", floats(&[1], &[1.0])), ("shape", long)]).unwrap_err();
    let source = crate::ShapeError::Long { input: 1, most: 256 };
    assert!(matches!(&refused, RunError::Fit { source: got, .. } if *got == source), "{refused:?}");
}

#[test]
fn lists_that_a_kernel_keeps_of_each_element_are_charged() {
    let graph = || GraphProto {
        node: vec![testing::node("n", "Unique", &["x"], &["y"])],
        input: vec![testing::port("x", testing::FLOAT, &["1024"])],
        output: vec![testing::port("y", testing::FLOAT, &[""])],
        ..GraphProto::default()
    };
    let x = floats(&[1024], &[0.0; 1024]);
    // Input and result, and 96 bytes for each element of both.
    let needed = 1024 * (4 + 4 + 2 * 96);
    assert_eq!(run(&load_within(graph(), needed), &[("x", x.clone())]).unwrap()["y"], floats(&[1], &[0.0]));
    assert!(matches!(run(&load_within(graph(), needed - 1), &[("x", x)]), Err(RunError::Memory { .. })));
}

#[test]
fn hostile_elements_are_refused_by_node() {
    let gather = single("Gather", &[("x", testing::FLOAT, 1), ("i", INT64, 1)], (testing::FLOAT, 1));
    let at = |index| run(&gather, &[("x", floats(&[2], &[1.0, 2.0])), ("i", ints(&[1], &[index]))]);
    assert_eq!(at(-2).unwrap()["y"], floats(&[1], &[1.0]));
    for index in [2, -3, i64::MIN, i64::MAX] {
        let refused = at(index).unwrap_err();
        assert!(matches!(&refused, RunError::Refused { source: crate::Fault::Index, .. }), "{refused:?}");
    }
    let divide = single("Div", &[("a", INT64, 1), ("b", INT64, 1)], (INT64, 1));
    let over = |a, b| run(&divide, &[("a", ints(&[1], &[a])), ("b", ints(&[1], &[b]))]);
    assert_eq!(over(i64::MIN, -1).unwrap()["y"], ints(&[1], &[i64::MIN]));
    assert_eq!(over(-7, 2).unwrap()["y"], ints(&[1], &[-3]));
    assert!(matches!(over(1, 0), Err(RunError::Refused { source: crate::Fault::Division, .. })));
}

#[test]
fn constants_are_folded_and_their_nodes_do_not_run() {
    let model = load(GraphProto {
        node: vec![
            testing::node("s", "Shape", &["x"], &["shape"]),
            testing::node("n", "Neg", &["shape"], &["negative"]),
            testing::node("a", "Abs", &["negative"], &["again"]),
            testing::node("r", "ConstantOfShape", &["again"], &["y"]),
        ],
        input: vec![testing::port("x", testing::FLOAT, &["2", "3"])],
        output: vec![testing::port("y", testing::FLOAT, &["2", "3"])],
        ..GraphProto::default()
    });
    assert!(!model.plan.steps.iter().any(|step| matches!(step.operator.name, "Neg" | "Abs" | "ConstantOfShape")));
    assert_eq!(run(&model, &[("x", floats(&[2, 3], &[1.0; 6]))]).unwrap()["y"], floats(&[2, 3], &[0.0; 6]));
}

/// Doubles `x` as often as `m` says, and lists what it came to.
fn doubling_graph(condition: &str) -> GraphProto {
    let mut node = testing::node("loop", "Loop", &["m", "", "x"], &["y", "list"]);
    node.attribute.push(testing::body(
        "body",
        GraphProto {
            node: vec![
                testing::node("double", "Add", &["value", "value"], &["twice"]),
                testing::node("keep", "Identity", &["twice"], &["listed"]),
                testing::node("go", condition, &["going"], &["goes_on"]),
            ],
            input: vec![
                testing::port("count", INT64, &[]),
                testing::port("going", BOOL, &[]),
                testing::port("value", testing::FLOAT, &["2"]),
            ],
            output: vec![
                testing::port("goes_on", BOOL, &[]),
                testing::port("twice", testing::FLOAT, &["2"]),
                testing::port("listed", testing::FLOAT, &["2"]),
            ],
            ..GraphProto::default()
        },
    ));
    GraphProto {
        node: vec![node],
        input: vec![testing::port("m", INT64, &[]), testing::port("x", testing::FLOAT, &["2"])],
        output: vec![testing::port("y", testing::FLOAT, &["2"]), testing::port("list", testing::FLOAT, &["", "2"])],
        ..GraphProto::default()
    }
}

fn doubling(condition: &str) -> Model {
    load_within(doubling_graph(condition), 64 << 10)
}

#[test]
fn a_loop_carries_values_and_lists_others() {
    let model = doubling("Identity");
    let twice = |m| run(&model, &[("m", ints(&[], &[m])), ("x", floats(&[2], &[1.0, -1.0]))]);
    let answer = twice(3).unwrap();
    assert_eq!(answer["y"], floats(&[2], &[8.0, -8.0]));
    assert_eq!(answer["list"], floats(&[3, 2], &[2.0, -2.0, 4.0, -4.0, 8.0, -8.0]));
    // The condition of the first iteration ends it.
    let once = run(&doubling("Not"), &[("m", ints(&[], &[3])), ("x", floats(&[2], &[1.0, 2.0]))]).unwrap();
    assert_eq!(once["list"].shape(), [1, 2]);
    // Nothing says how long an element of an empty list would be.
    assert!(matches!(twice(0), Err(RunError::Refused { .. })));
    // A list grows no longer than memory lets it.
    assert!(matches!(twice(i64::MAX), Err(RunError::Memory { .. })));
}

#[test]
fn a_branch_is_chosen_by_the_request_and_reads_what_is_around_it() {
    let branch = |op: &str| GraphProto {
        node: vec![testing::node("inner", op, &["x", "x"], &["made"])],
        output: vec![testing::port("made", testing::FLOAT, &["2"])],
        ..GraphProto::default()
    };
    let mut node = testing::node("if", "If", &["c"], &["y"]);
    node.attribute.push(testing::body("then_branch", branch("Add")));
    node.attribute.push(testing::body("else_branch", branch("Mul")));
    let model = load(GraphProto {
        node: vec![node],
        input: vec![testing::port("c", BOOL, &[]), testing::port("x", testing::FLOAT, &["2"])],
        output: vec![testing::port("y", testing::FLOAT, &["2"])],
        ..GraphProto::default()
    });
    assert_eq!(model.signature().inputs[0].dtype, DType::Bool);
    let chosen = |truth| {
        let condition = Tensor::from_bool(vec![], &[truth]).unwrap();
        run(&model, &[("c", condition), ("x", floats(&[2], &[3.0, 4.0]))]).unwrap().remove("y").unwrap()
    };
    assert_eq!(chosen(true), floats(&[2], &[6.0, 8.0]));
    assert_eq!(chosen(false), floats(&[2], &[9.0, 16.0]));
}

#[test]
fn damaged_graphs_with_bodies_are_refused_or_answer() {
    let lowered = testing::lowered(doubling_graph("Not"));
    let bytes = lowered.graph.encode().unwrap();
    let limits = ExecLimits { memory_bytes_max: 16 << 10, elements_max: 64, symbol_max: 8 };
    let (mut loaded, mut answered) = (0, 0);
    for at in 5..bytes.len() {
        for flip in [1, 2, 4, 128] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let Ok(graph) = Graph::decode(&damaged) else { continue };
            let Ok(weights) = Weights::open(lowered.weights.clone(), &graph.weights) else { continue };
            let device = <Flex as burn::backend::BackendTypes>::Device::default();
            let Ok(model) = Model::<Flex>::build(&graph, &weights, limits, Engine::Host(Isa::widest()), device) else {
                continue;
            };
            loaded += 1;
            let given = [("m", ints(&[], &[2])), ("x", floats(&[2], &[1.0, -1.0]))];
            match run(&model, &given) {
                Ok(_) => answered += 1,
                Err(RunError::Panicked { node }) => panic!("byte {at} ^ {flip}: node {node} panicked"),
                Err(_) => {}
            }
        }
    }
    assert!(loaded > 50 && answered > 10, "{loaded} loaded, {answered} answered");
}

/// `x` doubled in branches inside each other, each of which reads what the one around it made.
fn nested(depth: usize) -> GraphProto {
    let branch = |level: usize, inner: Option<GraphProto>| {
        let (read, made, name) = (format!("v{level}"), format!("v{}", level + 1), format!("y{level}"));
        let mut nodes = vec![testing::node("double", "Add", &[&read, &read], &[&made])];
        let output = if let Some(inner) = inner {
            let other = GraphProto {
                node: vec![testing::node("same", "Identity", &[&made], &["other"])],
                output: vec![testing::port("other", testing::FLOAT, &["1024"])],
                ..GraphProto::default()
            };
            let mut node = testing::node("if", "If", &["c"], &[&name]);
            node.attribute = vec![testing::body("then_branch", inner), testing::body("else_branch", other)];
            nodes.push(node);
            name
        } else {
            made
        };
        let output = vec![testing::port(&output, testing::FLOAT, &["1024"])];
        GraphProto { node: nodes, output, ..GraphProto::default() }
    };
    let whole = (0..depth).rev().fold(branch(depth, None), |inner, level| branch(level, Some(inner)));
    let input = vec![testing::port("c", BOOL, &[]), testing::port("v0", testing::FLOAT, &["1024"])];
    GraphProto { input, ..whole }
}

#[test]
fn what_waits_around_bodies_is_charged() {
    let answer = |depth| {
        let model = load_within(nested(depth), 64 << 10);
        let given = [("c", Tensor::from_bool(vec![], &[true]).unwrap()), ("v0", floats(&[1024], &[1.0; 1024]))];
        run(&model, &given).map(|answer| answer["y0"].to_f32().unwrap()[0])
    };
    assert_eq!(answer(1).unwrap(), 4.0);
    // Thirteen tensors of 4 KiB wait; with what the last body works with that is beyond the bound.
    assert!(matches!(answer(13), Err(RunError::Memory { .. })));
}

#[test]
fn constants_are_kept_once_and_counted_in_bodies_too() {
    let mut graph = doubling_graph("Identity");
    let inner = graph.node[0].attribute[0].g.as_mut().unwrap();
    let mut zeros = testing::node("zeros", "ConstantOfShape", &["two"], &["zero"]);
    zeros.attribute.clear();
    inner.initializer.push(testing::ints("two", &[1], &[2]));
    inner.node[0].input[1] = "zero".into();
    inner.node.insert(0, zeros);
    let model = load(graph);
    // The weight that the body names, and what it makes of it.
    assert_eq!(model.resident_bytes(), 8 + 8);
    for (slot, fact) in model.plan.facts.iter().enumerate() {
        let resident = model.resident[slot].as_ref().map(|value| value.clone().into_host().unwrap());
        match (&fact.content, resident) {
            (Some(content), Some(resident)) => assert!(Arc::ptr_eq(content, &resident), "slot {slot} is kept twice"),
            (content, _) => assert!(content.is_none(), "slot {slot} is kept though nothing reads it"),
        }
    }
}
