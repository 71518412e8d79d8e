//! Whether a graph means something: every name, operator, attribute, type and shape is compared
//! with the operator table, first when a publisher lowers a model and again when a node loads it.

use std::collections::BTreeMap;

use crate::{
    ir::{Dim, Graph, Node, OperatorId, ValueInfo, ValueName},
    ops::{self, AttributeError, Inference, Schema, ShapeError, ValueType},
    tensor::{DType, Tensor},
    weights::Weights,
};

/// Constants are copied into each step that uses them, so one weight must not be multiplied into
/// more memory than the file took.
const CONSTANT_ELEMENTS_MAX: u64 = 1024;

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
    /// An input or weight with an empty or overflowing shape, or of a type that is not computed with.
    #[error("value \"{name}\" has an unsupported type or shape")]
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
    /// An element type that the operator does not take there, or that differs from the first
    /// input's.
    #[error("input {input} cannot be {got} here")]
    InputType {
        /// Its name in the operator's specification.
        input: &'static str,
        /// The type found.
        got: DType,
    },
    /// An input that decides shapes is computed, or has more than 1024 elements; export the model
    /// with it folded.
    #[error("input {input} must be a small constant")]
    NotConstant {
        /// Its name in the operator's specification.
        input: &'static str,
    },
    /// Every operator of the table has exactly one output; others (masks, indices) are not made.
    #[error("{asked} outputs are asked for, one is made")]
    Outputs {
        /// Outputs asked for.
        asked: usize,
    },
    /// The attributes are not those of the operator.
    #[error(transparent)]
    Attribute(AttributeError),
    /// Types or shapes do not fit.
    #[error(transparent)]
    Shape(ShapeError),
}

/// A graph with its names resolved to slots and every value's type inferred.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Types by slot: inputs, then weights, then what each step makes.
    pub(crate) types: Vec<ValueType>,
    pub(crate) steps: Vec<Step>,
    slots: BTreeMap<String, usize>,
}

/// An operator application with resolved inputs.
#[derive(Debug)]
pub(crate) struct Step {
    /// Slots by position; `None` for absent and for constant inputs.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Values of the constant inputs by position.
    pub(crate) constants: Vec<Option<Tensor>>,
    pub(crate) output: usize,
}

impl Trace {
    /// Checks everything but the outputs of the signature.
    pub(crate) fn of(graph: &Graph, weights: &Weights) -> Result<Self, GraphError> {
        if !graph.subgraphs.is_empty() {
            return Err(GraphError::Subgraphs { count: graph.subgraphs.len() });
        }
        let mut trace = Self { types: Vec::new(), steps: Vec::new(), slots: BTreeMap::new() };
        for input in &graph.signature.inputs {
            let value = ValueType::of_dims(input.dtype, &input.shape);
            trace.define(&input.name, value.ok_or_else(|| GraphError::Value { name: input.name.clone() })?)?;
        }
        for weight in &graph.weights {
            let dims: Vec<_> = weight.shape.iter().map(|extent| Dim::Fixed(*extent)).collect();
            let value = ValueType::of_dims(weight.dtype, &dims);
            trace.define(&weight.name, value.ok_or_else(|| GraphError::Value { name: weight.name.clone() })?)?;
        }
        for node in &graph.nodes {
            trace.apply(node, weights)?;
        }
        Ok(trace)
    }

    /// Slot of a named value.
    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// Compares the signature's outputs with what was inferred, and returns their slots.
    pub(crate) fn outputs(&self, outputs: &[ValueInfo]) -> Result<Vec<usize>, GraphError> {
        let resolve = |output: &ValueInfo| {
            let slot = self.slot(&output.name).ok_or_else(|| GraphError::NoOutput { name: output.name.clone() })?;
            let inferred = &self.types[slot];
            let stated = ValueType::of_dims(output.dtype, &output.shape);
            if stated.as_ref() == Some(inferred) {
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

    fn define(&mut self, name: &str, value: ValueType) -> Result<usize, GraphError> {
        if !ops::DTYPES.contains(&value.dtype) {
            return Err(GraphError::Value { name: name.to_owned() });
        }
        let slot = self.types.len();
        if name.is_empty() || self.slots.insert(name.to_owned(), slot).is_some() {
            return Err(GraphError::Name { name: name.to_owned() });
        }
        self.types.push(value);
        Ok(slot)
    }

    fn apply(&mut self, node: &Node, weights: &Weights) -> Result<(), GraphError> {
        let (operator, name) = (|| node.operator.clone(), || node.name.clone());
        let schema = ops::schema(&node.operator)
            .ok_or_else(|| GraphError::UnknownOperator { operator: operator(), node: name() })?;
        let refuse = |fault| GraphError::Node { operator: Box::new(operator()), node: name(), fault };
        let attributes = schema.attributes(&node.attributes).map_err(|error| refuse(NodeFault::Attribute(error)))?;
        let Bound { slots, types, constants } = self.bind(node, schema, weights).map_err(refuse)?;
        let inference = Inference { attributes, inputs: &types, constants: &constants };
        let made = (schema.infer)(&inference).map_err(|error| refuse(NodeFault::Shape(error)))?;
        let [Some(ValueName(output))] = node.outputs.as_slice() else {
            return Err(refuse(NodeFault::Outputs { asked: node.outputs.len() }));
        };
        let output = self.define(output, made)?;
        self.steps.push(Step { inputs: slots, constants, output });
        Ok(())
    }

    /// Resolves a node's inputs and compares presence and element types with the schema.
    fn bind(&self, node: &Node, schema: &Schema, weights: &Weights) -> Result<Bound, NodeFault> {
        let given = node.inputs.len();
        let most = if schema.variadic { usize::MAX } else { schema.inputs.len() };
        if given > most {
            return Err(NodeFault::TooManyInputs { given, most });
        }
        let mut bound = Bound::default();
        for position in 0..given.max(schema.inputs.len()) {
            let Some(parameter) = schema.parameter(position) else { break };
            let input = parameter.name;
            let Some(ValueName(value)) = node.inputs.get(position).and_then(Option::as_ref) else {
                if parameter.presence.is_optional() {
                    bound.push(None, None, None);
                    continue;
                }
                return Err(NodeFault::MissingInput { input });
            };
            let slot = self.slot(value).ok_or_else(|| NodeFault::Undefined { value: value.clone() })?;
            let found = &self.types[slot];
            let agrees = |first: &ValueType| first.dtype == found.dtype || parameter.presence.is_constant();
            let first = bound.types.first().and_then(Option::as_ref);
            if !parameter.dtypes.contains(&found.dtype) || !first.is_none_or(agrees) {
                return Err(NodeFault::InputType { input, got: found.dtype });
            }
            if parameter.presence.is_constant() {
                let elements = found.elements().and_then(|elements| elements.as_fixed());
                let small = elements.is_some_and(|elements| elements <= CONSTANT_ELEMENTS_MAX);
                let constant = if small { weights.tensor(value) } else { None };
                let constant = constant.ok_or(NodeFault::NotConstant { input })?;
                bound.push(None, Some(found.clone()), Some(constant));
            } else {
                bound.push(Some(slot), Some(found.clone()), None);
            }
        }
        Ok(bound)
    }
}

/// A node's inputs by position.
#[derive(Default)]
struct Bound {
    slots: Vec<Option<usize>>,
    types: Vec<Option<ValueType>>,
    constants: Vec<Option<Tensor>>,
}

impl Bound {
    fn push(&mut self, slot: Option<usize>, value: Option<ValueType>, constant: Option<Tensor>) {
        self.slots.push(slot);
        self.types.push(value);
        self.constants.push(constant);
    }
}
