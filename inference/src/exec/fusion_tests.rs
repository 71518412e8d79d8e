use std::collections::BTreeMap;

use super::*;
use crate::{
    artifact::pack,
    exec::{Engine, ExecLimits, Isa, Model},
    onnx::testing::{self, FLOAT, GraphProto, floats, int, lowered, node, port},
    tensor::Tensor,
    weights::Weights,
};

fn graph(node: Vec<testing::NodeProto>, initializer: Vec<testing::TensorProto>) -> GraphProto {
    GraphProto {
        node,
        initializer,
        input: vec![port("x", FLOAT, &["rows", "4"])],
        output: vec![port("y", FLOAT, &["rows", "4"])],
        ..GraphProto::default()
    }
}

fn x() -> BTreeMap<String, Tensor> {
    let values = [-6.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, f32::NAN, 3.0, 2.0, -2.0, 6.0];
    BTreeMap::from([("x".to_owned(), Tensor::from_f32(vec![3, 4], &values).unwrap())])
}

/// What the fused model answers, what it was fused to, and that burn's kernels answer the same without.
fn answer(graph: GraphProto) -> (Vec<f32>, Vec<String>) {
    let lowered = lowered(graph);
    let weights = Weights::open(lowered.weights.clone(), &lowered.graph.weights).unwrap();
    let device = <burn::backend::Flex as burn::backend::BackendTypes>::Device::default();
    let run = |engine| {
        let limits = ExecLimits::default();
        let model = Model::<burn::backend::Flex>::build(&lowered.graph, &weights, limits, engine, device).unwrap();
        let fusions = model.fusions().iter().map(|fusion| format!("{}: {}", fusion.made, fusion.nodes.join(" ")));
        let fusions: Vec<_> = fusions.collect();
        (model.run(x()).unwrap()["y"].to_f32().unwrap(), fusions)
    };
    let (apart, none) = run(Engine::Backend);
    assert_eq!(none, [""; 0]);
    let (fused, fusions) = run(Engine::Host(Isa::widest()));
    let is_near = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * b.abs().max(0.1);
    assert!(fused.iter().zip(&apart).all(is_near), "{fused:?} and apart {apart:?}");
    (fused, fusions)
}

fn gelu_nodes(half_last: bool) -> Vec<testing::NodeProto> {
    let mut nodes = vec![
        node("scale", "Div", &["x", "root"], &["scaled"]),
        node("erf", "Erf", &["scaled"], &["bent"]),
        node("sum", "Add", &["one", "bent"], &["raised"]),
    ];
    if half_last {
        nodes.push(node("whole", "Mul", &["x", "raised"], &["double"]));
        nodes.push(node("half", "Mul", &["double", "half"], &["y"]));
    } else {
        nodes.push(node("halved", "Mul", &["half", "x"], &["part"]));
        nodes.push(node("whole", "Mul", &["part", "raised"], &["y"]));
    }
    nodes
}

fn gelu_constants(one: f32) -> Vec<testing::TensorProto> {
    vec![floats("root", &[], &[std::f32::consts::SQRT_2]), floats("one", &[], &[one]), floats("half", &[], &[0.5])]
}

#[test]
fn gelu_in_five_operators_becomes_one() {
    let (_, fusions) = answer(graph(gelu_nodes(true), gelu_constants(1.0)));
    assert_eq!(fusions, ["Gelu: scale erf sum whole half"]);
    let (_, fusions) = answer(graph(gelu_nodes(false), gelu_constants(1.0)));
    assert_eq!(fusions, ["Gelu: scale erf sum halved whole"]);
}

#[test]
fn what_only_looks_like_gelu_stays() {
    let (_, fusions) = answer(graph(gelu_nodes(true), gelu_constants(1.5)));
    assert_eq!(fusions, [""; 0]);
    // A constant with dimensions of its own adds some to the result.
    let mut constants = gelu_constants(1.0);
    constants[2].dims = vec![1, 1];
    constants[1].dims = vec![1];
    let (_, fusions) = answer(graph(gelu_nodes(true), constants));
    assert_eq!(fusions, ["Gelu: scale erf sum whole half"]);
    let mut wide = graph(gelu_nodes(true), gelu_constants(1.0));
    wide.initializer[2].dims = vec![1, 1, 1];
    wide.output = vec![port("y", FLOAT, &["1", "rows", "4"])];
    let (_, fusions) = answer(wide);
    assert_eq!(fusions, [""; 0]);
    // Something else reads the error function too.
    let mut nodes = gelu_nodes(true);
    nodes[4].output[0] = "almost".into();
    nodes.push(node("more", "Add", &["almost", "bent"], &["y"]));
    let (_, fusions) = answer(graph(nodes, gelu_constants(1.0)));
    assert_eq!(fusions, [""; 0]);
}

fn bounded(op: &str, bounds: &[&str], reads_sums: bool) -> GraphProto {
    let weight = [1.0, 0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let inputs = [&["sums"], bounds].concat();
    let mut nodes = vec![
        node("product", "MatMul", &["x", "weight"], &["sums"]),
        node("bound", op, &inputs, &[if reads_sums { "bent" } else { "y" }]),
    ];
    if reads_sums {
        nodes.push(node("more", "Add", &["bent", "sums"], &["y"]));
    }
    graph(nodes, vec![floats("weight", &[4, 4], &weight), floats("zero", &[], &[0.0]), floats("six", &[], &[6.0])])
}

#[test]
fn products_bound_their_own_sums() {
    let (made, fusions) = answer(bounded("Relu", &[], false));
    assert_eq!(fusions, ["MatMul + Relu: product bound"]);
    assert_eq!(made[..4], [0.0, 0.0, 0.5, 0.0]);
    let (_, fusions) = answer(bounded("Clip", &["zero", "six"], false));
    assert_eq!(fusions, ["MatMul + Clip: product bound"]);
    let (_, fusions) = answer(bounded("Clip", &["zero"], false));
    assert_eq!(fusions, ["MatMul + Clip: product bound"]);
    let (_, fusions) = answer(bounded("Relu", &[], true));
    assert_eq!(fusions, [""; 0]);
}

#[test]
fn convolutions_bound_their_own_sums() {
    for group in [1, 2] {
        let mut conv = node("conv", "Conv", &["image", "filter"], &["sums"]);
        conv.attribute.push(int("group", group));
        let channels = 2 / group;
        let filter: Vec<_> = (0..2 * channels).map(|at| at as f32 - 0.5).collect();
        let nodes = vec![
            node("unfold", "Reshape", &["x", "flat"], &["image"]),
            conv,
            node("relu", "Relu", &["sums"], &["bent"]),
            node("fold", "Reshape", &["bent", "rows"], &["y"]),
        ];
        let constants = vec![
            floats("filter", &[2, channels, 1, 1], &filter),
            testing::ints("flat", &[4], &[-1, 2, 1, 2]),
            testing::ints("rows", &[2], &[-1, 4]),
        ];
        let (_, fusions) = answer(graph(nodes, constants));
        assert_eq!(fusions, ["Conv + Relu: conv relu"]);
    }
}

#[test]
fn a_fused_model_is_what_an_artifact_loads_as() {
    let artifact = pack("fused".parse().unwrap(), "1".parse().unwrap(), &lowered(bounded("Relu", &[], false))).unwrap();
    let model = Model::load(&artifact.open().unwrap(), ExecLimits::default()).unwrap();
    let expected = Fusion {
        node: "product".to_owned(),
        made: "MatMul + Relu".to_owned(),
        nodes: vec!["product".to_owned(), "bound".to_owned()],
    };
    assert_eq!(model.fusions(), [expected]);
}
