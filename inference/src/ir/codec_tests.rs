use proptest::prelude::*;

use super::*;
use crate::{
    ir::{
        Attribute, Dim, Limits, NamedAttribute, Node, OperatorId, Signature, Subgraph, ValueInfo, ValueName, WeightInfo,
    },
    tensor::{DType, Tensor},
};

/// Every shape of the format once: absent ports, two outputs, each kind of attribute, a body.
fn sample() -> Graph {
    Graph {
        signature: Signature {
            inputs: vec![info("x", vec![Dim::Symbol("batch".into()), Dim::Fixed(2)])],
            outputs: vec![info("y", vec![Dim::Symbol("batch".into())])],
        },
        limits: Limits { symbol_max: 64, memory_bytes_max: 1 << 20 },
        weights: vec![WeightInfo { name: "w".into(), dtype: DType::I64, shape: vec![3] }],
        nodes: vec![Node {
            name: "n".into(),
            operator: OperatorId { domain: String::new(), name: "Op".into(), version: 13 },
            inputs: vec![Some(ValueName("x".into())), None],
            outputs: vec![Some(ValueName("y".into())), None],
            attributes: attributes(),
        }],
        subgraphs: vec![Subgraph { inputs: vec![], outputs: vec![ValueName("z".into())], nodes: vec![] }],
    }
}

fn info(name: &str, shape: Vec<Dim>) -> ValueInfo {
    ValueInfo { name: name.into(), dtype: DType::F32, shape }
}

fn attributes() -> Vec<NamedAttribute> {
    [
        ("a", Attribute::Int(-1)),
        ("b", Attribute::Float(0.5)),
        ("c", Attribute::Text("t".into())),
        ("d", Attribute::Ints(vec![1, -2])),
        ("e", Attribute::Floats(vec![1.0])),
        ("f", Attribute::Texts(vec![ValueName("u".into())])),
        ("g", Attribute::Tensor(Tensor::from_bool(vec![1], &[true]).unwrap())),
        ("h", Attribute::Graph(0)),
    ]
    .map(|(name, value)| NamedAttribute { name: name.into(), value })
    .to_vec()
}

/// Version 1 as it lies in artifacts. A change here is a new version, not a new fixture.
const FIXTURE: &str = "\
    4867495201\
    0101780102010562617463680002\
    010179010101056261746368\
    40808040\
    010177070103\
    01016e00024f700d02010178000201017900\
    08\
    01610001\
    0162010000003f\
    0163020174\
    016403020203\
    016504010000803f\
    016605010175\
    0167060901010101\
    01680700\
    010001017a00";

#[test]
fn version_1_keeps_its_bytes() {
    let bytes = sample().encode().unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&bytes), FIXTURE);
    assert_eq!(Graph::decode(&bytes).unwrap(), sample());
}

/// A weight and an attribute of types that version 1 does not have.
fn narrow_sample() -> Graph {
    let mut graph = sample();
    graph.weights[0].dtype = DType::I4;
    graph.nodes[0].attributes[6].value = Attribute::Tensor(Tensor::new(DType::F8E4M3FN, vec![1], vec![0x38]).unwrap());
    graph
}

/// Version 2 as it lies in artifacts.
const FIXTURE_2: &str = "\
    4867495202\
    0101780102010562617463680002\
    010179010101056261746368\
    40808040\
    010177160103\
    01016e00024f700d02010178000201017900\
    08\
    01610001\
    0162010000003f\
    0163020174\
    016403020203\
    016504010000803f\
    016605010175\
    0167061101010138\
    01680700\
    010001017a00";

#[test]
fn version_2_keeps_its_bytes() {
    let bytes = narrow_sample().encode().unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&bytes), FIXTURE_2);
    assert_eq!(Graph::decode(&bytes).unwrap(), narrow_sample());
}

#[test]
fn a_type_of_version_2_anywhere_makes_a_graph_one_of_version_2() {
    let changes: [fn(&mut Graph); 5] = [
        |graph| graph.signature.inputs[0].dtype = DType::U2,
        |graph| graph.signature.outputs[0].dtype = DType::F8E8M0,
        |graph| graph.weights[0].dtype = DType::F4E2M1,
        |graph| {
            let value = Attribute::Tensor(Tensor::new(DType::I2, vec![], vec![1]).unwrap());
            graph.subgraphs[0].nodes = graph.nodes.clone();
            graph.subgraphs[0].nodes[0].attributes[6].value = value;
        },
        |graph| graph.subgraphs[0].inputs = vec![ValueInfo { dtype: DType::F8E5M2FNUZ, ..info("z", vec![]) }],
    ];
    for change in changes {
        let mut graph = sample();
        change(&mut graph);
        let mut bytes = graph.encode().unwrap();
        assert_eq!(bytes[4], 2);
        assert_eq!(Graph::decode(&bytes).unwrap(), graph);
        bytes[4] = 1;
        assert_eq!(Graph::decode(&bytes), Err(DecodeError::Types { stated: 1, needed: 2 }));
    }
}

#[test]
fn each_refusal_is_named() {
    let bytes = sample().encode().unwrap();
    assert_eq!(Graph::decode(b"ONNX"), Err(DecodeError::Magic));
    assert_eq!(Graph::decode(&bytes[..4]), Err(DecodeError::Magic));
    let mut later = bytes.clone();
    later[4] = 3;
    assert_eq!(Graph::decode(&later), Err(DecodeError::Version { found: 3 }));
    later[4] = 0;
    assert_eq!(Graph::decode(&later), Err(DecodeError::Version { found: 0 }));
    later[4] = 2;
    assert_eq!(Graph::decode(&later), Err(DecodeError::Types { stated: 2, needed: 1 }));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Graph::decode(&longer), Err(DecodeError::Trailing { bytes: 1 }));
    assert!(matches!(Graph::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Malformed(_))));
    assert_eq!(Graph::decode(&vec![0; GRAPH_BYTES_MAX + 1]), Err(DecodeError::Size { bytes: GRAPH_BYTES_MAX + 1 }));
}

#[test]
fn a_graph_that_no_reader_takes_is_not_written() {
    let mut graph = sample();
    graph.nodes[0].name = "n".repeat(300);
    assert!(matches!(graph.encode(), Err(EncodeError::Unreadable(_))));
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(at in 0usize..200, byte: u8, cut in 0usize..200) {
        let mut bytes = sample().encode().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(graph) = Graph::decode(&bytes) {
            // What was read can be written again, and means the same.
            prop_assert_eq!(Graph::decode(&graph.encode().unwrap()).unwrap().nodes.len(), graph.nodes.len());
        }
        bytes.truncate(cut % bytes.len());
        prop_assert!(Graph::decode(&bytes).is_err());
    }
}
