//! The birth of a region's first cell.
//!
//! Two issuers that each admit a region's first node during a partition would found two cells and two registers for
//! ever. Hence the root names one issuer per region, and only its signature makes a genesis.

use crate::id::{CellId, MeshId, NodeId};
use crate::key::PublicKey;
use crate::member::Member;
use crate::region::Region;
use crate::root::TrustRoot;
use crate::signed::{Domain, Signed, Verified, VerifyError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of geneses.
pub const VERSION: u8 = 1;

/// Names the sole first voter of a cell; the sha-256 of its payload is the [`CellId`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// 1.
    pub version: u8,
    /// The mesh.
    pub mesh: MeshId,
    /// The region whose first cell is born.
    pub region: Region,
    /// The sole voter of the first configuration.
    pub voter: NodeId,
    /// The voter's statement key, which signs its votes.
    pub voter_statement: PublicKey,
    /// Random, so that a cell founded again has another name.
    pub nonce: [u8; 16],
}

impl Domain for Genesis {
    const DOMAIN: &'static str = "hedgerow/genesis/1";
    const PAYLOAD_MAX: usize = 160;
}

/// Why a genesis founds no cell; the region's issuer has to sign another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// The issuer's statement key did not sign it.
    #[error("genesis that its issuer did not sign")]
    Signature(#[source] VerifyError),
    /// Written in a version that this release does not know: upgrade this node.
    #[error("genesis of version {0}")]
    UnsupportedVersion(u8),
    /// For another mesh.
    #[error("genesis of mesh {0}")]
    OtherMesh(MeshId),
    /// Another node than the one that the root names for the region.
    #[error("genesis of region {region} by {found}, the root names {expected}")]
    OtherIssuer {
        /// The region.
        region: Region,
        /// Who may sign.
        expected: NodeId,
        /// Who did.
        found: NodeId,
    },
}

/// A cell that was founded by the issuer of its region; made by [`Birth::open`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    cell: CellId,
    genesis: Verified<Genesis>,
}

impl Birth {
    /// The birth, if `issuer` is the member that the root names for the region and signed the genesis.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn open(signed: &Signed<Genesis>, root: &TrustRoot, issuer: &Member) -> Result<Self, GenesisError> {
        let genesis = signed.verify(issuer.statement()).map_err(GenesisError::Signature)?;
        if genesis.version != VERSION {
            return Err(GenesisError::UnsupportedVersion(genesis.version));
        }
        if genesis.mesh != root.mesh() {
            return Err(GenesisError::OtherMesh(genesis.mesh));
        }
        let (expected, found) = (root.genesis_issuer(&genesis.region), issuer.node());
        if expected != found {
            return Err(GenesisError::OtherIssuer { region: genesis.region.clone(), expected, found });
        }
        Ok(Self { cell: CellId::from_bytes(*signed.payload_digest().as_bytes()), genesis })
    }

    /// The cell's name.
    #[must_use]
    pub const fn cell(&self) -> CellId {
        self.cell
    }

    /// Its genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Verified<Genesis> {
        &self.genesis
    }
}

#[cfg(test)]
#[path = "genesis_tests.rs"]
mod tests;
