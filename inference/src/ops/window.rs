//! Sliding windows over two spatial dimensions: the attributes that convolution and pooling share.

use crate::ops::{
    extent::Extent,
    schema::{AttributeSpec, Attributes, Fallback},
    shape::{ShapeError, fixed},
};

/// Largest kernel, stride, dilation or padding along one dimension; larger ones than any model in
/// use has would only serve to make a node busy.
const STEP_MAX: i64 = 1024;

pub(super) const AUTO_PAD: AttributeSpec = AttributeSpec { name: "auto_pad", fallback: Fallback::Text("NOTSET") };
pub(super) const DILATIONS: AttributeSpec = AttributeSpec { name: "dilations", fallback: Fallback::NoInts };
pub(super) const PADS: AttributeSpec = AttributeSpec { name: "pads", fallback: Fallback::NoInts };
pub(super) const STRIDES: AttributeSpec = AttributeSpec { name: "strides", fallback: Fallback::NoInts };

/// A window in rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// Zeros before and after, per dimension.
    pub(super) pads: [(usize, usize); 2],
}

impl Window {
    /// Reads and bounds the attributes; only explicit padding (`auto_pad` `NOTSET`) is implemented.
    pub(super) fn read(attributes: &Attributes<'_>, kernel: [usize; 2]) -> Result<Self, ShapeError> {
        if attributes.text("auto_pad") != "NOTSET" {
            return Err(ShapeError::Value { name: "auto_pad" });
        }
        let [kernel_rows, kernel_columns] = kernel;
        steps("kernel_shape", Some(&[signed(kernel_rows), signed(kernel_columns)]), [1, 1], 1)?;
        let [top, left, bottom, right] = steps("pads", attributes.ints("pads"), [0; 4], 0)?;
        Ok(Self {
            kernel,
            strides: steps("strides", attributes.ints("strides"), [1, 1], 1)?,
            dilations: steps("dilations", attributes.ints("dilations"), [1, 1], 1)?,
            pads: [(top, bottom), (left, right)],
        })
    }

    /// `kernel_shape` as an attribute with a value.
    pub(super) fn kernel_shape(attributes: &Attributes<'_>) -> Result<Option<[usize; 2]>, ShapeError> {
        let given = attributes.ints("kernel_shape");
        given.map(|values| steps("kernel_shape", Some(values), [1, 1], 1)).transpose()
    }

    /// Extents of the result over a spatial plane, rounded down: `⌊(in + pads − dilation·(kernel − 1)
    /// − 1) / stride⌋ + 1`, the formula of the ONNX operators `Conv` and `MaxPool`.
    pub(super) fn slide(&self, plane: &[Extent]) -> Result<[Extent; 2], ShapeError> {
        let mut result = [Extent::ONE, Extent::ONE];
        for (axis, extent) in plane.iter().enumerate().take(2) {
            let (before, after) = self.pads[axis];
            let reach = wide(self.dilations[axis]) * (wide(self.kernel[axis]) - 1) + 1;
            let padded = fixed("spatial extent", extent)?.checked_add(wide(before) + wide(after));
            let room = padded.and_then(|padded| padded.checked_sub(reach)).ok_or(ShapeError::Size)?;
            result[axis] = Extent::fixed(room / wide(self.strides[axis]) + 1).ok_or(ShapeError::Size)?;
        }
        Ok(result)
    }
}

/// A list attribute of a known length and bounded values.
fn steps<const N: usize>(
    name: &'static str,
    given: Option<&[i64]>,
    default: [usize; N],
    least: i64,
) -> Result<[usize; N], ShapeError> {
    let Some(values) = given else { return Ok(default) };
    let values: &[i64; N] = values.try_into().map_err(|_wrong_length| ShapeError::Value { name })?;
    if values.iter().any(|value| !(least..=STEP_MAX).contains(value)) {
        return Err(ShapeError::Value { name });
    }
    Ok(values.map(|value| usize::try_from(value).expect("bounded just above")))
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn wide(value: usize) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(rows: u64, columns: u64) -> [Extent; 2] {
        [rows, columns].map(|extent| Extent::fixed(extent).unwrap())
    }

    #[test]
    fn sliding_rounds_down() {
        let window = Window { kernel: [3, 2], strides: [2, 2], dilations: [1, 2], pads: [(1, 1), (0, 1)] };
        assert_eq!(window.slide(&plane(28, 7)), Ok(plane(14, 3)));
        assert_eq!(window.slide(&plane(1, 1)), Err(ShapeError::Size));
    }

    #[test]
    fn lists_are_bounded_in_length_and_value() {
        assert_eq!(steps("strides", None, [1, 1], 1), Ok([1, 1]));
        assert_eq!(steps("strides", Some(&[2, 3]), [1, 1], 1), Ok([2, 3]));
        for wrong in [vec![2], vec![0, 1], vec![-1, 1], vec![1, STEP_MAX + 1]] {
            assert_eq!(steps("strides", Some(&wrong), [1, 1], 1), Err(ShapeError::Value { name: "strides" }));
        }
    }
}
