//! What a member reads from its folder at each start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hedgerow_attest::delegation::Delegation;
use hedgerow_attest::endorsed::{ENDORSED_OVERHEAD, Endorsed};
use hedgerow_attest::genesis::Genesis;
use hedgerow_attest::member::Member;
use hedgerow_attest::membership::{CERTIFICATE_MAX, Certificate, MembershipError};
use hedgerow_attest::root::{ROOT_MAX, RootError, TrustRoot};
use hedgerow_attest::signed::{Domain as _, EnvelopeError, Signed};
use hedgerow_attest::time::UnixSeconds;
use hedgerow_protocol::fact::SignedFact;
use hedgerow_protocol::placement::Policy;
use tokio::sync::watch;

use super::admission::{Admission, GENESIS_FILE_BYTES_MAX};
use super::appointment::{Appointments, Issuing};
use super::issuer::{Issuer, IssuerError};
use super::keys::{NodeIdentity, NodeIdentityError};
use crate::store::{GENESIS_PREFIX, GENESIS_SUFFIX, Layout, MeshStore, file};

/// A member as its data folder has it.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The node's keys.
    pub identity: NodeIdentity,
    /// The root of its mesh.
    pub root: Arc<TrustRoot>,
    /// The node's own membership, which may have ended: [`Member::is_past`].
    pub member: Member,
    /// Geneses of regions, unverified: the core checks them with its roster.
    pub geneses: Vec<Signed<Genesis>>,
    /// The policy with which it joined or founded, unverified likewise.
    pub policy: Option<Endorsed<Policy>>,
    /// The right to issue, where the node has it; it may have ended.
    pub issuer: Option<Issuer>,
    root_json: Arc<[u8]>,
    layout: Layout,
}

/// Why a folder is not that of a member. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolledError {
    /// It never joined.
    #[error("start: the data folder {} belongs to no mesh; run `hedgerow init` to found one, or `hedgerow join TICKET`", path.display())]
    NotAMember {
        /// The folder.
        path: PathBuf,
    },
    /// The node's own keys.
    #[error(transparent)]
    Identity(#[from] NodeIdentityError),
    /// A file cannot be read.
    #[error("start: read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is damaged; restore it from a backup, or join again with an empty folder.
    #[error("start: decode {}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: EnvelopeError,
    },
    /// The root does not hold.
    #[error("start: verify root.json")]
    Root(#[source] RootError),
    /// The certificate never held, or not yet: one that has ended is no error, since the node renews it.
    #[error(
        "start: the node's certificate does not hold; see that the clock of this machine is right, and that membership.bin and root.json are from one backup"
    )]
    Certificate(#[source] MembershipError),
    /// `membership.bin` is that of another node.
    #[error("start: membership.bin is that of another node than identity.key; restore both from one backup")]
    OtherNode,
    /// `delegation.bin` gives no right to issue; an operator has to delegate again, or the file be removed.
    #[error("start: use delegation.bin")]
    Issuer(#[source] IssuerError),
}

impl Enrolled {
    /// Reads and verifies the folder's files as of `now`.
    pub fn load(layout: &Layout, now: UnixSeconds) -> Result<Self, EnrolledError> {
        let path = layout.membership();
        let certificate = match read(&path, CERTIFICATE_MAX)? {
            Some(bytes) => Certificate::from_bytes(&bytes).map_err(malformed(&path))?,
            None => return Err(EnrolledError::NotAMember { path: layout.root().to_path_buf() }),
        };
        let identity = NodeIdentity::load(layout)?;
        let root_json = required(&layout.root_json(), ROOT_MAX)?;
        let root = Arc::new(TrustRoot::parse(&root_json).map_err(EnrolledError::Root)?);
        // One that is over is shown to issuers, and to nobody else.
        let member = certificate.verify_past(&root, now, root.skew_s()).map_err(EnrolledError::Certificate)?;
        if member.node() != identity.node() || member.peer() != identity.peer() {
            return Err(EnrolledError::OtherNode);
        }
        let path = layout.policy();
        let policy = read(&path, Policy::PAYLOAD_MAX + ENDORSED_OVERHEAD)?;
        let policy = policy.map(|bytes| Endorsed::from_bytes(&bytes).map_err(malformed(&path))).transpose()?;
        let issuer = issuer(layout, &identity, &root, now)?;
        let geneses = geneses(layout)?;
        Ok(Self {
            identity,
            root,
            member,
            geneses,
            policy,
            issuer,
            root_json: root_json.into(),
            layout: layout.clone(),
        })
    }

    /// What the mesh core is told at its start beside its own rows, in an order in which each can be checked.
    pub fn facts(&self) -> Vec<SignedFact> {
        let member = SignedFact::Member(Box::new(self.member.certificate().clone()));
        let geneses = self.geneses.iter().cloned().map(SignedFact::Genesis);
        let policy = self.policy.iter().cloned().map(SignedFact::Policy);
        std::iter::once(member).chain(geneses).chain(policy).collect()
    }

    /// The node's admission of others, while it may issue; `own` has its own certificate, whichever is the last.
    pub fn admission(&self, issuing: Issuing, store: MeshStore, own: watch::Receiver<Member>) -> Admission {
        Admission::new(issuing, own, Arc::clone(&self.root_json), store, self.layout.clone())
    }

    /// What gives the node the right to issue while it runs.
    pub fn appointments(&self, own: watch::Receiver<Member>) -> Appointments {
        Appointments::new(self, self.layout.clone(), own)
    }
}

fn issuer(
    layout: &Layout,
    identity: &NodeIdentity,
    root: &Arc<TrustRoot>,
    now: UnixSeconds,
) -> Result<Option<Issuer>, EnrolledError> {
    let path = layout.delegation();
    let Some(bytes) = read(&path, Delegation::PAYLOAD_MAX + ENDORSED_OVERHEAD)? else { return Ok(None) };
    let delegation: Endorsed<Delegation> = Endorsed::from_bytes(&bytes).map_err(malformed(&path))?;
    // One that has ended stops no node: operators give it again while it runs.
    let held = delegation.peek().map_or(now, |delegation| now.min(delegation.not_after));
    let issuer = Issuer::open(identity.clone(), Arc::clone(root), delegation, held);
    issuer.map(Some).map_err(EnrolledError::Issuer)
}

fn geneses(layout: &Layout) -> Result<Vec<Signed<Genesis>>, EnrolledError> {
    let unread = |source| EnrolledError::Read { path: layout.root().to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(layout.root()).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(GENESIS_PREFIX) && name.ends_with(GENESIS_SUFFIX)) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let genesis = |path: &PathBuf| {
        let bytes = file::read_bounded(path, GENESIS_FILE_BYTES_MAX)
            .map_err(|source| EnrolledError::Read { path: path.clone(), source })?;
        Signed::from_bytes(&bytes).map_err(malformed(path))
    };
    paths.iter().map(genesis).collect()
}

fn required(path: &Path, bytes_max: usize) -> Result<Vec<u8>, EnrolledError> {
    let missing = || EnrolledError::Read { path: path.to_path_buf(), source: io::ErrorKind::NotFound.into() };
    read(path, bytes_max)?.ok_or_else(missing)
}

fn read(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, EnrolledError> {
    match file::read_bounded(path, bytes_max as u64) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EnrolledError::Read { path: path.to_path_buf(), source }),
    }
}

fn malformed(path: &Path) -> impl FnOnce(EnvelopeError) -> EnrolledError {
    let path = path.to_path_buf();
    move |source| EnrolledError::Malformed { path, source }
}

#[cfg(test)]
mod tests {
    use hedgerow_attest::delegation::DelegationError;
    use hedgerow_attest::membership::Roles;
    use hedgerow_attest::time::ValidityError;

    use super::super::issuer::CertificateTerms;
    use super::super::testing::{NOW, founded, identity};
    use super::*;

    #[test]
    fn a_founder_starts_as_member_and_issuer() {
        let mesh = founded();
        let enrolled = Enrolled::load(mesh.layout(), NOW.plus_s(60)).unwrap();
        assert_eq!(enrolled.member.node(), mesh.identity().node());
        assert!(enrolled.issuer.is_some());
        let facts = enrolled.facts();
        assert!(
            matches!(&facts[..], [SignedFact::Member(_), SignedFact::Genesis(_), SignedFact::Policy(_)]),
            "{facts:?}"
        );
    }

    #[test]
    fn a_folder_that_never_joined_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Enrolled::load(&Layout::new(folder.path()), NOW).unwrap_err();
        assert!(matches!(error, EnrolledError::NotAMember { .. }));
        assert!(error.to_string().contains("hedgerow join"), "{error}");
    }

    #[test]
    fn a_node_whose_certificate_ended_starts_to_renew_it_and_one_whose_clock_is_behind_does_not() {
        let mesh = founded();
        let is_past = |now| Enrolled::load(mesh.layout(), now).unwrap().member.is_past();
        assert_eq!([NOW.plus_s(29 * 86_400), NOW.plus_s(31 * 86_400)].map(is_past), [false, true]);
        let early = UnixSeconds(NOW.0 - 7_200);
        let ahead = Enrolled::load(mesh.layout(), early).unwrap_err();
        let EnrolledError::Certificate(MembershipError::Delegation(DelegationError::Validity(why))) = &ahead else {
            panic!("{ahead:?}")
        };
        assert_eq!(*why, ValidityError::NotYet { not_before: NOW, now: early });
        assert!(ahead.to_string().contains("the clock of this machine"), "{ahead}");

        let other = founded();
        fs::copy(other.layout().membership(), mesh.layout().membership()).unwrap();
        let wrong = Enrolled::load(mesh.layout(), NOW).unwrap_err();
        assert!(matches!(wrong, EnrolledError::Certificate(MembershipError::Delegation(_))), "{wrong:?}");
        fs::write(mesh.layout().membership(), "garbage").unwrap();
        assert!(matches!(Enrolled::load(mesh.layout(), NOW), Err(EnrolledError::Malformed { .. })));
    }

    #[test]
    fn the_certificate_of_another_member_is_not_ours() {
        let mesh = founded();
        let (_folder, other) = identity();
        let (region, class) = ("home".parse().unwrap(), "edge".parse().unwrap());
        let terms = CertificateTerms { region: &region, class: &class, roles: Roles::all(), domain: None };
        let member = mesh.issuer().issue(other.chain(), terms, 1, NOW).unwrap();
        fs::write(mesh.layout().membership(), member.certificate().to_bytes()).unwrap();
        assert!(matches!(Enrolled::load(mesh.layout(), NOW), Err(EnrolledError::OtherNode)));
    }
}
