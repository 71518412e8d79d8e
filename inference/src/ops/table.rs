//! Finding an entry of the table.

use crate::{
    ir::OperatorId,
    ops::{
        operator::{LEARNING, Operator},
        plain::FAMILIES,
    },
};

/// Latest opset with which the entries were compared. An operator's entry holds from its `since`
/// to here, or to the `since` of another entry of the same name.
pub(crate) const OPSET_MAX: u32 = 28;
/// The same of the domain for classical learning.
pub(crate) const LEARNING_OPSET_MAX: u32 = 5;

/// Every entry.
pub(crate) fn all() -> impl Iterator<Item = &'static Operator> {
    FAMILIES.iter().copied().flatten()
}

/// The entry that the IR means.
pub(crate) fn by_id(id: &OperatorId) -> Option<&'static Operator> {
    let wanted =
        |operator: &&Operator| operator.domain == id.domain && operator.name == id.name && operator.since == id.version;
    all().find(wanted)
}

/// The entries of this name, whatever the opset.
pub(crate) fn versions(domain: &str, name: &str) -> impl Iterator<Item = &'static Operator> {
    all().filter(move |operator| operator.domain == domain && operator.name == name)
}

/// What a name of a domain means in a model of that opset of it.
pub(crate) fn by_opset(domain: &str, name: &str, opset: u32) -> Option<&'static Operator> {
    let most = if domain == LEARNING { LEARNING_OPSET_MAX } else { OPSET_MAX };
    let holds = |operator: &&Operator| (operator.since..=most).contains(&opset);
    versions(domain, name).filter(holds).max_by_key(|operator| operator.since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_opset_and_by_the_id_they_give() {
        for operator in all() {
            assert_eq!(
                by_opset(operator.domain, operator.name, operator.since).unwrap().since,
                operator.since,
                "{}",
                operator.name
            );
            assert_eq!(by_id(&operator.id()).unwrap().name, operator.name);
            assert_eq!(
                versions(operator.domain, operator.name).filter(|other| other.since == operator.since).count(),
                1
            );
        }
    }

    #[test]
    fn other_opsets_domains_and_versions_are_not_found() {
        assert_eq!(by_opset("", "Softmax", 12).unwrap().since, 1);
        assert!(by_opset("", "Gelu", 19).is_none());
        assert!(by_opset("", "Softmax", OPSET_MAX + 1).is_none());
        assert!(by_opset("", "softmax", 13).is_none());
        let id = |domain: &str, version| OperatorId { domain: domain.into(), name: "Softmax".into(), version };
        assert!(by_id(&id("", 13)).is_some());
        assert!(by_id(&id("", 11)).is_none());
        assert!(by_id(&id("com.microsoft", 13)).is_none());
    }
}
