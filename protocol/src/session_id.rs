//! Names of sessions and of the groups in which they are placed.

use crate::name::{ClassName, NameError, Namespace};
use data_encoding::BASE32_NOPAD;
use hedgerow_attest::id::CellId;
use hedgerow_attest::text::ParseTextError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Version of the identifier's own layout, the first field of its text and of its bytes.
pub const SESSION_ID_VERSION: u8 = 1;

/// Groups into which the sessions of one class in one cell fall, by the first bits of their names.
pub const GROUP_PREFIXES: u16 = 16;

/// Bytes that the text of an identifier can have: version, cell, class, namespace, name and the points between them.
const TEXT_MAX: usize = 1 + 1 + 52 + 1 + ClassName::MAX + 1 + Namespace::MAX + 1 + 26;

/// Hashed before a name that is given as text, so that the digest means nothing elsewhere.
const NAME_CONTEXT: &str = "hedgerow session name 1";

/// Names a session for ever: it does not change when the session moves to another cell.
///
/// Text form: `1.CELL.CLASS.NAMESPACE.NAME` with the cell and the name in lowercase base32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// Layout of this identifier; [`SESSION_ID_VERSION`].
    pub version: u8,
    /// The cell in which the session was born. Where it lives later is found from here.
    pub birth: CellId,
    /// The rule by which it is kept.
    pub class: ClassName,
    /// The application that named it.
    pub namespace: Namespace,
    /// 128 bits, random or hashed from a name of the application's.
    pub name: [u8; 16],
}

impl SessionId {
    /// The session that an application calls `name`; the same name gives the same session on every node.
    #[must_use]
    pub fn named(birth: CellId, class: ClassName, namespace: Namespace, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(NAME_CONTEXT);
        hasher.update(name.as_bytes());
        let mut bits = [0; 16];
        hasher.finalize_xof().fill(&mut bits);
        Self { version: SESSION_ID_VERSION, birth, class, namespace, name: bits }
    }

    /// The group that holds it, of `prefixes` per class and cell (1 to 256; [`GROUP_PREFIXES`] unless a table says more).
    #[must_use]
    pub fn group(&self, prefixes: u16) -> GroupId {
        let first = u16::from(self.name.first().copied().unwrap_or_default());
        let prefix = u32::from(first) * u32::from(prefixes.clamp(1, 256)) / 256;
        let prefix = u8::try_from(prefix).expect("a byte scaled by at most 256/256 is a byte");
        GroupId { cell: self.birth, class: self.class.clone(), prefix }
    }
}

/// Why a text is not the name of a session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionIdError {
    /// It does not have five parts with points between them, or is far too long.
    #[error("session id without the form 1.CELL.CLASS.NAMESPACE.NAME")]
    Shape,
    /// Its first part is not a version that is known here; a node of a later release may know it.
    #[error("session id of an unknown version")]
    Version,
    /// The cell is not 52 characters of base32.
    #[error("session id with a malformed cell")]
    Cell(#[source] ParseTextError),
    /// Class or namespace is not such a name.
    #[error("session id with a malformed class or namespace")]
    Name(#[source] NameError),
    /// The last part is not 26 characters of base32.
    #[error("session id whose last part is not 128 bits of base32")]
    Bits,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = BASE32_NOPAD.encode(&self.name).to_ascii_lowercase();
        write!(f, "{}.{}.{}.{}.{name}", self.version, self.birth, self.class, self.namespace)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        if text.len() > TEXT_MAX {
            return Err(SessionIdError::Shape);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(SessionIdError::Shape);
        let (version, birth, class, namespace, name) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(SessionIdError::Shape);
        }
        if version != "1" {
            return Err(SessionIdError::Version);
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(SessionIdError::Bits);
        }
        let bits =
            BASE32_NOPAD.decode(name.to_ascii_uppercase().as_bytes()).map_err(|_refused| SessionIdError::Bits)?;
        Ok(Self {
            version: SESSION_ID_VERSION,
            birth: birth.parse().map_err(SessionIdError::Cell)?,
            class: ClassName::new(class).map_err(SessionIdError::Name)?,
            namespace: Namespace::new(namespace).map_err(SessionIdError::Name)?,
            name: bits.try_into().map_err(|_refused| SessionIdError::Bits)?,
        })
    }
}

/// A placement group: the sessions of one class, in one home cell, whose names share a prefix. They live together on the
/// same replicas, in one log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// The home cell.
    pub cell: CellId,
    /// The rule by which its sessions are kept.
    pub class: ClassName,
    /// Which of the class' groups in this cell, from 0.
    pub prefix: u8,
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.cell.short(), self.class, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart(name: &str) -> SessionId {
        SessionId::named(
            CellId::from_bytes([7; 32]),
            ClassName::new("cart").unwrap(),
            Namespace::new("shop").unwrap(),
            name,
        )
    }

    #[test]
    fn a_session_has_one_text_that_parses_back() {
        let id = cart("alice");
        let text = id.to_string();
        assert_eq!(text, "1.a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq.cart.shop.uyl7klqsd4m4vqokrsz5ifiddm");
        assert_eq!(text.parse(), Ok(id.clone()));
        assert_eq!(text.replacen('1', "2", 1).parse::<SessionId>(), Err(SessionIdError::Version));
        assert_eq!(format!("{text}.x").parse::<SessionId>(), Err(SessionIdError::Shape));
        assert_eq!(text.replace("cart.", "").parse::<SessionId>(), Err(SessionIdError::Shape));
        assert!(text.to_uppercase().parse::<SessionId>().is_err());
        assert_eq!(format!("{}a", "1.".repeat(300)).parse::<SessionId>(), Err(SessionIdError::Shape));
        assert_ne!(cart("bob"), id);
    }

    #[test]
    fn prefixes_split_names_evenly_and_stay_in_range() {
        let mut id = cart("x");
        for (first, prefixes, expected) in
            [(0x00, 16, 0), (0x0f, 16, 0), (0x10, 16, 1), (0xff, 16, 15), (0xff, 256, 255), (0xff, 1, 0)]
        {
            id.name[0] = first;
            assert_eq!(id.group(prefixes).prefix, expected, "{first:#x} of {prefixes}");
        }
    }
}
