//! Windows and Fourier transforms.

use std::f64::consts::{LN_10, PI};

use super::{FLOATS, INDICES, Outcome, PLACES, computed_type, one};
use crate::{
    array::{Array, indices, place, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{
            Call, Fault, Inference, Kernel, Made, Operator, Parameter, Product, Shapes, attribute, input, like,
            optional,
        },
        shape::{ShapeError, axis, computed, fixed},
    },
    tensor::DType,
};

const SIZE: &[Parameter] = &[input("size", "T1", INDICES)];
const TYPED: &[Product] = &[Product { name: "output", dtype: Made::Chosen(window_type) }];
const WINDOW: &[AttributeSpec] =
    &[attribute("output_datatype", Fallback::Int(1)), attribute("periodic", Fallback::Int(1))];
const ONESIDED: AttributeSpec = attribute("onesided", Fallback::Int(0));
const INVERSE: AttributeSpec = attribute("inverse", Fallback::Int(0));
const LENGTH: Parameter = optional("dft_length", "T2", INDICES);

const fn window(name: &'static str, kernel: Kernel) -> Operator {
    Operator::new(name, 17, SIZE, TYPED, infer_window, kernel).with(WINDOW)
}

pub(crate) const OPERATORS: &[Operator] = &[
    window("BlackmanWindow", |call| cosines(call, &[0.42, -0.5, 0.08])),
    window("HammingWindow", |call| cosines(call, &[25.0 / 46.0, -21.0 / 46.0])),
    window("HannWindow", |call| cosines(call, &[0.5, -0.5])),
    Operator::new(
        "MelWeightMatrix",
        17,
        &[
            input("num_mel_bins", "T1", INDICES),
            input("dft_length", "T1", INDICES),
            input("sample_rate", "T1", INDICES),
            input("lower_edge_hertz", "T2", FLOATS),
            input("upper_edge_hertz", "T2", FLOATS),
        ],
        TYPED,
        infer_mel,
        mel,
    )
    .with(&[attribute("output_datatype", Fallback::Int(1))]),
    Operator::new(
        "DFT",
        17,
        &[input("input", "T1", FLOATS), LENGTH],
        &[like("output", "T1")],
        infer_transform,
        transform,
    )
    .with(&[attribute("axis", Fallback::Int(1)), INVERSE, ONESIDED]),
    Operator::new(
        "DFT",
        20,
        &[input("input", "T1", FLOATS), LENGTH, optional("axis", "I", PLACES)],
        &[like("output", "T1")],
        infer_transform,
        transform,
    )
    .with(&[INVERSE, ONESIDED]),
    Operator::new(
        "STFT",
        17,
        &[
            input("signal", "T1", FLOATS),
            input("frame_step", "T2", INDICES),
            optional("window", "T1", FLOATS),
            optional("frame_length", "T2", INDICES),
        ],
        &[like("output", "T1")],
        infer_frames,
        frames,
    )
    .with(&[attribute("onesided", Fallback::Int(1))]),
];

fn window_type(context: &Inference<'_>) -> Option<DType> {
    computed_type(context.attributes.int("output_datatype"))
}

/// The only element of an input that is a count.
fn count(context: &Inference<'_>, position: usize, name: &'static str) -> Result<Option<u64>, ShapeError> {
    let Some(given) = context.places(position)? else { return Ok(None) };
    let [given] = given.as_slice() else { return Err(ShapeError::Value { name }) };
    u64::try_from(*given).map(Some).map_err(|_negative| ShapeError::Value { name })
}

fn infer_window(context: &Inference<'_>) -> Shapes {
    let size = count(context, 0, "size")?.and_then(Extent::fixed);
    Ok(vec![vec![size.ok_or(ShapeError::Value { name: "size" })?]])
}

/// `Σ aₖ · cos(2π·k·n / N)`.
fn cosines(call: &Call<'_>, factors: &[f64]) -> Outcome {
    let size = call.shape()[0];
    let period = if call.attributes.flag("periodic") { size as f64 } else { size as f64 - 1.0 };
    let at = |n: usize| {
        let turn = 2.0 * PI * n as f64 / period;
        factors.iter().enumerate().map(|(k, factor)| factor * (turn * k as f64).cos()).sum::<f64>()
    };
    one(call.floats((0..size).map(at)))
}

fn infer_mel(context: &Inference<'_>) -> Shapes {
    let bins = count(context, 0, "num_mel_bins")?.and_then(Extent::fixed);
    let length = count(context, 1, "dft_length")?.and_then(|length| Extent::fixed(length / 2 + 1));
    if count(context, 2, "sample_rate")? == Some(0) {
        return Err(ShapeError::Value { name: "sample_rate" });
    }
    Ok(vec![vec![length.ok_or(ShapeError::Size)?, bins.ok_or(ShapeError::Size)?]])
}

/// Triangles between points that are evenly spaced on the mel scale of 2595 · log₁₀(1 + f / 700).
fn mel(call: &Call<'_>) -> Outcome {
    let (rows, bins) = (call.shape()[0], call.shape()[1]);
    let number = |position: usize| call.scalar(position).ok_or(Fault::Input("dft_length"));
    let (length, rate, low, high) = (number(1)?, number(2)?, number(3)?, number(4)?);
    let to_mel = |hertz: f64| 2595.0 * (hertz / 700.0).ln_1p() / LN_10;
    let step = (to_mel(high) - to_mel(low)) / (bins as f64 + 2.0);
    let point = |at: usize| {
        let hertz = 700.0 * ((at as f64 * step + to_mel(low)) / 2595.0 * LN_10).exp_m1();
        ((length + 1.0) * hertz / rate).floor()
    };
    let mut made = vec![0.0; rows * bins];
    for bin in 0..bins {
        let (left, centre, right) = (point(bin), point(bin + 1), point(bin + 2));
        for row in 0..rows {
            let at = row as f64;
            made[row * bins + bin] = if at == centre && left == centre {
                1.0
            } else if at >= left && at <= centre {
                (at - left) / (centre - left)
            } else if at > centre && at < right {
                (right - at) / (right - centre)
            } else {
                0.0
            };
        }
    }
    one(call.floats(made))
}

/// The axis to transform: an attribute or, since opset 20, an input that defaults to the last but
/// one.
fn along(attributes: &Attributes<'_>, given: Option<i64>, rank: usize) -> Result<usize, ShapeError> {
    let given = if attributes.has("axis") { attributes.int("axis") } else { given.unwrap_or(-2) };
    let at = axis(given, rank)?;
    // The last dimension holds real and imaginary parts.
    if at + 1 == rank { Err(ShapeError::Axis { axis: given, rank }) } else { Ok(at) }
}

fn infer_transform(context: &Inference<'_>) -> Shapes {
    let x = context.shape(0)?;
    let given = context.places(2)?.and_then(|given| given.first().copied());
    let at = along(&context.attributes, given, x.len())?;
    let (onesided, inverse) = (context.attributes.flag("onesided"), context.attributes.flag("inverse"));
    let parts = fixed(&x[x.len() - 1])?;
    if !matches!(parts, 1 | 2) || (onesided && !inverse && parts != 1) {
        return Err(ShapeError::Value { name: "input" });
    }
    let length = match count(context, 1, "dft_length")? {
        Some(0) => return Err(ShapeError::Value { name: "dft_length" }),
        Some(length) => Extent::fixed(length).ok_or(ShapeError::Size)?,
        None if onesided && inverse => computed(&x[at], |extent| extent.checked_sub(1)?.checked_mul(2))?,
        None => x[at].clone(),
    };
    let mut made = x.to_vec();
    made[at] = if onesided && !inverse { computed(&length, |length| Some(length / 2 + 1))? } else { length };
    made[x.len() - 1] = Extent::counted(if onesided && inverse { 1 } else { 2 });
    Ok(vec![made])
}

/// `Σ xₙ · e^(∓2πi·k·n / N)` summed as it stands; the angle is reduced exactly before it is a number.
fn transformed(signal: &[(f64, f64)], length: usize, bin: usize, inverse: bool) -> (f64, f64) {
    let sign = if inverse { 1.0 } else { -1.0 };
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, (re, im)) in signal.iter().enumerate() {
        let turns = (n as u128 * bin as u128 % length as u128) as f64 / length as f64;
        let (sine, cosine) = (sign * 2.0 * PI * turns).sin_cos();
        real += re * cosine - im * sine;
        imaginary += re * sine + im * cosine;
    }
    let scale = if inverse { length as f64 } else { 1.0 };
    (real / scale, imaginary / scale)
}

fn transform(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let given = call.places(2).and_then(|given| given.first().copied());
    let at = along(&call.attributes, given, x.rank()).map_err(|_refused| Fault::Input("axis"))?;
    let (onesided, inverse) = (call.attributes.flag("onesided"), call.attributes.flag("inverse"));
    let parts = x.shape()[x.rank() - 1];
    let (extent, made_parts) = (x.shape()[at], call.shape()[x.rank() - 1]);
    let length = match call.places(1).and_then(|given| given.first().copied()) {
        Some(length) => usize::try_from(length).map_err(|_negative| Fault::Input("dft_length"))?,
        None if onesided && inverse => call.shape()[at],
        None => extent,
    };
    let (values, steps, made_steps) = (x.floats(), strides(x.shape()), strides(call.shape()));
    let mut made = vec![0.0; call.shape().iter().product()];
    let mut lanes = x.shape().to_vec();
    lanes[at] = 1;
    lanes[x.rank() - 1] = 1;
    for index in indices(&lanes) {
        let (from, to) = (place(&index, &steps), place(&index, &made_steps));
        let element = |n: usize| {
            let start = from + n * steps[at];
            (values[start], if parts == 2 { values[start + 1] } else { 0.0 })
        };
        let mut signal: Vec<_> = (0..extent.min(length)).map(element).collect();
        if onesided && inverse {
            // The other half mirrors this one.
            signal.resize(length, (0.0, 0.0));
            for n in length / 2 + 1..length {
                signal[n] = (signal[length - n].0, -signal[length - n].1);
            }
        }
        for bin in 0..call.shape()[at] {
            let (real, imaginary) = transformed(&signal, length, bin, inverse);
            made[to + bin * made_steps[at]] = real;
            if made_parts == 2 {
                made[to + bin * made_steps[at] + 1] = imaginary;
            }
        }
    }
    one(call.floats(made))
}

/// Length and step of frames.
fn framing(step: Option<u64>, length: Option<u64>, window: Option<u64>) -> Result<(u64, u64), ShapeError> {
    let length = length.or(window).filter(|length| *length > 0).ok_or(ShapeError::Value { name: "frame_length" })?;
    if window.is_some_and(|window| window != length) {
        return Err(ShapeError::Value { name: "window" });
    }
    Ok((step.filter(|step| *step > 0).ok_or(ShapeError::Value { name: "frame_step" })?, length))
}

fn infer_frames(context: &Inference<'_>) -> Shapes {
    let signal = context.shape(0)?;
    let [batch, samples, parts] = signal else {
        return Err(ShapeError::Rank { input: 0, expected: "3 (batch, samples, parts)", got: signal.len() });
    };
    let onesided = context.attributes.flag("onesided");
    let parts = fixed(parts)?;
    if !matches!(parts, 1 | 2) || (onesided && parts == 2) {
        return Err(ShapeError::Value { name: "signal" });
    }
    let window = context.optional_shape(2)?.map(|shape| shape.first().map_or(Ok(0), fixed)).transpose()?;
    let (step, length) = framing(count(context, 1, "frame_step")?, count(context, 3, "frame_length")?, window)?;
    let frames = computed(samples, |samples| Some(samples.checked_sub(length)? / step + 1))?;
    let bins = Extent::fixed(if onesided { length / 2 + 1 } else { length }).ok_or(ShapeError::Size)?;
    Ok(vec![vec![batch.clone(), frames, bins, Extent::counted(2)]])
}

fn frames(call: &Call<'_>) -> Outcome {
    let signal = call.input(0);
    let first = |position: usize| call.places(position).and_then(|given| u64::try_from(*given.first()?).ok());
    let window = call.optional(2).map(Array::floats);
    let framing = framing(first(1), first(3), window.as_ref().map(|window| window.len() as u64));
    let (step, length) = framing.map_err(|_refused| Fault::Input("frame_length"))?;
    let (step, length) = (step as usize, length as usize);
    let (samples, parts) = (signal.shape()[1], signal.shape()[2]);
    let values = signal.floats();
    let mut made = Vec::with_capacity(call.shape().iter().product());
    for batch in 0..call.shape()[0] {
        for frame in 0..call.shape()[1] {
            let element = |n: usize| {
                let at = (batch * samples + frame * step + n) * parts;
                let weight = window.as_ref().map_or(1.0, |window| window[n]);
                (values[at] * weight, if parts == 2 { values[at + 1] * weight } else { 0.0 })
            };
            let windowed: Vec<_> = (0..length).map(element).collect();
            for bin in 0..call.shape()[2] {
                let (real, imaginary) = transformed(&windowed, length, bin, false);
                made.extend([real, imaginary]);
            }
        }
    }
    one(call.floats(made))
}
