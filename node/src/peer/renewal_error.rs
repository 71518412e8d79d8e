//! Why a node's own certificate was not renewed.

use std::net::SocketAddr;

use hedgerow_attest::id::NodeId;
use hedgerow_attest::membership::MembershipError;
use thiserror::Error;

use crate::identity::{IssuerError, RenewalRefusal};
use crate::net::{JoinError, RequestError};
use crate::store::CommitError;

/// Why a certificate was not renewed; the one before stays in use until its end.
#[derive(Debug, Error)]
pub(super) enum RenewalError {
    /// Nobody is known who could.
    #[error("find an issuer of the mesh: none is known; see that `hedgerow members` lists one")]
    NoIssuer,
    /// An issuer said no.
    #[error("have issuer {issuer} renew it: {refusal}")]
    Refused {
        /// Who.
        issuer: NodeId,
        /// Why.
        refusal: RenewalRefusal,
    },
    /// An issuer was not reached over a link.
    #[error("reach issuer {issuer}; see that it runs and that UDP gets through")]
    Unreached {
        /// Who.
        issuer: NodeId,
        /// Why.
        #[source]
        source: Box<RequestError>,
    },
    /// Nor on the join lane.
    #[error("reach issuer {issuer} at {address}; see that it runs and that UDP gets through")]
    Unjoined {
        /// Who.
        issuer: NodeId,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: Box<JoinError>,
    },
    /// It is not known where an issuer is.
    #[error("reach issuer {issuer}: no address of it is known; see that it runs and that any member reaches it")]
    Nowhere {
        /// Who.
        issuer: NodeId,
    },
    /// The answer holds no certificate for this node.
    #[error("use the certificate that issuer {issuer} gave; upgrade it")]
    Unusable {
        /// Who.
        issuer: NodeId,
        /// What is wrong with it.
        #[source]
        source: Box<MembershipError>,
    },
    /// The answer holds the certificate of another node, or none that follows.
    #[error("use the answer of issuer {issuer}: it is no certificate that follows this node's; upgrade it")]
    NoSuccessor {
        /// Who.
        issuer: NodeId,
    },
    /// This node's own right to issue gives no later end.
    #[error("renew by this node's own right to issue")]
    OwnRight(#[source] IssuerError),
    /// The serial was not kept.
    #[error("take a serial; see that the disk is well and restart the node")]
    Serial(#[source] CommitError),
    /// There is none left.
    #[error("take a serial: there is no higher one; another issuer has to renew")]
    NoSerial,
    /// The file was not written.
    #[error("keep the certificate; see that the disk of the data folder has room and is well")]
    Keep(#[source] std::io::Error),
}
