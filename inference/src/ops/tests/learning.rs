use super::application::{Case, floats, range};
use crate::{
    ir::Attribute,
    ops::Fault,
    tensor::{DType, Tensor},
};

/// One node that compares feature 1 with 0.5, with the given node or leaf on each side.
fn tree(below: (i64, i64), above: (i64, i64)) -> Case {
    let mut case = Case::new("TreeEnsemble", &[floats(&[3, 2], &[9.0, 0.0, 9.0, 1.0, 9.0, f32::NAN])])
        .ints("tree_roots", &[0])
        .ints("nodes_featureids", &[1])
        .ints("nodes_truenodeids", &[below.0])
        .ints("nodes_trueleafs", &[below.1])
        .ints("nodes_falsenodeids", &[above.0])
        .ints("nodes_falseleafs", &[above.1])
        .ints("leaf_targetids", &[0, 0]);
    case.attributes.push(("nodes_modes", Attribute::Tensor(Tensor::new(DType::U8, vec![1], vec![0]).unwrap())));
    case.attributes.push(("nodes_splits", Attribute::Tensor(floats(&[1], &[0.5]))));
    case.attributes.push(("leaf_weights", Attribute::Tensor(floats(&[2], &[-1.0, 7.0]))));
    case
}

#[test]
fn a_tree_leads_each_row_to_a_leaf() {
    assert_eq!(tree((0, 1), (1, 1)).run(), floats(&[3, 1], &[-1.0, 7.0, 7.0]));
    let missing = tree((0, 1), (1, 1)).ints("nodes_missing_value_tracks_true", &[1]);
    assert_eq!(missing.run(), floats(&[3, 1], &[-1.0, 7.0, -1.0]));
}

#[test]
fn trees_that_go_round_or_lead_outside_are_refused() {
    assert_eq!(tree((0, 0), (1, 1)).fault(), Fault::Iterations);
    let outside = "`nodes_modes` has a value that is not supported";
    assert_eq!(tree((2, 1), (1, 1)).refusal(), outside);
    assert_eq!(tree((0, 1), (1, 0)).refusal(), outside);
    assert_eq!(tree((-1, 0), (1, 1)).refusal(), outside);
}

#[test]
fn features_are_scaled_one_by_one() {
    let mut scaler = Case::on("Scaler", &range(&[2, 2], 1));
    scaler.attributes.push(("offset", Attribute::Floats(vec![1.0])));
    scaler.attributes.push(("scale", Attribute::Floats(vec![2.0, -1.0])));
    assert_eq!(scaler.run(), floats(&[2, 2], &[0.0, -1.0, 4.0, -3.0]));
    scaler.attributes[1].1 = Attribute::Floats(vec![1.0; 3]);
    assert_eq!(scaler.refusal(), "`scale` has a value that is not supported");
}
