//! What the table says about an operator: ports, types, attributes and the shape function.

use crate::{
    ir::{Attribute, NamedAttribute, OperatorId},
    ops::{extent::ValueType, shape::ShapeError},
    tensor::{DType, Tensor},
};

/// The half of a table entry that does not depend on the backend.
#[derive(Debug)]
pub(crate) struct Schema {
    /// As ONNX spells it.
    pub(crate) name: &'static str,
    /// First opset in which the operator means what the kernel computes; names the version in
    /// the IR.
    pub(crate) since: u32,
    pub(crate) inputs: &'static [Parameter],
    /// The last parameter stands for any number of inputs, at least one.
    pub(crate) variadic: bool,
    pub(crate) attributes: &'static [AttributeSpec],
    pub(crate) infer: fn(&Inference<'_>) -> Result<ValueType, ShapeError>,
}

/// An input of an operator. Every operator of the table has exactly one output.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) dtypes: &'static [DType],
    pub(crate) presence: Presence,
}

/// Whether an input may be left out, and where its value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Given, with the element type of the first input.
    Required,
    /// May be left out, else with the element type of the first input.
    Optional,
    /// Given as a weight, because shapes or kernels depend on its value.
    Constant,
    /// May be left out, else a weight.
    OptionalConstant,
}

impl Presence {
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::OptionalConstant)
    }

    pub(crate) fn is_constant(self) -> bool {
        matches!(self, Self::Constant | Self::OptionalConstant)
    }
}

/// An attribute of an operator.
#[derive(Debug)]
pub(crate) struct AttributeSpec {
    pub(crate) name: &'static str,
    pub(crate) fallback: Fallback,
}

/// What holds when an attribute is left out; names its type too.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fallback {
    Int(i64),
    Float(f32),
    Text(&'static str),
    /// No value: the shape function decides what that means.
    NoInts,
    /// Left out is refused.
    RequiredInts,
    /// Left out is refused.
    RequiredInt,
}

/// Why the attributes of a node are not those of its operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// An attribute that the operator does not have, or whose meaning is not implemented: leaving
    /// it unread would change the result.
    #[error("attribute `{name}` is unknown")]
    Unknown {
        /// The attribute.
        name: String,
    },
    /// The same attribute twice, or attributes out of order.
    #[error("attribute `{name}` is repeated or out of order")]
    Order {
        /// The attribute.
        name: String,
    },
    /// A value of another type than the operator takes.
    #[error("attribute `{name}` has the wrong type")]
    Type {
        /// The attribute.
        name: String,
    },
    /// An attribute without a default is missing.
    #[error("attribute `{name}` is missing")]
    Missing {
        /// The attribute.
        name: &'static str,
    },
}

/// The attributes of a node after they were compared with the schema; reading cannot fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    specs: &'static [AttributeSpec],
    given: &'a [NamedAttribute],
}

/// What a shape function may look at.
#[derive(Debug)]
pub(crate) struct Inference<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// Types by position; `None` is left out. Presence and element types were checked.
    pub(crate) inputs: &'a [Option<ValueType>],
    /// Values of the inputs whose [`Presence`] is constant.
    pub(crate) constants: &'a [Option<Tensor>],
}

impl Schema {
    pub(crate) fn id(&self) -> OperatorId {
        OperatorId { domain: String::new(), name: self.name.to_owned(), version: self.since }
    }

    /// The parameter that describes an input position.
    pub(crate) fn parameter(&self, position: usize) -> Option<&'static Parameter> {
        self.inputs.get(position).or_else(|| self.inputs.last().filter(|_| self.variadic))
    }

    /// Compares attributes with the specification.
    pub(crate) fn attributes<'a>(&self, given: &'a [NamedAttribute]) -> Result<Attributes<'a>, AttributeError> {
        if let Some(pair) = given.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(AttributeError::Order { name: pair[1].name.clone() });
        }
        for attribute in given {
            let name = || attribute.name.clone();
            let spec = self.attributes.iter().find(|spec| spec.name == attribute.name);
            let spec = spec.ok_or_else(|| AttributeError::Unknown { name: name() })?;
            if !spec.fallback.has_type_of(&attribute.value) {
                return Err(AttributeError::Type { name: name() });
            }
        }
        for spec in self.attributes {
            let required = matches!(spec.fallback, Fallback::RequiredInts | Fallback::RequiredInt);
            if required && !given.iter().any(|attribute| attribute.name == spec.name) {
                return Err(AttributeError::Missing { name: spec.name });
            }
        }
        Ok(self.checked_attributes(given))
    }

    /// Attributes that [`Schema::attributes`] accepted earlier.
    pub(crate) fn checked_attributes<'a>(&self, given: &'a [NamedAttribute]) -> Attributes<'a> {
        Attributes { specs: self.attributes, given }
    }
}

impl Fallback {
    fn has_type_of(self, value: &Attribute) -> bool {
        matches!(
            (self, value),
            (Self::Int(_) | Self::RequiredInt, Attribute::Int(_))
                | (Self::Float(_), Attribute::Float(_))
                | (Self::Text(_), Attribute::Text(_))
                | (Self::NoInts | Self::RequiredInts, Attribute::Ints(_))
        )
    }
}

impl<'a> Attributes<'a> {
    pub(crate) fn int(&self, name: &str) -> i64 {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Int(value)), _) => *value,
            (None, Fallback::Int(value)) => value,
            _ => unreachable!("`{name}` was checked to be an integer with a value"),
        }
    }

    pub(crate) fn float(&self, name: &str) -> f32 {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Float(value)), _) => *value,
            (None, Fallback::Float(value)) => value,
            _ => unreachable!("`{name}` was checked to be a number with a value"),
        }
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Text(value)), _) => value,
            (None, Fallback::Text(value)) => value,
            _ => unreachable!("`{name}` was checked to be a text with a value"),
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Ints(values)), _) => Some(values),
            (None, Fallback::NoInts) => None,
            _ => unreachable!("`{name}` was checked to be a list of integers"),
        }
    }

    fn given(&self, name: &str) -> Option<&'a Attribute> {
        self.given.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    fn fallback(&self, name: &str) -> Fallback {
        let spec = self.specs.iter().find(|spec| spec.name == name);
        spec.expect("a kernel reads only attributes that its own entry lists").fallback
    }
}

impl<'a> Inference<'a> {
    /// A required input.
    pub(crate) fn input(&self, position: usize) -> &'a ValueType {
        self.optional(position).expect("presence was checked against the schema")
    }

    /// An optional input.
    pub(crate) fn optional(&self, position: usize) -> Option<&'a ValueType> {
        self.inputs.get(position).and_then(Option::as_ref)
    }

    /// The integers of a required constant input.
    pub(crate) fn integers(&self, position: usize) -> Vec<i64> {
        let constant = self.constant(position).expect("presence was checked against the schema");
        constant.to_i64().expect("the element type was checked against the schema")
    }

    /// The value of a constant input.
    pub(crate) fn constant(&self, position: usize) -> Option<&'a Tensor> {
        self.constants.get(position).and_then(Option::as_ref)
    }
}
