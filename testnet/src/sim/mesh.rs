//! The mesh that is simulated: its root, its members and their keys, made once and shared by all runs of one shape.

use super::geography::{Place, Spread};
use super::signer::NodeSigner;
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::testing::SampleMesh;
use hedgerow_protocol::fact::{SignedFact, VerifiedFact};
use hedgerow_protocol::id::PolicyVersion;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{DataClass, Policy};
use hedgerow_protocol::register::Recovery;
use hedgerow_protocol::roster::Roster;
use std::sync::Arc;

/// One region of a mesh.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RegionPlan {
    /// Its name.
    pub(crate) name: String,
    /// How many nodes stand in it.
    pub(crate) nodes: u32,
    /// Where its centre is.
    pub(crate) place: Place,
    /// How far its nodes stand from there.
    pub(crate) spread: Spread,
}

/// Members of all regions in order. Node 0 is the issuer, and the first node of each region its founder.
#[derive(Debug)]
pub(crate) struct MeshPlan {
    sample: SampleMesh,
    root: Arc<TrustRoot>,
    regions: Vec<RegionPlan>,
    members: Vec<Member>,
    /// The births of all cells, and the certificate of their issuer: the same in all regions.
    geneses: Vec<VerifiedFact>,
    /// The first node of each region.
    starts: Vec<u32>,
}

impl MeshPlan {
    /// Makes keys and certificates, on as many threads as there are processors.
    pub(crate) fn new(regions: &[RegionPlan]) -> Self {
        let sample = SampleMesh::new(1);
        let homes: Vec<&str> = regions
            .iter()
            .flat_map(|region| std::iter::repeat_n(region.name.as_str(), region.nodes as usize))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = homes.len().div_ceil(threads).max(1);
        let issue = |(chunk, homes): (usize, &[&str])| -> Vec<Member> {
            let first = chunk * share;
            homes.iter().enumerate().map(|(at, home)| sample.member(number(first + at), home)).collect()
        };
        let members: Vec<Member> = std::thread::scope(|scope| {
            let running: Vec<_> =
                homes.chunks(share).enumerate().map(|chunk| scope.spawn(move || issue(chunk))).collect();
            running.into_iter().flat_map(|thread| thread.join().expect("certificates are made")).collect()
        });
        let mut starts = Vec::new();
        let mut next = 0;
        for region in regions {
            starts.push(next);
            next += region.nodes;
        }
        let founder = |(region, start): (&RegionPlan, &u32)| sample.birth(&region.name, &members[*start as usize]);
        let births = regions.iter().zip(&starts).map(founder).map(VerifiedFact::genesis);
        let issuer = members.first().cloned().map(VerifiedFact::member);
        let geneses = issuer.into_iter().chain(births).collect();
        Self { regions: regions.to_vec(), members, geneses, starts, root: Arc::new(sample.root().clone()), sample }
    }

    /// The root.
    pub(crate) fn root(&self) -> &Arc<TrustRoot> {
        &self.root
    }

    /// A policy with one class of data that is named after its version, and others.
    pub(crate) fn policy(&self, version: u64, others: Vec<DataClass>) -> VerifiedFact {
        let class = DataClass {
            name: ClassName::new(&format!("class-{version}")).expect("a short word"),
            replicas: 3,
            write_quorum: 2,
            regions: Vec::new(),
            personal: false,
            ttl_s: 0,
        };
        let mut classes: Vec<DataClass> = others.into_iter().chain([class]).collect();
        classes.sort_by(|one, other| one.name.cmp(&other.name));
        let policy = Policy { version: PolicyVersion(version), parent: None, classes };
        let signed = SignedFact::Policy(Endorsed::sign(&policy, &[self.sample.policy()]));
        signed.verify(&Roster::default(), self.root(), SampleMesh::NOW).expect("signed by the mesh's own key")
    }

    /// What the operators sign so that a cell goes on, as a node with that roster takes it in.
    pub(crate) fn recovery(&self, draft: &Recovery, roster: &Roster) -> VerifiedFact {
        let signed = SignedFact::Recovery(Endorsed::sign(draft, &[self.sample.operator()]));
        signed.verify(roster, self.root(), SampleMesh::NOW).expect("signed by the mesh's own operator")
    }

    /// The regions.
    pub(crate) fn regions(&self) -> &[RegionPlan] {
        &self.regions
    }

    /// All members, by number.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The region of a node.
    pub(crate) fn region_of(&self, node: u32) -> usize {
        self.starts.partition_point(|start| *start <= node) - 1
    }

    /// The nodes of a region.
    pub(crate) fn nodes_of(&self, region: usize) -> std::ops::Range<u32> {
        let start = self.starts[region];
        start..start + self.regions[region].nodes
    }

    /// Who signs for a node.
    pub(crate) fn signer(&self, node: u32, is_real: bool) -> NodeSigner {
        if is_real {
            NodeSigner::Real(Box::new(self.sample.keys(node).statement))
        } else {
            NodeSigner::Null(*self.members[node as usize].statement())
        }
    }

    /// What a node of the region has on its disk when the whole mesh has run before: the certificates of its region below
    /// a number, that of the issuer, and the births of all cells.
    pub(crate) fn known_facts(&self, region: usize, before: u32) -> Vec<VerifiedFact> {
        let near = (self.nodes_of(region).start..before).map(|node| self.members[node as usize].clone());
        near.map(VerifiedFact::member).chain(self.geneses.iter().cloned()).collect()
    }

    /// All node ids, by number.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().map(Member::node)
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("fewer than 2^32 nodes")
}
