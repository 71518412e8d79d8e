//! A value during a run: on the host, or `FP32` on the backend.

use std::sync::Arc;

use burn::backend::{Backend, ExecutionError, Shape, TensorData, TensorMetadata, read_sync, tensor::FloatTensor};

use crate::{
    array::Array,
    data::Data,
    ops::{Extent, Fact},
    tensor::DType,
};

/// Where the elements are.
#[derive(Clone, Debug)]
pub(super) enum Value<B: Backend> {
    /// In this process, of any element type.
    Host(Arc<Array>),
    /// `FP32` where the backend keeps it.
    Backend(FloatTensor<B>),
}

impl<B: Backend> Value<B> {
    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Host(array) => array.shape().to_vec(),
            Self::Backend(tensor) => tensor.shape().to_vec(),
        }
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Host(array) => array.dtype(),
            Self::Backend(_) => DType::F32,
        }
    }

    /// All that can be known without waiting for the backend.
    pub(super) fn fact(&self) -> Fact {
        match self {
            Self::Host(array) => Fact::of_array(Arc::clone(array)),
            Self::Backend(tensor) => {
                let shape = tensor.shape().iter().map(|extent| Extent::counted(*extent)).collect();
                Fact { dtype: DType::F32, shape: Some(shape), content: None }
            }
        }
    }

    /// The elements on the host; waits for the backend.
    pub(super) fn into_host(self) -> Result<Arc<Array>, ExecutionError> {
        match self {
            Self::Host(array) => Ok(array),
            Self::Backend(tensor) => download::<B>(tensor).map(Arc::new),
        }
    }

    /// The elements on the backend; `None` for types other than `FP32`.
    pub(super) fn into_backend(self, device: &B::Device) -> Option<FloatTensor<B>> {
        match self {
            Self::Host(array) => upload::<B>(&array, device),
            Self::Backend(tensor) => Some(tensor),
        }
    }
}

fn upload<B: Backend>(array: &Array, device: &B::Device) -> Option<FloatTensor<B>> {
    let Data::F32(values) = array.data() else { return None };
    let shape = Shape::from(array.shape().to_vec());
    Some(B::float_from_data(TensorData::new(values.clone(), shape), device))
}

fn download<B: Backend>(tensor: FloatTensor<B>) -> Result<Array, ExecutionError> {
    Ok(to_array(&read_sync(B::float_into_data(tensor))?))
}

/// # Panics
/// When a backend returns other elements than `FP32`; such a backend is none for this executor.
fn to_array(data: &TensorData) -> Array {
    let values = data.as_slice::<f32>().expect("only FP32 was put there").to_vec();
    Array::new(data.shape().iter().copied().collect(), Data::F32(values))
}
