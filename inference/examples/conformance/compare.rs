//! Whether a tensor is the expected one, and how far from it.

use half::{bf16, f16};
use hedgerow_inference::tensor::{DType, Tensor};

/// Largest allowed distance: `absolute + relative · |expected|`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

/// Largest error in units in the last place of elements beyond the absolute tolerance, or what is
/// wrong.
pub(crate) fn compare(made: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<f64, String> {
    if made.dtype() != expected.dtype() || made.shape() != expected.shape() {
        let text = |tensor: &Tensor| format!("{} {:?}", tensor.dtype(), tensor.shape());
        return Err(format!("{} is not {}", text(made), text(expected)));
    }
    // Floats of so few bits are right or wrong.
    if !made.dtype().is_float() || made.dtype().is_narrow() {
        let at = made.data().iter().zip(expected.data()).position(|(made, expected)| made != expected);
        let size = usize::try_from(made.dtype().size_bytes()).unwrap_or(1);
        return at.map_or(Ok(0.0), |at| Err(format!("element {} differs", at / size)));
    }
    let (mut worst, dtype) = (0.0_f64, made.dtype());
    for (at, (made, expected)) in numbers(made).into_iter().zip(numbers(expected)).enumerate() {
        let is_equal = made.0 == expected.0 || (made.0.is_nan() && expected.0.is_nan());
        let is_near = (made.0 - expected.0).abs() <= tolerance.absolute + tolerance.relative * expected.0.abs();
        // The suite's tolerances are finer than this type: its expectations, rounded after each of several
        // operators, miss the exact result by as much.
        let is_next = dtype == DType::BF16 && (made.1 - expected.1).unsigned_abs() <= 2;
        if !is_equal && !is_near && !is_next {
            return Err(format!("element {at} is {} and not {}", made.0, expected.0));
        }
        // Beside zero the distance in units of the last place says nothing.
        if !is_equal && (made.0 - expected.0).abs() > tolerance.absolute {
            worst = worst.max((made.1 - expected.1).unsigned_abs() as f64);
        }
    }
    Ok(worst)
}

/// Each element as a number and as its position among all numbers of its type.
fn numbers(tensor: &Tensor) -> Vec<(f64, i128)> {
    let size = usize::try_from(tensor.dtype().size_bytes()).unwrap_or(1);
    let read = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(word);
        let value = match tensor.dtype() {
            DType::F16 => f16::from_bits(bits as u16).to_f64(),
            DType::BF16 => bf16::from_bits(bits as u16).to_f64(),
            DType::F32 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        };
        let sign = 1 << (size * 8 - 1);
        let magnitude = i128::from(bits & !sign);
        (value, if bits & sign == 0 { magnitude } else { -magnitude })
    };
    tensor.data().chunks_exact(size).map(read).collect()
}
