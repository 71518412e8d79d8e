//! Host kernels make what plain kernels make, for whatever they say that they fit.

use super::application::{Case, floats};
use crate::{
    array::Array,
    exec::{Engine, Isa},
    tensor::{DType, Tensor},
};

/// A small generator, so that a failure is the same again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // P. L'Ecuyer, "Tables of linear congruential generators", 1999: modulus 2⁶⁴.
        self.0 = self.0.wrapping_mul(3_935_559_000_370_003_845).wrapping_add(2_691_343_689_449_507_681);
        (self.0 >> 33) % bound
    }

    /// Mostly small numbers, with what is special among them.
    fn number(&mut self) -> f32 {
        match self.below(40) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => -0.0,
            4 => 1e-40,
            _ => self.below(2_001) as f32 / 500.0 - 2.0,
        }
    }

    fn shape(&mut self, rank: u64) -> Vec<u64> {
        // Empty tensors are rare, or nothing else would be seen.
        (0..rank).map(|_| if self.below(25) == 0 { 0 } else { 1 + self.below(5) }).collect()
    }

    fn tensor(&mut self, shape: &[u64], is_special: bool) -> Tensor {
        let count: u64 = shape.iter().product();
        let number =
            |random: &mut Self| if is_special { random.number() } else { random.below(2_001) as f32 / 500.0 - 2.0 };
        let values: Vec<_> = (0..count).map(|_| number(self)).collect();
        floats(shape, &values)
    }

    fn bytes(&mut self, dtype: DType, shape: &[u64]) -> Tensor {
        let count: u64 = shape.iter().product();
        let values: Vec<_> = (0..count).map(|_| i128::from(self.below(256))).collect();
        Array::of_ints(dtype, shape.iter().map(|extent| *extent as usize).collect(), values).to_tensor()
    }
}

/// Compares what every instruction set makes with the plain kernel.
fn same(case: &Case, seed: u64) {
    let plain = case.run_plainly();
    for isa in Isa::all() {
        let made = case.run_with(Engine::Host(isa));
        assert_eq!((made.dtype(), made.shape()), (plain.dtype(), plain.shape()), "{} of seed {seed}", case.op);
        let (made, plain) = (Array::of_tensor(&made).floats(), Array::of_tensor(&plain).floats());
        let is_near =
            |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 2e-5 * b.abs().max(1.0);
        let apart = made.iter().zip(&plain).find(|(made, plain)| !is_near((made, plain)));
        assert_eq!(apart, None, "{} of seed {seed} with {isa:?}: {made:?} and plainly {plain:?}", case.op);
    }
}

const SEEDS: u64 = 60;

fn each(test: impl Fn(&mut Random) -> Option<Case>) {
    for seed in 0..SEEDS {
        if let Some(case) = test(&mut Random(seed.wrapping_mul(7_919).wrapping_add(1))) {
            same(&case, seed);
        }
    }
}

#[test]
fn functions_of_one_and_two_elements() {
    for op in [
        "Relu",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Exp",
        "Sqrt",
        "Reciprocal",
        "Neg",
        "Abs",
        "Gelu",
        "HardSwish",
        "LeakyRelu",
        "HardSigmoid",
        "Clip",
    ] {
        each(|random| {
            let rank = random.below(4);
            let shape = random.shape(rank);
            Some(Case::on(op, &random.tensor(&shape, true)))
        });
    }
    for op in ["Add", "Sub", "Mul", "Div"] {
        each(|random| {
            let rank = random.below(4);
            let whole = random.shape(rank);
            let spread = |random: &mut Random| {
                let kept =
                    whole.iter().map(|extent| if random.below(3) == 0 { 1 } else { *extent }).collect::<Vec<_>>();
                kept[random.below(rank + 1) as usize..].to_vec()
            };
            let shapes = [spread(random), spread(random)];
            Some(Case::new(op, &shapes.map(|shape| random.tensor(&shape, true))))
        });
    }
}

#[test]
fn products() {
    each(|random| {
        let [rows, inner, columns] = [0; 3].map(|_| 1 + random.below(9));
        let batch = random.shape(2);
        let outer = |random: &mut Random, own: &[u64]| {
            let kept: Vec<_> = batch.iter().map(|extent| if random.below(3) == 0 { 1 } else { *extent }).collect();
            [&kept[random.below(3) as usize..], own].concat()
        };
        let left = if random.below(6) == 0 { vec![inner] } else { outer(random, &[rows, inner]) };
        let right = outer(random, &[inner, columns]);
        Some(Case::new("MatMul", &[random.tensor(&left, false), random.tensor(&right, false)]))
    });
    each(|random| {
        let [rows, inner, columns] = [0; 3].map(|_| random.below(9));
        let (left, right) = (random.below(4) == 0, random.below(2) == 0);
        let a = if left { [inner, rows] } else { [rows, inner] };
        let b = if right { [columns, inner] } else { [inner, columns] };
        let mut inputs = vec![random.tensor(&a, false), random.tensor(&b, false)];
        let c = [vec![], vec![columns], vec![1, columns], vec![rows, 1], vec![rows, columns]];
        if let Some(shape) = c.get(random.below(6) as usize) {
            inputs.push(random.tensor(shape, false));
        }
        let case = Case::new("Gemm", &inputs).int("transA", i64::from(left)).int("transB", i64::from(right));
        Some(case.float("alpha", 0.5).float("beta", if random.below(2) == 0 { 1.0 } else { 0.25 }))
    });
    each(|random| {
        let [rows, inner, columns] = [1 + random.below(5), random.below(600), 1 + random.below(40)];
        let types = [DType::U8, DType::I8];
        let [a, b] = [0; 2].map(|_| types[random.below(2) as usize]);
        let given = [random.bytes(a, &[rows, inner]), random.bytes(b, &[inner, columns])];
        let per_column = [vec![], vec![columns]];
        let per_column = &per_column[random.below(2) as usize];
        let points = [random.bytes(a, &[]), random.bytes(b, per_column)];
        Some(Case::new("MatMulInteger", &[given, points].concat()))
    });
}

#[test]
fn windows() {
    each(|random| {
        let group = 1 + random.below(3);
        let (channels, features) = (1 + random.below(3), 1 + random.below(3));
        let kernel = [1 + random.below(3), 1 + random.below(3)];
        let x = [1 + random.below(2), group * channels, 3 + random.below(6), 3 + random.below(6)];
        let w = [group * features, channels, kernel[0], kernel[1]];
        let inputs = [random.tensor(&x, false), random.tensor(&w, false), random.tensor(&w[..1], false)];
        let pads = [0; 4].map(|_| random.below(3) as i64);
        let case = Case::new("Conv", &inputs[..2 + random.below(2) as usize]).int("group", group as i64);
        let strides = [0; 2].map(|_| 1 + random.below(3) as i64);
        Some(match random.below(4) {
            0 => case.text("auto_pad", "SAME_UPPER").ints("strides", &strides),
            1 => case.text("auto_pad", "SAME_LOWER"),
            _ => {
                case.ints("pads", &pads).ints("strides", &strides).ints("dilations", &[1, 1 + i64::from(kernel[1] < 3)])
            }
        })
    });
    for op in ["MaxPool", "AveragePool"] {
        each(|random| {
            let kernel = [1 + random.below(3) as i64, 1 + random.below(3) as i64];
            let x = [random.below(3), 1 + random.below(3), 4 + random.below(5), 4 + random.below(5)];
            let pads = [0; 4].map(|at: usize| random.below(kernel[at % 2] as u64) as i64);
            let case = Case::on(op, &random.tensor(&x, op == "MaxPool")).ints("kernel_shape", &kernel);
            let case = if op == "AveragePool" { case.int("count_include_pad", random.below(2) as i64) } else { case };
            let strides = [0; 2].map(|_| 1 + random.below(3) as i64);
            Some(case.ints("pads", &pads).ints("strides", &strides).int("ceil_mode", i64::from(random.below(4) == 0)))
        });
    }
    each(|random| {
        let x = [random.below(3), 1 + random.below(3), 1 + random.below(6), 1 + random.below(6)];
        Some(Case::on("GlobalAveragePool", &random.tensor(&x, true)))
    });
}

#[test]
fn normalisations_and_reductions() {
    each(|random| {
        let rank = 1 + random.below(3);
        let shape = random.shape(rank);
        Some(
            Case::on("Softmax", &random.tensor(&shape, true))
                .int("axis", random.below(rank) as i64 - i64::from(random.below(2) == 0) * rank as i64),
        )
    });
    each(|random| {
        let rank = 1 + random.below(3);
        let shape = random.shape(rank);
        let axis = random.below(rank);
        let own = &shape[axis as usize..];
        let scale = if random.below(8) == 0 { 1e20 } else { 1.0 };
        let x = random.tensor(&shape, false).to_f32().unwrap().iter().map(|x| x * scale).collect::<Vec<_>>();
        let inputs = [floats(&shape, &x), random.tensor(own, false), random.tensor(own, false)];
        Some(Case::new("LayerNormalization", &inputs[..2 + random.below(2) as usize]).int("axis", axis as i64))
    });
    for op in ["ReduceMean", "ReduceSum"] {
        each(|random| {
            let rank = 1 + random.below(3);
            let shape = random.shape(rank);
            let axes: Vec<_> = (0..rank as i64).filter(|_| random.below(2) == 0).collect();
            let axes = Tensor::from_i64(vec![axes.len() as u64], &axes).unwrap();
            let huge = if random.below(8) == 0 { 1e38 } else { 1.0 };
            let x = random.tensor(&shape, false).to_f32().unwrap().iter().map(|x| x.abs() * huge).collect::<Vec<_>>();
            Some(Case::new(op, &[floats(&shape, &x), axes]).int("keepdims", random.below(2) as i64))
        });
    }
}

#[test]
fn windows_see_padding_alone() {
    let filters = floats(&[2, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    for channels in [1, 2] {
        let inputs = [floats(&[1, channels, 0, 3], &[]), filters.clone(), floats(&[2], &[0.5, -0.5])];
        same(&Case::new("Conv", &inputs).int("group", channels as i64).ints("pads", &[1, 1, 1, 1]), 0);
    }
}

#[test]
fn nothing_is_moved_as_it_is_told() {
    for (shape, order) in [([2, 3, 0], [1, 0, 2]), ([0, 0, 0], [0, 1, 2]), ([2, 0, 3], [2, 0, 1])] {
        same(&Case::on("Transpose", &floats(&shape, &[])).ints("perm", &order), 0);
    }
}

#[test]
fn layout_and_quantisation() {
    each(|random| {
        let rank = 1 + random.below(4);
        let shape = random.shape(rank);
        let mut order: Vec<_> = (0..rank as i64).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at as u64 + 1) as usize);
        }
        let types = [DType::F32, DType::I64, DType::U8, DType::F16, DType::Bool];
        let dtype = types[random.below(5) as usize];
        let count = shape.iter().product::<u64>();
        let values: Vec<_> = (0..count).map(|_| i128::from(random.below(2))).collect();
        let x = Array::of_ints(dtype, shape.iter().map(|extent| *extent as usize).collect(), values).to_tensor();
        Some(Case::on("Transpose", &x).ints("perm", &order))
    });
    each(|random| {
        let rank = 1 + random.below(3);
        let shape = random.shape(rank);
        let axis = random.below(rank) as usize;
        let parts: Vec<_> = (0..1 + random.below(4))
            .map(|_| {
                let mut own = shape.clone();
                own[axis] = random.below(4);
                random.tensor(&own, true)
            })
            .collect();
        Some(Case::new("Concat", &parts).int("axis", axis as i64 - i64::from(random.below(2) == 0) * rank as i64))
    });
    for (op, from) in [("QuantizeLinear", None), ("DequantizeLinear", Some(()))] {
        each(|random| {
            let rank = 1 + random.below(3);
            let shape = random.shape(rank);
            let axis = random.below(rank) as usize;
            let dtype = [DType::U8, DType::I8][random.below(2) as usize];
            let scales = if random.below(2) == 0 { vec![] } else { vec![shape[axis]] };
            let scale: Vec<_> =
                (0..scales.iter().product::<u64>()).map(|_| 0.01 + random.below(50) as f32 / 100.0).collect();
            let x = if from.is_some() { random.bytes(dtype, &shape) } else { random.tensor(&shape, true) };
            let inputs = [x, floats(&scales, &scale), random.bytes(dtype, &scales)];
            Some(Case::new(op, &inputs).int("axis", axis as i64))
        });
    }
}
