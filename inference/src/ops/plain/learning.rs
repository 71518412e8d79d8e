//! The domain `ai.onnx.ml`: features and tree ensembles.

use super::{
    I64, IEEE, Outcome, PLACES,
    activation::softmax,
    one,
    pointwise::{map, sigmoid},
};
use crate::{
    array::Array,
    ops::{
        attributes::{Attributes, Fallback},
        extent::Extent,
        operator::Shapes,
        operator::{Call, Fault, Inference, Operator, attribute, input, like, of},
        shape::{ShapeError, at_least, ranked, unchanged},
    },
    tensor::{DType, Tensor},
};

const FEATURES: &[DType] = &[DType::F32, DType::F64, DType::I32, I64];

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::new("Binarizer", 1, &[input("X", "T", FEATURES)], &[like("Y", "T")], unchanged, |call| {
        let threshold = call.attributes.float("threshold");
        map(call, |x| f64::from(x > threshold))
    })
    .with(&[attribute("threshold", Fallback::Float(0.0))])
    .learnt(),
    Operator::new("Scaler", 1, &[input("X", "T", FEATURES)], &[of("Y", DType::F32)], infer_scaler, scale)
        .with(&[attribute("offset", Fallback::NoFloats), attribute("scale", Fallback::NoFloats)])
        .learnt(),
    Operator::new(
        "ArrayFeatureExtractor",
        1,
        &[input("X", "T", FEATURES), input("Y", "I", PLACES)],
        &[like("Z", "T")],
        infer_extraction,
        extract,
    )
    .learnt(),
    Operator::new("TreeEnsemble", 5, &[input("X", "T", IEEE)], &[like("Y", "T")], infer_trees, trees)
        .with(&[
            attribute("aggregate_function", Fallback::Int(1)),
            attribute("leaf_targetids", Fallback::RequiredInts),
            attribute("leaf_weights", Fallback::RequiredTensor),
            attribute("membership_values", Fallback::NoTensor),
            attribute("n_targets", Fallback::Int(1)),
            attribute("nodes_falseleafs", Fallback::RequiredInts),
            attribute("nodes_falsenodeids", Fallback::RequiredInts),
            attribute("nodes_featureids", Fallback::RequiredInts),
            // How often nodes were reached in training; nothing depends on it.
            attribute("nodes_hitrates", Fallback::NoTensor),
            attribute("nodes_missing_value_tracks_true", Fallback::NoInts),
            attribute("nodes_modes", Fallback::RequiredTensor),
            attribute("nodes_splits", Fallback::RequiredTensor),
            attribute("nodes_trueleafs", Fallback::RequiredInts),
            attribute("nodes_truenodeids", Fallback::RequiredInts),
            attribute("post_transform", Fallback::Int(0)),
            attribute("tree_roots", Fallback::RequiredInts),
        ])
        .learnt(),
];

/// One offset and scale for all features, or one for each.
fn infer_scaler(context: &Inference<'_>) -> Shapes {
    let shape = at_least(context, 0, 1, "at least 1")?;
    for name in ["offset", "scale"] {
        let count = context.attributes.floats(name).map_or(1, <[_]>::len) as u64;
        if count != 1 && shape[shape.len() - 1].as_fixed().is_some_and(|features| features != count) {
            return Err(ShapeError::Value { name });
        }
    }
    unchanged(context)
}

fn scale(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let offsets = call.attributes.floats("offset").unwrap_or(&[0.0]);
    let scales = call.attributes.floats("scale").unwrap_or(&[1.0]);
    let features = x.shape()[x.rank() - 1];
    if [offsets.len(), scales.len()].iter().any(|count| *count != 1 && *count != features) {
        return Err(Fault::Input("X"));
    }
    let made = x.floats().into_iter().enumerate().map(|(at, x)| {
        let own = |values: &[f32]| f64::from(values[at % features % values.len()]);
        (x - own(offsets)) * own(scales)
    });
    one(call.floats(made.collect::<Vec<_>>()))
}

fn infer_extraction(context: &Inference<'_>) -> Shapes {
    let shape = at_least(context, 0, 1, "at least 1")?;
    let chosen = context.shape(1)?;
    let count = crate::ops::extent::product(chosen).ok_or(ShapeError::Size)?;
    let mut made = if shape.len() == 1 { vec![Extent::ONE] } else { shape[..shape.len() - 1].to_vec() };
    made.push(count);
    Ok(vec![made])
}

/// Chosen elements of the last dimension.
fn extract(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let features = x.shape()[x.rank() - 1];
    let chosen = call.places(1).unwrap_or_default();
    let chosen = chosen.into_iter().map(|at| usize::try_from(at).ok().filter(|at| *at < features).ok_or(Fault::Index));
    let chosen: Vec<_> = chosen.collect::<Result<_, _>>()?;
    let rows: usize = call.shape()[..call.shape().len() - 1].iter().product();
    let places = (0..rows).flat_map(|row| chosen.iter().map(move |at| row * features + at));
    one(x.pick(call.shape().to_vec(), places))
}

/// Trees whose every index was compared with what it points into.
struct Trees<'a> {
    roots: &'a [i64],
    features: &'a [i64],
    modes: Vec<i128>,
    splits: Vec<f64>,
    tracks_missing: Option<&'a [i64]>,
    /// Index and whether it is that of a leaf, for a comparison that fails and one that holds.
    branches: [(&'a [i64], &'a [i64]); 2],
    targets: &'a [i64],
    weights: Vec<f64>,
    /// Of each node that asks for membership, the members.
    members: Vec<Vec<f64>>,
    target_count: usize,
}

impl<'a> Trees<'a> {
    /// `None` when lists differ in length or an index points outside.
    fn read(attributes: &Attributes<'a>) -> Option<Self> {
        let ints = |name: &str| attributes.ints(name);
        let numbers = |name: &str| attributes.tensor(name).map(|tensor: &Tensor| Array::of_tensor(tensor));
        let modes = numbers("nodes_modes")?.ints();
        let (splits, weights) = (numbers("nodes_splits")?.floats(), numbers("leaf_weights")?.floats());
        let tracks_missing = ints("nodes_missing_value_tracks_true");
        let branches = [
            (ints("nodes_falsenodeids")?, ints("nodes_falseleafs")?),
            (ints("nodes_truenodeids")?, ints("nodes_trueleafs")?),
        ];
        let (roots, features, targets) = (ints("tree_roots")?, ints("nodes_featureids")?, ints("leaf_targetids")?);
        let target_count = usize::try_from(attributes.int("n_targets")).ok()?;
        let nodes = modes.len();
        let is_below = |at: &i64, most: usize| usize::try_from(*at).is_ok_and(|at| at < most);
        let mut lengths = vec![splits.len(), features.len(), tracks_missing.map_or(nodes, <[_]>::len)];
        lengths.extend(branches.iter().flat_map(|(ids, leafs)| [ids.len(), leafs.len()]));
        let points = |(ids, leafs): &(&[i64], &[i64])| {
            ids.iter().zip(*leafs).all(|(id, leaf)| is_below(id, if *leaf == 0 { nodes } else { weights.len() }))
        };
        let is_sound = lengths.iter().all(|length| *length == nodes)
            && targets.len() == weights.len()
            && branches.iter().all(points)
            && roots.iter().all(|root| is_below(root, nodes))
            && targets.iter().all(|target| is_below(target, target_count))
            && modes.iter().all(|mode| (0..=6).contains(mode));
        let mut members = vec![Vec::new(); nodes];
        let mut listed = numbers("membership_values").map(|values| values.floats()).unwrap_or_default().into_iter();
        for (mode, own) in modes.iter().zip(&mut members).filter(|(mode, _)| **mode == 6) {
            debug_assert_eq!(*mode, 6, "only these ask for membership");
            own.extend(listed.by_ref().take_while(|value| !value.is_nan()));
        }
        is_sound.then_some(Self {
            roots,
            features,
            modes,
            splits,
            tracks_missing,
            branches,
            targets,
            weights,
            members,
            target_count,
        })
    }

    /// The leaf that a row comes to; a tree in which it goes round is refused.
    fn leaf(&self, root: i64, row: &[f64]) -> Result<usize, Fault> {
        let mut node = root as usize;
        for _ in 0..=self.modes.len() {
            let x = *usize::try_from(self.features[node]).ok().and_then(|at| row.get(at)).ok_or(Fault::Index)?;
            let split = self.splits[node];
            let holds = match self.modes[node] {
                0 => x <= split,
                1 => x < split,
                2 => x >= split,
                3 => x > split,
                4 => x == split,
                5 => x != split,
                _ => self.members[node].contains(&x),
            };
            let holds = holds || (x.is_nan() && self.tracks_missing.is_some_and(|tracks| tracks[node] != 0));
            let (ids, leafs) = self.branches[usize::from(holds)];
            if leafs[node] != 0 {
                return Ok(ids[node] as usize);
            }
            node = ids[node] as usize;
        }
        Err(Fault::Iterations)
    }
}

fn infer_trees(context: &Inference<'_>) -> Shapes {
    let shape = ranked(context, 0, 2, "2 (rows, features)")?;
    let trees = Trees::read(&context.attributes).ok_or(ShapeError::Value { name: "nodes_modes" })?;
    if !(0..=3).contains(&context.attributes.int("aggregate_function")) {
        return Err(ShapeError::Value { name: "aggregate_function" });
    }
    if !(0..=2).contains(&context.attributes.int("post_transform")) {
        return Err(ShapeError::Value { name: "post_transform" });
    }
    Ok(vec![vec![shape[0].clone(), Extent::counted(trees.target_count)]])
}

/// What the leaves of all trees say of each target: their mean, sum, least or most.
fn trees(call: &Call<'_>) -> Outcome {
    let x = call.input(0);
    let trees = Trees::read(&call.attributes).ok_or(Fault::Input("X"))?;
    let aggregate = call.attributes.int("aggregate_function");
    let start = match aggregate {
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        _ => 0.0,
    };
    let features = x.shape()[1];
    let values = x.floats();
    let mut made = Vec::with_capacity(call.shape().iter().product());
    for row in 0..x.shape()[0] {
        let mut scores = vec![start; trees.target_count];
        for root in trees.roots {
            let leaf = trees.leaf(*root, &values[row * features..(row + 1) * features])?;
            let (score, weight) = (&mut scores[trees.targets[leaf] as usize], trees.weights[leaf]);
            *score = match aggregate {
                0 => *score + weight / trees.roots.len() as f64,
                1 => *score + weight,
                2 => score.min(weight),
                _ => score.max(weight),
            };
        }
        match call.attributes.int("post_transform") {
            1 => softmax(&mut scores),
            2 => scores.iter_mut().for_each(|score| *score = sigmoid(*score)),
            _ => {}
        }
        made.extend(scores);
    }
    one(call.floats(made))
}
