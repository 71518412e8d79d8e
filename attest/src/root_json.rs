//! The JSON of a root file, and its translation to key sets.

use crate::key::{KeyId, PublicKey};
use crate::keyset::KeySet;
use crate::name::MeshName;
use crate::root::{GenesisIssuers, Lifetimes, RootDraft, RootError};
use crate::text::{Hex, TextForm as _};
use crate::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Version of the `x-mesh` object.
const X_MESH_VERSION: u64 = 1;

/// The TUF specification that roots are written to; readers accept every 1.x.
const SPECIFICATION: &str = "1.0.34";

/// A signed TUF document.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) signatures: Vec<DocumentSignature>,
    pub(crate) signed: Value,
}

/// One signature; strings, because other implementations may sign too, with keys of other kinds.
#[derive(Serialize, Deserialize)]
pub(crate) struct DocumentSignature {
    pub(crate) keyid: String,
    pub(crate) sig: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RootJson {
    #[serde(rename = "_type")]
    kind: RootKind,
    spec_version: String,
    version: u64,
    expires: String,
    consistent_snapshot: bool,
    keys: BTreeMap<KeyId, KeyJson>,
    roles: RolesJson,
    #[serde(rename = "x-mesh")]
    x_mesh: MeshJson,
}

#[derive(Serialize, Deserialize)]
enum RootKind {
    #[serde(rename = "root")]
    Root,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeyJson {
    keytype: String,
    scheme: String,
    keyval: KeyValueJson,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeyValueJson {
    public: String,
}

#[derive(Serialize, Deserialize)]
struct RoleJson {
    keyids: Vec<KeyId>,
    threshold: usize,
}

#[derive(Serialize, Deserialize)]
struct RolesJson {
    root: RoleJson,
    targets: RoleJson,
    snapshot: RoleJson,
    timestamp: RoleJson,
}

#[derive(Serialize, Deserialize)]
struct MeshJson {
    version: u64,
    name: MeshName,
    membership: RoleJson,
    revocation: RoleJson,
    policy: RoleJson,
    genesis: GenesisIssuers,
    lifetimes: Lifetimes,
}

impl RootJson {
    pub(crate) fn of(draft: &RootDraft) -> Self {
        let sets = [
            &draft.root,
            &draft.targets,
            &draft.snapshot,
            &draft.timestamp,
            &draft.membership,
            &draft.revocation,
            &draft.policy,
        ];
        Self {
            kind: RootKind::Root,
            spec_version: SPECIFICATION.into(),
            version: draft.version,
            expires: draft.expires.to_string(),
            consistent_snapshot: true,
            keys: sets.iter().flat_map(|set| set.keys()).map(|(id, key)| (*id, KeyJson::of(key))).collect(),
            roles: RolesJson {
                root: RoleJson::of(&draft.root),
                targets: RoleJson::of(&draft.targets),
                snapshot: RoleJson::of(&draft.snapshot),
                timestamp: RoleJson::of(&draft.timestamp),
            },
            x_mesh: MeshJson {
                version: X_MESH_VERSION,
                name: draft.name.clone(),
                membership: RoleJson::of(&draft.membership),
                revocation: RoleJson::of(&draft.revocation),
                policy: RoleJson::of(&draft.policy),
                genesis: draft.genesis.clone(),
                lifetimes: draft.lifetimes,
            },
        }
    }

    pub(crate) fn content(self) -> Result<RootDraft, RootError> {
        if !self.spec_version.starts_with("1.") {
            return Err(RootError::UnsupportedSpecification(self.spec_version));
        }
        let mesh = self.x_mesh;
        if mesh.version != X_MESH_VERSION {
            return Err(RootError::UnsupportedVersion(mesh.version));
        }
        let set = |name, role: &RoleJson| role.set(name, &self.keys);
        Ok(RootDraft {
            version: self.version,
            expires: UnixSeconds::parse(&self.expires).map_err(RootError::Expires)?,
            root: set("root", &self.roles.root)?,
            targets: set("targets", &self.roles.targets)?,
            snapshot: set("snapshot", &self.roles.snapshot)?,
            timestamp: set("timestamp", &self.roles.timestamp)?,
            membership: set("membership", &mesh.membership)?,
            revocation: set("revocation", &mesh.revocation)?,
            policy: set("policy", &mesh.policy)?,
            name: mesh.name,
            genesis: mesh.genesis,
            lifetimes: mesh.lifetimes,
        })
    }
}

impl RoleJson {
    fn of(set: &KeySet) -> Self {
        Self { keyids: set.keys().map(|(id, _key)| *id).collect(), threshold: set.threshold() }
    }

    fn set(&self, role: &'static str, keys: &BTreeMap<KeyId, KeyJson>) -> Result<KeySet, RootError> {
        let listed = self.keyids.iter().map(|keyid| {
            let json = keys.get(keyid).ok_or(RootError::UnknownKey { role, keyid: *keyid })?;
            let key = json.key().filter(|key| KeyId::of(key) == *keyid);
            key.ok_or(RootError::BadKey { role, keyid: *keyid })
        });
        let listed = listed.collect::<Result<Vec<_>, _>>()?;
        KeySet::new(listed, self.threshold).map_err(|source| RootError::Role { role, source })
    }
}

impl KeyJson {
    fn of(key: &PublicKey) -> Self {
        let kind = String::from("ed25519");
        let keyval = KeyValueJson { public: Hex::encode(key.as_bytes()) };
        Self { keytype: kind.clone(), scheme: kind, keyval }
    }

    fn key(&self) -> Option<PublicKey> {
        if self.keytype != "ed25519" || self.scheme != "ed25519" {
            return None;
        }
        PublicKey::from_bytes(Hex::decode(&self.keyval.public).ok()?).ok()
    }
}
