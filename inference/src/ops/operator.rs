//! An entry of the table: ports, types, attributes, the shape function and the plain kernel.

use std::sync::Arc;

use crate::{
    array::Array,
    ir::OperatorId,
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::{Extent, Fact},
        shape::ShapeError,
    },
    tensor::DType,
};

/// ONNX's domain for classical learning.
pub(crate) const LEARNING: &str = "ai.onnx.ml";

/// What most kernels work with for each element: 64-bit numbers, 128-bit integers.
const SCRATCH_BYTES: u64 = 16;
/// Most elements of an input that is read as positions, counts or sizes: one for each output that
/// a node may have, which is more than there are dimensions.
const PLACES_MAX: usize = 256;

/// One operator from one opset on.
#[derive(Debug)]
pub(crate) struct Operator {
    /// Empty for ONNX's own domain.
    pub(crate) domain: &'static str,
    /// As ONNX spells it.
    pub(crate) name: &'static str,
    /// First opset in which the operator means what the kernel computes; names the version in
    /// the IR.
    pub(crate) since: u32,
    pub(crate) inputs: &'static [Parameter],
    /// The last input stands for any number of inputs, at least one.
    pub(crate) variadic: bool,
    pub(crate) outputs: &'static [Product],
    /// The last output stands for any number of outputs.
    pub(crate) spreads: bool,
    pub(crate) attributes: &'static [AttributeSpec],
    /// Extents of the outputs, at load from what is known and at a run from everything.
    pub(crate) infer: Infer,
    pub(crate) kernel: Kernel,
    /// Bytes that the kernel works with for each element that it reads or makes.
    pub(crate) scratch_bytes: u64,
    /// The elements of the output, for operators that look at the extents of their input alone.
    pub(crate) told: Option<fn(&Inference<'_>) -> Option<Array>>,
    /// Set for operators that run bodies; the executor then does what a kernel does for others.
    pub(crate) control: Option<Control>,
}

/// Operators that run bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// One of two.
    If,
    /// One, as long as a condition holds.
    Loop,
    /// One for each element of lists.
    Scan,
}

/// Extents of each output.
pub(crate) type Shapes = Result<Vec<Vec<Extent>>, ShapeError>;
/// A shape function.
pub(crate) type Infer = fn(&Inference<'_>) -> Shapes;
/// Computes the outputs from inputs whose types and extents the shape function accepted: as many
/// as the shape function gave extents for, each of its type. Kernels never panic on elements.
pub(crate) type Kernel = fn(&Call<'_>) -> Result<Vec<Array>, Fault>;

/// Why elements cannot be computed with; found while a kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An index points outside the tensor that it is for.
    #[error("an index is out of range")]
    Index,
    /// An integer is divided by 0.
    #[error("an integer is divided by zero")]
    Division,
    /// Loops, or a walk through a tree, do not end within a million iterations.
    #[error("a loop does not end")]
    Iterations,
    /// An input has a value that the operator does not allow.
    #[error("input {0} has a value that is not allowed")]
    Input(&'static str),
}

/// An input of an operator.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Type variable; all ports of one variable have one element type, those without any have
    /// their own.
    pub(crate) variable: &'static str,
    pub(crate) dtypes: &'static [DType],
    pub(crate) is_optional: bool,
}

/// An output of an operator.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) name: &'static str,
    pub(crate) dtype: Made,
}

/// The element type of an output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Made {
    /// That of the inputs of a type variable.
    Like(&'static str),
    /// Always this one.
    Of(DType),
    /// Decided by attributes or by which inputs are there; `None` refuses the node.
    Chosen(fn(&Inference<'_>) -> Option<DType>),
}

/// What a shape function may look at. Presence and element types were checked.
#[derive(Debug)]
pub(crate) struct Inference<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// By position; `None` is left out.
    pub(crate) inputs: &'a [Option<Fact>],
    /// Number of outputs asked for.
    pub(crate) asked: usize,
}

/// What a kernel may look at.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// By position; `None` is left out.
    pub(crate) inputs: &'a [Option<Arc<Array>>],
    /// Element type and extents of each output; where the extents depend on elements, the largest
    /// possible ones.
    pub(crate) outputs: &'a [(DType, Vec<usize>)],
}

/// A required input.
pub(crate) const fn input(name: &'static str, variable: &'static str, dtypes: &'static [DType]) -> Parameter {
    Parameter { name, variable, dtypes, is_optional: false }
}

/// An input that may be left out.
pub(crate) const fn optional(name: &'static str, variable: &'static str, dtypes: &'static [DType]) -> Parameter {
    Parameter { name, variable, dtypes, is_optional: true }
}

/// An output of the element type of a type variable.
pub(crate) const fn like(name: &'static str, variable: &'static str) -> Product {
    Product { name, dtype: Made::Like(variable) }
}

/// An output of one element type.
pub(crate) const fn of(name: &'static str, dtype: DType) -> Product {
    Product { name, dtype: Made::Of(dtype) }
}

/// An attribute.
pub(crate) const fn attribute(name: &'static str, fallback: Fallback) -> AttributeSpec {
    AttributeSpec { name, fallback }
}

impl Operator {
    /// An entry without attributes whose last input does not repeat.
    pub(crate) const fn new(
        name: &'static str,
        since: u32,
        inputs: &'static [Parameter],
        outputs: &'static [Product],
        infer: Infer,
        kernel: Kernel,
    ) -> Self {
        Self {
            domain: "",
            name,
            since,
            inputs,
            variadic: false,
            outputs,
            spreads: false,
            attributes: &[],
            infer,
            kernel,
            scratch_bytes: SCRATCH_BYTES,
            told: None,
            control: None,
        }
    }

    /// An operator that runs bodies: of its outputs only they know.
    pub(crate) const fn controlling(
        name: &'static str,
        since: u32,
        control: Control,
        inputs: &'static [Parameter],
        attributes: &'static [AttributeSpec],
    ) -> Self {
        const ANY: &[Product] = &[Product { name: "outputs", dtype: Made::Chosen(|_| None) }];
        let infer: Infer = |_| Err(ShapeError::Unknown);
        let entry = Self::new(name, since, inputs, ANY, infer, |_| Err(Fault::Input("body")));
        Self { control: Some(control), spreads: true, attributes, ..entry }
    }

    /// The same of ONNX's domain for classical learning.
    pub(crate) const fn learnt(self) -> Self {
        Self { domain: LEARNING, ..self }
    }

    pub(crate) const fn told_by(self, told: fn(&Inference<'_>) -> Option<Array>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// The same with a kernel that works with so many bytes an element.
    pub(crate) const fn scratching(self, scratch_bytes: u64) -> Self {
        Self { scratch_bytes, ..self }
    }

    pub(crate) const fn variadic(self) -> Self {
        Self { variadic: true, ..self }
    }

    pub(crate) const fn spreading(self) -> Self {
        Self { spreads: true, ..self }
    }

    pub(crate) const fn with(self, attributes: &'static [AttributeSpec]) -> Self {
        Self { attributes, ..self }
    }

    pub(crate) fn id(&self) -> OperatorId {
        OperatorId { domain: self.domain.to_owned(), name: self.name.to_owned(), version: self.since }
    }

    /// The parameter that describes an input position.
    pub(crate) fn parameter(&self, position: usize) -> Option<&'static Parameter> {
        self.inputs.get(position).or_else(|| self.inputs.last().filter(|_| self.variadic))
    }

    /// The entry of an output position.
    pub(crate) fn product(&self, position: usize) -> Option<&'static Product> {
        self.outputs.get(position).or_else(|| self.outputs.last().filter(|_| self.spreads))
    }

    /// Element types of the first outputs, or the name of the first that cannot be made.
    pub(crate) fn dtypes(&self, inference: &Inference<'_>, count: usize) -> Result<Vec<DType>, &'static str> {
        let bound = |variable: &str| {
            let mut inputs = inference.inputs.iter().enumerate();
            inputs.find_map(|(position, fact)| {
                let parameter = self.parameter(position)?;
                let dtype = fact.as_ref()?.dtype;
                (parameter.variable == variable).then_some(dtype)
            })
        };
        let made = |position| {
            let product = self.product(position).ok_or("")?;
            let dtype = match product.dtype {
                Made::Like(variable) => bound(variable),
                Made::Of(dtype) => Some(dtype),
                Made::Chosen(choose) => choose(inference),
            };
            dtype.ok_or(product.name)
        };
        (0..count).map(made).collect()
    }
}

impl<'a> Inference<'a> {
    /// What is known of a required input.
    pub(crate) fn fact(&self, position: usize) -> &'a Fact {
        self.optional(position).expect("presence was checked against the table")
    }

    /// What is known of an optional input.
    pub(crate) fn optional(&self, position: usize) -> Option<&'a Fact> {
        self.inputs.get(position).and_then(Option::as_ref)
    }

    /// Extents of a required input.
    pub(crate) fn shape(&self, position: usize) -> Result<&'a [Extent], ShapeError> {
        self.fact(position).shape.as_deref().ok_or(ShapeError::Unknown)
    }

    /// Extents of an optional input.
    pub(crate) fn optional_shape(&self, position: usize) -> Result<Option<&'a [Extent]>, ShapeError> {
        self.optional(position).map(|fact| fact.shape.as_deref().ok_or(ShapeError::Unknown)).transpose()
    }

    /// Elements of an input as positions and counts; `None` when it is left out.
    pub(crate) fn places(&self, position: usize) -> Result<Option<Vec<i64>>, ShapeError> {
        match self.content(position)? {
            Some(array) if array.len() > PLACES_MAX => Err(ShapeError::Long { input: position, most: PLACES_MAX }),
            content => Ok(content.map(Array::places)),
        }
    }

    /// Elements of an input; `None` when it is left out.
    pub(crate) fn content(&self, position: usize) -> Result<Option<&'a Array>, ShapeError> {
        self.optional(position).map(|fact| fact.content.as_deref().ok_or(ShapeError::Unknown)).transpose()
    }
}

impl Call<'_> {
    /// A required input.
    pub(crate) fn input(&self, position: usize) -> &Array {
        self.optional(position).expect("presence was checked against the table")
    }

    /// An optional input.
    pub(crate) fn optional(&self, position: usize) -> Option<&Array> {
        self.inputs.get(position).and_then(Option::as_deref)
    }

    /// Elements of an input as positions and counts; `None` when it is left out.
    pub(crate) fn places(&self, position: usize) -> Option<Vec<i64>> {
        self.optional(position).map(Array::places)
    }

    /// The first element of an optional input as a number.
    pub(crate) fn scalar(&self, position: usize) -> Option<f64> {
        self.optional(position).and_then(|array| array.floats().first().copied())
    }

    /// Element type of the first output.
    pub(crate) fn dtype(&self) -> DType {
        self.outputs[0].0
    }

    /// Extents of the first output.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.outputs[0].1
    }

    /// The first output from numbers.
    pub(crate) fn floats(&self, values: impl IntoIterator<Item = f64>) -> Array {
        self.output(0, values)
    }

    /// Any output from numbers.
    pub(crate) fn output(&self, position: usize, values: impl IntoIterator<Item = f64>) -> Array {
        let (dtype, shape) = &self.outputs[position];
        Array::of_floats(*dtype, shape.clone(), values)
    }

    /// The first output from integers.
    pub(crate) fn ints(&self, values: impl IntoIterator<Item = i128>) -> Array {
        Array::of_ints(self.dtype(), self.shape().to_vec(), values)
    }
}
