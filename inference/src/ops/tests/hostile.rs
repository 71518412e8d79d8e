//! Every operator of the table on inputs that nobody exports: empty, huge, not a number, out of
//! range. Whatever the shape function accepts the plain kernel must compute or refuse, and what it
//! makes must have the extents that the shape function said.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    array::Array,
    ir::{Attribute, NamedAttribute, ValueName},
    ops::{
        Attributes, Bindings, Call, Extent, Fact, Inference, Operator,
        attributes::{AttributeSpec, Fallback},
        table,
    },
    tensor::DType,
};

/// Applications of each entry; a failure names its seed.
const TRIES: u64 = 1000;
/// Larger results are not computed.
const ELEMENTS_MAX: u64 = 4096;

#[test]
fn no_kernel_panics_on_what_its_shape_function_accepts() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut complaints = Vec::new();
    let mut computed = BTreeMap::new();
    for operator in table::all().filter(|operator| operator.control.is_none()) {
        for seed in 0..TRIES {
            match catch_unwind(AssertUnwindSafe(|| attempt(operator, seed))) {
                Ok(Ok(made)) => *computed.entry(operator.name).or_insert(0) += u64::from(made),
                Ok(Err(wrong)) => complaints.push(format!("{} seed {seed}: {wrong}", operator.id())),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("silently");
                    complaints.push(format!("{} seed {seed} panics: {text}", operator.id()));
                }
            }
        }
    }
    std::panic::set_hook(quiet);
    assert!(
        complaints.is_empty(),
        "{} complaints, first {:#?}",
        complaints.len(),
        &complaints[..complaints.len().min(40)]
    );
    let idle: Vec<_> = computed.iter().filter(|(_, made)| **made == 0).map(|(name, _)| name).collect();
    assert!(idle.len() * 5 < computed.len(), "too many operators were never computed: {idle:?}");
}

/// Whether anything was computed, or what is wrong with it.
fn attempt(operator: &'static Operator, seed: u64) -> Result<bool, String> {
    let mut dice =
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ operator.name.len() as u64 ^ u64::from(operator.since));
    let attributes: Vec<_> = operator.attributes.iter().filter_map(|spec| dice.attribute(operator, spec)).collect();
    let Ok(attributes) = Attributes::check(operator.attributes, &attributes) else { return Ok(false) };
    let inputs = dice.inputs(operator);
    let facts: Vec<_> = inputs.iter().map(|array| array.clone().map(Fact::of_array)).collect();
    let asked = 1 + dice.below(operator.outputs.len() as u64) as usize;
    let inference = Inference { attributes, inputs: &facts, asked };
    let Ok(shapes) = (operator.infer)(&inference) else { return Ok(false) };
    let Ok(dtypes) = operator.dtypes(&inference, shapes.len()) else { return Ok(false) };
    let Some(outputs) = dtypes.into_iter().zip(&shapes).map(spec).collect::<Option<Vec<_>>>() else { return Ok(false) };
    let call = Call { attributes, inputs: &inputs, outputs: &outputs };
    let Ok(made) = (operator.kernel)(&call) else { return Ok(false) };
    if made.len() != outputs.len() {
        return Err(format!("{} outputs and not {}", made.len(), outputs.len()));
    }
    for ((array, (dtype, expected)), shape) in made.iter().zip(&outputs).zip(&shapes) {
        let fits = |((got, most), extent): ((&usize, &usize), &Extent)| match extent {
            Extent::AtMost(_) => got <= most,
            Extent::Product { .. } | Extent::Unknown => got == most,
        };
        let is_as_said = array.shape().iter().zip(expected).zip(shape).all(fits) && array.rank() == expected.len();
        if array.dtype() != *dtype || !is_as_said {
            return Err(format!("{} {:?} and not {dtype} {expected:?}", array.dtype(), array.shape()));
        }
    }
    Ok(true)
}

fn spec((dtype, shape): (DType, &Vec<Extent>)) -> Option<(DType, Vec<usize>)> {
    let extents: Vec<u64> = shape.iter().map(|extent| extent.evaluate(&Bindings::new())).collect::<Option<_>>()?;
    let grown = extents.iter().try_fold(1_u64, |all, extent| all.checked_mul((*extent).max(1)));
    grown.filter(|grown| *grown <= ELEMENTS_MAX)?;
    Some((dtype, extents.into_iter().map(|extent| extent as usize).collect()))
}

/// Numbers that look random and are the same each time (xorshift, G. Marsaglia, 2003).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        if most == 0 { 0 } else { (self.next() >> 8) % most }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn small(&mut self) -> i64 {
        self.below(7) as i64 - 3
    }

    fn attribute(&mut self, operator: &Operator, spec: &AttributeSpec) -> Option<NamedAttribute> {
        let is_required = spec.fallback.is_required();
        if !is_required && self.below(2) == 0 {
            return None;
        }
        let value = match spec.fallback {
            Fallback::Int(_) | Fallback::NoInt | Fallback::RequiredInt => {
                let types = DType::ALL.map(|dtype| i64::from(dtype.code()));
                Attribute::Int(if matches!(spec.name, "to" | "dtype") { self.pick(&types) } else { self.small() })
            }
            Fallback::Float(_) | Fallback::NoFloat => {
                Attribute::Float(self.pick(&[0.0, 1.0, -2.0, f32::MAX, f32::NAN]))
            }
            Fallback::NoFloats => Attribute::Floats((0..self.below(4)).map(|_| self.small() as f32).collect()),
            Fallback::NoInts | Fallback::RequiredInts => {
                Attribute::Ints((0..self.below(5)).map(|_| self.small()).collect())
            }
            Fallback::NoTexts => Attribute::Texts((0..self.below(4)).map(|_| ValueName("Tanh".into())).collect()),
            Fallback::Text(_) | Fallback::RequiredText => {
                Attribute::Text(self.pick(words(operator.name, spec.name)).into())
            }
            Fallback::NoTensor | Fallback::RequiredTensor => {
                Attribute::Tensor(self.array(self.0 as usize % 2, DType::I64).to_tensor())
            }
            Fallback::RequiredGraph => return None,
        };
        Some(NamedAttribute { name: spec.name.into(), value })
    }

    fn inputs(&mut self, operator: &Operator) -> Vec<Option<Arc<Array>>> {
        let count = operator.inputs.len() + if operator.variadic { self.below(3) as usize } else { 0 };
        let mut variables = BTreeMap::new();
        // Most often inputs look like each other, as operators want it.
        let shared = self.shape();
        let mut inputs = Vec::with_capacity(count);
        for position in 0..count {
            let Some(parameter) = operator.parameter(position) else { break };
            if parameter.is_optional && self.below(2) == 0 {
                inputs.push(None);
                continue;
            }
            let dtype = *variables.entry(parameter.variable).or_insert_with(|| self.pick(parameter.dtypes));
            let shape = match self.below(4) {
                0 => self.shape(),
                1 => vec![self.below(4) as usize],
                _ => shared.clone(),
            };
            let is_count = parameter.dtypes.iter().all(|dtype| matches!(dtype, DType::I64 | DType::I32));
            let shape = if is_count && self.below(2) == 0 { vec![shared.len()] } else { shape };
            inputs.push(Some(Arc::new(self.filled(shape, dtype))));
        }
        inputs
    }

    fn shape(&mut self) -> Vec<usize> {
        (0..self.below(6)).map(|_| self.below(4) as usize).collect()
    }

    fn array(&mut self, rank: usize, dtype: DType) -> Array {
        let shape = (0..rank).map(|_| self.below(4) as usize).collect();
        self.filled(shape, dtype)
    }

    fn filled(&mut self, shape: Vec<usize>, dtype: DType) -> Array {
        const WILD: [f64; 8] = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.5];
        let count: usize = shape.iter().product();
        if dtype.is_float() {
            let value = |dice: &mut Self| if dice.below(3) == 0 { dice.pick(&WILD) } else { dice.small() as f64 };
            let values: Vec<_> = (0..count).map(|_| value(self)).collect();
            return Array::of_floats(dtype, shape, values);
        }
        let is_wild = self.below(4) == 0;
        let wild = [i128::MIN, i128::MAX, i128::from(i64::MIN), i128::from(i64::MAX), i128::from(i32::MIN), 1 << 40];
        let value =
            |dice: &mut Self| if is_wild && dice.below(2) == 0 { dice.pick(&wild) } else { i128::from(dice.small()) };
        let values: Vec<_> = (0..count).map(|_| value(self)).collect();
        Array::of_ints(dtype, shape, values)
    }
}

/// Words that an attribute knows, and one that none does.
fn words(operator: &str, attribute: &str) -> &'static [&'static str] {
    match (operator, attribute) {
        ("Pad", "mode") => &["constant", "reflect", "edge", "wrap", "none"],
        ("Resize" | "Upsample", "mode") => &["nearest", "linear", "cubic"],
        ("GridSample", "mode") => &["linear", "bilinear", "nearest", "cubic", "bicubic"],
        ("DepthToSpace" | "SpaceToDepth", "mode") => &["DCR", "CRD"],
        ("TensorScatter", "mode") => &["linear", "circular"],
        ("RoiAlign", "mode") => &["avg", "max"],
        (_, "auto_pad") => &["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", "SAME"],
        (_, "padding_mode") => &["zeros", "border", "reflection"],
        ("RoiAlign", "coordinate_transformation_mode") => &["half_pixel", "output_half_pixel"],
        (_, "coordinate_transformation_mode") => &[
            "align_corners",
            "asymmetric",
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "tf_crop_and_resize",
        ],
        (_, "nearest_mode") => &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
        (_, "keep_aspect_ratio_policy") => &["stretch", "not_larger", "not_smaller"],
        ("BitShift", "direction") => &["LEFT", "RIGHT"],
        (_, "direction") => &["forward", "reverse", "bidirectional"],
        ("ScatterND" | "ScatterElements", "reduction") => &["none", "add", "mul", "max", "min"],
        (_, "reduction") => &["none", "mean", "sum"],
        (_, "equation") => &["ij,jk->ik", "...i->...", "ii->i", "i,i", "ij->ji", "ab,cd->abcd", "->", "i,"],
        (_, "update_rule") => &["linear", "gated", "delta", "gated_delta"],
        (_, "activation") => &["none", "silu"],
        (_, "approximate") => &["none", "tanh"],
        _ => &["up", "none"],
    }
}
