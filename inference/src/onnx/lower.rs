//! Lowering: checking a file's frame, translating names and operators, and letting the same check
//! that nodes run decide whether the result means something.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::{
    error::{LowerError, Unread},
    proto::{ModelProto, OperatorSetId, TensorTypeProto, ValueInfoProto},
    text::STRING,
    translate::{Translated, translate},
};
use crate::{
    ir::{Dim, Graph, Limits, Signature, Subgraph, ValueInfo, ValueName, WeightInfo},
    ops::{Extent, Fact, LEARNING, LEARNING_OPSET_MAX, OPSET_MAX},
    tensor::{DType, Tensor},
    trace::Trace,
    weights,
};

/// Latest `ir_version` whose messages were compared with `proto`.
const IR_VERSION_MAX: i64 = 14;

/// Bounds and choices of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowerLimits {
    /// Largest ONNX file. Parsing takes several times as much memory. Default 256 MiB.
    pub onnx_bytes_max: usize,
    /// What the graph will state about itself.
    pub graph: Limits,
}

impl Default for LowerLimits {
    fn default() -> Self {
        Self { onnx_bytes_max: 256 << 20, graph: Limits::default() }
    }
}

/// A model ready to be packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// The graph, checked.
    pub graph: Graph,
    /// A safetensors file with the tensors that the graph names.
    pub weights: Vec<u8>,
    /// What was found, for the publisher to read.
    pub report: Report,
}

/// What lowering found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How often each operator is applied, in bodies too.
    pub operators: BTreeMap<String, usize>,
    /// Numbers in all weights together.
    pub parameters: u64,
    /// Initializers that nothing uses; they were left out.
    pub unused: Vec<String>,
}

/// Parses an ONNX file and lowers it.
pub fn lower(bytes: &[u8], limits: &LowerLimits) -> Result<Lowered, LowerError> {
    let most = limits.onnx_bytes_max;
    if bytes.len() > most {
        return Err(LowerError::Size { bytes: bytes.len(), most });
    }
    let model = ModelProto::decode(bytes).map_err(LowerError::Protobuf)?;
    let opsets = check_frame(&model)?;
    let graph = model.graph.ok_or(LowerError::NoGraph)?;
    let Translated { nodes, subgraphs, mut constants } = translate(&graph, &model.functions, opsets)?;
    let read = nodes.iter().chain(subgraphs.iter().flat_map(|body| &body.nodes));
    let read =
        read.flat_map(|node| node.inputs.iter().flatten()).chain(subgraphs.iter().flat_map(|body| &body.outputs));
    let read: BTreeSet<&str> = read.map(|ValueName(name)| name.as_str()).collect();
    let unused = drop_unused(&mut constants, read, &graph.output);
    let describe = |(name, tensor): (&String, &Tensor)| WeightInfo {
        name: name.clone(),
        dtype: tensor.dtype(),
        shape: tensor.shape().to_vec(),
    };
    // What an old file lists as an input and gives a value for is no input, whether used or not.
    let inputs = graph.input.iter().filter(|input| !constants.contains_key(name_of(input)));
    let inputs = inputs.filter(|input| !unused.iter().any(|unused| unused == name_of(input))).map(input);
    let mut lowered = Graph {
        signature: Signature { inputs: inputs.collect::<Result<_, _>>()?, outputs: Vec::new() },
        limits: limits.graph,
        weights: constants.iter().map(describe).collect(),
        nodes,
        subgraphs,
    };
    let weights = weights::serialize(&constants);
    let trace = Trace::of_draft(&lowered, &weights).map_err(LowerError::Graph)?;
    state_types(&trace, &mut lowered.subgraphs);
    lowered.signature.outputs =
        graph.output.iter().map(|declared| output(declared, &trace)).collect::<Result<_, _>>()?;
    trace.outputs(&lowered.signature.outputs).map_err(LowerError::Graph)?;
    let mut operators = BTreeMap::new();
    for node in lowered.nodes.iter().chain(lowered.subgraphs.iter().flat_map(|body| &body.nodes)) {
        *operators.entry(node.operator.name.clone()).or_default() += 1;
    }
    let report = Report { operators, parameters: weights.parameters(), unused };
    Ok(Lowered { graph: lowered, weights: weights.bytes().to_vec(), report })
}

/// Checks versions and refuses what would go unread; returns the opsets.
fn check_frame(model: &ModelProto) -> Result<Opsets, LowerError> {
    let found = model.ir_version.unwrap_or(0);
    if !(3..=IR_VERSION_MAX).contains(&found) {
        return Err(LowerError::IrVersion { found, most: IR_VERSION_MAX });
    }
    let graph = model.graph.as_ref().ok_or(LowerError::NoGraph)?;
    for (feature, is_used) in [
        (Unread::Training, !model.training_info.is_empty()),
        (Unread::SparseInitializers, !graph.sparse_initializer.is_empty()),
        (Unread::QuantizationAnnotations, !graph.quantization_annotation.is_empty()),
    ] {
        if is_used {
            return Err(LowerError::Unread { feature, place: "the model".into() });
        }
    }
    // Before version 4 every initializer had to be listed as an input as well.
    if found >= 4 {
        let inputs: BTreeSet<_> = graph.input.iter().map(name_of).collect();
        let names = graph.initializer.iter().filter_map(|initializer| initializer.name.as_deref());
        if let Some(name) = names.into_iter().find(|name| inputs.contains(name)) {
            return Err(LowerError::Overridable { name: name.to_owned() });
        }
    }
    Opsets::of(&model.opset_import)
}

/// Versions of the domains that the table has; 0 for one that is not imported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opsets {
    /// Of ONNX's own domain.
    pub(super) own: u32,
    /// Of the domain for classical learning.
    pub(super) learning: u32,
}

impl Opsets {
    /// Other domains may be imported: what calls them is refused.
    pub(super) fn of(imports: &[OperatorSetId]) -> Result<Self, LowerError> {
        let mut versions = BTreeMap::new();
        for import in imports {
            let domain = domain(import.domain.as_deref());
            let version = import.version.unwrap_or(0);
            if versions.insert(domain, version).is_some() {
                return Err(LowerError::Opset { domain: domain.to_owned(), version, most: OPSET_MAX });
            }
        }
        let read = |domain: &str, most: u32| {
            let version = versions.get(domain).copied().unwrap_or(0);
            let opset = u32::try_from(version).ok().filter(|opset| *opset <= most);
            opset.ok_or_else(|| LowerError::Opset { domain: domain.to_owned(), version, most })
        };
        let opsets = Self { own: read(ONNX, OPSET_MAX)?, learning: read(LEARNING, LEARNING_OPSET_MAX)? };
        if opsets.own == 0 && opsets.learning == 0 {
            return Err(LowerError::Opset { domain: ONNX.into(), version: 0, most: OPSET_MAX });
        }
        Ok(opsets)
    }
}

/// The name that ONNX's own domain goes by in messages.
pub(super) const ONNX: &str = "ai.onnx";

pub(super) fn domain(domain: Option<&str>) -> &str {
    domain.filter(|domain| !domain.is_empty()).unwrap_or(ONNX)
}

/// States of the inputs of bodies what element types they were found to have.
fn state_types(trace: &Trace, subgraphs: &mut [Subgraph]) {
    for body in trace.steps.iter().flat_map(|step| &step.bodies) {
        let stated = subgraphs.get_mut(body.index as usize).into_iter().flat_map(|subgraph| &mut subgraph.inputs);
        for (info, slot) in stated.zip(&body.inputs) {
            info.dtype = body.trace.facts[*slot].dtype;
        }
        state_types(&body.trace, subgraphs);
    }
}

/// Removes the tensors that no node reads and no output is, and names them.
fn drop_unused<'a>(
    constants: &mut BTreeMap<String, Tensor>,
    mut used: BTreeSet<&'a str>,
    outputs: &'a [ValueInfoProto],
) -> Vec<String> {
    used.extend(outputs.iter().map(name_of));
    let is_unused = |name: &String, _: &mut Tensor| !used.contains(name.as_str());
    constants.extract_if(.., is_unused).map(|(name, _)| name).collect()
}

pub(super) fn name_of(port: &ValueInfoProto) -> &str {
    port.name.as_deref().unwrap_or_default()
}

fn input(port: &ValueInfoProto) -> Result<ValueInfo, LowerError> {
    let name = name_of(port).to_owned();
    let (dtype, kind) = tensor_type(port)?;
    let shape = kind.shape.as_ref().ok_or_else(|| LowerError::Port { name: name.clone() })?;
    let dim = |(axis, dim): (usize, &super::proto::DimensionProto)| match (dim.dim_value, &dim.dim_param) {
        (Some(extent), None) => u64::try_from(extent).map(Dim::Fixed).ok(),
        (None, Some(symbol)) if !symbol.is_empty() => Some(Dim::Symbol(symbol.clone())),
        // Each unnamed extent is one of its own.
        (None, _) => Some(Dim::Symbol(format!("{name}[{axis}]"))),
        (Some(_), Some(_)) => None,
    };
    let shape = shape.dim.iter().enumerate().map(dim).collect::<Option<_>>();
    Ok(ValueInfo { dtype, shape: shape.ok_or_else(|| LowerError::Port { name: name.clone() })?, name })
}

/// What was inferred of an output, provided that the file does not say otherwise. Symbols are the
/// inferred ones: exporters give the same extent different names at both ends. An extent that only
/// a request decides gets the number that the file states, or a name of its own.
fn output(port: &ValueInfoProto, trace: &Trace) -> Result<ValueInfo, LowerError> {
    let name = name_of(port).to_owned();
    let (dtype, kind) = tensor_type(port)?;
    let unknown = || LowerError::Port { name: name.clone() };
    let slot = trace.slot(&name).ok_or_else(unknown)?;
    let inferred = &trace.facts[slot];
    if dtype != inferred.dtype || !agrees(kind, inferred) {
        return Err(LowerError::Output { name, inferred: inferred.to_string() });
    }
    let stated: Option<Vec<_>> = kind.shape.as_ref().map(|shape| shape.dim.iter().map(stated_extent).collect());
    let rank = match (&inferred.shape, &stated) {
        (Some(shape), _) => shape.len(),
        (None, Some(stated)) => stated.len(),
        (None, None) => return Err(unknown()),
    };
    let dim = |axis: usize| {
        let known = inferred.shape.as_ref().and_then(|shape| shape[axis].to_dim());
        let stated = || stated.as_ref().and_then(|stated| stated[axis]).map(Dim::Fixed);
        known.or_else(stated).unwrap_or_else(|| Dim::Symbol(format!("{name}[{axis}]")))
    };
    let shape = (0..rank).map(dim).collect();
    Ok(ValueInfo { shape, name, dtype })
}

fn stated_extent(dim: &super::proto::DimensionProto) -> Option<u64> {
    dim.dim_value.and_then(|stated| u64::try_from(stated).ok())
}

/// Whether the numbers of a declared shape are those inferred, where any are.
fn agrees(declared: &TensorTypeProto, inferred: &Fact) -> bool {
    let (Some(declared), Some(inferred)) = (&declared.shape, &inferred.shape) else { return true };
    let same = |(dim, extent): (&super::proto::DimensionProto, &Extent)| match extent.to_dim() {
        Some(Dim::Fixed(extent)) => dim.dim_value.is_none() || stated_extent(dim) == Some(extent),
        Some(Dim::Symbol(_)) => dim.dim_value.is_none(),
        None => true,
    };
    declared.dim.len() == inferred.len() && declared.dim.iter().zip(inferred).all(same)
}

pub(super) fn tensor_type(port: &ValueInfoProto) -> Result<(DType, &TensorTypeProto), LowerError> {
    let kind = port.kind.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    if kind.is_some_and(|kind| kind.elem_type == Some(STRING)) {
        return Err(LowerError::Text { place: format!("input or output \"{}\"", name_of(port)) });
    }
    let read = kind.and_then(|kind| {
        let code = u8::try_from(kind.elem_type?).ok()?;
        Some((DType::from_code(code)?, kind))
    });
    read.ok_or_else(|| LowerError::Port { name: name_of(port).to_owned() })
}
