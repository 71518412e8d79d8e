use super::application::{Case, floats, ints, range};
use crate::{
    ir::Attribute,
    ops::{Fault, ShapeError},
    tensor::Tensor,
};

fn check(case: &Case, expected: &str) {
    assert_eq!(case.refusal(), expected, "{}", case.op);
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    check(&Case::new("Add", &[range(&[2], 0), range(&[3], 0)]), "shapes [2] and [3] do not broadcast");
    check(&Case::new("Gemm", &[range(&[2, 3], 0), range(&[2, 3], 0)]), "inner extent of B is 2, needs 3");
    check(
        &Case::new("Gemm", &[range(&[1, 3], 0), range(&[3, 2], 0), range(&[2, 2], 0)]),
        "shapes [1, 2] and [2, 2] do not broadcast",
    );
    check(&Case::new("MatMul", &[range(&[2], 0), range(&[], 0)]), "input 1 has 0 dimensions, takes at least 1");
    check(
        &Case::new("Conv", &[range(&[1, 2, 3, 3], 0), range(&[1, 1, 2, 2], 0)]),
        "number of input channels is 2, needs 1",
    );
    check(&Case::new("Conv", &[range(&[1, 1, 1, 1], 0), range(&[1, 1, 2, 2], 0)]), "result has an impossible size");
    check(&Case::new("Softmax", &[range(&[2], 0)]).int("axis", 1), "axis 1 does not fit 1 dimensions");
    check(
        &Case::new("Reshape", &[range(&[6], 0), ints(&[2], &[4, -1])]),
        "number of elements is 6, needs a multiple of 4",
    );
    check(
        &Case::new("Concat", &[range(&[2, 2], 0), range(&[2, 3], 0)]).int("axis", 0),
        "extent beside the joined axis is 3, needs 2",
    );
}

#[test]
fn values_that_are_not_implemented_are_named() {
    let pool = || Case::new("MaxPool", &[range(&[1, 1, 4, 4], 0)]).ints("kernel_shape", &[2, 2]);
    let unsupported = |name: &str| format!("`{name}` has a value that is not supported");
    check(&pool().ints("pads", &[1, 0, 0]), &unsupported("pads"));
    check(&pool().ints("pads", &[2, 2, 2, 2000]), &unsupported("pads"));
    check(&pool().ints("strides", &[0, 1]), &unsupported("strides"));
    check(
        &Case::new("Cast", &[range(&[1], 0)]).int("to", 8),
        "output output would have an element type that is not supported",
    );
    check(&Case::new("Transpose", &[range(&[1, 2], 0)]).ints("perm", &[0, 0]), &unsupported("perm"));
    let training = Tensor::from_bool(vec![], &[true]).unwrap();
    check(&Case::new("Dropout", &[range(&[1], 0), range(&[], 0), training]), &unsupported("training_mode"));
    let mut same = pool();
    same.attributes.push(("auto_pad", Attribute::Text("SAME".into())));
    check(&same, &unsupported("auto_pad"));
}

#[test]
fn attributes_must_be_those_of_the_operator() {
    check(&Case::new("Relu", &[range(&[1], 0)]).float("alpha", 1.0), "attribute `alpha` is unknown");
    check(&Case::new("Concat", &[range(&[1], 0)]), "attribute `axis` is missing");
    check(&Case::new("Softmax", &[range(&[1], 0)]).float("axis", 0.0), "attribute `axis` has the wrong type");
    check(
        &Case::new("Softmax", &[range(&[1], 0)]).int("axis", 0).int("axis", 0),
        "attribute `axis` is repeated or out of order",
    );
}

#[test]
fn inputs_must_be_those_of_the_operator() {
    check(&Case::new("Relu", &[]), "input X is missing");
    check(&Case::new("Relu", &[range(&[1], 0), range(&[1], 0)]), "2 inputs are given, at most 1 are possible");
    check(&Case::new("Exp", &[ints(&[1], &[1])]), "input X cannot be INT64 here");
    check(&Case::new("Add", &[range(&[1], 0), ints(&[1], &[1])]), "input B cannot be INT64 here");
    let long = ints(&[1025], &[1; 1025]);
    check(&Case::new("Reshape", &[range(&[1], 0), long]), "`shape` has a value that is not supported");
}

#[test]
fn shrinking_by_more_than_any_picture_is_refused() {
    let shrunk = |scale: f32| {
        Case::new("Resize", &[range(&[3], 0), floats(&[2], &[0.0, 1e12]), floats(&[1], &[scale])])
            .text("mode", "linear")
            .text("coordinate_transformation_mode", "tf_crop_and_resize")
            .int("antialias", 1)
    };
    assert_eq!(shrunk(1e-12).misfit(), Some(ShapeError::Value { name: "scales" }));
    assert_eq!(shrunk(1e-4).misfit(), None);
    let mut smooth = Case::new("Resize", &[range(&[4], 0), floats(&[0], &[]), floats(&[1], &[0.25])]);
    smooth = smooth.text("mode", "linear").int("antialias", 1);
    assert_eq!(smooth.run_plainly(), floats(&[1], &[1.5]));
}

#[test]
fn sums_over_too_many_labels_are_refused() {
    let eight = |extent: u64| {
        let square = range(&[extent, extent], 0);
        Case::new("Einsum", &[(); 8].map(|()| square.clone())).text("equation", "ab,cd,ef,gh,ij,kl,mn,op->")
    };
    assert_eq!(eight(16).misfit(), Some(ShapeError::Size));
    assert_eq!(eight(0).misfit(), None);
}

#[test]
fn updates_of_whole_tensors_and_bounds_that_are_no_numbers_are_refused() {
    let unsupported = |name: &'static str| Some(ShapeError::Value { name });
    let scatter = Case::new("ScatterND", &[range(&[2], 0), ints(&[3, 0], &[]), range(&[3, 2], 0)]);
    assert_eq!(scatter.misfit(), unsupported("indices"));
    let clipped = |clip| {
        Case::new("RNN", &[range(&[1, 1, 1], 1), range(&[1, 1, 1], 1), range(&[1, 1, 1], 1)]).float("clip", clip)
    };
    assert_eq!(clipped(f32::NAN).misfit(), unsupported("clip"));
    assert_eq!(clipped(-1.0).misfit(), None);
}

#[test]
fn rotations_by_a_row_that_no_table_has_are_refused() {
    let rotated = |row| {
        let inputs = [range(&[1, 1, 1, 8], 0), range(&[1, 4], 0), range(&[1, 4], 0), ints(&[1, 1], &[row])];
        Case::new("RotaryEmbedding", &inputs).plain_fault()
    };
    assert_eq!(rotated(1), Some(Fault::Index));
    assert_eq!(rotated(1 << 62), Some(Fault::Index));
}
