use proptest::prelude::*;
use prost::Message as _;

use super::{
    lower::{LowerLimits, lower},
    proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetId, Present},
    testing::{self, FLOAT, floats, int, model, node, port, small, small_file, small_graph},
};
use crate::ir::{Attribute, Dim, Graph, NamedAttribute};

/// The message of the refusal, and of what caused it.
fn refusal(model: &ModelProto) -> String {
    let error = lower(&model.encode_to_vec(), &LowerLimits::default()).unwrap_err();
    format!("{:#}", anyhow::Error::new(error))
}

fn graph(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut graph = small_graph();
    change(&mut graph);
    model(graph)
}

fn frame(change: impl FnOnce(&mut ModelProto)) -> ModelProto {
    let mut model = model(small_graph());
    change(&mut model);
    model
}

#[test]
fn a_graph_keeps_names_order_and_symbols() {
    let lowered = small();
    let nodes: Vec<_> =
        lowered.graph.nodes.iter().map(|node| (node.name.as_str(), node.operator.to_string())).collect();
    assert_eq!(nodes, [("scale", "ai.onnx/Mul-7".into()), ("add", "ai.onnx/Add-7".into())]);
    assert_eq!(lowered.graph.signature.outputs[0].shape, [Dim::Symbol("batch".into()), Dim::Fixed(2)]);
    assert_eq!(lowered.report.operators, [("Add".into(), 1), ("Mul".into(), 1)].into());
    assert_eq!(lowered.report.parameters, 2);
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let foreign = graph(|graph| graph.node[0].op_type = Some("Foo".into()));
    assert_eq!(refusal(&foreign), "unknown operator Foo (domain ai.onnx) at node \"scale\"");
    let elsewhere = graph(|graph| graph.node[0].domain = Some("com.example".into()));
    assert_eq!(refusal(&elsewhere), "unknown operator Mul (domain com.example) at node \"scale\"");
    let nameless = graph(|graph| {
        graph.node[1].op_type = Some("Foo".into());
        graph.node[1].name = None;
    });
    assert_eq!(refusal(&nameless), "unknown operator Foo (domain ai.onnx) at node \"Foo #1\"");
    let overloaded = graph(|graph| graph.node[0].overload = Some("other".into()));
    assert_eq!(refusal(&overloaded), "unknown operator Mul (domain ai.onnx) at node \"scale\"");
}

#[test]
fn versions_outside_the_table_are_refused() {
    let opset = |version| {
        frame(|model| model.opset_import = vec![OperatorSetId { domain: Some(String::new()), version: Some(version) }])
    };
    assert_eq!(refusal(&opset(99)), "opset 99 of domain \"ai.onnx\" is not usable, the latest is 28");
    assert_eq!(refusal(&opset(6)), "operator Mul at node \"scale\" is of opset 6, supported since 7");
    assert_eq!(refusal(&opset(-1)), "opset -1 of domain \"ai.onnx\" is not usable, the latest is 28");
    let twice = frame(|model| {
        model.opset_import.push(OperatorSetId { domain: Some("ai.onnx".into()), version: Some(13) });
    });
    assert_eq!(refusal(&twice), "opset 13 of domain \"ai.onnx\" is not usable, the latest is 28");
    assert_eq!(refusal(&frame(|model| model.opset_import.clear())), {
        "opset 0 of domain \"ai.onnx\" is not usable, the latest is 28"
    });
    assert_eq!(refusal(&frame(|model| model.ir_version = Some(99))), "ONNX IR version 99 is not between 3 and 14");
    assert_eq!(refusal(&frame(|model| model.graph = None)), "ONNX file has no graph");
}

#[test]
fn what_is_not_read_is_refused() {
    let unread = |feature: &str| format!("the model uses {feature}, which is not supported");
    assert_eq!(refusal(&frame(|model| model.training_info.push(Present {}))), unread("training information"));
    assert_eq!(refusal(&graph(|graph| graph.sparse_initializer.push(Present {}))), unread("sparse initializers"));
    assert_eq!(refusal(&graph(|graph| graph.quantization_annotation.push(Present {}))), {
        unread("quantization annotations")
    });
    let external = graph(|graph| graph.initializer[0].external_data.push(Present {}));
    assert_eq!(refusal(&external), "tensor \"weight\" uses external data, which is not supported");
    let unknown = graph(|graph| graph.node[0].attribute.push(int("axis", 1)));
    assert_eq!(refusal(&unknown), {
        "graph is refused: ai.onnx/Mul-7 at node \"scale\" is refused: attribute `axis` is unknown"
    });
    let subgraph = AttributeProto { name: Some("body".into()), kind: Some(5), ..AttributeProto::default() };
    assert_eq!(refusal(&graph(|graph| graph.node[0].attribute.push(subgraph))), {
        "attribute `body` of node \"scale\" cannot be read"
    });
}

#[test]
fn names_mean_one_thing() {
    let weight_twice = graph(|graph| graph.initializer.push(floats("weight", &[1], &[0.0])));
    assert_eq!(refusal(&weight_twice), "initializer \"weight\" is given twice");
    let made_twice = graph(|graph| graph.node[1].output[0] = "scaled".into());
    assert_eq!(refusal(&made_twice), "graph is refused: value \"scaled\" is made twice or has no name");
    let input_twice = graph(|graph| graph.input.push(port("x", FLOAT, &["2"])));
    assert_eq!(refusal(&input_twice), "graph is refused: value \"x\" is made twice or has no name");
    let replaceable = graph(|graph| graph.input.push(port("weight", FLOAT, &["2"])));
    assert_eq!(refusal(&replaceable), "initializer \"weight\" is also an input");
    // The oldest files had to list weights as inputs, used or not.
    let mut old = graph(|graph| {
        graph.initializer.push(floats("spare", &[1], &[0.0]));
        graph.input.extend([port("weight", FLOAT, &["2"]), port("spare", FLOAT, &["1"])]);
    });
    old.ir_version = Some(3);
    assert_eq!(lower(&old.encode_to_vec(), &LowerLimits::default()).unwrap().graph, small().graph);
    let backwards = graph(|graph| graph.node.reverse());
    assert_eq!(refusal(&backwards), {
        "graph is refused: ai.onnx/Add-7 at node \"add\" is refused: value \"scaled\" is used before it is made"
    });
    // Names that differ only in case are different values.
    let cased = graph(|graph| {
        graph.node[0].output[0] = "X".into();
        graph.node[1].input[0] = "X".into();
    });
    assert!(lower(&cased.encode_to_vec(), &LowerLimits::default()).is_ok());
}

#[test]
fn declared_outputs_must_agree_with_the_operators() {
    let wrong = graph(|graph| graph.output[0] = port("y", FLOAT, &["batch", "3"]));
    assert_eq!(refusal(&wrong), "output \"y\" is FP32 [batch, 2], not what the file says");
    let typed = graph(|graph| graph.output[0] = port("y", 7, &["batch", "2"]));
    assert_eq!(refusal(&typed), "output \"y\" is FP32 [batch, 2], not what the file says");
    let renamed = graph(|graph| graph.output[0] = port("y", FLOAT, &["N", ""]));
    let lowered = lower(&renamed.encode_to_vec(), &LowerLimits::default()).unwrap();
    assert_eq!(lowered, small());
    // What only a request decides gets a name of its own.
    let compound = graph(|graph| {
        let mut flatten = node("flat", "Flatten", &["y"], &["z"]);
        flatten.attribute.push(int("axis", 0));
        graph.node.push(flatten);
        graph.output[0] = port("z", FLOAT, &["1", "N"]);
    });
    let lowered = lower(&compound.encode_to_vec(), &LowerLimits::default()).unwrap();
    assert_eq!(lowered.graph.signature.outputs[0].shape, [Dim::Fixed(1), Dim::Symbol("z[1]".into())]);
    let second = graph(|graph| graph.node[1].output.push("mask".into()));
    assert_eq!(refusal(&second), {
        "graph is refused: ai.onnx/Add-7 at node \"add\" is refused: 2 outputs are asked for, 1 are made"
    });
    let absent = graph(|graph| graph.output[0] = port("z", FLOAT, &["batch", "2"]));
    assert_eq!(refusal(&absent), "input or output \"z\" is no tensor of a known shape");
}

#[test]
fn unnamed_dimensions_are_symbols_of_their_own() {
    let unnamed = graph(|graph| graph.input[0] = port("x", FLOAT, &["", "2"]));
    let lowered = lower(&unnamed.encode_to_vec(), &LowerLimits::default()).unwrap();
    assert_eq!(lowered.graph.signature.inputs[0].shape, [Dim::Symbol("x[0]".into()), Dim::Fixed(2)]);
    let shapeless = graph(|graph| {
        graph.input[0].kind.as_mut().unwrap().tensor_type.as_mut().unwrap().shape = None;
    });
    assert_eq!(refusal(&shapeless), "input or output \"x\" is no tensor of a known shape");
}

#[test]
fn constants_become_weights_and_unused_weights_go() {
    let mut constant = node("c", "Constant", &[], &["weight"]);
    constant.attribute.push(AttributeProto {
        name: Some("value_floats".into()),
        kind: Some(6),
        floats: vec![2.0, -1.0],
        ..AttributeProto::default()
    });
    let folded = graph(|graph| {
        graph.initializer = vec![floats("spare", &[1], &[0.0])];
        graph.node.insert(0, constant);
    });
    let lowered = lower(&folded.encode_to_vec(), &LowerLimits::default()).unwrap();
    assert_eq!((&lowered.graph, &lowered.weights), (&small().graph, &small().weights));
    assert_eq!(lowered.report.unused, ["spare"]);
}

#[test]
fn optional_inputs_and_attributes_are_kept_by_position_and_name() {
    let clip = GraphProto {
        node: vec![node("clip", "Clip", &["x", "", "most"], &["y"]), {
            let mut flatten = node("flat", "Flatten", &["y"], &["z"]);
            flatten.attribute.push(int("axis", 1));
            flatten
        }],
        initializer: vec![floats("most", &[], &[6.0])],
        input: vec![port("x", FLOAT, &["batch", "2"])],
        output: vec![port("z", FLOAT, &["batch", "2"])],
        ..GraphProto::default()
    };
    let nodes = lower(&model(clip).encode_to_vec(), &LowerLimits::default()).unwrap().graph.nodes;
    let inputs: Vec<_> = nodes[0].inputs.iter().map(|input| input.as_ref().map(|name| name.0.as_str())).collect();
    assert_eq!(inputs, [Some("x"), None, Some("most")]);
    assert_eq!(nodes[1].attributes, [NamedAttribute { name: "axis".into(), value: Attribute::Int(1) }]);
}

#[test]
fn size_is_checked_before_parsing() {
    let limits = LowerLimits { onnx_bytes_max: 10, ..LowerLimits::default() };
    let error = lower(&[0; 11], &limits).unwrap_err();
    assert_eq!(error.to_string(), "ONNX file of 11 bytes is larger than 10");
    assert_eq!(lower(b"not ONNX at all", &limits).unwrap_err().to_string(), "ONNX file of 15 bytes is larger than 10");
    assert!(lower(&[0xff; 8], &limits).unwrap_err().to_string().contains("not ONNX"));
}

/// A loop around a branch, with a constant in each body.
fn nested_file() -> Vec<u8> {
    let constant = |name: &str| floats(name, &[2], &[1.0, 2.0]);
    let branch = |op: &str| GraphProto {
        node: vec![node("inner", op, &["value", "c"], &["made"])],
        initializer: vec![constant("c")],
        output: vec![port("made", FLOAT, &["2"])],
        ..GraphProto::default()
    };
    let mut choose = node("choose", "If", &["going"], &["next"]);
    choose.attribute = vec![testing::body("then_branch", branch("Add")), testing::body("else_branch", branch("Mul"))];
    let mut repeat = node("repeat", "Loop", &["", "", "x"], &["y"]);
    repeat.attribute.push(testing::body(
        "body",
        GraphProto {
            node: vec![node("stop", "Not", &["going"], &["c"]), choose],
            input: vec![port("count", 7, &[]), port("going", 9, &[]), port("value", FLOAT, &["2"])],
            output: vec![port("c", 9, &[]), port("next", FLOAT, &["2"])],
            ..GraphProto::default()
        },
    ));
    let graph = GraphProto {
        node: vec![repeat],
        initializer: vec![constant("c")],
        input: vec![port("x", FLOAT, &["2"])],
        output: vec![port("y", FLOAT, &["2"])],
        ..GraphProto::default()
    };
    model(graph).encode_to_vec()
}

/// `y = x · weight + x` as a call of a function that scales by its second input and then adds.
fn calling() -> ModelProto {
    let reference = AttributeProto {
        name: Some("alpha".into()),
        kind: Some(1),
        ref_attr_name: Some("slope".into()),
        ..AttributeProto::default()
    };
    let mut leaky = node("leaky", "LeakyRelu", &["scaled"], &["bent"]);
    leaky.attribute.push(reference);
    let slope = AttributeProto { name: Some("slope".into()), kind: Some(1), f: Some(1.0), ..AttributeProto::default() };
    let function = FunctionProto {
        name: Some("ScaleAdd".into()),
        domain: Some("own".into()),
        input: vec!["a".into(), "by".into(), "least".into()],
        output: vec!["sum".into()],
        node: vec![
            node("scale", "Mul", &["a", "by"], &["scaled"]),
            leaky,
            node("clip", "Clip", &["bent", "least"], &["clipped"]),
            node("add", "Add", &["clipped", "a"], &["sum"]),
        ],
        attribute_proto: vec![slope],
        ..FunctionProto::default()
    };
    let mut call = node("call", "ScaleAdd", &["x", "weight"], &["y"]);
    call.domain = Some("own".into());
    let mut model = graph(|graph| graph.node = vec![call]);
    model.functions.push(function);
    model
}

#[test]
fn functions_stand_in_place_of_their_calls() {
    let lowered = lower(&calling().encode_to_vec(), &LowerLimits::default()).unwrap();
    let nodes: Vec<_> = lowered.graph.nodes.iter().map(|node| (node.name.as_str(), node.inputs.len())).collect();
    assert_eq!(nodes, [("call/scale", 2), ("call/leaky", 1), ("call/clip", 1), ("call/add", 2)]);
    let alpha = NamedAttribute { name: "alpha".into(), value: Attribute::Float(1.0) };
    assert_eq!(lowered.graph.nodes[1].attributes, [alpha]);
    assert_eq!(lowered.graph.nodes[0].inputs[1].as_ref().unwrap().0, "weight");
    assert_eq!(lowered.graph.nodes[3].outputs[0].as_ref().unwrap().0, "y");
    let mut endless = calling();
    let again = endless.graph.as_ref().unwrap().node[0].clone();
    endless.functions[0].node.insert(0, NodeProto { input: vec!["a".into(), "by".into()], output: vec![], ..again });
    assert!(refusal(&endless).starts_with("functions called at node \"call/call/"));
    let mut unknown = calling();
    unknown.graph.as_mut().unwrap().node[0].attribute.push(int("other", 1));
    assert_eq!(refusal(&unknown), "attribute `other` of node \"call\" cannot be read");
    let outside = graph(|graph| {
        graph.node[0].attribute.push(AttributeProto { ref_attr_name: Some("a".into()), ..int("axis", 1) });
    });
    assert_eq!(refusal(&outside), "node \"scale\" uses attribute references, which is not supported");
}

#[test]
fn functions_are_counted_with_their_bodies_and_constants() {
    let branch = |name, count| {
        let nodes = (0..count).map(|at| node("", "Neg", &["a"], &[&format!("v{at}")])).collect();
        let output = vec![port("v0", FLOAT, &[])];
        testing::body(name, GraphProto { node: nodes, output, ..GraphProto::default() })
    };
    let mut wide = calling();
    let mut choice = node("choice", "If", &["by"], &["other"]);
    choice.attribute = vec![branch("then_branch", 16_384), branch("else_branch", 1)];
    wide.functions[0].node.push(choice);
    assert_eq!(refusal(&wide), "functions called at node \"call\" do not end or are too large");
    let mut heavy = calling();
    let mut constant = node("constant", "Constant", &[], &["c"]);
    let value = Some(floats("", &[1 << 22], &vec![0.0; 1 << 22]));
    constant.attribute =
        vec![AttributeProto { name: Some("value".into()), kind: Some(4), t: value, ..AttributeProto::default() }];
    heavy.functions[0].node.push(constant);
    let graph = heavy.graph.as_mut().unwrap();
    let call = |at: usize| NodeProto {
        output: vec![format!("y{at}")],
        name: Some(format!("call{at}")),
        ..graph.node[0].clone()
    };
    let calls: Vec<_> = (0..4).map(call).collect();
    graph.node.extend(calls);
    assert_eq!(refusal(&heavy), "functions called at node \"call3/c\" do not end or are too large");
}

#[test]
fn names_inside_bodies_are_their_own() {
    let lowered = lower(&nested_file(), &LowerLimits::default()).unwrap();
    let names: Vec<_> = lowered.graph.weights.iter().map(|weight| weight.name.as_str()).collect();
    let then = "repeat/body/choose/then_branch/c";
    assert_eq!(names, ["repeat/body/choose/else_branch/c", then]);
    assert_eq!(lowered.report.unused, ["c"]);
    let [body, branch, _] = lowered.graph.subgraphs.as_slice() else { panic!("three bodies") };
    assert_eq!(branch.nodes[0].inputs[0].as_ref().unwrap().0, "repeat/body/value");
    assert_eq!(body.outputs[0].0, "repeat/body/c");
    assert_eq!(lowered.graph.encode().map(|bytes| Graph::decode(&bytes)), Ok(Ok(lowered.graph)));
}

proptest! {
    #[test]
    fn damaged_bodies_never_panic(at in 0usize..900, byte: u8, cut in 0usize..900) {
        let mut bytes = nested_file();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(lowered) = lower(&bytes, &LowerLimits::default()) {
            prop_assert!(lowered.graph.encode().is_ok());
        }
        bytes.truncate(cut % bytes.len());
        if let Err(error) = lower(&bytes, &LowerLimits::default()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn damaged_files_never_panic(at in 0usize..400, byte: u8, other in 0usize..400, second: u8, cut in 0usize..400) {
        let mut bytes = small_file();
        let (first, last) = (at % bytes.len(), other % bytes.len());
        bytes[first] = byte;
        bytes[last] = second;
        if let Ok(lowered) = lower(&bytes, &LowerLimits::default()) {
            // What is accepted can be packed: the graph is within every bound.
            prop_assert!(lowered.graph.encode().is_ok());
        }
        bytes.truncate(cut % bytes.len());
        match lower(&bytes, &LowerLimits::default()) {
            Ok(lowered) => prop_assert!(lowered.graph.encode().is_ok()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
