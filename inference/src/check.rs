//! What can be wrong with a graph, found when a publisher lowers a model and again when a node
//! loads it.

use crate::{
    ir::OperatorId,
    ops::{AttributeError, ShapeError},
    tensor::DType,
};

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
    /// Bodies lie in bodies deeper than any exporter nests them.
    #[error("bodies are nested more than {most} deep")]
    Depth {
        /// The bound.
        most: usize,
    },
    /// More values than a node keeps account of; those that bodies read from around count in each.
    #[error("graph has more than {most} values")]
    Values {
        /// The bound.
        most: usize,
    },
    /// Bodies that no node has, or that two have.
    #[error("graph has {count} bodies, and not each is that of one node")]
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
    /// A body that is missing, that takes or makes other values than the operator gives and wants,
    /// or that cannot be run itself.
    #[error("body `{name}` does not fit")]
    Body {
        /// The attribute.
        name: &'static str,
        /// What is wrong inside, when something is.
        #[source]
        source: Option<Box<GraphError>>,
    },
    /// The attributes are not those of the operator.
    #[error(transparent)]
    Attribute(AttributeError),
    /// Types or shapes do not fit.
    #[error(transparent)]
    Shape(ShapeError),
}
