use super::application::{Case, floats, ints, range};
use crate::{ir::Attribute, tensor::Tensor};

/// What each case must make; floats within 1e-5 of the magnitude.
fn cases() -> Vec<(Case, Tensor)> {
    [activations(), arithmetic(), matrices(), windows(), layouts(), earlier()].into_iter().flatten().collect()
}

#[test]
fn every_operator_makes_what_its_documentation_says() {
    for (case, expected) in cases() {
        check(&case, &case.run(), &expected);
    }
}

#[test]
fn plain_kernels_make_the_same() {
    for (case, expected) in cases() {
        check(&case, &case.run_plainly(), &expected);
    }
}

fn check(case: &Case, made: &Tensor, expected: &Tensor) {
    assert_eq!((made.dtype(), made.shape()), (expected.dtype(), expected.shape()), "{}", case.op);
    match (made.to_f32(), expected.to_f32()) {
        (Ok(made), Ok(expected)) => {
            let close = |(made, expected): (&f32, &f32)| (made - expected).abs() <= 1e-5 * expected.abs().max(1.0);
            assert!(made.iter().zip(&expected).all(close), "{}: {made:?} is not {expected:?}", case.op);
        }
        _ => assert_eq!(made, expected, "{}", case.op),
    }
}

#[test]
fn every_backend_kernel_has_a_case() {
    let covered: std::collections::BTreeSet<_> = cases().iter().map(|(case, _)| case.op).collect();
    for operator in crate::ops::table::all() {
        let has_kernel = crate::ops::backend::kernel::<burn::backend::Flex>(operator).is_some();
        assert!(!has_kernel || covered.contains(operator.name), "{}", operator.name);
    }
}

fn activations() -> Vec<(Case, Tensor)> {
    let x = floats(&[3], &[-1.0, 0.0, 1.0]);
    let rows = floats(&[2, 4], &[0.0, 1.0, 2.0, 3.0, 10000.0, 10001.0, 10002.0, 10003.0]);
    let spread = [0.032058604, 0.08714432, 0.23688284, 0.6439143];
    let bounds = |min: f32, max: f32| [x.clone(), floats(&[], &[min]), floats(&[1], &[max])];
    vec![
        (Case::on("Relu", &x), floats(&[3], &[0.0, 0.0, 1.0])),
        (Case::on("Sigmoid", &x), floats(&[3], &[0.26894143, 0.5, 0.7310586])),
        (Case::on("Tanh", &x), floats(&[3], &[-0.7615942, 0.0, 0.7615942])),
        (Case::on("Softmax", &x), floats(&[3], &[0.09003058, 0.24472848, 0.66524094])),
        (Case::on("Softmax", &rows), floats(&[2, 4], &[spread, spread].concat())),
        (Case::new("Softmax", &[floats(&[2, 1], &[0.5, 0.5])]).int("axis", 0), floats(&[2, 1], &[0.5, 0.5])),
        (Case::on("LogSoftmax", &x), floats(&[3], &[-2.4076061, -1.407606, -0.407606])),
        (Case::new("Clip", &bounds(-0.5, 0.25)), floats(&[3], &[-0.5, 0.0, 0.25])),
        (Case::new("Clip", &bounds(2.0, 0.5)), floats(&[3], &[0.5, 0.5, 0.5])),
        (Case { inputs: vec![Some(x.clone()), None, Some(floats(&[], &[0.0]))], ..Case::new("Clip", &[]) }, {
            floats(&[3], &[-1.0, 0.0, 0.0])
        }),
        (Case::new("Identity", &[ints(&[2], &[7, -7])]), ints(&[2], &[7, -7])),
        (Case::new("Identity", &[Tensor::from_bool(vec![2], &[true, false]).unwrap()]), {
            Tensor::from_bool(vec![2], &[true, false]).unwrap()
        }),
        (Case::on("Dropout", &x), x),
    ]
}

fn arithmetic() -> Vec<(Case, Tensor)> {
    let column = floats(&[2, 1], &[8.0, 4.0]);
    let row = floats(&[3], &[1.0, 2.0, 4.0]);
    let pair = [column, row];
    let whole = [ints(&[2], &[5, -5]), ints(&[], &[3])];
    vec![
        (Case::new("Add", &pair), floats(&[2, 3], &[9.0, 10.0, 12.0, 5.0, 6.0, 8.0])),
        (Case::new("Sub", &pair), floats(&[2, 3], &[7.0, 6.0, 4.0, 3.0, 2.0, 0.0])),
        (Case::new("Mul", &pair), floats(&[2, 3], &[8.0, 16.0, 32.0, 4.0, 8.0, 16.0])),
        (Case::new("Div", &pair), floats(&[2, 3], &[8.0, 4.0, 2.0, 4.0, 2.0, 1.0])),
        (Case::new("Add", &whole), ints(&[2], &[8, -2])),
        (Case::new("Sub", &whole), ints(&[2], &[2, -8])),
        (Case::new("Mul", &whole), ints(&[2], &[15, -15])),
        (Case::new("Cast", &[floats(&[3], &[1.9, -1.9, 2.0])]).int("to", 7), ints(&[3], &[1, -1, 2])),
        (Case::new("Cast", &[ints(&[2], &[3, -4])]).int("to", 1), floats(&[2], &[3.0, -4.0])),
        (Case::new("ArgMax", &[floats(&[2, 3], &[1.0, 5.0, 5.0, 7.0, 0.0, 2.0])]).int("axis", -1), {
            ints(&[2, 1], &[1, 0])
        }),
        (Case::new("ArgMax", &[floats(&[2, 3], &[1.0, 5.0, 4.0, 7.0, 0.0, 4.5])]).int("keepdims", 0), {
            ints(&[3], &[1, 0, 1])
        }),
        (
            Case::new(
                "BatchNormalization",
                &[
                    floats(&[1, 2, 1, 3], &[-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]),
                    floats(&[2], &[1.0, 1.5]),
                    floats(&[2], &[0.0, 1.0]),
                    floats(&[2], &[0.0, 3.0]),
                    floats(&[2], &[1.0, 1.5]),
                ],
            ),
            floats(&[1, 2, 1, 3], &[-0.999995, 0.0, 0.999995, -0.22474074, 1.0, 2.2247407]),
        ),
    ]
}

#[test]
fn training_statistics_are_those_of_the_batch() {
    let one = floats(&[1], &[1.0]);
    let zero = floats(&[1], &[0.0]);
    let inputs = [floats(&[2, 1], &[10.0, 14.0]), one.clone(), zero.clone(), zero, one];
    let made = Case::new("BatchNormalization", &inputs).int("training_mode", 1).float("epsilon", 0.0).run();
    assert_eq!(made, floats(&[2, 1], &[-1.0, 1.0]));
}

fn matrices() -> Vec<(Case, Tensor)> {
    let a = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = floats(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let bias = floats(&[2], &[10.0, 20.0]);
    let product = floats(&[2, 2], &[4.0, 5.0, 10.0, 11.0]);
    let batch = range(&[2, 1, 2], 1);
    vec![
        (Case::new("Gemm", &[a.clone(), b.clone()]), product.clone()),
        (Case::new("Gemm", &[a.clone(), b.clone(), bias.clone()]), floats(&[2, 2], &[14.0, 25.0, 20.0, 31.0])),
        (Case::new("Gemm", &[a.clone(), b.clone(), bias]).float("alpha", 2.0).float("beta", 0.5), {
            floats(&[2, 2], &[13.0, 20.0, 25.0, 32.0])
        }),
        (Case::new("Gemm", &[range(&[3, 2], 1), range(&[4, 3], 0)]).int("transA", 1).int("transB", 1), {
            // [[1,3,5],[2,4,6]] times the transpose of [[0,1,2],[3,4,5],[6,7,8],[9,10,11]].
            floats(&[2, 4], &[13.0, 40.0, 67.0, 94.0, 16.0, 52.0, 88.0, 124.0])
        }),
        (Case::new("MatMul", &[a.clone(), b.clone()]), product),
        (Case::new("MatMul", &[floats(&[3], &[1.0, 2.0, 3.0]), b]), floats(&[2], &[4.0, 5.0])),
        (Case::new("MatMul", &[a, floats(&[3], &[1.0, 0.0, 1.0])]), floats(&[2], &[4.0, 10.0])),
        (Case::new("MatMul", &[batch, range(&[3, 1, 2, 1], 1)]), {
            // Batches of 2 and 3 × 1 broadcast to 3 × 2.
            floats(&[3, 2, 1, 1], &[5.0, 11.0, 11.0, 25.0, 17.0, 39.0])
        }),
        (Case::new("MatMul", &[floats(&[2], &[1.0, 2.0]), floats(&[2], &[3.0, 4.0])]), floats(&[], &[11.0])),
    ]
}

fn windows() -> Vec<(Case, Tensor)> {
    let ones = |shape: &[u64]| floats(shape, &vec![1.0; usize::try_from(shape.iter().product::<u64>()).unwrap()]);
    let five = range(&[1, 1, 5, 5], 0);
    let from_one = range(&[1, 1, 5, 5], 1);
    let conv = |x: Tensor, w: Tensor| Case::new("Conv", &[x, w]);
    vec![
        (conv(five.clone(), ones(&[1, 1, 3, 3])).ints("pads", &[1, 1, 1, 1]), {
            let rows = [12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144, 153, 162, 111, 72];
            let rows = rows.into_iter().chain([111, 117, 123, 84]).map(|value: u8| f32::from(value));
            floats(&[1, 1, 5, 5], &rows.collect::<Vec<_>>())
        }),
        (conv(five.clone(), ones(&[1, 1, 3, 3])).ints("kernel_shape", &[3, 3]), {
            floats(&[1, 1, 3, 3], &[54.0, 63.0, 72.0, 99.0, 108.0, 117.0, 144.0, 153.0, 162.0])
        }),
        (conv(range(&[1, 1, 7, 5], 0), ones(&[1, 1, 3, 3])).ints("pads", &[1, 0, 1, 0]).ints("strides", &[2, 2]), {
            floats(&[1, 1, 4, 2], &[21.0, 33.0, 99.0, 117.0, 189.0, 207.0, 171.0, 183.0])
        }),
        (conv(range(&[1, 1, 2, 2], 1), ones(&[1, 1, 2, 2])).ints("pads", &[1, 0, 0, 1]), {
            // A row of zeros above and a column of zeros behind.
            floats(&[1, 1, 2, 2], &[3.0, 2.0, 10.0, 6.0])
        }),
        (conv(five, ones(&[1, 1, 2, 2])).ints("dilations", &[3, 3]), {
            floats(&[1, 1, 2, 2], &[36.0, 40.0, 56.0, 60.0])
        }),
        (
            Case::new("Conv", &[range(&[1, 2, 1, 2], 1), range(&[2, 1, 1, 2], 1), floats(&[2], &[100.0, 200.0])])
                .int("group", 2),
            // Each group sees one channel: 1·1 + 2·2 and 3·3 + 4·4.
            floats(&[1, 2, 1, 1], &[105.0, 225.0]),
        ),
        (Case::on("MaxPool", &from_one).ints("kernel_shape", &[2, 2]).ints("strides", &[2, 2]), {
            floats(&[1, 1, 2, 2], &[7.0, 9.0, 17.0, 19.0])
        }),
        (Case::new("MaxPool", &[range(&[1, 1, 4, 4], 1)]).ints("kernel_shape", &[2, 2]).ints("dilations", &[2, 2]), {
            floats(&[1, 1, 2, 2], &[11.0, 12.0, 15.0, 16.0])
        }),
        (Case::new("MaxPool", &[floats(&[1, 1, 1, 2], &[-3.0, -2.0])]).ints("kernel_shape", &[1, 2]), {
            floats(&[1, 1, 1, 1], &[-2.0])
        }),
        (
            Case::new("MaxPool", &[floats(&[1, 1, 1, 2], &[-3.0, -2.0])])
                .ints("kernel_shape", &[1, 2])
                .ints("pads", &[0, 1, 0, 1]),
            // Padding never wins, not even over negative elements.
            floats(&[1, 1, 1, 3], &[-3.0, -2.0, -2.0]),
        ),
        (Case::on("AveragePool", &from_one).ints("kernel_shape", &[2, 2]).ints("strides", &[2, 2]), {
            floats(&[1, 1, 2, 2], &[4.0, 6.0, 14.0, 16.0])
        }),
        (
            Case::new("AveragePool", &[range(&[1, 1, 1, 3], 1)])
                .ints("kernel_shape", &[1, 3])
                .ints("pads", &[0, 1, 0, 1]),
            floats(&[1, 1, 1, 3], &[1.5, 2.0, 2.5]),
        ),
        (
            Case::new("AveragePool", &[range(&[1, 1, 1, 3], 1)])
                .ints("kernel_shape", &[1, 3])
                .ints("pads", &[0, 1, 0, 1])
                .int("count_include_pad", 1),
            floats(&[1, 1, 1, 3], &[1.0, 2.0, 5.0 / 3.0]),
        ),
        (Case::new("GlobalAveragePool", &[range(&[1, 2, 2, 2], 1)]), floats(&[1, 2, 1, 1], &[2.5, 6.5])),
    ]
}

fn layouts() -> Vec<(Case, Tensor)> {
    let cube = range(&[2, 3, 4], 0);
    let matrix = range(&[2, 3], 1);
    let reshape = |shape: &[i64]| Case::new("Reshape", &[cube.clone(), ints(&[shape.len() as u64], shape)]);
    vec![
        (Case::on("Flatten", &cube), range(&[2, 12], 0)),
        (Case::on("Flatten", &cube).int("axis", 0), range(&[1, 24], 0)),
        (Case::on("Flatten", &cube).int("axis", -1), range(&[6, 4], 0)),
        (Case::on("Flatten", &cube).int("axis", 3), range(&[24, 1], 0)),
        (reshape(&[0, -1]), range(&[2, 12], 0)),
        (reshape(&[4, 2, 3]), range(&[4, 2, 3], 0)),
        (reshape(&[-1]), range(&[24], 0)),
        (Case::on("Transpose", &matrix), floats(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])),
        (Case::new("Transpose", &[range(&[1, 2, 2], 1)]).ints("perm", &[2, 0, 1]), {
            floats(&[2, 1, 2], &[1.0, 3.0, 2.0, 4.0])
        }),
        (Case::new("Concat", &[matrix.clone(), range(&[2, 1], 7)]).int("axis", 1), {
            floats(&[2, 4], &[1.0, 2.0, 3.0, 7.0, 4.0, 5.0, 6.0, 8.0])
        }),
        (Case::new("Concat", &[ints(&[1], &[1]), ints(&[2], &[2, 3]), ints(&[1], &[4])]).int("axis", -1), {
            ints(&[4], &[1, 2, 3, 4])
        }),
    ]
}

/// Operators as they were before their attributes became inputs, or their axis one axis.
fn earlier() -> Vec<(Case, Tensor)> {
    let cube = floats(&[1, 2, 2], &[0.0, 0.0, 0.0, 0.0]);
    let largest = floats(&[1, 2, 2], &[1.0, 3.0, 3.0, 2.0]);
    let x = floats(&[3], &[-1.0, 0.0, 1.0]);
    let mut pad = Case::on("Pad", &x).at(2).ints("pads", &[1, 0]);
    pad.attributes.push(("value", Attribute::Float(9.0)));
    vec![
        (Case::on("Softmax", &cube).at(12), floats(&[1, 2, 2], &[0.25; 4])),
        (Case::on("LogSoftmax", &cube).at(12).int("axis", 2), floats(&[1, 2, 2], &[-std::f32::consts::LN_2; 4])),
        (Case::on("Hardmax", &largest).at(12), floats(&[1, 2, 2], &[0.0, 1.0, 0.0, 0.0])),
        (Case::on("Clip", &x).at(6).float("min", -0.5), floats(&[3], &[-0.5, 0.0, 1.0])),
        (Case::on("Slice", &x).at(9).ints("starts", &[-2]).ints("ends", &[100]), floats(&[2], &[0.0, 1.0])),
        (pad, floats(&[4], &[9.0, -1.0, 0.0, 1.0])),
    ]
}
