//! Kernels for the processor this runs on: they read and write memory that is planned for them, in
//! parts that threads share, for an instruction set that is an argument.
//!
//! A backend that keeps its tensors in the memory of this process runs these where they fit, in place
//! of its own; burn's bodies in [`super::backend`] serve all others. Each says for which inputs it
//! computes what the plain kernel of the table computes.

mod convolution;
mod depthwise;
mod elementwise;
mod integers;
mod isa;
mod kernel;
mod layout;
mod math;
mod matrix;
mod normalization;
mod pairwise;
mod panels;
mod pooling;
mod products;
mod quantization;
mod reduction;
mod sliding;
mod team;

pub use isa::{Isa, IsaError};
pub(crate) use kernel::{Geometry, HostCall, HostKernel, Target, View, elements_mut};
pub(crate) use matrix::Bounds;
pub(crate) use panels::Packed;
pub(crate) use team::Team;

use crate::ops::operator::Operator;

/// The kernel for an entry of the table, if there is one.
pub(crate) fn kernel(operator: &Operator) -> Option<HostKernel> {
    if !operator.domain.is_empty() {
        return None;
    }
    let found = match operator.name {
        "MatMul" => products::MATMUL,
        "Gemm" => products::GEMM,
        "Conv" => convolution::CONV,
        "MaxPool" => pooling::MAX,
        "AveragePool" => pooling::AVERAGE,
        "GlobalAveragePool" => pooling::GLOBAL_AVERAGE,
        "Softmax" if operator.since >= 13 => normalization::SOFTMAX,
        "LayerNormalization" => normalization::LAYER,
        "BatchNormalization" => normalization::BATCH,
        "MatMulInteger" => integers::MATMUL,
        "QuantizeLinear" => quantization::QUANTIZE,
        "DequantizeLinear" => quantization::DEQUANTIZE,
        "DynamicQuantizeLinear" => quantization::DYNAMIC,
        "Cast" => quantization::CAST,
        "ReduceMean" => reduction::MEAN,
        "ReduceSum" => reduction::SUM,
        "Transpose" => layout::TRANSPOSE,
        "Concat" => layout::CONCAT,
        "Gather" => layout::GATHER,
        name => return elementwise::kernel(name).or_else(|| pairwise::kernel(name)),
    };
    Some(found)
}
