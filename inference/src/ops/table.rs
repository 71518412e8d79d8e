//! The table itself, and finding an entry in it.

use std::marker::PhantomData;

use burn::backend::{Backend, Flex};

use crate::{
    ir::OperatorId,
    ops::{
        activation, convolution, elementwise, entry::Operator, layout, linear, normalization, pooling, reduction,
        schema::Schema,
    },
};

/// Latest opset with which the entries were compared. An operator's entry holds from its `since`
/// to here, or to the `since` of another entry of the same name.
pub(crate) const OPSET_MAX: u32 = 24;

struct Table<B>(PhantomData<B>);

impl<B: Backend> Table<B> {
    const OPERATORS: &'static [Operator<B>] = &[
        activation::clip(),
        activation::dropout(),
        activation::identity(),
        activation::log_softmax(),
        activation::relu(),
        activation::sigmoid(),
        activation::softmax(),
        activation::tanh(),
        convolution::conv(),
        elementwise::add(),
        elementwise::cast(),
        elementwise::div(),
        elementwise::mul(),
        elementwise::sub(),
        layout::concat(),
        layout::flatten(),
        layout::reshape(),
        layout::transpose(),
        linear::gemm(),
        linear::matmul(),
        normalization::batch_normalization(),
        pooling::average_pool(),
        pooling::global_average_pool(),
        pooling::max_pool(),
        reduction::arg_max(),
    ];
}

/// The entry that the IR means.
pub(crate) fn by_id<B: Backend>(id: &OperatorId) -> Option<&'static Operator<B>> {
    let wanted = |operator: &&Operator<B>| {
        let schema = &operator.schema;
        id.domain.is_empty() && schema.name == id.name && schema.since == id.version
    };
    Table::<B>::OPERATORS.iter().find(wanted)
}

/// What the table says of the operator that the IR means; equal for every backend.
pub(crate) fn schema(id: &OperatorId) -> Option<&'static Schema> {
    by_id::<Flex>(id).map(|operator| &operator.schema)
}

/// The entries of this name, whatever the opset.
pub(crate) fn versions(name: &str) -> impl Iterator<Item = &'static Schema> {
    Table::<Flex>::OPERATORS.iter().map(|operator| &operator.schema).filter(move |schema| schema.name == name)
}

/// What a name of ONNX's default domain means in a model of that opset.
pub(crate) fn by_opset(name: &str, opset: u32) -> Option<&'static Schema> {
    versions(name).filter(|schema| (schema.since..=OPSET_MAX).contains(&opset)).max_by_key(|schema| schema.since)
}

/// Names of all entries.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    Table::<Flex>::OPERATORS.iter().map(|operator| operator.schema.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_opset_and_by_the_id_they_give() {
        for operator in Table::<Flex>::OPERATORS {
            let schema = &operator.schema;
            let found = by_opset(schema.name, OPSET_MAX).unwrap();
            assert_eq!((found.name, found.since), (schema.name, schema.since));
            assert_eq!(by_id::<Flex>(&schema.id()).unwrap().schema.name, schema.name);
        }
    }

    #[test]
    fn other_opsets_domains_and_versions_are_not_found() {
        assert!(by_opset("Softmax", 12).is_none());
        assert!(by_opset("Softmax", OPSET_MAX + 1).is_none());
        assert!(by_opset("softmax", 13).is_none());
        let id = |domain: &str, version| OperatorId { domain: domain.into(), name: "Softmax".into(), version };
        assert!(by_id::<Flex>(&id("", 13)).is_some());
        assert!(by_id::<Flex>(&id("", 11)).is_none());
        assert!(by_id::<Flex>(&id("com.microsoft", 13)).is_none());
    }
}
