//! Between numbers and integers of eight bits.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Isa, View};
use crate::{
    ops::{operator::Inference, shape},
    tensor::DType,
};

pub(super) const QUANTIZE: HostKernel = HostKernel::new(|context| fits(context, &[DType::F32]), quantize);
pub(super) const DEQUANTIZE: HostKernel = HostKernel::new(|context| fits(context, &[DType::U8, DType::I8]), dequantize);
pub(super) const DYNAMIC: HostKernel = HostKernel::new(
    |context| context.asked == 3 && context.shape(0).is_ok() && context.fact(0).dtype == DType::F32,
    quantize_dynamically,
);
pub(super) const CAST: HostKernel = HostKernel::new(fits_cast, cast);

/// Elements that a thread takes at a time.
const PIECE: usize = 4096;

/// One scale of `FP32` for all or one per slice of an axis, with or without a zero point of eight bits.
fn fits(context: &Inference<'_>, from: &[DType]) -> bool {
    let (attributes, point) = (&context.attributes, context.optional(2));
    let (Ok(x), Ok(scale)) = (context.shape(0), context.shape(1)) else { return false };
    let is_single = |shape: &[_]| shape.is_empty() || shape == [crate::ops::Extent::ONE];
    let is_row = scale.len() == 1
        && scale[0].as_fixed().is_some()
        && shape::axis(attributes.int("axis"), x.len()).is_ok_and(|axis| x[axis] == scale[0]);
    let points_fit = point.is_none_or(|point| {
        let is_byte = matches!(point.dtype, DType::U8 | DType::I8);
        is_byte && point.shape.as_deref().is_some_and(|shape| shape == scale || (is_single(shape) && is_single(scale)))
    });
    // The type of the result is that of the zero point.
    let is_typed = from != [DType::F32] || point.is_some();
    let asked = attributes.int("output_dtype");
    let is_usual = attributes.int("block_size") == 0 && (asked == 0 || from != [DType::F32]);
    let keeps_type = from == [DType::F32] || asked == 0 || asked == i64::from(DType::F32.code());
    context.asked == 1
        && from.contains(&context.fact(0).dtype)
        && context.fact(1).dtype == DType::F32
        && (is_single(scale) || is_row)
        && points_fit
        && is_typed
        && is_usual
        && keeps_type
}

/// Elements in a row that have the same scale, and how many scales follow each other.
fn runs(shape: &[usize], scales: usize, axis: i64) -> (usize, usize) {
    if scales == 1 {
        return (shape.iter().product(), 1);
    }
    let axis = shape::axis(axis, shape.len()).expect("looked at before the kernel was chosen");
    (shape[axis + 1..].iter().product(), scales)
}

/// A zero point of eight bits as a number, 0 where there is none.
pub(super) fn zero_point(view: Option<View<'_>>, at: usize) -> f32 {
    let Some(view) = view else { return 0.0 };
    let byte = view.bytes[at];
    if view.dtype == DType::I8 { f32::from(byte.cast_signed()) } else { f32::from(byte) }
}

/// `saturate(round(x / scale) + zero point)`, halves to even.
fn quantize(call: &mut HostCall<'_>) {
    let (x, scales) = (call.input(0), call.input(1).floats());
    let is_signed = call.optional(2).is_some_and(|point| point.dtype == DType::I8);
    let (run, count) = runs(x.shape, scales.len(), call.attributes.int("axis"));
    let points: Vec<_> = (0..count).map(|at| zero_point(call.optional(2), at)).collect();
    let (x, isa, team) = (x.floats(), call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let piece = if count == 1 { PIECE } else { run };
    team.pieces(target.bytes, piece, x.len() * 4, &|at, y| {
        let slice = if count == 1 { 0 } else { at % count };
        let x = &x[at * piece..][..y.len()];
        isa.run(Quantize { x, scale: scales[slice], point: points[slice], is_signed, y });
    });
}

struct Quantize<'a> {
    x: &'a [f32],
    scale: f32,
    point: f32,
    is_signed: bool,
    y: &'a mut [u8],
}

impl WithSimd for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, scale, point, is_signed, y } = self;
        let (least, most) = if is_signed { (-128.0, 127.0) } else { (0.0, 255.0) };
        for (y, x) in y.iter_mut().zip(x) {
            let shifted = (x / scale).round_ties_even() + point;
            // What is no number becomes 0, as every conversion to an integer has it.
            let bounded = if shifted.is_nan() { 0.0 } else { shifted.clamp(least, most) };
            *y = bounded as i32 as u8;
        }
    }
}

/// `(x − zero point) · scale`; the difference is exact.
fn dequantize(call: &mut HostCall<'_>) {
    let (x, scales) = (call.input(0), call.input(1).floats());
    let (run, count) = runs(x.shape, scales.len(), call.attributes.int("axis"));
    let points: Vec<_> = (0..count).map(|at| zero_point(call.optional(2), at)).collect();
    let (isa, team) = (call.isa, call.team);
    let [target] = &mut *call.outputs else { return };
    let piece = if count == 1 { PIECE } else { run };
    let (y, work) = (target.floats(), x.bytes.len());
    team.pieces(y, piece, work, &|at, y| {
        let slice = if count == 1 { 0 } else { at % count };
        let bytes = &x.bytes[at * piece..][..y.len()];
        isa.run(Dequantize { bytes, is_signed: x.dtype == DType::I8, scale: scales[slice], point: points[slice], y });
    });
}

struct Dequantize<'a> {
    bytes: &'a [u8],
    is_signed: bool,
    scale: f32,
    point: f32,
    y: &'a mut [f32],
}

impl WithSimd for Dequantize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { bytes, is_signed, scale, point, y } = self;
        centred(bytes, is_signed, point, y);
        y.iter_mut().for_each(|y| *y *= scale);
    }
}

/// Bytes as numbers, less a zero point.
#[inline(always)]
pub(super) fn centred(bytes: &[u8], is_signed: bool, point: f32, numbers: &mut [f32]) {
    let pairs = numbers.iter_mut().zip(bytes);
    if is_signed {
        pairs.for_each(|(number, byte)| *number = f32::from(byte.cast_signed()) - point);
    } else {
        pairs.for_each(|(number, byte)| *number = f32::from(*byte) - point);
    }
}

/// Scale and zero point from the range of the elements, which is made to hold 0.
fn quantize_dynamically(call: &mut HostCall<'_>) {
    let x = call.input(0).floats();
    let (isa, team) = (call.isa, call.team);
    let [y, scale_of, point_of] = &mut *call.outputs else { return };
    let (least, most) = isa.run(Range(x));
    let range = most - least;
    let scale = if range > 0.0 { range / 255.0 } else { 1.0 };
    let point = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    scale_of.floats()[0] = scale;
    point_of.bytes[0] = point as u8;
    team.pieces(y.bytes, PIECE, x.len() * 4, &|at, y| {
        isa.run(Quantize { x: &x[at * PIECE..][..y.len()], scale, point, is_signed: false, y });
    });
}

/// The least and the greatest number, 0 among them; a NaN is passed over.
struct Range<'a>(&'a [f32]);

impl WithSimd for Range<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f32, f32) {
        let (whole, rest) = self.0.as_chunks::<16>();
        let (mut least, mut most) = ([0.0_f32; 16], [0.0_f32; 16]);
        for chunk in whole {
            for ((least, most), x) in least.iter_mut().zip(&mut most).zip(chunk) {
                *least = if *x < *least { *x } else { *least };
                *most = if *x > *most { *x } else { *most };
            }
        }
        let least = least.into_iter().chain(rest.iter().copied()).fold(0.0, f32::min);
        (least, most.into_iter().chain(rest.iter().copied()).fold(0.0, f32::max))
    }
}

/// To `FP32` from integers that are exact there or rounded once.
fn fits_cast(context: &Inference<'_>) -> bool {
    let fact = context.fact(0);
    context.asked == 1
        && fact.shape.is_some()
        && context.attributes.int("to") == i64::from(DType::F32.code())
        && matches!(fact.dtype, DType::I32 | DType::U8 | DType::I8)
}

fn cast(call: &mut HostCall<'_>) {
    let (x, isa) = (call.input(0), call.isa);
    let [target] = &mut *call.outputs else { return };
    let y = target.floats();
    if x.dtype == DType::I32 {
        isa.run(FromWords { words: x.elements(), y });
    } else {
        convert(isa, x.bytes, x.dtype == DType::I8, 0.0, y);
    }
}

struct FromWords<'a> {
    words: &'a [i32],
    y: &'a mut [f32],
}

impl WithSimd for FromWords<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.y.iter_mut().zip(self.words).for_each(|(y, word)| *y = *word as f32);
    }
}

/// Bytes as numbers, for kernels that multiply them.
pub(super) fn convert(isa: Isa, bytes: &[u8], is_signed: bool, point: f32, numbers: &mut [f32]) {
    isa.run(Dequantize { bytes, is_signed, scale: 1.0, point, y: numbers });
}
