//! Names and keys for tests.

use hedgerow_attest::{
    id::{CellId, NodeId},
    key::SecretKey,
};
use hedgerow_protocol::{
    id::BootId,
    name::{ClassName, Namespace},
    session_id::{GroupId, SessionId},
};

use crate::{
    engine::Author,
    ops::{Scalar, SessionOp},
};

pub(crate) fn secret(node: u8) -> SecretKey {
    SecretKey::from_seed([node; 32])
}

pub(crate) fn node(node: u8) -> NodeId {
    NodeId::from_bytes([node; 32])
}

pub(crate) fn author(node: u8, boot: u8) -> Author {
    Author { statement: secret(node).public(), boot: BootId([boot; 16]) }
}

pub(crate) fn group() -> GroupId {
    GroupId { cell: CellId::from_bytes([9; 32]), class: ClassName::new("cart").unwrap(), prefix: 0 }
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::named(group().cell, group().class, Namespace::new("shop").unwrap(), name)
}

/// `/a/b` as a path.
pub(crate) fn path(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(str::to_owned).collect()
}

pub(crate) fn put(pointer: &str, value: i64) -> SessionOp {
    SessionOp::Put { path: path(pointer), value: Scalar::Int(value) }
}

pub(crate) fn delete(pointer: &str) -> SessionOp {
    SessionOp::Delete { path: path(pointer) }
}

pub(crate) fn increment(pointer: &str, by: i64) -> SessionOp {
    SessionOp::Increment { path: path(pointer), by }
}

/// Makes the checksum of a change chunk right again, so that a change of its bytes is not found out by it.
pub(crate) fn mend_checksum(change: &mut [u8]) {
    let hash = crate::prescan::hash_of(change);
    change[4..8].copy_from_slice(&hash.0[..4]);
}
