//! A mesh whose every key follows from a seed, for tests and simulations. Its statements are real and verify as any;
//! its keys are public knowledge.

use crate::delegation::{self, Delegation};
use crate::digest::Sha256Digest;
use crate::endorsed::Endorsed;
use crate::genesis::{self, Birth, Genesis};
use crate::inception::InceptionChain;
use crate::key::SecretKey;
use crate::keyset::KeySet;
use crate::member::Member;
use crate::membership::{Certificate, Membership, Roles};
use crate::name::{MeshName, NodeClass};
use crate::region::Region;
use crate::revocation::{self, ProvenWithdrawal, Revocation, VerifiedRevocation, Withdrawal};
use crate::root::{GenesisIssuers, Lifetimes, RootDraft, TrustRoot};
use crate::signed::Signed;
use crate::time::UnixSeconds;
use std::collections::BTreeMap;

/// Number of the node that issues; [`SampleMesh::keys`] of it are its keys.
pub const ISSUER: u32 = 0;

const DAY_S: u64 = 86_400;

/// A mesh of one operator key per role and one issuer.
#[derive(Debug)]
pub struct SampleMesh {
    seed: u64,
    operator: SecretKey,
    publisher: SecretKey,
    policy: SecretKey,
    draft: RootDraft,
    root: TrustRoot,
    delegation: Endorsed<Delegation>,
}

/// The secret keys of a node and its chain.
#[derive(Debug)]
pub struct NodeKeys {
    mesh_seed: u64,
    number: u32,
    /// The transport key in use.
    pub transport: SecretKey,
    /// The transport key committed to.
    pub next: SecretKey,
    /// The statement key.
    pub statement: SecretKey,
    /// The inception and the rotations since.
    pub chain: InceptionChain,
}

impl NodeKeys {
    /// The same node after one rotation more of its transport key.
    #[must_use]
    pub fn rotated(&self) -> Self {
        let transport_key = |turn| node_key(self.mesh_seed, self.number, &format!("transport {turn}"));
        let turn = self.chain.rotations.len() + 1;
        let (transport, next) = (transport_key(turn), transport_key(turn + 1));
        let chain = self.chain.rotate(&self.transport, &transport, next.public().commitment());
        let statement = node_key(self.mesh_seed, self.number, "statement");
        Self { mesh_seed: self.mesh_seed, number: self.number, transport, next, statement, chain }
    }
}

impl SampleMesh {
    /// The moment at which [`SampleMesh`] verifies its members: 2026-01-01T00:00:00Z.
    pub const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    /// The mesh of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let key = |role: &str| derive(&format!("mesh {seed} {role}"));
        let (operator, publisher, policy) = (key("operator"), key("publisher"), key("policy"));
        let issuer = node_keys(seed, ISSUER);
        let operators = KeySet::sole(operator.public());
        let draft = RootDraft {
            version: 1,
            expires: Self::NOW.plus_s(3650 * DAY_S),
            name: MeshName::new(&format!("sample-{seed}")).expect("letters and digits"),
            root: operators.clone(),
            targets: KeySet::sole(publisher.public()),
            snapshot: operators.clone(),
            timestamp: operators.clone(),
            membership: operators.clone(),
            revocation: operators,
            policy: KeySet::sole(policy.public()),
            genesis: GenesisIssuers { default: issuer.chain.node(), regions: BTreeMap::new() },
            lifetimes: Lifetimes { membership_s: 30 * DAY_S, delegation_s: 365 * DAY_S },
        };
        let root = TrustRoot::parse(&draft.sign(&[&operator])).expect("signed by its operator");
        let delegation = Delegation {
            version: delegation::VERSION,
            mesh: root.mesh(),
            issuer: issuer.chain.node(),
            statement: issuer.statement.public(),
            not_before: Self::NOW,
            not_after: Self::NOW.plus_s(365 * DAY_S),
            serial: 1,
        };
        let delegation = Endorsed::sign(&delegation, &[&operator]);
        Self { seed, operator, publisher, policy, draft, root, delegation }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// The root's contents, to change and sign again.
    #[must_use]
    pub fn draft(&self) -> &RootDraft {
        &self.draft
    }

    /// The operator: signs roots, delegates and revokes.
    #[must_use]
    pub fn operator(&self) -> &SecretKey {
        &self.operator
    }

    /// The publisher.
    #[must_use]
    pub fn publisher(&self) -> &SecretKey {
        &self.publisher
    }

    /// The policy key.
    #[must_use]
    pub fn policy(&self) -> &SecretKey {
        &self.policy
    }

    /// The issuer's right to issue.
    #[must_use]
    pub fn delegation(&self) -> &Endorsed<Delegation> {
        &self.delegation
    }

    /// The keys of node `number`.
    #[must_use]
    pub fn keys(&self, number: u32) -> NodeKeys {
        node_keys(self.seed, number)
    }

    /// Node `number` as a member with every role and serial `number`.
    #[must_use]
    pub fn member(&self, number: u32, region: &str) -> Member {
        self.member_of(&self.keys(number), region, u64::from(number))
    }

    /// The member with these keys.
    #[must_use]
    pub fn member_of(&self, keys: &NodeKeys, region: &str, serial: u64) -> Member {
        let certificate = self.certificate(keys, &self.membership(keys, region, serial));
        certificate.verify(&self.root, Self::NOW, 0).expect("issued under this root")
    }

    /// What the issuer says about a node; 30 days from [`SampleMesh::NOW`].
    #[must_use]
    pub fn membership(&self, keys: &NodeKeys, region: &str, serial: u64) -> Membership {
        Membership {
            mesh: self.root.mesh(),
            issuer: self.keys(ISSUER).chain.node(),
            serial,
            node: keys.chain.node(),
            transport: keys.transport.public(),
            statement: keys.statement.public(),
            region: Region::new(region).expect("a region of a test"),
            class: NodeClass::new("edge").expect("letters"),
            roles: Roles::all(),
            not_before: Self::NOW,
            not_after: Self::NOW.plus_s(30 * DAY_S),
            domain: None,
        }
    }

    /// The certificate of node `number` in region eu between two moments, by an issuer whose right holds ten days before and after
    /// `now`.
    #[must_use]
    pub fn certificate_between(
        &self,
        number: u32,
        serial: u64,
        [not_before, not_after]: [UnixSeconds; 2],
        now: UnixSeconds,
    ) -> Certificate {
        let (keys, issuer) = (self.keys(number), self.keys(ISSUER));
        let membership = Membership { not_before, not_after, ..self.membership(&keys, "eu", serial) };
        let delegation = Delegation {
            version: delegation::VERSION,
            mesh: self.root.mesh(),
            issuer: issuer.chain.node(),
            statement: issuer.statement.public(),
            not_before: UnixSeconds(now.0 - 10 * DAY_S),
            not_after: now.plus_s(10 * DAY_S),
            serial: 1,
        };
        let delegation = Endorsed::sign(&delegation, &[&self.operator]);
        Certificate { delegation, ..self.certificate(&keys, &membership) }
    }

    /// The certificate for a membership, signed by the issuer.
    #[must_use]
    pub fn certificate(&self, keys: &NodeKeys, membership: &Membership) -> Certificate {
        Certificate {
            membership: Signed::sign(membership, &self.keys(ISSUER).statement),
            identity: keys.chain.clone(),
            delegation: self.delegation.clone(),
        }
    }

    /// What the operators sign to put node `number` out; what it issued up to that serial holds.
    #[must_use]
    pub fn revoking(&self, number: u32, holds_up_to: u64) -> Endorsed<Revocation> {
        let revocation = Revocation {
            version: revocation::VERSION,
            mesh: self.root.mesh(),
            node: self.keys(number).chain.node(),
            holds_up_to,
            at: Self::NOW,
            reason: "lost".parse().expect("one word"),
        };
        Endorsed::sign(&revocation, &[&self.operator])
    }

    /// The same, verified.
    #[must_use]
    pub fn revocation(&self, number: u32, holds_up_to: u64) -> VerifiedRevocation {
        Revocation::open(&self.revoking(number, holds_up_to), &self.root).expect("signed by the operator")
    }

    /// What the issuer signs, as its number `serial`, to put node `number` out, to which it issued the certificate `issued`.
    #[must_use]
    pub fn withdrawing(&self, number: u32, issued: u64, serial: u64) -> ProvenWithdrawal {
        let (issuer, keys) = (self.keys(ISSUER), self.keys(number));
        let withdrawal = Withdrawal {
            version: revocation::VERSION,
            mesh: self.root.mesh(),
            issuer: issuer.chain.node(),
            serial,
            node: keys.chain.node(),
            at: Self::NOW,
            reason: "lost".parse().expect("one word"),
        };
        ProvenWithdrawal {
            withdrawal: Signed::sign(&withdrawal, &issuer.statement),
            issued: Signed::sign(&self.membership(&keys, "eu", issued), &issuer.statement),
            delegation: self.delegation.clone(),
        }
    }

    /// The same, verified.
    #[must_use]
    pub fn withdrawal(&self, number: u32, issued: u64, serial: u64) -> VerifiedRevocation {
        self.withdrawing(number, issued, serial).open(&self.root).expect("signed by the issuer")
    }

    /// The birth of a region's first cell with this sole voter.
    #[must_use]
    pub fn birth(&self, region: &str, voter: &Member) -> Birth {
        let genesis = Genesis {
            version: genesis::VERSION,
            mesh: self.root.mesh(),
            region: Region::new(region).expect("a region of a test"),
            voter: voter.node(),
            voter_statement: *voter.statement(),
            nonce: [0; 16],
        };
        let signed = Signed::sign(&genesis, &self.keys(ISSUER).statement);
        Birth::open(&signed, &self.root, &self.member(ISSUER, region)).expect("signed by the region's issuer")
    }
}

fn node_keys(mesh_seed: u64, number: u32) -> NodeKeys {
    let key = |purpose: &str| node_key(mesh_seed, number, purpose);
    let (transport, next, statement) = (key("transport 0"), key("transport 1"), key("statement"));
    let chain = InceptionChain::incept(&transport, &statement, next.public().commitment(), &[]);
    NodeKeys { mesh_seed, number, transport, next, statement, chain }
}

fn node_key(mesh_seed: u64, number: u32, purpose: &str) -> SecretKey {
    derive(&format!("mesh {mesh_seed} node {number} {purpose}"))
}

fn derive(label: &str) -> SecretKey {
    SecretKey::from_seed(*Sha256Digest::of(label.as_bytes()).as_bytes())
}
