//! A window that slides along one axis.

use std::ops::Range;

use crate::ops::plain::window::Window;

/// Extents, steps and padding along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) kernel: usize,
    pub(super) output: usize,
    pub(super) stride: usize,
    dilation: usize,
    /// Zeros in front of the input.
    before: usize,
}

impl Axis {
    /// Of a window without that dimension.
    const SINGLE: Self = Self { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, before: 0 };

    /// Rows and columns of a window that takes `input` to `output`; one over a single dimension has one
    /// row.
    ///
    /// # Panics
    /// For extents that the shape function of the operator refuses.
    pub(super) fn pair(window: &Window, input: &[usize], output: &[usize]) -> [Self; 2] {
        let number = |value: u64| usize::try_from(value).expect("bounded by the window");
        let axis = |axis: usize| Self {
            input: input[axis],
            kernel: number(window.kernel[axis]),
            output: output[axis],
            stride: number(window.strides[axis]),
            dilation: number(window.dilations[axis]),
            before: number(window.slide(axis, input[axis] as u64).expect("accepted by the shape function").before),
        };
        if input.len() == 1 { [Self::SINGLE, axis(0)] } else { [axis(0), axis(1)] }
    }

    /// The places at which a tap lies inside the input.
    pub(super) fn inside(&self, tap: usize) -> Range<usize> {
        let offset = tap * self.dilation;
        let first = self.before.saturating_sub(offset).div_ceil(self.stride);
        let last = (self.input + self.before).saturating_sub(offset).div_ceil(self.stride);
        first.min(self.output)..last.min(self.output)
    }

    /// Where a tap that lies inside reads.
    pub(super) fn source(&self, place: usize, tap: usize) -> usize {
        place * self.stride + tap * self.dilation - self.before
    }

    /// How many taps lie inside at a place.
    pub(super) fn taps(&self, place: usize) -> usize {
        let begin = place * self.stride;
        let first = self.before.saturating_sub(begin).div_ceil(self.dilation);
        let last = (self.input + self.before).saturating_sub(begin).div_ceil(self.dilation);
        last.min(self.kernel).saturating_sub(first)
    }

    /// Whether each place reads the element of its own number.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.before == 0 && self.input == self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_taps_agree_on_what_lies_inside() {
        for (input, kernel, stride, dilation, before) in
            [(5_usize, 3_usize, 1, 1, 1_usize), (7, 2, 3, 2, 0), (4, 4, 1, 3, 5), (1, 3, 2, 1, 2), (6, 1, 1, 1, 0)]
        {
            let reach = dilation * (kernel - 1) + 1;
            let output = (input + 2 * before - reach) / stride + 1;
            let axis = Axis { input, kernel, output, stride, dilation, before };
            for place in 0..output {
                let reads = |tap: usize| (place * stride + tap * dilation).checked_sub(before).filter(|at| *at < input);
                let found: Vec<_> = (0..kernel).filter(|tap| reads(*tap).is_some()).collect();
                assert_eq!(axis.taps(place), found.len(), "{axis:?} at {place}");
                for tap in 0..kernel {
                    assert_eq!(axis.inside(tap).contains(&place), found.contains(&tap), "{axis:?}: {tap} at {place}");
                }
                assert!(found.iter().all(|tap| reads(*tap) == Some(axis.source(place, *tap))));
            }
            let whole = (input, kernel, stride, before) == (6, 1, 1, 0);
            assert_eq!(axis.is_pointwise(), whole, "{axis:?}");
        }
    }
}
