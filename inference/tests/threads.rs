//! What threads and neighbours must not change, and which threads there are. A process of its own:
//! rayon's global pool would start once for all tests of one.

#![expect(clippy::unwrap_used, reason = "a failing step ends the test with its error")]

use std::collections::BTreeMap;

use hedgerow_inference::{
    artifact::pack,
    exec::{ExecLimits, Isa, Lane, Model},
    ir::Dim,
    onnx::{LowerLimits, lower},
    tensor::Tensor,
};

fn load(name: &str, isa: Isa) -> Model {
    let path = format!("{}/models/{name}/model.onnx", env!("CARGO_MANIFEST_DIR"));
    let lowered = lower(&std::fs::read(path).unwrap(), &LowerLimits::default()).unwrap();
    let artifact = pack(name.parse().unwrap(), "1".parse().unwrap(), &lowered).unwrap();
    Model::load_for(&artifact.open().unwrap(), ExecLimits::default(), isa).unwrap()
}

/// Inputs of so many rows, of which every row differs from every other.
fn inputs(model: &Model, rows: u64) -> BTreeMap<String, Tensor> {
    let given = model.signature().inputs.iter().map(|info| {
        let extent = |dim: &Dim| if let Dim::Fixed(extent) = dim { *extent } else { rows };
        let shape: Vec<_> = info.shape.iter().map(extent).collect();
        let count: u64 = shape.iter().product();
        let values: Vec<_> = (0..count).map(|at| ((at * 7_919) % 2_003) as f32 / 1_001.5 - 1.0).collect();
        (info.name.clone(), Tensor::from_f32(shape, &values).unwrap())
    });
    given.collect()
}

/// One row of tensors whose first dimension is the batch.
fn row(tensors: &BTreeMap<String, Tensor>, at: u64) -> BTreeMap<String, Tensor> {
    let cut = |tensor: &Tensor| {
        let rows = tensor.shape()[0];
        let bytes = tensor.data().len() / usize::try_from(rows).unwrap();
        let from = usize::try_from(at).unwrap() * bytes;
        let shape = [&[1], &tensor.shape()[1..]].concat();
        Tensor::new(tensor.dtype(), shape, tensor.data()[from..from + bytes].to_vec()).unwrap()
    };
    tensors.iter().map(|(name, tensor)| (name.clone(), cut(tensor))).collect()
}

/// Same model, input and instruction set give the same bits, whatever the number of threads and
/// whatever rows share the batch; and only the threads of lanes compute.
#[test]
fn bits_depend_on_the_instruction_set_alone_and_no_global_pool_starts() {
    const ROWS: u64 = 29;
    for name in ["digits", "fraud"] {
        for isa in Isa::all() {
            let model = load(name, isa);
            let given = inputs(&model, ROWS);
            let expected = model.run(given.clone()).unwrap();
            for threads in [2, 3] {
                let mut lane = Lane::with_threads(threads, "lane").unwrap();
                for _ in 0..2 {
                    let made = model.run_in(&mut lane, given.clone(), None).unwrap();
                    assert_eq!(made, expected, "{name} on {threads} threads with {isa:?}");
                }
            }
            for at in [0, 13, ROWS - 1] {
                let alone = model.run(row(&given, at)).unwrap();
                assert_eq!(alone, row(&expected, at), "row {at} of {name} with {isa:?}");
            }
        }
    }
    let global = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    assert!(global.is_ok(), "rayon's global pool had been started");
}
