//! The beginning of a mesh: keys, root, the first member and the first cell.

use std::io;
use std::path::PathBuf;

use hedgerow_attest::delegation::{self, Delegation};
use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::id::MeshId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::keyset::KeySet;
use hedgerow_attest::membership::Roles;
use hedgerow_attest::name::{FailureDomain, MeshName, NodeClass};
use hedgerow_attest::region::Region;
use hedgerow_attest::root::{GenesisIssuers, Lifetimes, RootDraft, RootError, TrustRoot};
use hedgerow_attest::secretfile::{SecretFile, SecretPurpose};
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::id::PolicyVersion;
use hedgerow_protocol::name::ClassName;
use hedgerow_protocol::placement::{DataClass, Policy};

use super::issuer::{CertificateTerms, Issuer, IssuerError};
use super::keys::{NodeIdentity, NodeIdentityError};
use super::secrets::{self, SecretError};
use crate::store::{DataFolder, Layout, file};

/// What the founder chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// The mesh's name for people.
    pub name: MeshName,
    /// The region of this first node.
    pub region: Region,
    /// What kind of machine this first node is.
    pub class: NodeClass,
    /// What it would fail together with.
    pub domain: Option<FailureDomain>,
    /// Seconds for which certificates of members hold.
    pub membership_s: u64,
}

/// A mesh that was founded in a folder.
#[derive(Debug, Clone)]
pub struct Founded {
    /// The mesh.
    pub mesh: MeshId,
    /// Its first member.
    pub identity: NodeIdentity,
}

/// Why no mesh was founded. Keys that were made stay and are used by the next attempt; nothing that was there is replaced
/// once the folder belongs to a member.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The folder belongs to a member already.
    #[error("found a mesh: the data folder {} belongs to a member of a mesh already; `hedgerow status` says of which, and --data names another folder", path.display())]
    AlreadyMember {
        /// The folder.
        path: PathBuf,
    },
    /// The node's own keys.
    #[error("found a mesh: make the node's identity")]
    Identity(#[from] NodeIdentityError),
    /// Another secret key file.
    #[error("found a mesh: make the operator's keys")]
    Secret(#[from] SecretError),
    /// What was just signed does not verify: keys of different foundings lie in the folder.
    #[error("found a mesh: verify its root")]
    Root(#[source] RootError),
    /// What was just signed does not verify.
    #[error("found a mesh: issue the first certificate")]
    Issue(#[from] IssuerError),
    /// The system refused.
    #[error("found a mesh: write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Founds a mesh whose only operator, publisher, issuer and member is this node.
///
/// `membership.bin` is written last and is the sign that all the rest is there; an interrupted founding can be repeated.
pub fn found(folder: &DataFolder, founding: &Founding, now: UnixSeconds) -> Result<Founded, FoundError> {
    let layout = folder.layout();
    if layout.membership().exists() {
        return Err(FoundError::AlreadyMember { path: layout.root().to_path_buf() });
    }
    let identity = NodeIdentity::load_or_make(layout)?;
    let keys = OperatorKeys::load_or_make(layout)?;
    let root_json = keys.root(founding, &identity, now).sign(&[&keys.operator]);
    let root = TrustRoot::parse(&root_json).map_err(FoundError::Root)?;
    let mesh = root.mesh();
    let delegation = keys.delegation(mesh, &identity, now);
    let issuer = Issuer::open(identity.clone(), root.into(), delegation.clone(), now)?;
    let terms = CertificateTerms {
        region: &founding.region,
        class: &founding.class,
        roles: Roles::all(),
        domain: founding.domain.as_ref(),
    };
    let member = issuer.issue(identity.chain(), terms, FOUNDERS_SERIAL, now)?;
    let genesis = issuer.genesis(&member)?;
    let policy = Endorsed::sign(&default_policy(), &[&keys.policy]);

    let files = [
        (layout.root_json(), root_json),
        (layout.delegation(), delegation.to_bytes()),
        (layout.genesis(&founding.region), genesis.to_bytes()),
        (layout.policy(), policy.to_bytes()),
        (layout.membership(), member.certificate().to_bytes()),
    ];
    for (path, bytes) in files {
        file::write(&path, &bytes).map_err(|source| FoundError::Write { path, source })?;
    }
    Ok(Founded { mesh, identity })
}

/// The keys that the first root names, one operator holding all.
struct OperatorKeys {
    operator: SecretKey,
    membership: SecretKey,
    revocation: SecretKey,
    policy: SecretKey,
    publisher: SecretKey,
    freshness: SecretKey,
}

impl OperatorKeys {
    fn load_or_make(layout: &Layout) -> Result<Self, SecretError> {
        use SecretPurpose::{Freshness, Membership, Operator, Policy, Publisher, Revocation};
        let load = |path: PathBuf, purposes: &[SecretPurpose]| {
            secrets::load_or_make(&path, purposes).map(|secrets| (path, secrets))
        };
        let operators = load(layout.operator_key(), &[Operator, Membership, Revocation])?;
        let policy = load(layout.policy_key(), &[Policy])?;
        let publisher = load(layout.publisher_key(), &[Publisher])?;
        let freshness = load(layout.freshness_key(), &[Freshness])?;
        let key = |(path, secrets): &(PathBuf, SecretFile), purpose| secrets::key(path, secrets, purpose);
        Ok(Self {
            operator: key(&operators, Operator)?,
            membership: key(&operators, Membership)?,
            revocation: key(&operators, Revocation)?,
            policy: key(&policy, Policy)?,
            publisher: key(&publisher, Publisher)?,
            freshness: key(&freshness, Freshness)?,
        })
    }

    fn root(&self, founding: &Founding, founder: &NodeIdentity, now: UnixSeconds) -> RootDraft {
        let sole = |key: &SecretKey| KeySet::sole(key.public());
        RootDraft {
            version: 1,
            expires: now.plus_s(ROOT_S),
            name: founding.name.clone(),
            root: sole(&self.operator),
            targets: sole(&self.publisher),
            snapshot: sole(&self.freshness),
            timestamp: sole(&self.freshness),
            membership: sole(&self.membership),
            revocation: sole(&self.revocation),
            policy: sole(&self.policy),
            genesis: GenesisIssuers { default: founder.node(), regions: std::collections::BTreeMap::new() },
            lifetimes: Lifetimes { membership_s: founding.membership_s, delegation_s: DELEGATION_S },
        }
    }

    fn delegation(&self, mesh: MeshId, issuer: &NodeIdentity, now: UnixSeconds) -> Endorsed<Delegation> {
        let delegation = Delegation {
            version: delegation::VERSION,
            mesh,
            issuer: issuer.node(),
            statement: issuer.statement().public(),
            not_before: now,
            not_after: now.plus_s(DELEGATION_S),
            serial: 1,
        };
        Endorsed::sign(&delegation, &[&self.membership])
    }
}

/// The classes of a fresh mesh, sorted by name: `default` survives the loss of a node, `local` costs no network.
fn default_policy() -> Policy {
    let class = |name: &str, replicas, write_quorum| DataClass {
        name: ClassName::new(name).expect("a lowercase word"),
        replicas,
        write_quorum,
        regions: Vec::new(),
        personal: false,
        ttl_s: 0,
    };
    Policy { version: PolicyVersion(1), parent: None, classes: vec![class("default", 3, 2), class("local", 1, 1)] }
}

/// The store's serials begin with 1, so whatever is issued later replaces the founder's first certificate.
const FOUNDERS_SERIAL: u64 = 0;
const DAY_S: u64 = 86_400;
/// Seconds for which certificates hold unless the founder says otherwise. It bounds what a stolen transport key can do unnoticed.
pub const MEMBERSHIP_S: u64 = 30 * DAY_S;
const DELEGATION_S: u64 = 365 * DAY_S;
/// A root past its date still verifies; the date is when operators are told to look after it.
const ROOT_S: u64 = 2 * 365 * DAY_S;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use hedgerow_attest::genesis::{Birth, Genesis};
    use hedgerow_attest::membership::Certificate;
    use hedgerow_attest::signed::Signed;

    use super::super::testing::{NOW, founding};
    use super::*;

    #[test]
    fn everything_that_init_writes_verifies() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let founded = found(&folder, &founding("eu"), NOW).unwrap();
        let layout = folder.layout();

        let root = TrustRoot::parse(&fs::read(layout.root_json()).unwrap()).unwrap();
        assert_eq!((root.mesh(), root.name().as_str()), (founded.mesh, "oaks"));
        let certificate = Certificate::from_bytes(&fs::read(layout.membership()).unwrap()).unwrap();
        let member = certificate.verify(&root, NOW, 0).unwrap();
        assert_eq!((member.node(), member.peer()), (founded.identity.node(), founded.identity.peer()));
        assert_eq!((member.region().as_str(), member.serial(), member.roles()), ("eu", 0, Roles::all()));
        assert_eq!(member.not_after(), NOW.plus_s(30 * 86_400));

        let genesis = fs::read(layout.genesis(member.region())).unwrap();
        let birth = Birth::open(&Signed::<Genesis>::from_bytes(&genesis).unwrap(), &root, &member).unwrap();
        assert_eq!((birth.genesis().voter, &birth.genesis().region), (member.node(), member.region()));

        let policy = Endorsed::<Policy>::from_bytes(&fs::read(layout.policy()).unwrap()).unwrap();
        let policy = policy.verify_threshold(root.policy()).unwrap();
        assert!(policy.is_well_formed());
        let counts = |name: &str| {
            let class = policy.class(&ClassName::new(name).unwrap()).unwrap();
            (class.replicas, class.write_quorum, class.regions.len())
        };
        assert_eq!((counts("default"), counts("local")), ((3, 2, 0), (1, 1, 0)));

        let publisher = secrets::load_secrets(&layout.publisher_key()).unwrap().key(SecretPurpose::Publisher).unwrap();
        let named = root.publishers().keys().map(|(_, key)| *key).collect::<Vec<_>>();
        assert_eq!(named, [publisher.public()]);
    }

    #[test]
    fn founding_twice_changes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        found(&folder, &founding("eu"), NOW).unwrap();
        let before = contents(folder.layout());
        let refused = found(&folder, &founding("us"), NOW);
        assert!(matches!(&refused, Err(FoundError::AlreadyMember { path }) if path == parent.path()), "{refused:?}");
        assert_eq!(contents(folder.layout()), before);
    }

    #[test]
    fn an_interrupted_founding_is_repeated_with_the_same_keys() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let first = found(&folder, &founding("eu"), NOW).unwrap();
        fs::remove_file(folder.layout().membership()).unwrap();
        let operator = fs::read(folder.layout().operator_key()).unwrap();
        let second = found(&folder, &founding("eu"), NOW.plus_s(60)).unwrap();
        assert_eq!(fs::read(folder.layout().operator_key()).unwrap(), operator);
        assert_eq!(second.identity.node(), first.identity.node());
        assert_ne!(second.mesh, first.mesh, "another root is another mesh");
    }

    #[test]
    fn nothing_in_the_folder_is_readable_by_others() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        found(&folder, &founding("eu"), NOW).unwrap();
        for (path, _) in contents(folder.layout()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }

    fn contents(layout: &Layout) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(layout.root()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}
