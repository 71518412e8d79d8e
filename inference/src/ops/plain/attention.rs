//! `Attention`.

use super::{ALL, FLOATS, Outcome, PLACES, activation::softmax};
use crate::{
    array::{Array, indices, place, spread, strides},
    ops::{
        attributes::{AttributeSpec, Attributes, Fallback},
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Parameter, Product, Shapes, attribute, input, like, optional},
        shape::{ShapeError, broadcast_pair, computed, same},
    },
    tensor::DType,
};

const Q: Parameter = input("Q", "T1", FLOATS);
const K: Parameter = input("K", "T1", FLOATS);
const V: Parameter = input("V", "T2", FLOATS);
const MASK: Parameter = optional("attn_mask", "U", ALL);
const PAST_KEY: Parameter = optional("past_key", "T1", FLOATS);
const PAST_VALUE: Parameter = optional("past_value", "T2", FLOATS);
const WITHOUT_LENGTHS: &[Parameter] = &[Q, K, V, MASK, PAST_KEY, PAST_VALUE];
const WITH_LENGTHS: &[Parameter] = &[Q, K, V, MASK, PAST_KEY, PAST_VALUE, optional("nonpad_kv_seqlen", "I", PLACES)];
const MADE: &[Product] =
    &[like("Y", "T1"), like("present_key", "T1"), like("present_value", "T2"), like("qk_matmul_output", "T1")];
const CAUSAL: AttributeSpec = attribute("is_causal", Fallback::Int(0));
const KV_HEADS: AttributeSpec = attribute("kv_num_heads", Fallback::NoInt);
const Q_HEADS: AttributeSpec = attribute("q_num_heads", Fallback::NoInt);
const MODE: AttributeSpec = attribute("qk_matmul_output_mode", Fallback::Int(0));
const SCALE: AttributeSpec = attribute("scale", Fallback::NoFloat);
const SOFTCAP: AttributeSpec = attribute("softcap", Fallback::Float(0.0));
const PRECISION: AttributeSpec = attribute("softmax_precision", Fallback::NoInt);

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Attention", 23, WITHOUT_LENGTHS, MADE, infer, attend)
        .with(&[CAUSAL, KV_HEADS, Q_HEADS, MODE, SCALE, SOFTCAP, PRECISION]),
    Operator::new("Attention", 24, WITH_LENGTHS, MADE, infer, attend)
        .with(&[CAUSAL, KV_HEADS, Q_HEADS, MODE, SCALE, SOFTCAP, PRECISION]),
    Operator::new("Attention", 25, WITH_LENGTHS, MADE, infer, attend).with(&[
        CAUSAL,
        KV_HEADS,
        attribute("left_window_size", Fallback::Int(-1)),
        Q_HEADS,
        MODE,
        attribute("right_window_size", Fallback::Int(-1)),
        SCALE,
        SOFTCAP,
        PRECISION,
    ]),
];

/// Batch, heads, steps and features of a tensor of three or four dimensions.
pub(super) fn split(shape: &[Extent], heads: Option<i64>, input: usize) -> Result<[Extent; 4], ShapeError> {
    match shape {
        [batch, heads, steps, features] => Ok([batch.clone(), heads.clone(), steps.clone(), features.clone()]),
        [batch, steps, width] => {
            let heads = heads.and_then(|heads| u64::try_from(heads).ok()).filter(|heads| *heads > 0);
            let heads = heads.ok_or(ShapeError::Value { name: "num_heads" })?;
            let features = computed(width, |width| width.is_multiple_of(heads).then(|| width / heads))?;
            let heads = Extent::fixed(heads).ok_or(ShapeError::Size)?;
            Ok([batch.clone(), heads, steps.clone(), features])
        }
        _ => Err(ShapeError::Rank { input, expected: "3 or 4", got: shape.len() }),
    }
}

fn added(left: &Extent, right: Option<&Extent>) -> Result<Extent, ShapeError> {
    match right {
        None => Ok(left.clone()),
        Some(right) => match (left.as_fixed(), right.as_fixed()) {
            (Some(left), Some(right)) => left.checked_add(right).and_then(Extent::fixed).ok_or(ShapeError::Size),
            _ => Ok(Extent::Unknown),
        },
    }
}

fn infer(context: &Inference<'_>) -> Shapes {
    let attributes = &context.attributes;
    let (q_heads, kv_heads) = (attributes.optional_int("q_num_heads"), attributes.optional_int("kv_num_heads"));
    let [batch, heads, steps, features] = split(context.shape(0)?, q_heads, 0)?;
    let [k_batch, k_heads, k_steps, k_features] = split(context.shape(1)?, kv_heads, 1)?;
    let [v_batch, v_heads, v_steps, v_features] = split(context.shape(2)?, kv_heads, 2)?;
    for (what, expected, got) in [
        ("batch", &batch, &k_batch),
        ("batch", &batch, &v_batch),
        ("number of heads of V", &k_heads, &v_heads),
        ("number of steps of V", &k_steps, &v_steps),
        ("number of features of K", &features, &k_features),
    ] {
        same(what, expected, got)?;
    }
    if let (Some(heads), Some(shared)) = (heads.as_fixed(), k_heads.as_fixed())
        && (shared == 0 || heads % shared != 0)
    {
        return Err(ShapeError::Value { name: "kv_num_heads" });
    }
    if !(0..=3).contains(&attributes.int("qk_matmul_output_mode")) {
        return Err(ShapeError::Value { name: "qk_matmul_output_mode" });
    }
    let (past_key, past_value) = (past(context, 4, &k_heads, &features)?, past(context, 5, &k_heads, &v_features)?);
    if context.optional(4).is_some() != context.optional(5).is_some() {
        return Err(ShapeError::Value { name: "past_value" });
    }
    let total = added(&k_steps, past_key.as_ref())?;
    same("number of steps of past_value", &total, &added(&k_steps, past_value.as_ref())?)?;
    check_mask(context, &[batch.clone(), heads.clone(), steps.clone(), total.clone()])?;
    if let Some(lengths) = context.optional_shape(6)? {
        let [length] = lengths else { return Err(ShapeError::Rank { input: 6, expected: "1", got: lengths.len() }) };
        same("number of lengths", &batch, length)?;
    }
    let y = if context.shape(0)?.len() == 3 {
        let width = match (heads.as_fixed(), v_features.as_fixed()) {
            (Some(heads), Some(features)) => {
                heads.checked_mul(features).and_then(Extent::fixed).ok_or(ShapeError::Size)?
            }
            _ => Extent::Unknown,
        };
        vec![batch.clone(), steps.clone(), width]
    } else {
        vec![batch.clone(), heads.clone(), steps.clone(), v_features.clone()]
    };
    let key = vec![batch.clone(), k_heads.clone(), total.clone(), features];
    let value = vec![batch.clone(), k_heads, total.clone(), v_features];
    let mut shapes = vec![y, key, value, vec![batch, heads, steps, total]];
    shapes.truncate(context.asked.clamp(1, 4));
    Ok(shapes)
}

/// Steps of a past state.
fn past(
    context: &Inference<'_>,
    position: usize,
    heads: &Extent,
    features: &Extent,
) -> Result<Option<Extent>, ShapeError> {
    let Some(shape) = context.optional_shape(position)? else { return Ok(None) };
    let [_, own_heads, steps, own_features] = shape else {
        return Err(ShapeError::Rank { input: position, expected: "4", got: shape.len() });
    };
    same("number of heads of a past state", heads, own_heads)?;
    same("number of features of a past state", features, own_features)?;
    Ok(Some(steps.clone()))
}

/// A mask broadcasts to the scores; its last extent may be smaller.
fn check_mask(context: &Inference<'_>, scores: &[Extent; 4]) -> Result<(), ShapeError> {
    let Some(mask) = context.optional_shape(3)? else { return Ok(()) };
    let dtype = context.fact(3).dtype;
    if dtype != DType::Bool && !dtype.is_float() || mask.is_empty() || mask.len() > 4 {
        return Err(ShapeError::Value { name: "attn_mask" });
    }
    let (outer, last) = mask.split_at(mask.len() - 1);
    let whole = broadcast_pair(&scores[..3], outer)?;
    let too_long = last[0].as_fixed().zip(scores[3].as_fixed()).is_some_and(|(last, total)| last > total);
    if too_long || whole.iter().zip(scores).any(|(whole, own)| whole.differs(own)) {
        return Err(ShapeError::Value { name: "attn_mask" });
    }
    Ok(())
}

/// A tensor as batch, heads, steps and features.
pub(super) fn headed(array: &Array, heads: Option<i64>) -> Array {
    let [batch, steps, width] = array.shape() else { return array.clone() };
    let heads = heads.map_or(1, |heads| heads.unsigned_abs() as usize).max(1);
    let split = array.reshaped(vec![*batch, *steps, heads, width / heads]);
    super::layout::permuted(&split, &[0, 2, 1, 3])
}

/// The state before, then what is added to it, along the steps.
fn continued(past: Option<&Array>, new: Array) -> Array {
    let Some(past) = past else { return new };
    let (before, more) = (past.shape()[2], new.shape()[2]);
    let mut shape = new.shape().to_vec();
    shape[2] = before + more;
    let mut both = past.data().clone();
    both.extend(new.data());
    let (past_steps, new_steps) = (strides(past.shape()), strides(new.shape()));
    let offset = past.len();
    let places = indices(&shape).map(|mut index| {
        if index[2] < before {
            return place(&index, &past_steps);
        }
        index[2] -= before;
        offset + place(&index, &new_steps)
    });
    let picked = both.pick(places);
    Array::new(shape, picked)
}

/// Which keys a query may look at, beside what the mask says.
struct Sight {
    is_causal: bool,
    left: Option<i64>,
    right: Option<i64>,
    /// Keys before the first query, and number of valid keys, per sequence of the batch.
    bounds: Vec<(i64, i64)>,
}

impl Sight {
    fn of(call: &Call<'_>, batch: usize, steps: usize, total: usize, before: usize) -> Result<Self, Fault> {
        let window = |name: &str| {
            let size = if call.attributes.has(name) { call.attributes.int(name) } else { -1 };
            (size >= 0).then_some(size)
        };
        let bounds = match call.places(6) {
            Some(lengths) if lengths.len() == batch => {
                lengths.into_iter().map(|length| (length.saturating_sub(steps as i64), length)).collect()
            }
            Some(_) => return Err(Fault::Input("nonpad_kv_seqlen")),
            None => vec![(before as i64, total as i64); batch],
        };
        let is_causal = call.attributes.flag("is_causal");
        Ok(Self { is_causal, left: window("left_window_size"), right: window("right_window_size"), bounds })
    }

    fn sees(&self, batch: usize, query: usize, key: usize) -> bool {
        let (offset, valid) = self.bounds[batch];
        let (at, key) = (offset.saturating_add(query as i64), key as i64);
        key < valid
            && !(self.is_causal && key > at)
            && self.left.is_none_or(|left| key >= at.saturating_sub(left))
            && self.right.is_none_or(|right| key <= at.saturating_add(right))
    }
}

/// The mask as numbers that are added to scores, and how they spread over them.
struct Bias {
    values: Vec<f64>,
    steps: Vec<usize>,
    width: usize,
}

impl Bias {
    fn of(mask: &Array, scores: &[usize; 4]) -> Self {
        let values = if mask.dtype() == DType::Bool {
            mask.truths().into_iter().map(|seen| if seen { 0.0 } else { f64::NEG_INFINITY }).collect()
        } else {
            mask.floats()
        };
        let width = mask.shape()[mask.rank() - 1];
        let mut target = scores.to_vec();
        if width != 1 {
            target[3] = width;
        }
        Self { values, steps: spread(mask.shape(), &target), width }
    }

    /// Behind a mask that is shorter than the keys nothing is seen.
    fn at(&self, index: &[usize]) -> f64 {
        if self.width != 1 && index[3] >= self.width {
            return f64::NEG_INFINITY;
        }
        self.values[place(index, &self.steps)]
    }
}

fn attend(call: &Call<'_>) -> Outcome {
    let attributes: &Attributes<'_> = &call.attributes;
    let (q_heads, kv_heads) = (attributes.optional_int("q_num_heads"), attributes.optional_int("kv_num_heads"));
    let is_flat = call.input(0).rank() == 3;
    let q = headed(call.input(0), q_heads);
    let k = continued(call.optional(4), headed(call.input(1), kv_heads));
    let v = continued(call.optional(5), headed(call.input(2), kv_heads));
    let (batch, heads, steps, features) = (q.shape()[0], q.shape()[1], q.shape()[2], q.shape()[3]);
    let (shared, total, width) = (k.shape()[1], k.shape()[2], v.shape()[3]);
    let scale = attributes.optional_float("scale").unwrap_or_else(|| (features as f64).sqrt().recip());
    let softcap = attributes.float("softcap");
    let before = call.optional(4).map_or(0, |past| past.shape()[2]);
    let sight = Sight::of(call, batch, steps, total, before)?;
    let scores_shape = [batch, heads, steps, total];
    let bias = call.optional(3).map(|mask| Bias::of(mask, &scores_shape));
    let mode = attributes.int("qk_matmul_output_mode");
    let (queries, keys, values) = (q.floats(), k.floats(), v.floats());
    let mut made = vec![0.0; batch * heads * steps * width];
    let mut shown = Vec::new();
    for index in indices(&[batch, heads, steps]) {
        let [sequence, head, step] = index[..] else { unreachable!("an index has as many parts as the extents") };
        let group = sequence * shared + head / (heads / shared).max(1);
        let query = &queries[((sequence * heads + head) * steps + step) * features..][..features];
        let mut row: Vec<f64> = (0..total)
            .map(|key| {
                let key = &keys[(group * total + key) * features..][..features];
                query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * scale
            })
            .collect();
        let mut show = |stage: i64, row: &[f64]| {
            if mode == stage && call.outputs.len() > 3 {
                shown.extend_from_slice(row);
            }
        };
        show(0, &row);
        if softcap > 0.0 {
            row.iter_mut().for_each(|score| *score = softcap * (*score / softcap).tanh());
        }
        show(1, &row);
        for (key, score) in row.iter_mut().enumerate() {
            if !sight.sees(sequence, step, key) {
                *score = f64::NEG_INFINITY;
            } else if let Some(bias) = &bias {
                *score += bias.at(&[sequence, head, step, key]);
            }
        }
        show(2, &row);
        if row.iter().all(|score| *score == f64::NEG_INFINITY) {
            row.fill(0.0);
        } else {
            softmax(&mut row);
        }
        show(3, &row);
        let to =
            if is_flat { (sequence * steps + step) * heads + head } else { (sequence * heads + head) * steps + step };
        for (key, weight) in row.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let value = &values[(group * total + key) * width..][..width];
            made[to * width..(to + 1) * width].iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let mut outputs = vec![call.floats(made)];
    for (position, array) in [(1, k), (2, v)] {
        if position < call.outputs.len() {
            outputs.push(array);
        }
    }
    if call.outputs.len() > 3 {
        outputs.push(call.output(3, shown));
    }
    Ok(outputs)
}
