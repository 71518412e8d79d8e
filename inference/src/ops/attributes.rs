//! Attributes of a node, compared with what the table says of its operator.

use crate::{
    ir::{Attribute, NamedAttribute},
    tensor::Tensor,
};

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
    /// No value: the operator decides what that means.
    NoInt,
    /// No value: the operator decides what that means.
    NoFloat,
    /// No value: the operator decides what that means.
    NoInts,
    /// No value: the operator decides what that means.
    NoFloats,
    /// No value: the operator decides what that means.
    NoTexts,
    /// No value: the operator decides what that means.
    NoTensor,
    /// Left out is refused.
    RequiredInts,
    /// Left out is refused.
    RequiredInt,
    /// Left out is refused.
    RequiredText,
    /// Left out is refused.
    RequiredTensor,
    /// Left out is refused.
    RequiredGraph,
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

/// The attributes of a node after they were compared with the table; reading cannot fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    specs: &'static [AttributeSpec],
    given: &'a [NamedAttribute],
}

impl<'a> Attributes<'a> {
    /// Compares attributes with the specification.
    pub(crate) fn check(specs: &'static [AttributeSpec], given: &'a [NamedAttribute]) -> Result<Self, AttributeError> {
        if let Some(pair) = given.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(AttributeError::Order { name: pair[1].name.clone() });
        }
        for attribute in given {
            let name = || attribute.name.clone();
            let spec = specs.iter().find(|spec| spec.name == attribute.name);
            let spec = spec.ok_or_else(|| AttributeError::Unknown { name: name() })?;
            if !spec.fallback.has_type_of(&attribute.value) {
                return Err(AttributeError::Type { name: name() });
            }
        }
        for spec in specs {
            if spec.fallback.is_required() && !given.iter().any(|attribute| attribute.name == spec.name) {
                return Err(AttributeError::Missing { name: spec.name });
            }
        }
        Ok(Self { specs, given })
    }

    /// Attributes that [`Attributes::check`] accepted earlier.
    pub(crate) fn checked(specs: &'static [AttributeSpec], given: &'a [NamedAttribute]) -> Self {
        Self { specs, given }
    }

    /// Whether the operator, in this version, has such an attribute.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name == name)
    }

    pub(crate) fn int(&self, name: &str) -> i64 {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Int(value)), _) => *value,
            (None, Fallback::Int(value)) => value,
            _ => unreachable!("`{name}` was checked to be an integer with a value"),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.int(name) != 0
    }

    pub(crate) fn optional_int(&self, name: &str) -> Option<i64> {
        let Some(Attribute::Int(value)) = self.given(name) else { return None };
        Some(*value)
    }

    pub(crate) fn float(&self, name: &str) -> f64 {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Float(value)), _) => f64::from(*value),
            (None, Fallback::Float(value)) => f64::from(value),
            _ => unreachable!("`{name}` was checked to be a number with a value"),
        }
    }

    pub(crate) fn optional_float(&self, name: &str) -> Option<f64> {
        let Some(Attribute::Float(value)) = self.given(name) else { return None };
        Some(f64::from(*value))
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        match (self.given(name), self.fallback(name)) {
            (Some(Attribute::Text(value)), _) => value,
            (None, Fallback::Text(value)) => value,
            _ => unreachable!("`{name}` was checked to be a text with a value"),
        }
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        let Some(Attribute::Ints(values)) = self.given(name) else { return None };
        Some(values)
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        let Some(Attribute::Floats(values)) = self.given(name) else { return None };
        Some(values)
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        let Some(Attribute::Texts(values)) = self.given(name) else { return None };
        Some(values.iter().map(|value| value.0.as_str()).collect())
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'a Tensor> {
        let Some(Attribute::Tensor(value)) = self.given(name) else { return None };
        Some(value)
    }

    /// Index of a required body.
    pub(crate) fn graph(&self, name: &str) -> u32 {
        match self.given(name) {
            Some(Attribute::Graph(index)) => *index,
            _ => unreachable!("`{name}` was checked to be a body"),
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

impl Fallback {
    pub(crate) fn is_required(self) -> bool {
        matches!(
            self,
            Self::RequiredInts | Self::RequiredInt | Self::RequiredText | Self::RequiredTensor | Self::RequiredGraph
        )
    }

    fn has_type_of(self, value: &Attribute) -> bool {
        match value {
            Attribute::Int(_) => matches!(self, Self::Int(_) | Self::NoInt | Self::RequiredInt),
            Attribute::Float(_) => matches!(self, Self::Float(_) | Self::NoFloat),
            Attribute::Text(_) => matches!(self, Self::Text(_) | Self::RequiredText),
            Attribute::Ints(_) => matches!(self, Self::NoInts | Self::RequiredInts),
            Attribute::Floats(_) => matches!(self, Self::NoFloats),
            Attribute::Texts(_) => matches!(self, Self::NoTexts),
            Attribute::Tensor(_) => matches!(self, Self::NoTensor | Self::RequiredTensor),
            Attribute::Graph(_) => matches!(self, Self::RequiredGraph),
        }
    }
}
