//! Clusters that several tests start from.

use super::cluster::{Cluster, S};
use crate::fact::{SignedFact, VerifiedFact};
use crate::id::PolicyVersion;
use crate::name::{ClassName, ModelName, ModelVersion};
use crate::placement::{DataClass, Deployment, NodeClassRule, NodeClasses, Policy, parent_of};
use crate::roster::Roster;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::name::NodeClass;
use hedgerow_attest::region::Region;
use hedgerow_attest::testing::SampleMesh;
use std::collections::BTreeSet;

impl Cluster {
    /// All nodes started one after the other, each region founded by its first, and everybody known to everybody.
    pub(crate) fn formed(seed: u64, regions: &[&str]) -> Self {
        let mut cluster = Self::new(seed, regions);
        cluster.form(regions);
        cluster
    }

    pub(crate) fn form(&mut self, regions: &[&str]) {
        let mut founded = BTreeSet::new();
        for (node, region) in regions.iter().enumerate() {
            self.start(node);
            if founded.insert(*region) {
                let birth = self.mesh.birth(region, &self.nodes[node].member);
                self.announce(node, VerifiedFact::genesis(birth));
            }
            self.run_for(S / 10);
        }
        self.run_until_holds(10 * S, "everybody sees everybody", Self::is_converged);
    }

    pub(crate) fn verified(&self, signed: SignedFact) -> VerifiedFact {
        signed.verify(&Roster::default(), self.mesh.root(), SampleMesh::NOW).expect("signed by the mesh's own keys")
    }

    pub(crate) fn policy(&self, version: u64, classes: Vec<DataClass>) -> VerifiedFact {
        let policy = Policy { version: PolicyVersion(version), parent: None, classes };
        self.verified(SignedFact::Policy(Endorsed::sign(&policy, &[self.mesh.policy()])))
    }

    /// A policy that replaces others.
    pub(crate) fn successor(&self, version: u64, parents: &[Sha256Digest], classes: Vec<DataClass>) -> VerifiedFact {
        let policy = Policy { version: PolicyVersion(version), parent: parent_of(parents), classes };
        self.verified(SignedFact::Policy(Endorsed::sign(&policy, &[self.mesh.policy()])))
    }

    /// The share of one node class.
    pub(crate) fn node_class(&self, revision: u64, name: &str, weight: u16) -> VerifiedFact {
        let rule = NodeClassRule { name: NodeClass::new(name).unwrap(), weight };
        let classes = NodeClasses { revision, classes: vec![rule] };
        self.verified(SignedFact::NodeClasses(Endorsed::sign(&classes, &[self.mesh.policy()])))
    }

    pub(crate) fn deployment(&self, model: &str, revision: u64, replicas: u8, regions: &[&str]) -> VerifiedFact {
        let deployment = Deployment {
            model: ModelName::new(model).unwrap(),
            version: ModelVersion::new(&revision.to_string()).unwrap(),
            revision,
            manifest: Sha256Digest::of(model.as_bytes()),
            replicas,
            regions: regions.iter().map(|region| Region::new(region).unwrap()).collect(),
        };
        self.verified(SignedFact::Deployment(Endorsed::sign(&deployment, &[self.mesh.publisher()])))
    }
}

pub(crate) fn class(name: &str, replicas: u8, write_quorum: u8, regions: &[&str]) -> DataClass {
    DataClass {
        name: ClassName::new(name).unwrap(),
        replicas,
        write_quorum,
        regions: regions.iter().map(|region| Region::new(region).unwrap()).collect(),
        personal: !regions.is_empty(),
        ttl_s: 0,
    }
}
