//! Whether a graph means something: every name, operator, attribute, type and shape is compared
//! with the operator table, first when a publisher lowers a model and again when a node loads it.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    array::Array,
    ir::{Dim, Graph, Node, OperatorId, ValueInfo, ValueName},
    ops::{self, AttributeError, Attributes, Call, Extent, Fact, Inference, Operator, ShapeError},
    tensor::DType,
    weights::Weights,
};

/// Most elements of a value whose content is known at load. Shapes, axes and pads are far smaller;
/// what is larger would make loading as slow as running.
const CONTENT_ELEMENTS_MAX: u64 = 1024;

/// Why a graph cannot be run. The model has to be exported or lowered again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The table has no such operator, or not in this version.
    #[error("unknown operator {operator} at node \"{node}\"")]
    UnknownOperator {
        /// Domain, name and version asked for.
        operator: OperatorId,
        /// The node's name.
        node: String,
    },
    /// A node is not an application of its operator.
    #[error("{operator} at node \"{node}\" is refused")]
    Node {
        /// The operator.
        operator: Box<OperatorId>,
        /// The node's name.
        node: String,
        /// What is wrong.
        #[source]
        fault: NodeFault,
    },
    /// Two inputs, weights or results have one name, or a name is empty.
    #[error("value \"{name}\" is made twice or has no name")]
    Name {
        /// The name.
        name: String,
    },
    /// An input or weight with an overflowing shape.
    #[error("value \"{name}\" has an impossible shape")]
    Value {
        /// The value.
        name: String,
    },
    /// The signature names an output that nothing makes.
    #[error("output \"{name}\" is not made")]
    NoOutput {
        /// The output.
        name: String,
    },
    /// The signature says something else of an output than follows from the operators.
    #[error("output \"{name}\" is {inferred}, not {stated}")]
    Output {
        /// The output.
        name: String,
        /// What the signature says.
        stated: String,
        /// What follows from the operators.
        inferred: String,
    },
    /// Bodies that no operator of the table uses.
    #[error("graph has {count} subgraphs, and no operator here uses any")]
    Subgraphs {
        /// How many.
        count: usize,
    },
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeFault {
    /// It uses a value that is not made before it.
    #[error("value \"{value}\" is used before it is made")]
    Undefined {
        /// The value.
        value: String,
    },
    /// More inputs than the operator has.
    #[error("{given} inputs are given, at most {most} are possible")]
    TooManyInputs {
        /// Inputs given.
        given: usize,
        /// Inputs possible.
        most: usize,
    },
    /// A required input is left out.
    #[error("input {input} is missing")]
    MissingInput {
        /// Its name in the operator's specification.
        input: &'static str,
    },
    /// An element type that the operator does not take there, or that differs from that of another
    /// input with which it must agree.
    #[error("input {input} cannot be {got} here")]
    InputType {
        /// Its name in the operator's specification.
        input: &'static str,
        /// The type found.
        got: DType,
    },
    /// More or other outputs than the operator makes here.
    #[error("{asked} outputs are asked for, {made} are made")]
    Outputs {
        /// Outputs asked for.
        asked: usize,
        /// Outputs made.
        made: usize,
    },
    /// The attributes ask for an element type that the operator does not make.
    #[error("output {output} would have an element type that is not supported")]
    OutputType {
        /// Its name in the operator's specification.
        output: &'static str,
    },
    /// The attributes are not those of the operator.
    #[error(transparent)]
    Attribute(AttributeError),
    /// Types or shapes do not fit.
    #[error(transparent)]
    Shape(ShapeError),
}

/// A graph with its names resolved to slots, and what is known of every value.
#[derive(Debug)]
pub(crate) struct Trace {
    /// By slot: inputs, then weights, then what each step makes.
    pub(crate) facts: Vec<Fact>,
    pub(crate) steps: Vec<Step>,
    slots: BTreeMap<String, usize>,
}

/// An operator application with resolved names.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) operator: &'static Operator,
    /// Slots by position; `None` for absent inputs.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Slots by position; `None` for outputs that nobody wants.
    pub(crate) outputs: Vec<Option<usize>>,
}

impl Trace {
    /// Checks everything but the outputs of the signature.
    pub(crate) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        if !graph.subgraphs.is_empty() {
            return Err(GraphError::Subgraphs { count: graph.subgraphs.len() });
        }
        let mut trace = Self { facts: Vec::new(), steps: Vec::new(), slots: BTreeMap::new() };
        for input in &graph.signature.inputs {
            let fact = Fact::of_dims(input.dtype, &input.shape);
            trace.define(&input.name, fact.ok_or_else(|| GraphError::Value { name: input.name.clone() })?)?;
        }
        for weight in &graph.weights {
            let dims: Vec<_> = weight.shape.iter().map(|extent| Dim::Fixed(*extent)).collect();
            let fact = Fact::of_dims(weight.dtype, &dims);
            let mut fact = fact.ok_or_else(|| GraphError::Value { name: weight.name.clone() })?;
            if is_small(&fact) {
                fact.content = weights.tensor(&weight.name).map(|tensor| Arc::new(Array::of_tensor(&tensor)));
            }
            trace.define(&weight.name, fact)?;
        }
        for node in &graph.nodes {
            trace.apply(node)?;
        }
        Ok(trace)
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

    fn define(&mut self, name: &str, fact: Fact) -> Result<usize, GraphError> {
        let slot = self.facts.len();
        if name.is_empty() || self.slots.insert(name.to_owned(), slot).is_some() {
            return Err(GraphError::Name { name: name.to_owned() });
        }
        self.facts.push(fact);
        Ok(slot)
    }

    fn apply(&mut self, node: &Node) -> Result<(), GraphError> {
        let (id, name) = (|| node.operator.clone(), || node.name.clone());
        let operator =
            ops::by_id(&node.operator).ok_or_else(|| GraphError::UnknownOperator { operator: id(), node: name() })?;
        let refuse = |fault| GraphError::Node { operator: Box::new(id()), node: name(), fault };
        let attributes = Attributes::check(operator.attributes, &node.attributes)
            .map_err(|error| refuse(NodeFault::Attribute(error)))?;
        let inputs = self.bind(node, operator).map_err(refuse)?;
        let facts: Vec<_> = inputs.iter().map(|slot| slot.map(|slot| self.facts[slot].clone())).collect();
        let inference = Inference { attributes, inputs: &facts, asked: node.outputs.len() };
        let made = infer(operator, &inference).map_err(refuse)?;
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (output, fact) in node.outputs.iter().zip(made) {
            outputs.push(match output {
                Some(ValueName(name)) => Some(self.define(name, fact)?),
                None => None,
            });
        }
        self.steps.push(Step { operator, inputs, outputs });
        Ok(())
    }

    /// Resolves a node's inputs and compares presence and element types with the table.
    fn bind(&self, node: &Node, operator: &'static Operator) -> Result<Vec<Option<usize>>, NodeFault> {
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
            let slot = self.slot(value).ok_or_else(|| NodeFault::Undefined { value: value.clone() })?;
            let got = self.facts[slot].dtype;
            if !parameter.dtypes.contains(&got) || *variables.entry(parameter.variable).or_insert(got) != got {
                return Err(NodeFault::InputType { input, got });
            }
            bound.push(Some(slot));
        }
        Ok(bound)
    }
}

/// What follows of a node's outputs, with their elements when all inputs are constants.
fn infer(operator: &'static Operator, inference: &Inference<'_>) -> Result<Vec<Fact>, NodeFault> {
    let asked = inference.asked;
    let shapes = match (operator.infer)(inference) {
        Ok(shapes) => Some(shapes),
        Err(ShapeError::Unknown) => None,
        Err(error) => return Err(NodeFault::Shape(error)),
    };
    let made = shapes.as_ref().map_or(asked, Vec::len);
    let most = if operator.spreads { usize::MAX } else { operator.outputs.len() };
    if asked > made || asked > most {
        return Err(NodeFault::Outputs { asked, made: made.min(most) });
    }
    let dtypes = operator.dtypes(inference, made).map_err(|output| NodeFault::OutputType { output })?;
    let mut facts: Vec<_> = dtypes.into_iter().map(|dtype| Fact { dtype, shape: None, content: None }).collect();
    if let Some(shapes) = shapes {
        for (fact, shape) in facts.iter_mut().zip(shapes) {
            fact.shape = Some(shape);
        }
        fold(operator, inference, &mut facts);
    }
    Ok(facts)
}

/// Runs the plain kernel on constants. Where that fails the request will say so.
fn fold(operator: &'static Operator, inference: &Inference<'_>, facts: &mut [Fact]) {
    let known = |fact: &Option<Fact>| fact.as_ref().is_none_or(|fact| fact.content.is_some());
    if !inference.inputs.iter().all(known) || !facts.iter().all(is_small) {
        return;
    }
    let specs: Option<Vec<_>> = facts.iter().map(|fact| Some((fact.dtype, extents(fact)?))).collect();
    let Some(specs) = specs else { return };
    let inputs: Vec<_> = inference.inputs.iter().map(|fact| fact.as_ref()?.content.clone()).collect();
    let call = Call { attributes: inference.attributes, inputs: &inputs, outputs: &specs };
    let Ok(Ok(arrays)) = catch_unwind(AssertUnwindSafe(|| (operator.kernel)(&call))) else { return };
    for (fact, array) in facts.iter_mut().zip(arrays) {
        *fact = Fact::of_array(Arc::new(array));
    }
}

/// Whether a value has fixed extents and few elements.
fn is_small(fact: &Fact) -> bool {
    let elements = fact.shape.as_ref().and_then(|shape| {
        shape.iter().try_fold(1_u64, |elements, extent| elements.checked_mul(extent.as_fixed()?.max(1)))
    });
    elements.is_some_and(|elements| elements <= CONTENT_ELEMENTS_MAX)
}

fn extents(fact: &Fact) -> Option<Vec<usize>> {
    fact.shape.as_ref()?.iter().map(|extent| usize::try_from(extent.as_fixed()?).ok()).collect()
}

/// Whether a stated output is one that the inferred value can be.
fn agrees(stated: &ValueInfo, inferred: &Fact) -> bool {
    let Some(shape) = &inferred.shape else { return stated.dtype == inferred.dtype };
    let fits = |(dim, extent): (&Dim, &Extent)| extent.to_dim().is_none_or(|known| known == *dim);
    stated.dtype == inferred.dtype && stated.shape.len() == shape.len() && stated.shape.iter().zip(shape).all(fits)
}
