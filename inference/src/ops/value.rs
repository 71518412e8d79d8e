//! A tensor that lives on a backend, and the border between it and [`Tensor`].

use burn::backend::{
    Backend, Element as _, ExecutionError, Shape, TensorData, TensorMetadata, read_sync,
    tensor::{BoolTensor, FloatTensor, IntTensor},
};

use crate::tensor::{DType, Tensor};

/// A tensor of one of the three element types that the executor computes with.
#[derive(Clone, Debug)]
pub(crate) enum Value<B: Backend> {
    /// `FP32`.
    Float(FloatTensor<B>),
    /// `INT64`.
    Int(IntTensor<B>),
    /// `BOOL`.
    Bool(BoolTensor<B>),
}

/// Element types that [`Value`] can hold.
pub(crate) const DTYPES: &[DType] = &[DType::F32, DType::I64, DType::Bool];

/// Calls the operation of the kind that a value has.
macro_rules! each {
    ($value:expr, $tensor:ident, $float:expr, $int:expr, $bool:expr) => {
        match $value {
            Value::Float($tensor) => Value::Float($float),
            Value::Int($tensor) => Value::Int($int),
            Value::Bool($tensor) => Value::Bool($bool),
        }
    };
}

impl<B: Backend> Value<B> {
    /// Copies a tensor to the backend.
    ///
    /// # Panics
    /// For element types outside [`DTYPES`], which [`crate::check`] refuses.
    pub(crate) fn upload(tensor: &Tensor, device: &B::Device) -> Self {
        const CHECKED: &str = "the arm names the element type";
        let shape = Shape::from(host_shape(tensor.shape()));
        match tensor.dtype() {
            DType::F32 => {
                Self::Float(B::float_from_data(TensorData::new(tensor.to_f32().expect(CHECKED), shape), device))
            }
            DType::I64 => Self::Int(B::int_from_data(TensorData::new(tensor.to_i64().expect(CHECKED), shape), device)),
            DType::Bool => {
                Self::Bool(B::bool_from_data(TensorData::new(tensor.to_bool().expect(CHECKED), shape), device))
            }
            other @ (DType::U8
            | DType::U16
            | DType::U32
            | DType::U64
            | DType::I8
            | DType::I16
            | DType::I32
            | DType::F16
            | DType::BF16
            | DType::F64) => unreachable!("{other} values are refused before a model is loaded"),
        }
    }

    /// Copies a value back; waits for the backend.
    pub(crate) fn download(self) -> Result<Tensor, ExecutionError> {
        let data = match self {
            Self::Float(tensor) => read_sync(B::float_into_data(tensor))?,
            Self::Int(tensor) => read_sync(B::int_into_data(tensor))?,
            Self::Bool(tensor) => read_sync(B::bool_into_data(tensor))?,
        };
        Ok(to_tensor(&data))
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Float(_) => DType::F32,
            Self::Int(_) => DType::I64,
            Self::Bool(_) => DType::Bool,
        }
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Float(tensor) => tensor.shape().to_vec(),
            Self::Int(tensor) => tensor.shape().to_vec(),
            Self::Bool(tensor) => tensor.shape().to_vec(),
        }
    }

    /// The float tensor of an operator whose schema takes only floats.
    pub(crate) fn float(self) -> FloatTensor<B> {
        match self {
            Self::Float(tensor) => tensor,
            Self::Int(_) | Self::Bool(_) => unreachable!("element types were checked against the schema"),
        }
    }

    pub(crate) fn reshape(self, shape: &[usize]) -> Self {
        let shape = Shape::from(shape.to_vec());
        each!(
            self,
            tensor,
            B::float_reshape(tensor, shape),
            B::int_reshape(tensor, shape),
            B::bool_reshape(tensor, shape)
        )
    }

    pub(crate) fn permute(self, axes: &[usize]) -> Self {
        each!(self, tensor, B::float_permute(tensor, axes), B::int_permute(tensor, axes), B::bool_permute(tensor, axes))
    }

    /// Prefixes extents of 1 until there are `rank` dimensions.
    pub(crate) fn align(self, rank: usize) -> Self {
        let own = self.shape();
        if own.len() >= rank {
            return self;
        }
        self.reshape(&[vec![1; rank - own.len()], own].concat())
    }

    /// Joins values of one kind along an axis.
    pub(crate) fn concat(values: Vec<Self>, axis: usize) -> Self {
        let mut floats = Vec::new();
        let mut ints = Vec::new();
        let mut bools = Vec::new();
        for value in values {
            match value {
                Self::Float(tensor) => floats.push(tensor),
                Self::Int(tensor) => ints.push(tensor),
                Self::Bool(tensor) => bools.push(tensor),
            }
        }
        if !floats.is_empty() {
            Self::Float(B::float_cat(floats, axis))
        } else if !ints.is_empty() {
            Self::Int(B::int_cat(ints, axis))
        } else {
            Self::Bool(B::bool_cat(bools, axis))
        }
    }
}

/// What a backend returned.
///
/// # Panics
/// For element types other than those of [`Value`]; a backend that widens `INT64` is no backend
/// that this executor runs on.
fn to_tensor(data: &TensorData) -> Tensor {
    const FITS: &str = "a backend returns as many elements as the shape says";
    const TYPED: &str = "the slice has the type that the data names";
    let shape = data.shape().iter().map(|extent| *extent as u64).collect();
    if data.dtype() == f32::dtype() {
        Tensor::from_f32(shape, data.as_slice().expect(TYPED)).expect(FITS)
    } else if data.dtype() == i64::dtype() {
        Tensor::from_i64(shape, data.as_slice().expect(TYPED)).expect(FITS)
    } else {
        Tensor::from_bool(shape, data.as_slice().expect("what is neither float nor integer is boolean")).expect(FITS)
    }
}

/// Extents as the machine counts them.
fn host_shape(shape: &[u64]) -> Vec<usize> {
    shape.iter().map(|extent| usize::try_from(*extent).expect("the elements are in memory")).collect()
}
