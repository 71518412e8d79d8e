//! Operators that carry a state from one call to the next: `CausalConvWithState` and
//! `LinearAttention`.

use super::{F16, F32, Outcome, pointwise::sigmoid};
use crate::{
    array::Array,
    ops::{
        attributes::{Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like, optional},
        shape::{ShapeError, computed, fixed, ranked, same},
    },
    tensor::DType,
};

const HALF_OR_SINGLE: &[DType] = &[F16, F32];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new(
        "CausalConvWithState",
        27,
        &[
            input("input", "T", HALF_OR_SINGLE),
            input("weight", "T", HALF_OR_SINGLE),
            optional("bias", "T", HALF_OR_SINGLE),
            optional("past_state", "T", HALF_OR_SINGLE),
        ],
        &[like("output", "T"), like("present_state", "T")],
        infer_causal,
        causal,
    )
    .with(&[attribute("activation", Fallback::Text("none"))]),
    Operator::new(
        "LinearAttention",
        27,
        &[
            input("query", "T", HALF_OR_SINGLE),
            input("key", "T", HALF_OR_SINGLE),
            input("value", "T", HALF_OR_SINGLE),
            optional("past_state", "S", HALF_OR_SINGLE),
            optional("decay", "T", HALF_OR_SINGLE),
            optional("beta", "T", HALF_OR_SINGLE),
        ],
        &[like("output", "T"), crate::ops::operator::Product { name: "present_state", dtype: STATE }],
        infer_linear,
        linear,
    )
    .with(&[
        // How the work may be cut; the result is the same.
        attribute("chunk_size", Fallback::Int(64)),
        attribute("kv_num_heads", Fallback::RequiredInt),
        attribute("q_num_heads", Fallback::RequiredInt),
        attribute("scale", Fallback::Float(0.0)),
        attribute("update_rule", Fallback::Text("gated_delta")),
    ]),
];

/// That of the past state, or of the query without one.
const STATE: crate::ops::operator::Made =
    crate::ops::operator::Made::Chosen(|context| Some(context.optional(3).unwrap_or(context.fact(0)).dtype));

fn infer_causal(context: &Inference<'_>) -> Shapes {
    let x = ranked(context, 0, 3, "3 (batch, channels, steps)")?;
    let w = ranked(context, 1, 3, "3 (channels, 1, kernel)")?;
    same("number of filters", &x[1], &w[0])?;
    same("channels per group", &Extent::ONE, &w[1])?;
    if !matches!(context.attributes.text("activation"), "none" | "silu" | "swish") {
        return Err(ShapeError::Value { name: "activation" });
    }
    let carried = computed(&w[2], |kernel| kernel.checked_sub(1))?;
    let state = vec![x[0].clone(), x[1].clone(), carried];
    if let Some(bias) = context.optional_shape(2)? {
        let [bias] = bias else { return Err(ShapeError::Rank { input: 2, expected: "1", got: bias.len() }) };
        same("length of the bias", &x[1], bias)?;
    }
    if let Some(past) = context.optional_shape(3)? {
        if past.len() != 3 {
            return Err(ShapeError::Rank { input: 3, expected: "3", got: past.len() });
        }
        for (expected, got) in state.iter().zip(past) {
            same("extent of the past state", expected, got)?;
        }
    }
    Ok(vec![x.to_vec(), state])
}

/// Each channel alone, looking at itself now and before.
fn causal(call: &Call<'_>) -> Outcome {
    let (x, w) = (call.input(0), call.input(1));
    let [_, channels, steps] = x.shape()[..] else { return Err(Fault::Input("input")) };
    let kernel = w.shape()[2];
    let carried = kernel - 1;
    let (values, weights) = (x.floats(), w.floats());
    let bias = call.optional(2).map(Array::floats);
    let past = call.optional(3).map(Array::floats);
    let activates = call.attributes.text("activation") != "none";
    let (mut made, mut states) = (Vec::with_capacity(values.len()), Vec::new());
    for row in 0..x.shape()[0] * channels {
        let channel = row % channels;
        let mut sequence =
            past.as_ref().map_or_else(|| vec![0.0; carried], |past| past[row * carried..][..carried].to_vec());
        sequence.extend_from_slice(&values[row * steps..(row + 1) * steps]);
        let own = &weights[channel * kernel..(channel + 1) * kernel];
        for step in 0..steps {
            let sum: f64 = own.iter().zip(&sequence[step..]).map(|(w, x)| w * x).sum();
            let sum = sum + bias.as_ref().map_or(0.0, |bias| bias[channel]);
            made.push(if activates { sum * sigmoid(sum) } else { sum });
        }
        states.extend_from_slice(&sequence[sequence.len() - carried..]);
    }
    Ok(vec![call.floats(made), call.output(1, states)])
}

fn heads(attributes: &Attributes<'_>) -> Result<(u64, u64), ShapeError> {
    let positive = |name: &'static str| {
        u64::try_from(attributes.int(name)).ok().filter(|heads| *heads > 0).ok_or(ShapeError::Value { name })
    };
    let (q, kv) = (positive("q_num_heads")?, positive("kv_num_heads")?);
    if q % kv == 0 { Ok((q, kv)) } else { Err(ShapeError::Value { name: "q_num_heads" }) }
}

fn infer_linear(context: &Inference<'_>) -> Shapes {
    let (q_heads, kv_heads) = heads(&context.attributes)?;
    let [query, key, value] = [0, 1, 2].map(|input| ranked(context, input, 3, "3 (batch, steps, packed heads)"));
    let (query, key, value) = (query?, key?, value?);
    let part = |whole: &Extent, heads: u64| computed(whole, |whole| whole.is_multiple_of(heads).then(|| whole / heads));
    let (d_k, own_d_k, d_v) = (part(&query[2], q_heads)?, part(&key[2], kv_heads)?, part(&value[2], kv_heads)?);
    same("features of a key", &d_k, &own_d_k)?;
    for shape in [key, value] {
        same("batch", &query[0], &shape[0])?;
        same("steps", &query[1], &shape[1])?;
    }
    let rule = context.attributes.text("update_rule");
    if !matches!(rule, "linear" | "gated" | "delta" | "gated_delta") {
        return Err(ShapeError::Value { name: "update_rule" });
    }
    let needs = |is_needed: bool, position: usize, name: &'static str| {
        if is_needed && context.optional(position).is_none() { Err(ShapeError::Value { name }) } else { Ok(()) }
    };
    needs(rule.contains("gated"), 4, "decay")?;
    needs(rule.contains("delta"), 5, "beta")?;
    let all_keys = fixed(&d_k).ok().and_then(|d_k| d_k.checked_mul(kv_heads));
    for (position, name, widths) in [(4, "decay", [Some(kv_heads), all_keys]), (5, "beta", [Some(kv_heads), Some(1)])] {
        let Some(shape) = context.optional_shape(position)? else { continue };
        let [batch, steps, width] = shape else {
            return Err(ShapeError::Rank { input: position, expected: "3", got: shape.len() });
        };
        same("batch", &query[0], batch)?;
        same("steps", &query[1], steps)?;
        let is_known = width.as_fixed().is_none_or(|width| widths.contains(&Some(width)));
        if !is_known {
            return Err(ShapeError::Value { name });
        }
    }
    let state = vec![query[0].clone(), Extent::fixed(kv_heads).ok_or(ShapeError::Size)?, d_k, d_v.clone()];
    if let Some(past) = context.optional_shape(3)? {
        if past.len() != 4 {
            return Err(ShapeError::Rank { input: 3, expected: "4", got: past.len() });
        }
        for (expected, got) in state.iter().zip(past) {
            same("extent of the past state", expected, got)?;
        }
    }
    let width = computed(&d_v, |d_v| d_v.checked_mul(q_heads))?;
    Ok(vec![vec![query[0].clone(), query[1].clone(), width], state])
}

/// `Sₜ = exp(gₜ)·Sₜ₋₁ + kₜ ⊗ uₜ` with `uₜ` the value, or β times its difference from what the
/// state answers to the key; the output is `scale · qₜ' Sₜ`.
fn linear(call: &Call<'_>) -> Outcome {
    let (q_heads, kv_heads) = heads(&call.attributes).map_err(|_refused| Fault::Input("query"))?;
    let (q_heads, kv_heads) = (q_heads as usize, kv_heads as usize);
    let [batch, _, d_k, d_v] = call.outputs[1].1[..] else { return Err(Fault::Input("past_state")) };
    let steps = call.shape()[1];
    let [query, key, value] = [0, 1, 2].map(|position| call.input(position).floats());
    let mut state = call.optional(3).map_or_else(|| vec![0.0; batch * kv_heads * d_k * d_v], Array::floats);
    let (decay, beta) = (call.optional(4).map(Array::floats), call.optional(5).map(Array::floats));
    let rule = call.attributes.text("update_rule");
    let scale = match call.attributes.float("scale") {
        0.0 => (d_k as f64).sqrt().recip(),
        given => given,
    };
    let width = |values: &Option<Vec<f64>>| values.as_ref().map_or(0, |values| values.len() / (batch * steps).max(1));
    let (decay_width, beta_width) = (width(&decay), width(&beta));
    let mut made = vec![0.0; batch * steps * q_heads * d_v];
    for sequence in 0..batch {
        for step in 0..steps {
            let row = sequence * steps + step;
            for head in 0..kv_heads {
                let state = &mut state[(sequence * kv_heads + head) * d_k * d_v..][..d_k * d_v];
                let key = &key[(row * kv_heads + head) * d_k..][..d_k];
                let mut update = value[(row * kv_heads + head) * d_v..][..d_v].to_vec();
                if let Some(decay) = decay.as_ref().filter(|_| rule.contains("gated")) {
                    let own = &decay[row * decay_width..][..decay_width];
                    for (at, cell) in state.iter_mut().enumerate() {
                        *cell *= (if decay_width == kv_heads && d_k * kv_heads != decay_width {
                            own[head]
                        } else {
                            own[head * d_k + at / d_v]
                        })
                        .exp();
                    }
                }
                if let Some(beta) = beta.as_ref().filter(|_| rule.contains("delta")) {
                    let rate = beta[row * beta_width + if beta_width == 1 { 0 } else { head }];
                    for (column, update) in update.iter_mut().enumerate() {
                        let answer: f64 = key.iter().enumerate().map(|(at, k)| k * state[at * d_v + column]).sum();
                        *update = rate * (*update - answer);
                    }
                }
                for (at, cell) in state.iter_mut().enumerate() {
                    *cell += key[at / d_v] * update[at % d_v];
                }
                for shared in 0..q_heads / kv_heads {
                    let head = head * (q_heads / kv_heads) + shared;
                    let query = &query[(row * q_heads + head) * d_k..][..d_k];
                    let to = &mut made[(row * q_heads + head) * d_v..][..d_v];
                    for (column, to) in to.iter_mut().enumerate() {
                        *to = scale * query.iter().enumerate().map(|(at, q)| q * state[at * d_v + column]).sum::<f64>();
                    }
                }
            }
        }
    }
    Ok(vec![call.floats(made), call.output(1, state)])
}
