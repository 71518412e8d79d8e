//! `hedgerow apply`: signs the policy that follows from a file of manifests, and hands it to the node.

use std::path::Path;

use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::id::PolicyVersion;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{
    CLASSES_MAX, DataClass, NODE_CLASSES_MAX, NodeClassRule, NodeClasses, Policy, parent_of,
};

use super::arguments::ApplyArguments;
use super::declare::{Proposal, differences, propose};
use super::failure::{CliError, Exit};
use super::key::SigningKey;
use super::output::{OutputFormat, line, print};
use crate::admin::AdminClient;
use crate::admin::wire::{DataClassRow, NodeClassShare, PolicyAccepted};
use crate::store::Layout;

/// Puts a file into force, unless it is already.
pub(super) async fn run(
    client: &AdminClient,
    data: &Path,
    arguments: &ApplyArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let proposal = propose(client, &arguments.manifests).await?;
    let changes = proposal.differences();
    // Concurrent policies that come to what the file says still want one that names them.
    let to_sign = [
        (!proposal.data_differences().is_empty() || proposal.now.heads.len() > 1).then_some(Signed::Policy),
        (!proposal.node_differences().is_empty()).then_some(Signed::NodeClasses),
    ];
    let to_sign: Vec<Signed> = to_sign.into_iter().flatten().collect();
    if to_sign.is_empty() {
        line(&differences(&changes))?;
        return Ok(Exit::Ok);
    }
    let key = POLICY_KEY.load(arguments.key.as_deref(), Layout::new(data).policy_key())?;
    let mut report = vec![differences(&changes)];
    for what in to_sign {
        let (path, fact) = match what {
            Signed::Policy => ("/admin/v1/policy", SignedFact::Policy(Endorsed::sign(&policy(&proposal)?, &[&key]))),
            Signed::NodeClasses => {
                ("/admin/v1/node-classes", SignedFact::NodeClasses(Endorsed::sign(&node_classes(&proposal)?, &[&key])))
            }
        };
        let accepted: PolicyAccepted = client.post_bytes("put it into force", path, fact.to_bytes()).await?;
        report.push(match what {
            Signed::Policy => format!("policy {} is in force", accepted.version),
            Signed::NodeClasses => format!("shares of node classes, revision {}, are in force", accepted.version),
        });
    }
    print(format, &changes, |_, _| report.join("\n"))?;
    Ok(Exit::Ok)
}

#[derive(Clone, Copy, Debug)]
enum Signed {
    Policy,
    NodeClasses,
}

/// The successor of the shares that are written.
fn node_classes(proposal: &Proposal) -> Result<NodeClasses, CliError> {
    let rule = |share: &NodeClassShare| Ok(NodeClassRule { name: NodeClass::new(&share.name)?, weight: share.weight });
    let classes = proposal.node_classes.iter().map(rule).collect::<anyhow::Result<Vec<_>>>();
    let classes = classes.map_err(|error| CliError::local("read the node classes in force", error, None))?;
    if classes.len() > NODE_CLASSES_MAX {
        return Err(CliError::Usage {
            what: format!("{} node classes are more than the {NODE_CLASSES_MAX} that may be written", classes.len()),
            remedy: "name all that are wanted in one file and apply it with --prune",
        });
    }
    Ok(NodeClasses { revision: proposal.shares.revision + 1, classes })
}

/// The successor of all that is in force.
fn policy(proposal: &Proposal) -> Result<Policy, CliError> {
    let unread = |error: anyhow::Error| CliError::local("read the policy in force", error, None);
    let digest = |text: &String| text.parse::<Sha256Digest>().map_err(|error| unread(error.into()));
    let heads = proposal.now.heads.iter().map(|head| digest(&head.digest)).collect::<Result<Vec<_>, _>>()?;
    let version = proposal.now.heads.iter().map(|head| head.version).max().unwrap_or(0) + 1;
    let classes = proposal.classes.iter().map(class).collect::<Result<Vec<_>, _>>().map_err(unread)?;
    let policy = Policy { version: PolicyVersion(version), parent: parent_of(&heads), classes };
    if policy.classes.len() > CLASSES_MAX {
        return Err(CliError::Usage {
            what: format!("{} data classes are more than the {CLASSES_MAX} that a policy has", policy.classes.len()),
            remedy: "name all that are wanted in one file and apply it with --prune",
        });
    }
    if !policy.is_well_formed() {
        return Err(CliError::Usage {
            what: "the file and what is in force together make no policy".to_owned(),
            remedy: "look at them with `hedgerow diff -f FILE`",
        });
    }
    Ok(policy)
}

fn class(row: &DataClassRow) -> anyhow::Result<DataClass> {
    Ok(DataClass {
        name: ClassName::new(&row.name)?,
        replicas: row.replicas,
        write_quorum: row.write_quorum,
        regions: row.regions.iter().map(|region| Region::new(region)).collect::<Result<_, _>>()?,
        personal: row.personal,
        ttl_s: row.ttl_s,
    })
}

const POLICY_KEY: SigningKey = SigningKey {
    purpose: SecretPurpose::Policy,
    operation: "load the policy key",
    remedy: "name a policy key with --key FILE; the node that founded the mesh has policy.key in its data folder",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wire::{NodeClassReport, PolicyHead, PolicyReport};

    #[test]
    fn a_successor_names_all_that_is_in_force_and_counts_on() {
        let digests = [Sha256Digest::of(b"one"), Sha256Digest::of(b"two")];
        let head = |version, digest: &Sha256Digest| PolicyHead { version, digest: digest.to_string() };
        let row = DataClassRow {
            name: "cart".to_owned(),
            replicas: 3,
            write_quorum: 2,
            regions: vec!["eu".to_owned()],
            personal: true,
            ttl_s: 60,
        };
        let heads = vec![head(4, &digests[0]), head(7, &digests[1])];
        let proposal = |heads, row| Proposal {
            now: PolicyReport { heads, classes: vec![] },
            classes: vec![row],
            shares: NodeClassReport { revision: 4, written: vec![], classes: vec![] },
            node_classes: vec![NodeClassShare { name: "edge".to_owned(), weight: 5 }],
        };
        let edge = NodeClassRule { name: NodeClass::new("edge").unwrap(), weight: 5 };
        let shares = node_classes(&proposal(vec![], row.clone())).unwrap();
        assert_eq!(shares, NodeClasses { revision: 5, classes: vec![edge] });
        let made = policy(&proposal(heads, row.clone())).unwrap();
        let class = DataClass {
            name: ClassName::new("cart").unwrap(),
            replicas: 3,
            write_quorum: 2,
            regions: vec![Region::new("eu").unwrap()],
            personal: true,
            ttl_s: 60,
        };
        let expected = Policy { version: PolicyVersion(8), parent: parent_of(&digests), classes: vec![class] };
        assert_eq!(made, expected);
        let first = policy(&proposal(vec![], row.clone())).unwrap();
        assert_eq!((first.version, first.parent), (PolicyVersion(1), None));
        let refused = policy(&proposal(vec![], DataClassRow { write_quorum: 4, ..row.clone() })).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        let mut many = proposal(vec![], row);
        many.classes = (10..=10 + CLASSES_MAX)
            .map(|n| DataClassRow { name: format!("c{n}"), ..many.classes[0].clone() })
            .collect();
        assert!(policy(&many).unwrap_err().report().contains("33 data classes are more than the 32"));
    }
}
