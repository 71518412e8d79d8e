//! Checking a graph: every name, operator, attribute, type and shape is compared with the operator
//! table, and names become slots.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    array::Array,
    bodies::{self, Body},
    check::{GraphError, NodeFault},
    folding::{FOLDING_MAX, infer, is_small},
    ir::{Attribute, Dim, Graph, NamedAttribute, Node, Subgraph, ValueInfo, ValueName},
    ops::{self, Attributes, Extent, Fact, Inference, Operator},
    weights::Weights,
};

/// Most bodies inside each other, as many as lowering lets models have. What is read in the
/// innermost one is captured by each.
const BODIES_MAX: usize = 16;
/// Most values of a graph and its bodies, captured ones counted in each body. More than the results
/// of 16,384 nodes that read 16 values each.
const SLOTS_MAX: usize = 1 << 20;

/// A graph, or a body of one, with its names resolved to slots and what is known of every value.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// By slot: inputs, then weights, then what each step makes; in a body, captured values between.
    pub(crate) facts: Vec<Fact>,
    pub(crate) steps: Vec<Step>,
    /// Slots outside a body, and the slots inside by which its nodes read them.
    pub(crate) captures: Vec<(usize, usize)>,
    slots: BTreeMap<String, usize>,
}

/// An operator application with resolved names.
#[derive(Debug)]
pub(crate) struct Step {
    /// The node's name, for messages.
    pub(crate) node: String,
    pub(crate) operator: &'static Operator,
    pub(crate) attributes: Vec<NamedAttribute>,
    /// Slots by position; `None` for absent inputs.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Slots by position; `None` for outputs that nobody wants.
    pub(crate) outputs: Vec<Option<usize>>,
    pub(crate) bodies: Vec<Body>,
}

/// The graph around a body, inside out at the end, and which bodies were met.
#[derive(Debug)]
pub(crate) struct Scopes<'a> {
    subgraphs: &'a [Subgraph],
    is_used: Vec<bool>,
    scopes: Vec<Trace>,
    /// Element types that bodies state for their inputs are compared.
    pub(crate) compares_types: bool,
    /// Work that folding may still do.
    folding_left: u64,
    /// Results of nodes and captured values of all scopes.
    slots: usize,
}

impl<'a> Scopes<'a> {
    /// A body that no node had before, by its index.
    pub(crate) fn claim(&mut self, index: u32) -> Option<&'a Subgraph> {
        let index = usize::try_from(index).ok()?;
        let is_used = self.is_used.get_mut(index)?;
        (!std::mem::replace(is_used, true)).then(|| &self.subgraphs[index])
    }

    /// Claims a body that is never run, with those inside it.
    pub(crate) fn claim_unread(&mut self, index: u32) -> Option<()> {
        let subgraph = self.claim(index)?;
        let attributes = subgraph.nodes.iter().flat_map(|node| &node.attributes);
        for attribute in attributes {
            if let Attribute::Graph(inner) = attribute.value {
                self.claim_unread(inner)?;
            }
        }
        Some(())
    }

    pub(crate) fn enter(&mut self) -> Result<(), GraphError> {
        // The first scope is the graph's.
        if self.scopes.len() > BODIES_MAX {
            return Err(GraphError::Depth { most: BODIES_MAX });
        }
        self.scopes.push(Trace::default());
        Ok(())
    }

    pub(crate) fn leave(&mut self) -> Trace {
        self.scopes.pop().expect("every body that is entered is left once")
    }

    pub(crate) fn inner(&mut self) -> &mut Trace {
        self.scopes.last_mut().expect("the graph itself is entered first")
    }

    /// Slot of a name in the innermost scope; values of the scopes around are captured.
    pub(crate) fn resolve(&mut self, name: &str) -> Option<usize> {
        let found = self.scopes.iter().rposition(|scope| scope.slots.contains_key(name))?;
        let mut slot = self.scopes[found].slots[name];
        for scope in found + 1..self.scopes.len() {
            let fact = self.scopes[scope - 1].facts[slot].clone();
            let inner = &mut self.scopes[scope];
            self.slots += 1;
            inner.captures.push((slot, inner.facts.len()));
            slot = inner.facts.len();
            inner.slots.insert(name.to_owned(), slot);
            inner.facts.push(fact);
        }
        Some(slot)
    }

    pub(crate) fn apply(&mut self, node: &Node) -> Result<(), GraphError> {
        // One node exceeds the bound by no more than its ports in each scope.
        self.slots += node.outputs.len();
        if self.slots > SLOTS_MAX {
            return Err(GraphError::Values { most: SLOTS_MAX });
        }
        let (id, name) = (|| node.operator.clone(), || node.name.clone());
        let operator =
            ops::by_id(&node.operator).ok_or_else(|| GraphError::UnknownOperator { operator: id(), node: name() })?;
        let refuse = |fault| GraphError::Node { operator: Box::new(id()), node: name(), fault };
        let attributes = Attributes::check(operator.attributes, &node.attributes)
            .map_err(|error| refuse(NodeFault::Attribute(error)))?;
        let mut inputs = self.bind(node, operator).map_err(refuse)?;
        let facts: Vec<_> = inputs.iter().map(|slot| slot.map(|slot| self.inner().facts[slot].clone())).collect();
        let inference = Inference { attributes, inputs: &facts, asked: node.outputs.len() };
        let (made, bodies) = match operator.control {
            None => (infer(operator, &inference, &mut self.folding_left).map_err(refuse)?, Vec::new()),
            Some(control) => bodies::trace(self, control, &inference).map_err(refuse)?,
        };
        // What bodies read lives as long as any input.
        inputs.extend(bodies.iter().flat_map(|body| &body.trace.captures).map(|(outer, _)| Some(*outer)));
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (output, fact) in node.outputs.iter().zip(made) {
            outputs.push(match output {
                Some(ValueName(name)) => Some(self.inner().define(name, fact)?),
                None => None,
            });
        }
        let (node, attributes) = (name(), node.attributes.clone());
        self.inner().steps.push(Step { node, operator, attributes, inputs, outputs, bodies });
        Ok(())
    }

    /// Resolves a node's inputs and compares presence and element types with the table.
    fn bind(&mut self, node: &Node, operator: &'static Operator) -> Result<Vec<Option<usize>>, NodeFault> {
        let given = node.inputs.len();
        let most = if operator.variadic { usize::MAX } else { operator.inputs.len() };
        if given > most {
            return Err(NodeFault::TooManyInputs { given, most });
        }
        let mut bound = Vec::with_capacity(given);
        let mut variables = BTreeMap::new();
        for position in 0..given.max(operator.inputs.len()) {
            let Some(parameter) = operator.parameter(position) else { break };
            let input = parameter.name;
            let Some(ValueName(value)) = node.inputs.get(position).and_then(Option::as_ref) else {
                if !parameter.is_optional {
                    return Err(NodeFault::MissingInput { input });
                }
                bound.push(None);
                continue;
            };
            let slot = self.resolve(value).ok_or_else(|| NodeFault::Undefined { value: value.clone() })?;
            let got = self.inner().facts[slot].dtype;
            let agrees = parameter.variable.is_empty() || *variables.entry(parameter.variable).or_insert(got) == got;
            if !parameter.dtypes.contains(&got) || !agrees {
                return Err(NodeFault::InputType { input, got });
            }
            bound.push(Some(slot));
        }
        Ok(bound)
    }
}

impl Trace {
    /// Checks everything but the outputs of the signature.
    pub(crate) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        Self::traced(graph, weights, true)
    }

    /// The same while nobody has said yet of which element types the inputs of bodies are.
    pub(crate) fn of_draft(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        Self::traced(graph, weights, false)
    }

    fn traced(graph: &Graph, weights: &Weights, compares_types: bool) -> Result<Self, GraphError> {
        let (is_used, scopes) = (vec![false; graph.subgraphs.len()], vec![Self::default()]);
        let (folding_left, slots) = (FOLDING_MAX, 0);
        let mut scopes = Scopes { subgraphs: &graph.subgraphs, is_used, scopes, compares_types, folding_left, slots };
        for input in &graph.signature.inputs {
            let fact = Fact::of_dims(input.dtype, &input.shape);
            let fact = fact.ok_or_else(|| GraphError::Value { name: input.name.clone() })?;
            scopes.inner().define(&input.name, fact)?;
        }
        for weight in &graph.weights {
            let dims: Vec<_> = weight.shape.iter().map(|extent| Dim::Fixed(*extent)).collect();
            let fact = Fact::of_dims(weight.dtype, &dims);
            let mut fact = fact.ok_or_else(|| GraphError::Value { name: weight.name.clone() })?;
            if is_small(&fact) {
                fact.content = weights.tensor(&weight.name).map(|tensor| Arc::new(Array::of_tensor(&tensor)));
            }
            scopes.inner().define(&weight.name, fact)?;
        }
        for node in &graph.nodes {
            scopes.apply(node)?;
        }
        if scopes.is_used.contains(&false) {
            return Err(GraphError::Subgraphs { count: graph.subgraphs.len() });
        }
        Ok(scopes.leave())
    }

    /// Slot of a named value.
    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// Compares the signature's outputs with what was inferred, and returns their slots. What only
    /// a request decides is compared then.
    pub(crate) fn outputs(&self, outputs: &[ValueInfo]) -> Result<Vec<usize>, GraphError> {
        let resolve = |output: &ValueInfo| {
            let slot = self.slot(&output.name).ok_or_else(|| GraphError::NoOutput { name: output.name.clone() })?;
            let inferred = &self.facts[slot];
            let stated = Fact::of_dims(output.dtype, &output.shape);
            if stated.is_some() && agrees(output, inferred) {
                return Ok(slot);
            }
            Err(GraphError::Output {
                name: output.name.clone(),
                stated: stated.map_or_else(|| "of a possible shape".into(), |stated| stated.to_string()),
                inferred: inferred.to_string(),
            })
        };
        outputs.iter().map(resolve).collect()
    }

    pub(crate) fn define(&mut self, name: &str, fact: Fact) -> Result<usize, GraphError> {
        let slot = self.facts.len();
        if name.is_empty() || self.slots.insert(name.to_owned(), slot).is_some() {
            return Err(GraphError::Name { name: name.to_owned() });
        }
        self.facts.push(fact);
        Ok(slot)
    }
}

/// Whether a stated output is one that the inferred value can be.
fn agrees(stated: &ValueInfo, inferred: &Fact) -> bool {
    let Some(shape) = &inferred.shape else { return stated.dtype == inferred.dtype };
    let fits = |(dim, extent): (&Dim, &Extent)| extent.to_dim().is_none_or(|known| known == *dim);
    stated.dtype == inferred.dtype && stated.shape.len() == shape.len() && stated.shape.iter().zip(shape).all(fits)
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
