//! Translating nodes, and flattening the bodies that some of them have.
//!
//! Names inside a body may be those of another body. In the IR the values that a body makes, and
//! its constants, have the node's name and the attribute's before their own.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    attribute,
    error::{LowerError, Unread},
    lower::{ONNX, domain, name_of, tensor_type},
    proto::{AttributeProto, GraphProto, NodeProto},
    tensor,
};
use crate::{
    ir::{Attribute, NamedAttribute, Node, Subgraph, ValueInfo, ValueName},
    ops::{self, Operator},
    tensor::{DType, Tensor},
};

/// `GRAPH` of `AttributeProto.AttributeType`.
const GRAPH: i32 = 5;
/// Deepest nesting of bodies; exporters make two or three.
const DEPTH_MAX: usize = 16;

/// A graph's nodes, its bodies one behind the other, and every constant.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) nodes: Vec<Node>,
    pub(super) subgraphs: Vec<Subgraph>,
    pub(super) constants: BTreeMap<String, Tensor>,
}

/// Translates a graph in order; initializers and constant nodes become constants.
pub(super) fn translate(graph: &GraphProto, opset: u32) -> Result<Translated, LowerError> {
    let mut translator = Translator { opset, scopes: Vec::new(), subgraphs: Vec::new(), constants: BTreeMap::new() };
    translator.initializers(graph)?;
    let nodes = translator.nodes(&graph.node)?;
    let Translator { subgraphs, constants, .. } = translator;
    Ok(Translated { nodes, subgraphs, constants })
}

struct Translator {
    opset: u32,
    /// Of each body around: what its values are called in the IR begins with, and their own names.
    scopes: Vec<(String, BTreeSet<String>)>,
    subgraphs: Vec<Subgraph>,
    constants: BTreeMap<String, Tensor>,
}

impl Translator {
    fn initializers(&mut self, graph: &GraphProto) -> Result<(), LowerError> {
        for proto in &graph.initializer {
            let name = proto.name.clone().unwrap_or_default();
            let tensor = tensor::read(&name, proto)?;
            let own = self.renamed(&name);
            if self.constants.insert(own, tensor).is_some() {
                return Err(LowerError::Initializer { name });
            }
        }
        Ok(())
    }

    fn nodes(&mut self, protos: &[NodeProto]) -> Result<Vec<Node>, LowerError> {
        let mut nodes = Vec::with_capacity(protos.len());
        for (position, proto) in protos.iter().enumerate() {
            let op = proto.op_type.as_deref().unwrap_or_default();
            let own_name = proto.name.clone().filter(|name| !name.is_empty());
            let name = self.placed(&own_name.unwrap_or_else(|| format!("{op} #{position}")));
            let is_onnx = domain(proto.domain.as_deref()) == ONNX;
            let is_plain = is_onnx && proto.overload.as_deref().unwrap_or_default().is_empty();
            if is_plain && op == "Constant" {
                let value = attribute::constant(&name, proto)?;
                let output = proto.output.first().cloned().unwrap_or_default();
                let own = self.renamed(&output);
                if self.constants.insert(own, value).is_some() {
                    return Err(LowerError::Initializer { name: output });
                }
                continue;
            }
            let operator = find(op, self.opset, &name, is_plain, proto)?;
            let (inputs, outputs) = (self.ports(&proto.input), self.ports(&proto.output));
            let attributes = self.attributes(&name, &proto.attribute)?;
            nodes.push(Node { operator: operator.id(), inputs, outputs, attributes, name });
        }
        Ok(nodes)
    }

    fn attributes(&mut self, node: &str, protos: &[AttributeProto]) -> Result<Vec<NamedAttribute>, LowerError> {
        let (bodies, plain): (Vec<_>, Vec<_>) =
            protos.iter().partition(|proto| proto.kind == Some(GRAPH) && proto.g.is_some());
        let mut attributes = attribute::read_all(node, &plain)?;
        for proto in bodies {
            let name = proto.name.clone().unwrap_or_default();
            let unreadable = || LowerError::Attribute { attribute: name.clone(), node: node.to_owned() };
            let graph = proto.g.as_deref().ok_or_else(unreadable)?;
            let index =
                self.body(graph, format!("{node}/{name}/")).map_err(|error| error.unwrap_or_else(unreadable))?;
            attributes.push(NamedAttribute { name, value: Attribute::Graph(index) });
        }
        attributes.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(attributes)
    }

    /// Appends a body behind those around it; without an error of its own it is nested too deeply.
    fn body(&mut self, graph: &GraphProto, prefix: String) -> Result<u32, Option<LowerError>> {
        let index = u32::try_from(self.subgraphs.len()).map_err(|_many| None)?;
        if self.scopes.len() == DEPTH_MAX {
            return Err(None);
        }
        if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
            let place = format!("body \"{prefix}\"");
            return Err(Some(LowerError::Unread { feature: Unread::SparseInitializers, place }));
        }
        let inputs = graph.input.iter().map(name_of);
        let initializers = graph.initializer.iter().filter_map(|proto| proto.name.as_deref());
        let made = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
        let own = inputs.chain(initializers).chain(made).map(str::to_owned).collect();
        self.scopes.push((prefix, own));
        // Its place is taken before those of the bodies inside it.
        self.subgraphs.push(Subgraph { inputs: Vec::new(), outputs: Vec::new(), nodes: Vec::new() });
        let content = self.content(graph);
        self.scopes.pop();
        self.subgraphs[index as usize] = content.map_err(Some)?;
        Ok(index)
    }

    fn content(&mut self, graph: &GraphProto) -> Result<Subgraph, LowerError> {
        self.initializers(graph)?;
        let nodes = self.nodes(&graph.node)?;
        let mut inputs = Vec::with_capacity(graph.input.len());
        for port in &graph.input {
            // The element type may be left to the operator, which is asked later. Extents are not
            // kept, because an iteration may change them.
            let dtype = tensor_type(port).map_or(DType::F32, |(dtype, _)| dtype);
            inputs.push(ValueInfo { name: self.renamed(name_of(port)), dtype, shape: Vec::new() });
        }
        let outputs = graph.output.iter().map(|port| ValueName(self.renamed(name_of(port)))).collect();
        Ok(Subgraph { inputs, outputs, nodes })
    }

    /// Values by position; trailing ones that are left out are no positions.
    fn ports(&self, names: &[String]) -> Vec<Option<ValueName>> {
        let absent = names.iter().rev().take_while(|name| name.is_empty()).count();
        let given = &names[..names.len() - absent];
        given.iter().map(|name| (!name.is_empty()).then(|| ValueName(self.renamed(name)))).collect()
    }

    /// What a value is called in the IR.
    fn renamed(&self, name: &str) -> String {
        let around = self.scopes.iter().rev().find(|(_, own)| own.contains(name));
        around.map_or_else(|| name.to_owned(), |(prefix, _)| format!("{prefix}{name}"))
    }

    /// A node's name with the place of its body.
    fn placed(&self, name: &str) -> String {
        self.scopes.last().map_or_else(|| name.to_owned(), |(prefix, _)| format!("{prefix}{name}"))
    }
}

fn find(op: &str, opset: u32, node: &str, is_plain: bool, proto: &NodeProto) -> Result<&'static Operator, LowerError> {
    let unknown = || LowerError::UnknownOperator {
        op: op.to_owned(),
        domain: domain(proto.domain.as_deref()).to_owned(),
        node: node.to_owned(),
    };
    if !is_plain {
        return Err(unknown());
    }
    let since = ops::versions(op).map(|operator| operator.since).min().ok_or_else(unknown)?;
    ops::by_opset(op, opset).ok_or_else(|| LowerError::OperatorOpset {
        op: op.to_owned(),
        node: node.to_owned(),
        opset,
        since,
    })
}
