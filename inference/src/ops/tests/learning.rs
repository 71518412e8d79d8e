use super::application::{Case, floats, ints, range};
use crate::{
    ir::Attribute,
    ops::{Fault, LEARNING_OPSET_MAX},
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
fn trees_whose_children_or_leaves_are_missing_are_refused() {
    let refused = "`nodes_modes` has a value that is not supported";
    let without = |name: &str, list: Vec<i64>| {
        let mut case = tree((0, 1), (1, 1));
        case.attributes.iter_mut().find(|(own, _)| *own == name).unwrap().1 = Attribute::Ints(list);
        case.refusal()
    };
    for name in ["nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs", "nodes_featureids"] {
        assert_eq!(without(name, vec![]), refused, "{name}");
        assert_eq!(without(name, vec![0, 0]), refused, "{name}");
    }
    assert_eq!(without("leaf_targetids", vec![0]), refused);
    assert_eq!(without("leaf_targetids", vec![0, 1]), refused);
    assert_eq!(without("tree_roots", vec![1]), refused);
    assert_eq!(without("tree_roots", vec![-1]), refused);
    let feature = |at| {
        let mut case = tree((0, 1), (1, 1));
        case.attributes.iter_mut().find(|(own, _)| *own == "nodes_featureids").unwrap().1 = Attribute::Ints(vec![at]);
        case.fault()
    };
    assert_eq!([feature(2), feature(-1), feature(i64::MAX)], [Fault::Index; 3]);
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

fn doubles(values: &[f64]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor::new(DType::F64, vec![values.len() as u64], bytes).unwrap()
}

#[test]
fn labels_become_what_stands_at_their_place_in_the_other_list() {
    let sizes = Case::on("LabelEncoder", &ints(&[2, 2], &[7, -1, 7, 3]))
        .ints("keys_int64s", &[3, 7])
        .floats("values_floats", &[0.5, 1.5]);
    assert_eq!(sizes.run(), floats(&[2, 2], &[1.5, -0.0, 1.5, 0.5]));
    assert_eq!(sizes.float("default_float", 9.0).run(), floats(&[2, 2], &[1.5, 9.0, 1.5, 0.5]));
    let codes = Case::on("LabelEncoder", &floats(&[3], &[0.25, 0.5, 0.25]))
        .floats("keys_floats", &[0.25, 0.25])
        .ints("values_int64s", &[1, 2]);
    // Of the two the last holds, and what is not listed becomes -1.
    assert_eq!(codes.run(), ints(&[3], &[2, -1, 2]));
    assert_eq!(codes.at(2).int("default_int64", 8).run(), ints(&[3], &[2, 8, 2]));
}

#[test]
fn labels_in_tensors_have_other_types_too() {
    let x = doubles(&[f64::NAN, 0.0, 2.0]);
    let short = |values: &[i16]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor::new(DType::I16, vec![values.len() as u64], bytes).unwrap()
    };
    let case = || {
        Case::on("LabelEncoder", &x)
            .tensor("keys_tensor", &doubles(&[f64::NAN.copysign(-1.0), -0.0]))
            .tensor("values_tensor", &short(&[5, 6]))
    };
    assert_eq!(case().run(), short(&[5, 6, -1]));
    assert_eq!(case().tensor("default_tensor", &short(&[9])).run(), short(&[5, 6, 9]));
    let refused = |name: &str| format!("`{name}` has a value that is not supported");
    assert_eq!(case().tensor("default_tensor", &short(&[9, 9])).refusal(), refused("default_tensor"));
    assert_eq!(case().tensor("default_tensor", &doubles(&[9.0])).refusal(), refused("default_tensor"));
    assert_eq!(case().ints("keys_int64s", &[1, 2]).refusal(), refused("keys"));
}

#[test]
fn before_opset_4_keys_are_compared_bit_by_bit() {
    let x = floats(&[3], &[f32::NAN, 0.0, -0.0]);
    let case = Case::on("LabelEncoder", &x).floats("keys_floats", &[f32::NAN, -0.0]).ints("values_int64s", &[5, 6]);
    assert_eq!(case.at(2).run(), ints(&[3], &[5, -1, 6]));
    let case = Case::on("LabelEncoder", &x).floats("keys_floats", &[f32::NAN, -0.0]).ints("values_int64s", &[5, 6]);
    assert_eq!(case.at(LEARNING_OPSET_MAX).run(), ints(&[3], &[5, 6, 6]));
}

#[test]
fn labels_that_contradict_each_other_are_refused() {
    let refused = |name: &str| format!("`{name}` has a value that is not supported");
    let case = || Case::on("LabelEncoder", &ints(&[1], &[7])).ints("keys_int64s", &[3, 7]);
    assert_eq!(case().refusal(), refused("values"));
    assert_eq!(case().ints("values_int64s", &[1]).refusal(), refused("values"));
    let both = case().ints("values_int64s", &[1, 2]).floats("values_floats", &[1.0, 2.0]);
    assert_eq!(both.refusal(), refused("values"));
    let floats_for_ints = Case::on("LabelEncoder", &floats(&[1], &[7.0])).ints("keys_int64s", &[3]);
    assert_eq!(floats_for_ints.ints("values_int64s", &[1]).refusal(), refused("keys"));
}

#[test]
fn categories_become_columns() {
    let x = floats(&[4], &[2.9, -1.0, f32::NAN, 5.0]);
    let case = || Case::on("OneHotEncoder", &x).ints("cats_int64s", &[-1, 2, 0]);
    assert_eq!(case().run(), floats(&[4, 3], &[0., 1., 0., 1., 0., 0., 0., 0., 0., 0., 0., 0.]));
    assert_eq!(case().int("zeros", 0).plain_fault(), Some(Fault::Input("X")));
    assert_eq!(Case::on("OneHotEncoder", &x).refusal(), "`cats_int64s` has a value that is not supported");
}

#[test]
fn missing_features_are_filled_in() {
    let x = floats(&[2, 2], &[f32::NAN, 1.0, 2.0, f32::NAN]);
    let case = |values: &[f32]| {
        let case = Case::on("Imputer", &x).floats("imputed_value_floats", values);
        case.float("replaced_value_float", f32::NAN)
    };
    assert_eq!(case(&[7.0, 8.0]).run(), floats(&[2, 2], &[7.0, 1.0, 2.0, 8.0]));
    assert_eq!(case(&[7.0]).run(), floats(&[2, 2], &[7.0, 1.0, 2.0, 7.0]));
    assert_eq!(case(&[7.0; 3]).refusal(), "`imputed_value_floats` has a value that is not supported");
    let counts = Case::on("Imputer", &ints(&[3], &[0, 4, 0])).ints("imputed_value_int64s", &[9]);
    assert_eq!(counts.run(), ints(&[3], &[9, 4, 9]));
    let wide = Tensor::new(DType::I32, vec![1], vec![0; 4]).unwrap();
    let wide = Case::on("Imputer", &wide).ints("imputed_value_int64s", &[1 << 40]);
    assert_eq!(wide.refusal(), "`imputed_value_int64s` has a value that is not supported");
}

#[test]
fn rows_are_normalised_one_by_one() {
    let x = ints(&[3, 2], &[3, -4, 0, 0, -1, -2]);
    let norm = |norm: &str| Case::on("Normalizer", &x).text("norm", norm).run();
    assert_eq!(norm("MAX"), floats(&[3, 2], &[1.0, -4.0 / 3.0, 0.0, 0.0, 1.0, 2.0]));
    assert_eq!(norm("L1"), floats(&[3, 2], &[3.0 / 7.0, -4.0 / 7.0, 0.0, 0.0, -1.0 / 3.0, -2.0 / 3.0]));
    let root = 5.0_f64.sqrt();
    assert_eq!(norm("L2"), floats(&[3, 2], &[0.6, -0.8, 0.0, 0.0, (-1.0 / root) as f32, (-2.0 / root) as f32]));
    assert_eq!(Case::on("Normalizer", &x).text("norm", "L3").refusal(), "`norm` has a value that is not supported");
}

#[test]
fn features_are_joined_row_by_row() {
    let joined = || Case::new("FeatureVectorizer", &[range(&[2, 1], 0), range(&[2, 2], 5)]);
    assert_eq!(joined().ints("inputdimensions", &[1, 2]).run(), floats(&[2, 3], &[0.0, 5.0, 6.0, 1.0, 7.0, 8.0]));
    assert_eq!(joined().run(), floats(&[2, 3], &[0.0, 5.0, 6.0, 1.0, 7.0, 8.0]));
    let refused = "`inputdimensions` has a value that is not supported";
    assert_eq!(joined().ints("inputdimensions", &[2, 2]).refusal(), refused);
    assert_eq!(joined().ints("inputdimensions", &[1]).refusal(), refused);
    let uneven = Case::new("FeatureVectorizer", &[range(&[2, 1], 0), range(&[3, 2], 5)]);
    assert_eq!(uneven.refusal(), "number of rows is 3, needs 2");
}

#[test]
fn linear_regression_is_a_sum_for_each_target() {
    let x = floats(&[2, 2], &[1.0, 2.0, -1.0, 0.5]);
    let case = || Case::on("LinearRegressor", &x).floats("coefficients", &[1.0, 2.0, -1.0, 4.0]).int("targets", 2);
    assert_eq!(case().run(), floats(&[2, 2], &[5.0, 7.0, 0.0, 3.0]));
    assert_eq!(case().floats("intercepts", &[0.5, -7.0]).run(), floats(&[2, 2], &[5.5, 0.0, 0.5, -4.0]));
    let zero = case().floats("intercepts", &[0.5, -7.0]).text("post_transform", "SOFTMAX_ZERO").run();
    assert_eq!(zero.to_f32().unwrap()[..2], [1.0, 0.0]);
    let coefficients = "`coefficients` has a value that is not supported";
    assert_eq!(case().floats("intercepts", &[0.5]).refusal(), coefficients);
    let three = || Case::on("LinearRegressor", &x).floats("coefficients", &[1.0; 3]);
    assert_eq!(three().refusal(), "number of features is 2, needs 3");
    assert_eq!(three().int("targets", 2).refusal(), coefficients);
    assert_eq!(three().int("targets", 0).refusal(), coefficients);
    assert_eq!(case().text("post_transform", "RELU").refusal(), "`post_transform` has a value that is not supported");
}

#[test]
fn probits_are_quantiles_of_the_normal_distribution() {
    let x = floats(&[7, 1], &[0.5, 0.975, 0.158_655_25, 1e-30, 0.0, 1.0, 1.5]);
    let case = Case::on("LinearRegressor", &x).floats("coefficients", &[1.0]).text("post_transform", "PROBIT");
    let made = case.run().to_f32().unwrap();
    // Tables of the normal distribution: 1.959964 and 1 deviation.
    let near = |made: f32, expected: f32| (made - expected).abs() < 2e-6;
    assert!(made[0] == 0.0 && near(made[1], 1.959_964) && near(made[2], -1.0), "{made:?}");
    assert!(made[3] == f32::NEG_INFINITY && made[4] == f32::NEG_INFINITY && made[5] == f32::INFINITY, "{made:?}");
    assert!(made[6].is_nan(), "{made:?}");
}

#[test]
fn linear_classification_names_the_class_of_the_best_score() {
    let x = floats(&[2, 1], &[1.0, -1.0]);
    let three = || {
        let case = Case::on("LinearClassifier", &x).floats("coefficients", &[1.0, 0.0, 2.0]);
        case.ints("classlabels_ints", &[10, 20, 30])
    };
    let scores = floats(&[2, 3], &[1.0, 0.0, 2.0, -1.0, 0.0, -2.0]);
    assert_eq!(three().run_wholly(), [ints(&[2], &[30, 20]), scores]);
    let logistic = three().text("post_transform", "LOGISTIC").run_wholly();
    assert_eq!(logistic[0], ints(&[2], &[30, 20]));
    let sigmoid = |x: f64| (1.0 / (1.0 + (-x).exp())) as f32;
    let expected = [1.0, 0.0, 2.0, -1.0, 0.0, -2.0].map(sigmoid);
    assert_eq!(logistic[1], floats(&[2, 3], &expected));
    assert_eq!(three().floats("intercepts", &[1.0]).refusal(), "`classlabels_ints` has a value that is not supported");
}

#[test]
fn a_single_score_is_that_of_the_second_of_two_classes() {
    let case = || {
        let case = Case::on("LinearClassifier", &floats(&[2, 1], &[0.25, -0.25])).floats("coefficients", &[1.0]);
        case.floats("intercepts", &[0.0]).ints("classlabels_ints", &[5, 7])
    };
    assert_eq!(case().run_wholly(), [ints(&[2], &[7, 5]), floats(&[2, 2], &[0.75, 0.25, 1.25, -0.25])]);
    let sigmoid = |x: f64| (1.0 / (1.0 + (-x).exp())) as f32;
    let expected = [-0.25, 0.25, 0.25, -0.25].map(sigmoid);
    assert_eq!(case().text("post_transform", "LOGISTIC").run_wholly()[1], floats(&[2, 2], &expected));
    let refused = "`post_transform` has a value that is not supported";
    assert_eq!(case().text("post_transform", "PROBIT").refusal(), refused);
}
