//! `TfIdfVectorizer` over numbers: how often each n-gram of a pool stands in a row.

use std::collections::BTreeMap;

use super::{F32, INDICES, Outcome, one};
use crate::ops::{
    attributes::{Attributes, Fallback},
    extent::Extent,
    operator::{Call, Fault, Inference, Operator, Shapes, attribute, input, of},
    shape::ShapeError,
};

/// Longest n-gram and most elements between two of its own; longer ones would only keep a node busy.
const LENGTH_MAX: i64 = 64;

pub(crate) const OPERATORS: &[Operator] =
    &[Operator::new("TfIdfVectorizer", 9, &[input("X", "T", INDICES)], &[of("Y", F32)], infer, count).with(&[
        attribute("max_gram_length", Fallback::RequiredInt),
        attribute("max_skip_count", Fallback::RequiredInt),
        attribute("min_gram_length", Fallback::RequiredInt),
        attribute("mode", Fallback::RequiredText),
        attribute("ngram_counts", Fallback::RequiredInts),
        attribute("ngram_indexes", Fallback::RequiredInts),
        attribute("pool_int64s", Fallback::RequiredInts),
        attribute("weights", Fallback::NoFloats),
    ])];

/// The n-grams of the lengths asked for, with the number of each among all of the pool.
struct Pool<'a> {
    numbers: BTreeMap<&'a [i64], usize>,
    /// Place in the result by number.
    places: Vec<usize>,
    weights: Option<&'a [f32]>,
    lengths: std::ops::RangeInclusive<usize>,
    skips: usize,
    width: usize,
}

impl<'a> Pool<'a> {
    /// `None` when the lists do not fit together.
    fn read(attributes: &Attributes<'a>) -> Option<Self> {
        let bounded = |name: &str, least: i64| {
            let value = attributes.int(name);
            (least..=LENGTH_MAX).contains(&value).then_some(value as usize)
        };
        let lengths = bounded("min_gram_length", 1)?..=bounded("max_gram_length", 1)?;
        let skips = bounded("max_skip_count", 0)?;
        let pool = attributes.ints("pool_int64s")?;
        let starts = attributes.ints("ngram_counts")?.iter().map(|start| usize::try_from(*start).ok());
        let starts = starts.collect::<Option<Vec<_>>>()?;
        let places = attributes.ints("ngram_indexes")?.iter().map(|place| usize::try_from(*place).ok());
        let places = places.collect::<Option<Vec<_>>>()?;
        let mut numbers = BTreeMap::new();
        let mut number = 0;
        for (at, start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(pool.len());
            for ngram in pool.get(*start..end)?.chunks_exact(at + 1) {
                if lengths.contains(&(at + 1)) {
                    numbers.insert(ngram, number);
                }
                number += 1;
            }
        }
        let weights = attributes.floats("weights");
        let fits = places.len() == number && weights.is_none_or(|weights| weights.len() == number);
        let width = places.iter().max().and_then(|last| last.checked_add(1))?;
        fits.then_some(Self { numbers, places, weights, lengths, skips, width })
    }

    /// How often each n-gram stands in a row, its elements next to each other or evenly apart.
    fn counts(&self, row: &[i64]) -> Vec<f64> {
        let mut counts = vec![0.0; self.places.len()];
        for length in self.lengths.clone() {
            // A single element is no further apart from itself.
            let steps = if length == 1 { 1 } else { self.skips + 1 };
            for step in 1..=steps {
                let reach = step * (length - 1);
                for start in 0..row.len().saturating_sub(reach) {
                    let ngram: Vec<_> = row[start..=start + reach].iter().step_by(step).copied().collect();
                    if let Some(number) = self.numbers.get(ngram.as_slice()) {
                        counts[*number] += 1.0;
                    }
                }
            }
        }
        counts
    }
}

fn infer(context: &Inference<'_>) -> Shapes {
    let pool = Pool::read(&context.attributes).ok_or(ShapeError::Value { name: "pool_int64s" })?;
    if !matches!(context.attributes.text("mode"), "TF" | "IDF" | "TFIDF") {
        return Err(ShapeError::Value { name: "mode" });
    }
    let shape = context.shape(0)?;
    if !matches!(shape.len(), 1 | 2) {
        return Err(ShapeError::Rank { input: 0, expected: "1 or 2", got: shape.len() });
    }
    Ok(vec![[&shape[..shape.len() - 1], &[Extent::counted(pool.width)]].concat()])
}

fn count(call: &Call<'_>) -> Outcome {
    let pool = Pool::read(&call.attributes).ok_or(Fault::Input("X"))?;
    let x = call.input(0);
    let (values, width) = (x.places(), x.shape()[x.rank() - 1]);
    let rows: usize = x.shape()[..x.rank() - 1].iter().product();
    let mode = call.attributes.text("mode");
    let mut made = vec![0.0; rows * pool.width];
    for row in 0..rows {
        let counts = pool.counts(&values[row * width..(row + 1) * width]);
        for (number, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0.0) {
            let weight = pool.weights.map_or(1.0, |weights| f64::from(weights[number]));
            made[row * pool.width + pool.places[number]] = match mode {
                "TF" => count,
                "IDF" => weight,
                _ => count * weight,
            };
        }
    }
    one(call.floats(made))
}
