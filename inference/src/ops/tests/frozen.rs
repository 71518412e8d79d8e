//! Graphs as the first release lowered them: each entry of its table by the version that it had, with
//! every input and attribute that it took. They load for ever.

use std::collections::BTreeMap;

use super::application::{floats, ints};
use crate::{
    ir::{Attribute, Dim, Graph, Limits, NamedAttribute, Node, OperatorId, Signature, ValueInfo, ValueName},
    tensor::{DType, Tensor},
    trace::Trace,
    weights,
};

/// What the inputs of an operator are; what is not of a request is a weight.
enum Port {
    X(&'static [u64]),
    Weight(Tensor),
}
use Port::{Weight, X};

/// A name, a version, inputs and attributes in their order.
type Entry = (&'static str, u32, Vec<Port>, Vec<(&'static str, Attribute)>);

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

fn list(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

fn never() -> Attribute {
    Attribute::Text("NOTSET".into())
}

fn pointwise() -> Vec<Entry> {
    let scalar = |value| Weight(floats(&[], &[value]));
    let two = || vec![X(&[2, 3]), X(&[3])];
    let one = || vec![X(&[2, 3])];
    let training = || Weight(Tensor::from_bool(vec![], &[false]).unwrap());
    vec![
        ("Add", 7, two(), vec![]),
        ("Sub", 7, two(), vec![]),
        ("Mul", 7, two(), vec![]),
        ("Div", 7, two(), vec![]),
        ("Cast", 6, one(), vec![("saturate", int(1)), ("to", int(7))]),
        ("Clip", 11, vec![X(&[2, 3]), scalar(0.0), scalar(1.0)], vec![]),
        ("Dropout", 7, one(), vec![("ratio", Attribute::Float(0.5)), ("seed", int(0))]),
        ("Dropout", 7, vec![X(&[2, 3]), scalar(0.5), training()], vec![("seed", int(3))]),
        ("Identity", 1, one(), vec![]),
        ("Relu", 6, one(), vec![]),
        ("Sigmoid", 6, one(), vec![]),
        ("Tanh", 6, one(), vec![]),
        ("Softmax", 13, one(), vec![("axis", int(-1))]),
        ("LogSoftmax", 13, one(), vec![("axis", int(-1))]),
        ("ArgMax", 1, one(), vec![("axis", int(1)), ("keepdims", int(0)), ("select_last_index", int(1))]),
    ]
}

fn shaped() -> Vec<Entry> {
    let one = || vec![X(&[2, 3])];
    let factors =
        vec![("alpha", Attribute::Float(1.0)), ("beta", Attribute::Float(1.0)), ("transA", int(0)), ("transB", int(1))];
    vec![
        ("Concat", 4, vec![X(&[2, 3]), X(&[2, 1])], vec![("axis", int(1))]),
        ("Flatten", 1, one(), vec![("axis", int(1))]),
        ("Reshape", 5, vec![X(&[2, 3]), Weight(ints(&[2], &[3, -1]))], vec![("allowzero", int(0))]),
        ("Transpose", 1, one(), vec![("perm", list(&[1, 0]))]),
        ("Gemm", 7, vec![X(&[2, 3]), X(&[4, 3]), X(&[4])], factors),
        ("MatMul", 1, vec![X(&[2, 3]), X(&[3, 2])], vec![]),
    ]
}

fn windowed() -> Vec<Entry> {
    let image = || X(&[1, 2, 4, 4]);
    let square = |extent| list(&[extent, extent]);
    let window = |more: &[(&'static str, Attribute)]| {
        let shared = [
            ("auto_pad", never()),
            ("dilations", square(1)),
            ("kernel_shape", square(2)),
            ("pads", list(&[0, 0, 1, 1])),
            ("strides", square(1)),
        ];
        let mut all: Vec<_> = shared.into_iter().chain(more.iter().cloned()).collect();
        all.sort_by_key(|(name, _)| *name);
        all
    };
    let statistics = || X(&[2]);
    let normal = vec![image(), statistics(), statistics(), statistics(), statistics()];
    let kept =
        vec![("epsilon", Attribute::Float(1e-5)), ("momentum", Attribute::Float(0.9)), ("training_mode", int(0))];
    vec![
        ("Conv", 1, vec![image(), X(&[4, 1, 2, 2]), X(&[4])], window(&[("group", int(2))])),
        ("MaxPool", 1, vec![image()], window(&[("ceil_mode", int(0)), ("storage_order", int(0))])),
        ("AveragePool", 7, vec![image()], window(&[("ceil_mode", int(0)), ("count_include_pad", int(1))])),
        ("GlobalAveragePool", 1, vec![image()], vec![]),
        ("BatchNormalization", 9, normal, kept),
    ]
}

#[test]
fn graphs_of_the_first_release_load() {
    for (op, version, ports, attributes) in [pointwise(), shaped(), windowed()].into_iter().flatten() {
        let (mut inputs, mut constants, mut names) = (vec![], BTreeMap::new(), vec![]);
        for (at, port) in ports.into_iter().enumerate() {
            let name = format!("i{at}");
            names.push(Some(ValueName(name.clone())));
            match port {
                X(shape) => {
                    let shape = shape.iter().map(|extent| Dim::Fixed(*extent)).collect();
                    inputs.push(ValueInfo { name, dtype: DType::F32, shape });
                }
                Weight(tensor) => {
                    constants.insert(name, tensor);
                }
            }
        }
        let named = |(name, value): (&str, Attribute)| NamedAttribute { name: name.into(), value };
        let node = Node {
            name: "n".into(),
            operator: OperatorId { domain: String::new(), name: op.into(), version },
            inputs: names,
            outputs: vec![Some(ValueName("y".into()))],
            attributes: attributes.into_iter().map(named).collect(),
        };
        let weights = weights::serialize(&constants);
        let graph = Graph {
            signature: Signature { inputs, outputs: vec![] },
            limits: Limits::default(),
            weights: weights.infos().collect(),
            nodes: vec![node],
            subgraphs: vec![],
        };
        assert_eq!(Trace::of(&graph, &weights).err(), None, "{op}-{version}");
    }
}
