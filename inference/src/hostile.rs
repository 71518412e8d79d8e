//! Every reader of what a publisher sends, as a fuzzer feeds it: whatever the bytes, none may panic
//! or take more memory than its bounds say.
//!
//! Besides that each asserts what the readers promise each other. What lowering lets pass a node
//! loads, and what a node loads it runs or refuses, without a kernel that panics.

use std::collections::BTreeMap;

use crate::{
    artifact::pack,
    exec::{ExecLimits, LoadError, Model, RunError},
    ir::{Dim, Graph, Limits, ValueInfo, WeightInfo},
    onnx::{LowerLimits, Lowered, Report, lower},
    tensor::{self, Tensor},
    weights::{self, Weights},
};

/// Small enough that a run takes a moment.
const NODE: ExecLimits = ExecLimits { memory_bytes_max: 1 << 20, elements_max: 256, symbol_max: 3 };
/// Weights and inputs that are made up for a graph.
const MADE_BYTES_MAX: u64 = 1 << 16;

/// Whether bytes are an ONNX file that can be published.
///
/// # Panics
/// When a node would not load what was lowered, which is a bug of this crate.
pub fn takes_onnx(bytes: &[u8]) -> bool {
    let limits = LowerLimits { onnx_bytes_max: 1 << 16, graph: Limits::default() };
    let Ok(lowered) = lower(bytes, &limits) else { return false };
    match loaded(&lowered, NODE) {
        // A list or name that is too long for the format.
        None => false,
        Some(Ok(model)) => {
            run(&model);
            true
        }
        Some(Err(LoadError::Memory { .. })) => true,
        Some(Err(error)) => panic!("lowered and not loaded: {error:?}"),
    }
}

/// Whether bytes are a weights layer.
///
/// # Panics
/// When a tensor that was listed cannot be read, which is a bug of this crate.
pub fn takes_weights(bytes: &[u8]) -> bool {
    let Ok(infos) = weights::listed(bytes) else { return false };
    let weights = Weights::open(bytes.to_vec(), &infos).expect("what is listed is what is there");
    for info in &infos {
        let tensor = weights.tensor(&info.name).expect("every tensor was listed");
        assert_eq!((tensor.dtype(), tensor.shape()), (info.dtype, info.shape.as_slice()));
    }
    true
}

/// Whether bytes are a graph that a node loads; it is run on a few inputs, with weights made up.
///
/// # Panics
/// When a kernel panics, which is a bug of this crate.
pub fn takes_model(bytes: &[u8]) -> bool {
    let Ok(mut graph) = Graph::decode(bytes) else { return false };
    graph.limits = Limits { symbol_max: NODE.symbol_max, memory_bytes_max: NODE.memory_bytes_max };
    let mut left = MADE_BYTES_MAX;
    let made: Option<BTreeMap<_, _>> =
        graph.weights.iter().map(|info| Some((info.name.clone(), made(info, &mut left)?))).collect();
    let Some(made) = made.filter(|made| made.len() == graph.weights.len()) else { return false };
    let weights = weights::serialize(&made).bytes().to_vec();
    graph.weights.sort_by(|left, right| left.name.cmp(&right.name));
    match loaded(&Lowered { graph, weights, report: Report::default() }, NODE) {
        Some(Ok(model)) => {
            run(&model);
            true
        }
        None | Some(Err(_)) => false,
    }
}

/// The whole way from a lowered model to one in memory; `None` when it cannot be packed.
fn loaded(lowered: &Lowered, limits: ExecLimits) -> Option<Result<Model, LoadError>> {
    let (name, version) = ("m".parse().ok()?, "1".parse().ok()?);
    let artifact = pack(name, version, lowered).ok()?;
    Some(Model::load(&artifact.open().expect("what was packed opens"), limits))
}

/// One request for each value of all symbols.
fn run(model: &Model) {
    for symbol in 0..=NODE.symbol_max {
        let mut left = MADE_BYTES_MAX;
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => *extent,
            Dim::Symbol(_) => symbol,
        };
        let mut request = |info: &ValueInfo| {
            let shape = info.shape.iter().map(extent).collect();
            let info = WeightInfo { name: info.name.clone(), dtype: info.dtype, shape };
            Some((info.name.clone(), made(&info, &mut left)?))
        };
        let Some(inputs) = model.signature().inputs.iter().map(&mut request).collect::<Option<_>>() else { return };
        match model.run(inputs) {
            Ok(_) => {}
            Err(error @ (RunError::Panicked { .. } | RunError::Kernel { .. } | RunError::Backend(_))) => {
                panic!("not run: {error:?}")
            }
            Err(_) => {}
        }
    }
}

/// A tensor of this description with elements of few kinds, while there is room for it.
fn made(info: &WeightInfo, left: &mut u64) -> Option<Tensor> {
    let bytes = tensor::size_bytes(info.dtype, &info.shape).ok()?;
    *left = left.checked_sub(bytes)?;
    let width = info.dtype.size_bytes();
    // Small numbers of every integer type, and of floats after the bits of 1.
    let one: &[u8] = match (info.dtype.is_float(), width) {
        (true, 8) => &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        (true, 4) => &[0, 0, 0x80, 0x3f],
        (true, 2) => &[0x80, 0x3f],
        _ => &[1, 0, 0, 0, 0, 0, 0, 0],
    };
    let element =
        |at: u64| one.iter().take(width as usize).map(move |byte| if at.is_multiple_of(3) { 0 } else { *byte });
    let data = (0..bytes.div_ceil(width)).flat_map(element).collect();
    Tensor::new(info.dtype, info.shape.clone(), data).ok()
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod tests;
