//! Between numbers and integers of eight bits.

use pulp::{Simd, WithSimd};

use super::{HostCall, HostKernel, Isa, View};
use crate::{
    ops::{
        Fact,
        operator::Inference,
        shape::{self, is_single},
    },
    tensor::DType,
};

pub(super) const QUANTIZE: HostKernel = HostKernel::new(fits_quantize, quantize);
pub(super) const DEQUANTIZE: HostKernel = HostKernel::new(fits_dequantize, dequantize);
pub(super) const DYNAMIC: HostKernel = HostKernel::new(
    |context| context.asked == 3 && context.shape(0).is_ok() && context.fact(0).dtype == DType::F32,
    quantize_dynamically,
);
pub(super) const CAST: HostKernel = HostKernel::new(fits_cast, cast);

/// Elements that a thread takes at a time.
const PIECE: usize = 4096;

/// The zero point says what type is made.
fn fits_quantize(context: &Inference<'_>) -> bool {
    let makes_type_of_point = context.optional(2).is_some() && context.attributes.int("output_dtype") == 0;
    has_scales(context) && context.fact(0).dtype == DType::F32 && makes_type_of_point
}

fn fits_dequantize(context: &Inference<'_>) -> bool {
    let asked = context.attributes.int("output_dtype");
    let makes_floats = asked == 0 || asked == i64::from(DType::F32.code());
    has_scales(context) && matches!(context.fact(0).dtype, DType::U8 | DType::I8) && makes_floats
}

/// One scale of `FP32` for all or one per slice of an axis, with or without a zero point of eight bits.
fn has_scales(context: &Inference<'_>) -> bool {
    let (Ok(x), Ok(scale)) = (context.shape(0), context.shape(1)) else { return false };
    let is_row = scale.len() == 1
        && scale[0].as_fixed().is_some()
        && shape::axis(context.attributes.int("axis"), x.len()).is_ok_and(|axis| x[axis] == scale[0]);
    let is_point = |point: &Fact| {
        let is_byte = matches!(point.dtype, DType::U8 | DType::I8);
        is_byte && point.shape.as_deref().is_some_and(|point| point == scale || (is_single(point) && is_single(scale)))
    };
    context.asked == 1
        && context.fact(1).dtype == DType::F32
        && context.attributes.int("block_size") == 0
        && (is_single(scale) || is_row)
        && context.optional(2).is_none_or(is_point)
}

/// Scales and zero points, for pieces of a tensor in which they are the same.
struct Scales<'a> {
    scales: &'a [f32],
    points: Vec<f32>,
    /// Elements of a piece.
    piece: usize,
}

impl<'a> Scales<'a> {
    fn of(call: &HostCall<'a>) -> Self {
        let (shape, scales) = (call.input(0).shape, call.input(1).floats());
        let points = (0..scales.len()).map(|at| zero_point(call.optional(2), at)).collect();
        let piece = match scales {
            [_] => PIECE,
            _ => {
                let axis = shape::axis(call.attributes.int("axis"), shape.len());
                shape[axis.expect("looked at before the kernel was chosen") + 1..].iter().product()
            }
        };
        Self { scales, points, piece }
    }

    /// Scale and zero point of a piece.
    fn at(&self, piece: usize) -> (f32, f32) {
        let slice = piece % self.scales.len();
        (self.scales[slice], self.points[slice])
    }
}

/// A zero point of eight bits as a number, 0 where there is none.
pub(super) fn zero_point(view: Option<View<'_>>, at: usize) -> f32 {
    let Some(view) = view else { return 0.0 };
    let byte = view.bytes[at];
    if view.dtype == DType::I8 { f32::from(byte.cast_signed()) } else { f32::from(byte) }
}

/// `saturate(round(x / scale) + zero point)`, halves to even.
fn quantize(call: &mut HostCall<'_>) {
    let (x, scales, isa) = (call.input(0).floats(), Scales::of(call), call.isa);
    let is_signed = call.optional(2).is_some_and(|point| point.dtype == DType::I8);
    let [target] = &mut *call.outputs else { return };
    call.team.pieces(target.bytes, scales.piece, x.len() * 4, &|at, y| {
        let (scale, point) = scales.at(at);
        isa.run(Quantize { x: &x[at * scales.piece..][..y.len()], scale, point, is_signed, y });
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
    let (x, scales, isa) = (call.input(0), Scales::of(call), call.isa);
    let is_signed = x.dtype == DType::I8;
    let [target] = &mut *call.outputs else { return };
    call.team.pieces(target.floats(), scales.piece, x.bytes.len(), &|at, y| {
        let (scale, point) = scales.at(at);
        isa.run(Dequantize { bytes: &x.bytes[at * scales.piece..][..y.len()], is_signed, scale, point, y });
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
        let pairs = y.iter_mut().zip(bytes);
        if is_signed {
            pairs.for_each(|(y, byte)| *y = (f32::from(byte.cast_signed()) - point) * scale);
        } else {
            pairs.for_each(|(y, byte)| *y = (f32::from(*byte) - point) * scale);
        }
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

/// Bytes as numbers, less a zero point.
pub(super) fn convert(isa: Isa, bytes: &[u8], is_signed: bool, point: f32, numbers: &mut [f32]) {
    isa.run(Dequantize { bytes, is_signed, scale: 1.0, point, y: numbers });
}
