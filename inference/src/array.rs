//! A dense tensor as kernels on the host see it: extents and typed elements.

use std::sync::Arc;

use crate::{data::Data, dtype::DType, tensor::Tensor};

/// Elements in row-major order; as many as the extents say. Copies share them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    shape: Vec<usize>,
    data: Arc<Data>,
}

impl Array {
    /// # Panics
    /// When elements and extents disagree, which would be a bug of a kernel; the boundary of a run
    /// contains it.
    pub(crate) fn new(shape: Vec<usize>, data: Data) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{shape:?} of {}", data.dtype());
        Self { shape, data: Arc::new(data) }
    }

    /// Numbers, rounded to elements of a type.
    pub(crate) fn of_floats(dtype: DType, shape: Vec<usize>, values: impl IntoIterator<Item = f64>) -> Self {
        Self::new(shape, Data::of_floats(dtype, values.into_iter()))
    }

    /// Integers, wrapped to elements of a type.
    pub(crate) fn of_ints(dtype: DType, shape: Vec<usize>, values: impl IntoIterator<Item = i128>) -> Self {
        Self::new(shape, Data::of_ints(dtype, values.into_iter()))
    }

    /// Positions and counts, as `INT64`.
    pub(crate) fn of_places(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self::new(shape, Data::I64(values))
    }

    pub(crate) fn of_tensor(tensor: &Tensor) -> Self {
        let shape = tensor.shape().iter().map(|extent| usize::try_from(*extent).expect("elements are in memory"));
        let shape: Vec<_> = shape.collect();
        let count = shape.iter().product();
        Self::new(shape, Data::read(tensor.dtype(), count, tensor.data()))
    }

    pub(crate) fn to_tensor(&self) -> Tensor {
        let shape = self.shape.iter().map(|extent| *extent as u64).collect();
        Tensor::new(self.dtype(), shape, self.data.write()).expect("the length follows from the extents")
    }

    pub(crate) fn dtype(&self) -> DType {
        self.data.dtype()
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// The elements as numbers.
    pub(crate) fn floats(&self) -> Vec<f64> {
        self.data.to_floats()
    }

    /// The elements as integers.
    pub(crate) fn ints(&self) -> Vec<i128> {
        self.data.to_ints()
    }

    /// The elements as positions and counts; those of `UINT64` above 2⁶³ become the largest.
    pub(crate) fn places(&self) -> Vec<i64> {
        self.ints().into_iter().map(|value| i64::try_from(value).unwrap_or(i64::MAX)).collect()
    }

    /// The elements as truth values.
    pub(crate) fn truths(&self) -> Vec<bool> {
        self.floats().into_iter().map(|value| value != 0.0).collect()
    }

    /// The same elements with other extents.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), self.len(), "{shape:?} of {}", self.dtype());
        Self { shape, data: Arc::clone(&self.data) }
    }

    /// The elements at these places.
    pub(crate) fn pick(&self, shape: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        Self::new(shape, self.data.pick(places))
    }
}

/// Distance in elements between neighbours along each axis of a row-major tensor.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Strides with which a tensor reads as if it had the extents of `target`: 0 along what repeats.
pub(crate) fn spread(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let missing = target.len().saturating_sub(shape.len());
    let own = strides(shape);
    (0..target.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(mine) if shape[mine] != 1 => own[mine],
            _ => 0,
        })
        .collect()
}

/// Places in a tensor, in row-major order of an index over `shape` whose steps are `strides`.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shape: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    place: usize,
    left: usize,
}

impl Places {
    pub(crate) fn new(shape: &[usize], strides: Vec<usize>) -> Self {
        Self { shape: shape.to_vec(), strides, index: vec![0; shape.len()], place: 0, left: shape.iter().product() }
    }

    /// As a tensor of `shape` reads when it is spread over `target`.
    pub(crate) fn spread(shape: &[usize], target: &[usize]) -> Self {
        Self::new(target, spread(shape, target))
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.place += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.place -= self.strides[axis] * self.shape[axis];
            self.index[axis] = 0;
        }
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Every index over a shape, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let steps = strides(shape);
    let extents = shape.to_vec();
    let count: usize = shape.iter().product();
    (0..count).map(move |flat| steps.iter().zip(&extents).map(|(step, extent)| flat / step % extent).collect())
}

/// The place of an index.
pub(crate) fn place(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(at, step)| at * step).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_strides_and_repeat_what_is_spread() {
        assert_eq!(Places::new(&[3, 2], vec![1, 3]).collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(Places::spread(&[2, 1], &[2, 2, 2]).collect::<Vec<_>>(), [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(Places::new(&[], vec![]).collect::<Vec<_>>(), [0]);
        assert_eq!(Places::new(&[2, 0], strides(&[2, 0])).count(), 0);
        assert_eq!(indices(&[2, 2]).last(), Some(vec![1, 1]));
    }

    #[test]
    fn tensors_cross_over_and_back() {
        let tensor = Tensor::from_i64(vec![2, 1], &[-1, 5]).unwrap();
        let array = Array::of_tensor(&tensor);
        assert_eq!((array.shape(), array.places()), ([2, 1].as_slice(), vec![-1, 5]));
        assert_eq!(array.to_tensor(), tensor);
    }
}
