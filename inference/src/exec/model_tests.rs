use std::time::Duration;

use super::*;
use crate::{
    artifact::{Artifact, pack},
    exec::plan::Kernel,
    ir::{Dim, Subgraph},
    onnx::testing::{self, GraphProto},
    ops::host::{HostCall, HostKernel, elements_mut},
};

fn artifact() -> Artifact {
    pack("small".parse().unwrap(), "1".parse().unwrap(), &testing::small()).unwrap()
}

fn opened() -> Opened {
    artifact().open().unwrap()
}

fn load(limits: ExecLimits) -> Result<Model, LoadError> {
    Model::load(&opened(), limits)
}

fn model() -> Model {
    load(ExecLimits::default()).unwrap()
}

fn request(name: &str, tensor: Tensor) -> BTreeMap<String, Tensor> {
    BTreeMap::from([(name.to_owned(), tensor)])
}

fn rows(count: u64) -> Tensor {
    let values: Vec<f32> = (0..count * 2).map(|value| value as f32).collect();
    Tensor::from_f32(vec![count, 2], &values).unwrap()
}

#[test]
fn an_artifact_answers_for_any_batch() {
    // y = x · [2, −1] + x.
    let answer = model().run(request("x", rows(3))).unwrap();
    let expected = Tensor::from_f32(vec![3, 2], &[0.0, 0.0, 6.0, 0.0, 12.0, 0.0]).unwrap();
    assert_eq!(answer, request("y", expected));
    assert_eq!(model().run(request("x", rows(1))).unwrap()["y"].shape(), [1, 2]);
}

#[test]
fn one_model_answers_on_several_threads() {
    let model = model();
    let expected = model.run(request("x", rows(2))).unwrap();
    std::thread::scope(|scope| {
        let answers = [(); 4].map(|()| scope.spawn(|| model.run(request("x", rows(2))).unwrap()));
        for answer in answers {
            assert_eq!(answer.join().unwrap(), expected);
        }
    });
}

#[test]
fn each_wrong_input_is_named() {
    let refusal = |inputs| model().run(inputs).unwrap_err().to_string();
    assert_eq!(refusal(BTreeMap::new()), "input \"x\" is missing");
    assert_eq!(refusal(request("z", rows(1))), "the model has no input \"z\"");
    let ints = Tensor::from_i64(vec![1, 2], &[0, 0]).unwrap();
    assert_eq!(refusal(request("x", ints)), "input \"x\" is INT64, takes FP32");
    let flat = Tensor::from_f32(vec![2], &[0.0, 0.0]).unwrap();
    assert_eq!(refusal(request("x", flat)), "input \"x\" has shape [2], takes [batch, 2]");
    let wide = Tensor::from_f32(vec![1, 3], &[0.0; 3]).unwrap();
    assert!(matches!(
        model().run(request("x", wide)),
        Err(RunError::Shape { input, expected, got })
            if input == "x" && expected == [Dim::Symbol("batch".into()), Dim::Fixed(2)] && got == [1, 3]
    ));
}

#[test]
fn an_empty_batch_has_an_empty_answer() {
    let empty = || Tensor::from_f32(vec![0, 2], &[]).unwrap();
    assert_eq!(model().run(request("x", empty())).unwrap(), request("y", empty()));
}

#[test]
fn one_symbol_has_one_value_in_a_request() {
    let graph = GraphProto {
        node: vec![testing::node("add", "Add", &["a", "b"], &["y"])],
        input: ["a", "b"].map(|name| testing::port(name, testing::FLOAT, &["batch", "2"])).into(),
        output: vec![testing::port("y", testing::FLOAT, &["batch", "2"])],
        ..GraphProto::default()
    };
    let lowered = testing::lowered(graph);
    let artifact = pack("sum".parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap();
    let model = Model::load(&artifact.open().unwrap(), ExecLimits::default()).unwrap();
    let both = |a, b| BTreeMap::from([("a".to_owned(), rows(a)), ("b".to_owned(), rows(b))]);
    assert_eq!(model.run(both(2, 2)).unwrap()["y"].to_f32().unwrap(), [0.0, 2.0, 4.0, 6.0]);
    // One row would broadcast, and the publisher said that it is the same batch.
    let refusal = model.run(both(2, 1)).unwrap_err().to_string();
    assert_eq!(refusal, "dimension `batch` is 1 in input \"b\" and 2 before");
}

#[test]
fn the_publishers_bound_on_symbols_holds() {
    assert_eq!(model().limits().symbol_max, 256);
    let refusal = model().run(request("x", rows(257))).unwrap_err().to_string();
    assert_eq!(refusal, "dimension `batch` is 257, at most 256 are allowed");
    assert!(model().run(request("x", rows(256))).is_ok());
}

#[test]
fn memory_is_added_up_before_anything_runs() {
    // Resident 8; for one row x, `scaled` and y take 8 each, and begin at multiples of 64. At `add` all
    // three are there; y leaves as a copy.
    let peak = 8 + 3 * 64 + 8;
    let with = |memory_bytes_max| load(ExecLimits { memory_bytes_max, ..ExecLimits::default() }).unwrap();
    assert!(with(peak).run(request("x", rows(1))).is_ok());
    assert!(matches!(
        with(peak - 1).run(request("x", rows(1))),
        Err(RunError::Memory { needed, most }) if needed == peak && most == peak - 1
    ));
    let refused = load(ExecLimits { memory_bytes_max: 7, ..ExecLimits::default() });
    assert!(matches!(refused, Err(LoadError::Memory { needed: 8, most: 7 })));
    let small = load(ExecLimits { elements_max: 5, ..ExecLimits::default() }).unwrap();
    assert!(matches!(small.run(request("x", rows(3))), Err(RunError::Elements { most: 5 })));
}

#[test]
fn buffers_are_dropped_after_their_last_use() {
    let plan = model().plan;
    let last: Vec<Vec<_>> =
        plan.steps.iter().map(|step| step.inputs.iter().flatten().map(|operand| operand.is_last).collect()).collect();
    // x is still needed by `add`, the weight stays resident, `scaled` and then x go.
    assert_eq!(last, [[false, false], [true, true]]);
}

#[test]
fn a_panicking_kernel_is_contained_and_named() {
    let mut fragile = model();
    let add =
        HostKernel { run: add_but_no_large_ones, ..crate::ops::host::kernel(fragile.plan.steps[1].operator).unwrap() };
    fragile.plan.steps[1].kernel = Kernel::Host(Isa::PLAIN, add);
    let large = request("x", Tensor::from_f32(vec![1, 2], &[1e6, 0.0]).unwrap());
    let refused = fragile.run(large);
    assert!(matches!(&refused, Err(RunError::Panicked { node }) if node == "add"), "{refused:?}");
    // The weights, and what was worked out for such requests, are still there for the next one.
    assert_eq!(fragile.run(request("x", rows(1))).unwrap(), model().run(request("x", rows(1))).unwrap());
}

fn add_but_no_large_ones(call: &mut HostCall<'_>) {
    let [left, right] = [0, 1].map(|input| call.inputs[input].unwrap().elements::<f32>());
    assert!(left[0] < 1e5, "as it should");
    let result = elements_mut::<f32>(call.outputs[0].bytes);
    result.iter_mut().zip(left.iter().zip(right)).for_each(|(y, (a, b))| *y = a + b);
}

#[test]
fn a_request_whose_time_is_over_is_left() {
    let (model, mut lane) = (model(), Lane::single());
    let past = Instant::now();
    let late = model.run_in(&mut lane, request("x", rows(1)), Some(past));
    assert!(matches!(&late, Err(RunError::Deadline { node }) if node == "scale"), "{late:?}");
    let early = model.run_in(&mut lane, request("x", rows(1)), Some(past + Duration::from_secs(3600)));
    assert_eq!(early.unwrap(), model.run(request("x", rows(1))).unwrap());
}

#[test]
fn a_graph_is_checked_again_when_it_is_loaded() {
    let lie = |change: fn(&mut Graph)| -> String {
        let mut lowered = testing::small();
        change(&mut lowered.graph);
        let artifact = pack("small".parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap();
        match Model::load(&artifact.open().unwrap(), ExecLimits::default()) {
            Err(LoadError::Graph(error)) => error.to_string(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(
        lie(|graph| graph.signature.outputs[0].shape[1] = Dim::Fixed(3)),
        "output \"y\" is FP32 [batch, 2], not FP32 [batch, 3]"
    );
    assert_eq!(lie(|graph| graph.nodes[0].operator.version = 1), "unknown operator ai.onnx/Mul-1 at node \"scale\"");
    assert_eq!(lie(|graph| graph.nodes.reverse()), "ai.onnx/Add-7 at node \"add\" is refused");
    assert_eq!(lie(|graph| graph.signature.inputs[0].name = "y".into()), "ai.onnx/Mul-7 at node \"scale\" is refused");
    assert_eq!(lie(|graph| graph.nodes[0].outputs[0] = graph.nodes[0].inputs[0].clone()), {
        "value \"x\" is made twice or has no name"
    });
    assert_eq!(lie(|graph| graph.signature.outputs[0].name = "z".into()), "output \"z\" is not made");
    let body = |graph: &mut Graph| graph.subgraphs.push(Subgraph { inputs: vec![], outputs: vec![], nodes: vec![] });
    assert_eq!(lie(body), "graph has 1 bodies, and not each is that of one node");
    assert_eq!(lie(|graph| graph.signature.inputs[0].shape[1] = Dim::Fixed(u64::MAX)), {
        "value \"x\" has an impossible shape"
    });
}

fn demonstration<B: Backend>(
    name: &str,
    load: impl FnOnce(&Opened) -> Model<B>,
) -> (Model<B>, BTreeMap<String, Tensor>) {
    let path = format!("{}/models/{name}/model.onnx", env!("CARGO_MANIFEST_DIR"));
    let lowered = crate::onnx::lower(&std::fs::read(path).unwrap(), &crate::onnx::LowerLimits::default()).unwrap();
    let artifact = pack(name.parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap();
    let model = load(&artifact.open().unwrap());
    let given = model.signature.inputs.iter().map(|info| {
        let shape: Vec<_> =
            info.shape.iter().map(|dim| if let Dim::Fixed(extent) = dim { *extent } else { 1 }).collect();
        let count: u64 = shape.iter().product();
        (info.name.clone(), Tensor::from_f32(shape, &vec![0.5; count as usize]).unwrap())
    });
    let given = given.collect();
    (model, given)
}

/// Host kernels are many times faster than plain ones, and what they make is planned.
#[test]
fn the_demonstration_models_run_in_planned_memory() {
    for name in ["digits", "fraud"] {
        let (model, given) = demonstration(name, |opened| Model::load(opened, ExecLimits::default()).unwrap());
        let program = model.program(model.extents(&given), 1).unwrap();
        for (step, action) in model.plan.steps.iter().zip(&program.actions) {
            assert!(!matches!(action, Action::Open), "{name}: {} at {}", step.operator.name, step.node);
        }
    }
}

/// On other backends burn's kernels do the same.
#[test]
fn the_demonstration_models_run_on_a_backend() {
    for name in ["digits", "fraud"] {
        let (limits, device) = (ExecLimits::default(), <Flex as burn::backend::BackendTypes>::Device::default());
        let (model, given) = demonstration(name, |opened| Model::<Flex>::load_on(opened, limits, device).unwrap());
        let program = model.program(model.extents(&given), 1).unwrap();
        let team = Team::new(1, None);
        let crew = Crew { limits: &model.limits, device: &model.device, packed: &[], team: &team };
        let mut arena = vec![0; program.arena_bytes];
        let planned = Planned { program: &program, arena: &mut arena };
        let inputs = given.into_values();
        let mut run = Run::new(&model.plan, &crew, model.resident.clone(), model.resident_bytes, planned, inputs);
        for (step, action) in model.plan.steps.iter().zip(&program.actions) {
            if matches!(action, Action::Alias) {
                continue;
            }
            run.step(step).unwrap();
            for slot in step.outputs.iter().flatten() {
                assert!(run.is_on_backend(*slot), "{name}: {} at {}", step.operator.name, step.node);
            }
        }
    }
}
