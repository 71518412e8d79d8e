//! `BF16`, computed with and rounded once, and types of eight bits or fewer, which are only stored.

use super::application::{Case, floats, ints};
use crate::{
    array::Array,
    tensor::{DType, Tensor},
};

fn of(dtype: DType, shape: &[usize], values: &[f64]) -> Tensor {
    Array::of_floats(dtype, shape.to_vec(), values.iter().copied()).to_tensor()
}

fn stored(dtype: DType, shape: &[u64], elements: &[u8]) -> Tensor {
    Tensor::of_unpacked(dtype, shape.to_vec(), elements.to_vec()).unwrap()
}

fn cast(input: &Tensor, to: DType) -> Case {
    Case::on("Cast", input).int("to", to.code().into())
}

#[test]
fn bf16_is_computed_with_many_digits_and_rounded_once() {
    let bf16 = |values: &[f64]| of(DType::BF16, &[values.len()], values);
    // 256 + 1 + 1 would stay 256 if each sum were rounded to eight bits.
    let sum = Case::on("ReduceSum", &bf16(&[256.0, 1.0, 1.0])).int("keepdims", 0);
    assert_eq!(sum.run(), of(DType::BF16, &[], &[258.0]));
    let row = of(DType::BF16, &[1, 3], &[256.0, 1.0, 1.0]);
    let product = Case::new("MatMul", &[row, of(DType::BF16, &[3, 1], &[1.0; 3])]);
    assert_eq!(product.run(), of(DType::BF16, &[1, 1], &[258.0]));
    // A tie goes to the even neighbour, a little more goes up.
    assert_eq!(Case::new("Add", &[bf16(&[256.0, 258.0]), bf16(&[1.0, 1.0])]).run(), bf16(&[256.0, 260.0]));
    assert_eq!(Case::new("Mul", &[bf16(&[3.0]), bf16(&[0.333_984_375])]).run(), bf16(&[1.0]));
    assert_eq!(Case::on("Exp", &bf16(&[1.0])).run(), bf16(&[std::f64::consts::E]));
    let compared = Case::new("Less", &[bf16(&[1.0, 2.0]), bf16(&[2.0, 1.0])]).run();
    assert_eq!(compared, Tensor::from_bool(vec![2], &[true, false]).unwrap());
}

#[test]
fn operators_for_which_bf16_is_not_specified_refuse_it() {
    for (op, inputs) in [("Shrink", 1), ("OneHot", 2)] {
        let input = of(DType::BF16, &[1], &[1.0]);
        let mut tensors = vec![input; inputs];
        tensors.resize(if op == "OneHot" { 3 } else { 1 }, floats(&[2], &[0.0, 1.0]));
        let refusal = Case::new(op, &tensors).refusal();
        assert!(refusal.ends_with("cannot be BF16 here"), "{op}: {refusal}");
    }
}

#[test]
fn floats_become_floats_of_eight_bits_and_back() {
    let x = floats(&[4], &[0.3, -1e6, f32::INFINITY, -0.0]);
    assert_eq!(cast(&x, DType::F8E4M3FN).run(), stored(DType::F8E4M3FN, &[4], &[0x2a, 0xfe, 0x7e, 0x80]));
    let open = cast(&x, DType::F8E5M2).int("saturate", 0);
    assert_eq!(open.run(), stored(DType::F8E5M2, &[4], &[0x35, 0xfc, 0x7c, 0x80]));
    let back = cast(&stored(DType::F8E4M3FN, &[3], &[0x2a, 0xfe, 0x01]), DType::F32);
    assert_eq!(back.run(), floats(&[3], &[0.3125, -448.0, 0.001_953_125]));
    let powers = |mode: &str| cast(&floats(&[2], &[1.5, 0.0]), DType::F8E8M0).text("round_mode", mode).run();
    assert_eq!(powers("up"), stored(DType::F8E8M0, &[2], &[128, 0]));
    assert_eq!(powers("down"), stored(DType::F8E8M0, &[2], &[127, 0]));
    let unknown = cast(&x, DType::F8E8M0).text("round_mode", "even");
    assert_eq!(unknown.refusal(), "`round_mode` has a value that is not supported");
}

#[test]
fn integers_of_four_bits_are_cast_by_their_lowest_bits() {
    let x = floats(&[5], &[-9.0, -8.0, 7.9, 8.0, -0.9]);
    assert_eq!(cast(&x, DType::I4).run(), stored(DType::I4, &[5], &[7, 8, 7, 8, 0]));
    assert_eq!(cast(&stored(DType::I4, &[3], &[7, 8, 15]), DType::I64).run(), ints(&[3], &[7, -8, -1]));
    assert_eq!(cast(&stored(DType::U2, &[3], &[3, 0, 2]), DType::F32).run(), floats(&[3], &[3.0, 0.0, 2.0]));
    let like = Case::new("CastLike", &[ints(&[2], &[5, -1]), stored(DType::U2, &[1], &[0])]);
    assert_eq!(like.run(), stored(DType::U2, &[2], &[1, 3]));
    let bits = Case::on("BitCast", &stored(DType::U4, &[2], &[15, 1])).int("to", DType::I4.code().into());
    assert_eq!(bits.run(), stored(DType::I4, &[2], &[15, 1]));
    let wider = Case::on("BitCast", &stored(DType::U4, &[2], &[15, 1])).int("to", DType::U8.code().into());
    assert_eq!(wider.refusal(), "`to` has a value that is not supported");
}

#[test]
fn weights_of_few_bits_are_restored_block_by_block() {
    // Two rows of five with a scale and zero point for each block of three.
    let x = stored(DType::U4, &[2, 5], &[0, 1, 2, 3, 4, 15, 14, 13, 12, 11]);
    let scale = floats(&[2, 2], &[1.0, 0.5, 2.0, 10.0]);
    let point = stored(DType::U4, &[2, 2], &[1, 3, 13, 12]);
    let restored = Case::new("DequantizeLinear", &[x.clone(), scale.clone(), point.clone()]);
    let expected = floats(&[2, 5], &[-1.0, 0.0, 1.0, 0.0, 0.5, 4.0, 2.0, 0.0, 0.0, -10.0]);
    assert_eq!(restored.int("block_size", 3).run(), expected);
    let quantised = Case::new("QuantizeLinear", &[expected, scale, point]).int("block_size", 3);
    assert_eq!(quantised.run(), x);
}

#[test]
fn quantising_to_few_bits_stops_at_their_bounds() {
    let x = floats(&[4], &[-100.0, 100.0, 2.5, 3.5]);
    let quantise = |dtype: DType| {
        Case::new("QuantizeLinear", &[x.clone(), floats(&[], &[1.0])]).int("output_dtype", dtype.code().into())
    };
    assert_eq!(quantise(DType::I4).run(), stored(DType::I4, &[4], &[8, 7, 2, 4]));
    assert_eq!(quantise(DType::U2).run(), stored(DType::U2, &[4], &[0, 3, 2, 3]));
    assert_eq!(quantise(DType::F4E2M1).run(), stored(DType::F4E2M1, &[4], &[0xf, 0x7, 0x4, 0x6]));
    let large = floats(&[2], &[1e4, -1.0]);
    let eight = |saturate| {
        let case =
            Case::new("QuantizeLinear", &[large.clone(), floats(&[], &[1.0]), stored(DType::F8E4M3FN, &[1], &[0])]);
        case.int("saturate", saturate).run()
    };
    assert_eq!(eight(1), stored(DType::F8E4M3FN, &[2], &[0x7e, 0xb8]));
    assert_eq!(eight(0), stored(DType::F8E4M3FN, &[2], &[0x7f, 0xb8]));
    let powers =
        Case::new("DequantizeLinear", &[stored(DType::I4, &[2], &[1, 15]), stored(DType::F8E8M0, &[], &[130])]);
    assert_eq!(powers.int("output_dtype", 1).run(), floats(&[2], &[8.0, -8.0]));
}

#[test]
fn operators_that_do_not_look_at_elements_move_them_whole() {
    let x = stored(DType::I4, &[2, 3], &[1, 2, 3, 4, 5, 6]);
    let moved = |shape: &[u64], elements: &[u8]| stored(DType::I4, shape, elements);
    assert_eq!(Case::on("Transpose", &x).run(), moved(&[3, 2], &[1, 4, 2, 5, 3, 6]));
    assert_eq!(Case::new("Reshape", &[x.clone(), ints(&[1], &[-1])]).run(), moved(&[6], &[1, 2, 3, 4, 5, 6]));
    assert_eq!(Case::on("Identity", &x).run(), x);
    assert_eq!(Case::on("Size", &x).run(), ints(&[], &[6]));
    let padded = Case::new("Pad", &[stored(DType::U2, &[2], &[1, 2]), ints(&[2], &[0, 1])]);
    assert_eq!(padded.run(), stored(DType::U2, &[3], &[1, 2, 0]));
    assert_eq!(Case::new("Add", &[x.clone(), x]).refusal(), "input A cannot be INT4 here");
}

#[test]
fn attributes_make_no_output_of_what_is_only_stored() {
    let code = i64::from(DType::I4.code());
    let refused = "output output would have an element type that is not supported";
    assert_eq!(Case::on("EyeLike", &floats(&[2, 2], &[0.0; 4])).int("dtype", code).refusal(), refused);
    assert_eq!(Case::new("HannWindow", &[ints(&[], &[4])]).int("output_datatype", code).refusal(), refused);
}
