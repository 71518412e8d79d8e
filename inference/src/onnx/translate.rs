//! Translating nodes, flattening the bodies that some of them have, and putting functions of the
//! model's own in place of their calls.
//!
//! Names inside a body or function may be those of another. In the IR the values that they make,
//! and their constants, have the node's name, and the attribute's of a body, before their own.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    attribute,
    error::{LowerError, Unread},
    lower::{ONNX, Opsets, domain, name_of, tensor_type},
    proto::{AttributeProto, FunctionProto, GraphProto, NodeProto},
    text::{self, Constant},
};
use crate::{
    ir::{Attribute, NamedAttribute, Node, Subgraph, ValueInfo, ValueName},
    ops::{self, LEARNING, Operator},
    tensor::{DType, Tensor},
};

/// `GRAPH` of `AttributeProto.AttributeType`.
const GRAPH: i32 = 5;
/// Deepest nesting of bodies and functions; exporters make two or three.
const DEPTH_MAX: usize = 16;
/// Most nodes that may come from functions, as many as a graph may have at all.
const INLINED_MAX: usize = 16_384;
/// Most bytes of constants that may come from functions, each call's counted. A guess far above any
/// function's, which have a few numbers.
const INLINED_BYTES_MAX: u64 = 64 << 20;

/// A graph's nodes, its bodies one behind the other, and every constant.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) nodes: Vec<Node>,
    pub(super) subgraphs: Vec<Subgraph>,
    pub(super) constants: BTreeMap<String, Tensor>,
}

/// Translates a graph in order; initializers and constant nodes become constants.
pub(super) fn translate(
    graph: &GraphProto,
    functions: &[FunctionProto],
    opsets: Opsets,
) -> Result<Translated, LowerError> {
    let mut translator = Translator {
        opsets,
        functions,
        scopes: Vec::new(),
        arguments: Vec::new(),
        inlined: 0,
        inlined_bytes: 0,
        subgraphs: Vec::new(),
        constants: BTreeMap::new(),
        texts: BTreeMap::new(),
    };
    translator.initializers(graph)?;
    let nodes = translator.nodes(&graph.node)?;
    let Translator { subgraphs, constants, .. } = translator;
    Ok(Translated { nodes, subgraphs, constants })
}

struct Translator<'a> {
    opsets: Opsets,
    functions: &'a [FunctionProto],
    /// The bodies and functions around.
    scopes: Vec<Scope>,
    /// Attributes of the calls around, by their names in the functions.
    arguments: Vec<BTreeMap<String, AttributeProto>>,
    /// Nodes that stand in place of calls.
    inlined: usize,
    /// Constants that stand in place of those of functions.
    inlined_bytes: u64,
    subgraphs: Vec<Subgraph>,
    constants: BTreeMap<String, Tensor>,
    /// Constants that no node of the mesh will see.
    texts: BTreeMap<String, Constant>,
}

/// The names of a body or function.
struct Scope {
    /// What its values are called in the IR begins with.
    prefix: String,
    /// What each name is called in the IR; `None` is an input that the call leaves out.
    names: BTreeMap<String, Option<String>>,
    /// A function sees nothing of what is around its call.
    is_closed: bool,
}

impl Translator<'_> {
    fn initializers(&mut self, graph: &GraphProto) -> Result<(), LowerError> {
        for proto in &graph.initializer {
            let name = proto.name.clone().unwrap_or_default();
            self.constant(&name, Constant::read(&name, proto)?)?;
        }
        Ok(())
    }

    fn constant(&mut self, name: &str, constant: Constant) -> Result<(), LowerError> {
        let own = self.renamed(name).unwrap_or_default();
        let again = || LowerError::Initializer { name: name.to_owned() };
        let tensor = match constant {
            Constant::Numbers(tensor) => tensor,
            text @ Constant::Text(_) => {
                let is_new = !self.constants.contains_key(&own) && self.texts.insert(own, text).is_none();
                return if is_new { Ok(()) } else { Err(again()) };
            }
        };
        if !self.arguments.is_empty() {
            self.inlined_bytes = self.inlined_bytes.saturating_add(tensor.data().len() as u64);
            if self.inlined_bytes > INLINED_BYTES_MAX {
                return Err(LowerError::Functions { node: self.placed(name) });
            }
        }
        let is_new = !self.texts.contains_key(&own) && self.constants.insert(own, tensor).is_none();
        if is_new { Ok(()) } else { Err(again()) }
    }

    /// Puts a constant in place of a node that makes one of text, or text of one; whether it did.
    /// Any other node that takes or makes text is refused.
    fn resolved(&mut self, node: &str, proto: &NodeProto) -> Result<bool, LowerError> {
        let names: Vec<_> = proto.input.iter().filter_map(|name| self.renamed(name)).collect();
        if !names.iter().any(|name| self.texts.contains_key(name)) && !text::speaks(proto) {
            return Ok(false);
        }
        let refused = || LowerError::Text { place: format!("an input or output of node \"{node}\"") };
        let ([input], [output]) = (names.as_slice(), proto.output.as_slice()) else { return Err(refused()) };
        let numbers = || self.constants.get(input).cloned().map(Constant::Numbers);
        let input = self.texts.get(input).cloned().or_else(numbers).ok_or_else(refused)?;
        let made = text::resolve(proto, self.opsets.learning, &input)?.ok_or_else(refused)?;
        self.constant(output, made)?;
        Ok(true)
    }

    fn nodes(&mut self, protos: &[NodeProto]) -> Result<Vec<Node>, LowerError> {
        let mut nodes = Vec::with_capacity(protos.len());
        for (position, proto) in protos.iter().enumerate() {
            let proto = self.bound(proto);
            let proto = proto.as_ref();
            let op = proto.op_type.as_deref().unwrap_or_default();
            let own_name = proto.name.clone().filter(|name| !name.is_empty());
            let name = self.placed(&own_name.unwrap_or_else(|| format!("{op} #{position}")));
            if let Some(function) = self.function(proto) {
                nodes.extend(self.inline(function, &name, proto)?);
                continue;
            }
            let is_onnx = domain(proto.domain.as_deref()) == ONNX;
            let is_plain = is_onnx && proto.overload.as_deref().unwrap_or_default().is_empty();
            if is_plain && op == "Constant" {
                let text = Constant::of_node(&name, proto)?;
                let value = text.map_or_else(|| attribute::constant(&name, proto).map(Constant::Numbers), Ok)?;
                let output = proto.output.first().cloned().unwrap_or_default();
                self.constant(&output, value)?;
                continue;
            }
            if self.resolved(&name, proto)? {
                continue;
            }
            let operator = find(op, self.opsets, &name, proto)?;
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
        let own = inputs.chain(initializers).chain(made);
        let names = own.map(|name| (name.to_owned(), Some(format!("{prefix}{name}")))).collect();
        self.scopes.push(Scope { prefix, names, is_closed: false });
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
            inputs.push(ValueInfo { name: self.renamed(name_of(port)).unwrap_or_default(), dtype, shape: Vec::new() });
        }
        let outputs =
            graph.output.iter().map(|port| ValueName(self.renamed(name_of(port)).unwrap_or_default())).collect();
        Ok(Subgraph { inputs, outputs, nodes })
    }

    /// The function of the model's own that a node calls.
    fn function(&self, proto: &NodeProto) -> Option<usize> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.functions.iter().position(|function| {
            function.name == proto.op_type
                && domain(function.domain.as_deref()) == domain(proto.domain.as_deref())
                && text(&function.overload) == text(&proto.overload)
        })
    }

    /// The nodes of a function, reading and making what its call does.
    fn inline(&mut self, function: usize, node: &str, call: &NodeProto) -> Result<Vec<Node>, LowerError> {
        let function = &self.functions[function];
        self.inlined = self.inlined.saturating_add(count(&function.node));
        if self.scopes.len() == DEPTH_MAX || self.inlined > INLINED_MAX {
            return Err(LowerError::Functions { node: node.to_owned() });
        }
        let unreadable = |name: &str| LowerError::Attribute { attribute: name.to_owned(), node: node.to_owned() };
        let named = |proto: &AttributeProto| (proto.name.clone().unwrap_or_default(), proto.clone());
        let mut arguments: BTreeMap<_, _> = function.attribute_proto.iter().map(named).collect();
        for (name, value) in call.attribute.iter().map(named) {
            // A body would be read among names that are not its own.
            let is_known = function.attribute.contains(&name) || arguments.contains_key(&name);
            if !is_known || value.kind == Some(GRAPH) {
                return Err(unreadable(&name));
            }
            arguments.insert(name, value);
        }
        if call.input.len() > function.input.len() || call.output.len() > function.output.len() {
            return Err(unreadable("input or output"));
        }
        let prefix = format!("{node}/");
        let given = |names: &[String], at: usize| names.get(at).filter(|name| !name.is_empty()).cloned();
        let mut names = BTreeMap::new();
        for (at, name) in function.input.iter().enumerate() {
            names.insert(name.clone(), given(&call.input, at).and_then(|given| self.renamed(&given)));
        }
        for (at, name) in function.output.iter().enumerate() {
            let own = given(&call.output, at).and_then(|given| self.renamed(&given));
            names.insert(name.clone(), Some(own.unwrap_or_else(|| format!("{prefix}{name}"))));
        }
        let imports = &function.opset_import;
        let opsets = if imports.is_empty() { self.opsets } else { Opsets::of(imports)? };
        let outer = std::mem::replace(&mut self.opsets, opsets);
        self.scopes.push(Scope { prefix, names, is_closed: true });
        self.arguments.push(arguments);
        let nodes = self.nodes(&function.node);
        self.arguments.pop();
        self.scopes.pop();
        self.opsets = outer;
        nodes
    }

    /// A node whose references to attributes of the function around are replaced by their values;
    /// what the call leaves out and has no default is left out here too.
    fn bound<'b>(&self, proto: &'b NodeProto) -> Cow<'b, NodeProto> {
        let refers = |proto: &AttributeProto| proto.ref_attr_name.as_ref().is_some_and(|name| !name.is_empty());
        let Some(arguments) = self.arguments.last() else { return Cow::Borrowed(proto) };
        if !proto.attribute.iter().any(refers) {
            return Cow::Borrowed(proto);
        }
        let value = |proto: &AttributeProto| match proto.ref_attr_name.as_ref().filter(|name| !name.is_empty()) {
            None => Some(proto.clone()),
            Some(name) => arguments.get(name).map(|value| AttributeProto { name: proto.name.clone(), ..value.clone() }),
        };
        let attribute = proto.attribute.iter().filter_map(value).collect();
        Cow::Owned(NodeProto { attribute, ..proto.clone() })
    }

    /// Values by position; trailing ones that are left out are no positions.
    fn ports(&self, names: &[String]) -> Vec<Option<ValueName>> {
        let named = |name: &String| if name.is_empty() { None } else { self.renamed(name).map(ValueName) };
        let mut ports: Vec<_> = names.iter().map(named).collect();
        while ports.last().is_some_and(Option::is_none) {
            ports.pop();
        }
        ports
    }

    /// What a value is called in the IR; `None` for what a call leaves out.
    fn renamed(&self, name: &str) -> Option<String> {
        for scope in self.scopes.iter().rev() {
            if let Some(own) = scope.names.get(name) {
                return own.clone();
            }
            if scope.is_closed {
                return Some(format!("{}{name}", scope.prefix));
            }
        }
        Some(name.to_owned())
    }

    /// A node's name with the place of its body or function.
    fn placed(&self, name: &str) -> String {
        self.scopes.last().map_or_else(|| name.to_owned(), |scope| format!("{}{name}", scope.prefix))
    }
}

/// Nodes with those of their bodies, which the parser lets lie only so deep.
fn count(nodes: &[NodeProto]) -> usize {
    let bodies = nodes.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.g.as_deref());
    bodies.fold(nodes.len(), |sum, body| sum.saturating_add(count(&body.node)))
}

fn find(op: &str, opsets: Opsets, node: &str, proto: &NodeProto) -> Result<&'static Operator, LowerError> {
    let unknown = || LowerError::UnknownOperator {
        op: op.to_owned(),
        domain: domain(proto.domain.as_deref()).to_owned(),
        node: node.to_owned(),
    };
    let (domain, opset) = match domain(proto.domain.as_deref()) {
        ONNX => ("", opsets.own),
        LEARNING => (LEARNING, opsets.learning),
        _ => return Err(unknown()),
    };
    if proto.overload.as_ref().is_some_and(|overload| !overload.is_empty()) {
        return Err(unknown());
    }
    let since = ops::versions(domain, op).map(|operator| operator.since).min().ok_or_else(unknown)?;
    ops::by_opset(domain, op, opset).ok_or_else(|| LowerError::OperatorOpset {
        op: op.to_owned(),
        node: node.to_owned(),
        opset,
        since,
    })
}
