//! Windows that slide over spatial dimensions: what convolutions and pools share.

use crate::{
    array::{Places, indices, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::attribute,
        shape::{ShapeError, computed},
    },
};

/// Largest kernel, stride, dilation or padding along one dimension; larger ones than any model in
/// use has would only serve to make a node busy.
const STEP_MAX: i64 = 1024;
/// Most elements of one window, for the same reason.
const TAPS_MAX: u64 = 1 << 16;

pub(super) const AUTO_PAD: AttributeSpec = attribute("auto_pad", Fallback::Text("NOTSET"));
pub(super) const CEIL_MODE: AttributeSpec = attribute("ceil_mode", Fallback::Int(0));
pub(super) const DILATIONS: AttributeSpec = attribute("dilations", Fallback::NoInts);
pub(super) const GROUP: AttributeSpec = attribute("group", Fallback::Int(1));
pub(super) const KERNEL_SHAPE: AttributeSpec = attribute("kernel_shape", Fallback::NoInts);
pub(super) const PADS: AttributeSpec = attribute("pads", Fallback::NoInts);
pub(super) const STRIDES: AttributeSpec = attribute("strides", Fallback::NoInts);

/// A window over any number of spatial dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) kernel: Vec<u64>,
    pub(crate) strides: Vec<u64>,
    pub(crate) dilations: Vec<u64>,
    pub(crate) padding: Padding,
    pub(crate) rounds_up: bool,
}

/// How much is added around the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Before and behind each dimension.
    Explicit(Vec<(u64, u64)>),
    /// As much as it takes for `⌈in / stride⌉` results, the odd one behind.
    SameUpper,
    /// The same, the odd one before.
    SameLower,
}

/// A window along one dimension of a known extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slide {
    /// Number of places of the window.
    pub(crate) count: u64,
    pub(crate) before: u64,
    pub(crate) behind: u64,
}

impl Window {
    /// Reads and bounds the attributes for a kernel of these extents.
    pub(super) fn read(attributes: &Attributes<'_>, kernel: Vec<u64>) -> Result<Self, ShapeError> {
        let rank = kernel.len();
        let taps = kernel.iter().try_fold(1_u64, |taps, extent| taps.checked_mul(*extent));
        if kernel.contains(&0) || taps.is_none_or(|taps| taps > TAPS_MAX) {
            return Err(ShapeError::Value { name: "kernel_shape" });
        }
        let padding = match if attributes.has("auto_pad") { attributes.text("auto_pad") } else { "NOTSET" } {
            "NOTSET" => {
                let pads = steps("pads", attributes.ints("pads"), rank * 2, 0, 0)?;
                Padding::Explicit((0..rank).map(|axis| (pads[axis], pads[axis + rank])).collect())
            }
            "VALID" => Padding::Explicit(vec![(0, 0); rank]),
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            _ => return Err(ShapeError::Value { name: "auto_pad" }),
        };
        let strides = steps("strides", attributes.ints("strides"), rank, 1, 1)?;
        let dilations = steps("dilations", attributes.ints("dilations"), rank, 1, 1)?;
        let rounds_up = attributes.has("ceil_mode") && attributes.flag("ceil_mode");
        Ok(Self { kernel, strides, dilations, padding, rounds_up })
    }

    /// The window of a pool, whose extents are an attribute.
    pub(crate) fn of_pool(attributes: &Attributes<'_>) -> Result<Self, ShapeError> {
        let given = attributes.ints("kernel_shape").ok_or(ShapeError::Value { name: "kernel_shape" })?;
        Self::read(attributes, steps("kernel_shape", Some(given), given.len(), 1, 1)?)
    }

    /// The window of a convolution, whose extents are those of its filter.
    pub(crate) fn of_filter(attributes: &Attributes<'_>, kernel: Vec<u64>) -> Result<Self, ShapeError> {
        if let Some(given) = attributes.ints("kernel_shape")
            && steps("kernel_shape", Some(given), kernel.len(), 1, 1)? != kernel
        {
            return Err(ShapeError::Value { name: "kernel_shape" });
        }
        Self::read(attributes, kernel)
    }

    /// Elements that the window spans along a dimension.
    pub(super) fn reach(&self, axis: usize) -> u64 {
        self.dilations[axis] * (self.kernel[axis] - 1) + 1
    }

    /// `⌊(in + pads − reach) / stride⌋ + 1`, or rounded up, where a window that would begin behind
    /// the input and its front padding is left out.
    pub(crate) fn slide(&self, axis: usize, extent: u64) -> Option<Slide> {
        let (stride, reach) = (self.strides[axis], self.reach(axis));
        if let Padding::Explicit(pads) = &self.padding {
            let (before, behind) = pads[axis];
            let padded = extent.checked_add(before + behind)?;
            let room = padded.checked_sub(reach)?;
            let whole = room / stride + 1;
            let more = self.rounds_up && !room.is_multiple_of(stride) && whole * stride < extent + before;
            return Some(Slide { count: whole + u64::from(more), before, behind });
        }
        let count = extent.div_ceil(stride);
        let total = (count.checked_sub(1)? * stride + reach).saturating_sub(extent);
        let odd = if self.padding == Padding::SameLower { total % 2 } else { 0 };
        let before = total / 2 + odd;
        Some(Slide { count, before, behind: total - before })
    }

    /// Extents of the result over spatial dimensions.
    pub(super) fn extents(&self, plane: &[Extent]) -> Result<Vec<Extent>, ShapeError> {
        if plane.len() != self.kernel.len() {
            let (expected, got) = (self.kernel.len().to_string(), plane.len().to_string());
            return Err(ShapeError::Extent { what: "number of spatial dimensions", expected, got });
        }
        let along = |(axis, extent): (usize, &Extent)| {
            computed(extent, |extent| self.slide(axis, extent).map(|slide| slide.count))
        };
        plane.iter().enumerate().map(along).collect()
    }

    /// For each place of the window over a plane, in order, what of the plane lies under it.
    pub(super) fn views(&self, plane: &[usize]) -> Option<impl Iterator<Item = View> + use<>> {
        let slides = plane.iter().enumerate().map(|(axis, extent)| self.slide(axis, *extent as u64));
        let slides = slides.collect::<Option<Vec<_>>>()?;
        let counts: Vec<_> = slides.iter().map(|slide| slide.count as usize).collect();
        let kernel: Vec<_> = self.kernel.iter().map(|extent| *extent as usize).collect();
        let taps: Vec<_> = indices(&kernel).collect();
        let steps = strides(plane);
        let plane = plane.to_vec();
        let (window_strides, dilations) = (self.strides.clone(), self.dilations.clone());
        Some(indices(&counts).map(move |at| {
            let mut view = View { taps: Vec::new(), padded: 0 };
            for (tap, offset) in taps.iter().enumerate() {
                let mut place = Some(0);
                let mut is_padded = true;
                for axis in 0..plane.len() {
                    let along = at[axis] as u64 * window_strides[axis] + offset[axis] as u64 * dilations[axis];
                    let inside = along.checked_sub(slides[axis].before).filter(|along| *along < plane[axis] as u64);
                    is_padded &= along < plane[axis] as u64 + slides[axis].before + slides[axis].behind;
                    place = place.zip(inside).map(|(place, along)| place + along as usize * steps[axis]);
                }
                view.padded += usize::from(is_padded);
                view.taps.extend(place.map(|place| (tap, place)));
            }
            view
        }))
    }
}

/// What lies under a window at one place.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Positions in the window, and the places of the plane under them.
    pub(super) taps: Vec<(usize, usize)>,
    /// Positions of the window over the plane or its padding.
    pub(super) padded: usize,
}

/// A list attribute of a known length and bounded values.
pub(super) fn steps(
    name: &'static str,
    given: Option<&[i64]>,
    length: usize,
    default: u64,
    least: i64,
) -> Result<Vec<u64>, ShapeError> {
    let Some(values) = given else { return Ok(vec![default; length]) };
    if values.len() != length || values.iter().any(|value| !(least..=STEP_MAX).contains(value)) {
        return Err(ShapeError::Value { name });
    }
    Ok(values.iter().map(|value| value.unsigned_abs()).collect())
}

/// Every place of a tensor of `batch` planes that begins one.
pub(super) fn planes(batch: &[usize], plane: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let size: usize = plane.iter().product();
    Places::new(batch, strides(batch)).map(move |index| index * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(padding: Padding) -> Window {
        Window { kernel: vec![3], strides: vec![2], dilations: vec![1], padding, rounds_up: false }
    }

    #[test]
    fn sliding_rounds_down_or_up() {
        let down = window(Padding::Explicit(vec![(1, 1)]));
        assert_eq!(down.slide(0, 28), Some(Slide { count: 14, before: 1, behind: 1 }));
        let up = Window { rounds_up: true, ..window(Padding::Explicit(vec![(0, 0)])) };
        assert_eq!(up.slide(0, 6).map(|slide| slide.count), Some(3));
        assert_eq!(up.slide(0, 2), None);
        // The third window would begin behind the end.
        let late =
            Window { kernel: vec![1], strides: vec![4], rounds_up: true, ..window(Padding::Explicit(vec![(0, 2)])) };
        assert_eq!(late.slide(0, 6).map(|slide| slide.count), Some(2));
    }

    #[test]
    fn the_odd_element_of_same_padding_has_its_side() {
        assert_eq!(window(Padding::SameUpper).slide(0, 4), Some(Slide { count: 2, before: 0, behind: 1 }));
        assert_eq!(window(Padding::SameLower).slide(0, 4), Some(Slide { count: 2, before: 1, behind: 0 }));
    }

    #[test]
    fn lists_are_bounded_in_length_and_value() {
        assert_eq!(steps("strides", None, 2, 1, 1), Ok(vec![1, 1]));
        assert_eq!(steps("strides", Some(&[2, 3]), 2, 1, 1), Ok(vec![2, 3]));
        for wrong in [vec![2], vec![0, 1], vec![-1, 1], vec![1, STEP_MAX + 1]] {
            assert_eq!(steps("strides", Some(&wrong), 2, 1, 1), Err(ShapeError::Value { name: "strides" }));
        }
    }
}
