//! `RotaryEmbedding`.

use super::{
    FLOATS, Outcome, PLACES,
    attention::{headed, split},
    one,
};
use crate::{
    array::{Places, indices, place},
    ops::{
        attributes::Fallback,
        extent::Extent,
        operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, like, optional},
        shape::{ShapeError, same},
    },
};

pub(crate) const OPERATORS: &[Operator] = &[Operator::new(
    "RotaryEmbedding",
    23,
    &[
        input("X", "T", FLOATS),
        input("cos_cache", "T", FLOATS),
        input("sin_cache", "T", FLOATS),
        optional("position_ids", "M", PLACES),
    ],
    &[like("Y", "T")],
    infer_rotation,
    rotate,
)
.with(&[
    attribute("interleaved", Fallback::Int(0)),
    attribute("num_heads", Fallback::NoInt),
    attribute("rotary_embedding_dim", Fallback::Int(0)),
])];

fn infer_rotation(context: &Inference<'_>) -> Shapes {
    let shape = context.shape(0)?;
    let [_, _, _, features] = split(shape, context.attributes.optional_int("num_heads"), 0)?;
    let given = u64::try_from(context.attributes.int("rotary_embedding_dim")).unwrap_or(u64::MAX);
    if let Some(features) = features.as_fixed() {
        let rotated = if given == 0 { features } else { given };
        if rotated > features || rotated % 2 != 0 {
            return Err(ShapeError::Value { name: "rotary_embedding_dim" });
        }
        for position in [1, 2] {
            let cache = context.shape(position)?;
            let expected = Extent::fixed(rotated / 2).ok_or(ShapeError::Size)?;
            same("last extent of a cache", &expected, cache.last().unwrap_or(&Extent::ONE))?;
        }
    }
    Ok(vec![shape.to_vec()])
}

fn rotate(call: &Call<'_>) -> Outcome {
    let input = call.input(0);
    let x = headed(input, call.attributes.optional_int("num_heads"));
    let [batch, heads, steps, features] = x.shape()[..] else { unreachable!("`headed` makes four dimensions") };
    let rotated = match call.attributes.int("rotary_embedding_dim") {
        0 => features,
        given => usize::try_from(given).map_err(|_negative| Fault::Input("X"))?,
    };
    let half = rotated / 2;
    let (cosines, sines) = (call.input(1), call.input(2));
    let rows = match call.places(3) {
        Some(positions) => {
            positions.into_iter().map(usize::try_from).collect::<Result<_, _>>().map_err(|_negative| Fault::Index)?
        }
        None => (0..batch * steps).collect::<Vec<_>>(),
    };
    let (cosines, sines, values) = (cosines.floats(), sines.floats(), x.floats());
    let is_interleaved = call.attributes.flag("interleaved");
    let mut made = values.clone();
    for index in indices(&[batch, heads, steps]) {
        let row: usize = *rows.get(index[0] * steps + index[2]).ok_or(Fault::Index)?;
        let angles = row.checked_mul(half).filter(|first| *first <= cosines.len()).ok_or(Fault::Index)?;
        let start = place(&index, &[heads * steps, steps, 1]) * features;
        for pair in 0..half {
            let (first, second) = if is_interleaved {
                (start + 2 * pair, start + 2 * pair + 1)
            } else {
                (start + pair, start + half + pair)
            };
            let (cosine, sine) = cosines.get(angles + pair).zip(sines.get(angles + pair)).ok_or(Fault::Index)?;
            made[first] = cosine * values[first] - sine * values[second];
            made[second] = sine * values[first] + cosine * values[second];
        }
    }
    if input.rank() == 4 {
        return one(call.floats(made));
    }
    // Back to steps before heads.
    let order =
        Places::new(&[batch, steps, heads, features], vec![heads * steps * features, features, steps * features, 1]);
    one(call.floats(order.map(|place| made[place]).collect::<Vec<_>>()))
}
