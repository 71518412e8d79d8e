//! Who makes changes, as the engine names them.

use std::fmt;

use hedgerow_attest::key::PublicKey;
use hedgerow_protocol::{id::BootId, session_id::SessionId};

/// The engine's name for one author of one document. An actor numbers its changes without a gap, so it must never be used again once a number may
/// have been lost: hence one per boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub [u8; 16]);

impl ActorId {
    /// The author of every document's skeleton; no key leads to it.
    pub const SKELETON: Self = Self(*b"hedgerow-genesis");

    /// The only actor under which the holder of `author.statement` may write to `session` in this boot. Whoever receives a change derives it again
    /// from the key that signed the frame, so that nobody writes in another's name.
    #[must_use]
    pub fn of(author: &Author, session: &SessionId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hedgerow session actor 1");
        hasher.update(author.statement.as_bytes());
        hasher.update(&author.boot.0);
        hasher.update(session.to_string().as_bytes());
        let mut actor = [0; 16];
        hasher.finalize_xof().fill(&mut actor);
        Self(actor)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// One boot of the holder of a statement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The key that signs the frames.
    pub statement: PublicKey,
    /// The boot in which the change is made.
    pub boot: BootId,
}

impl Author {
    /// The prefix of this node's cells in a session's counters. It outlives boots: a restarted node has its own cells back from its log before it
    /// writes, and two boots of one node never run at once.
    pub(crate) fn cell(&self, session: &SessionId) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("hedgerow counter cell 1");
        hasher.update(self.statement.as_bytes());
        hasher.update(session.to_string().as_bytes());
        let mut cell = [0; CELL_ID_LENGTH / 2];
        hasher.finalize_xof().fill(&mut cell);
        data_encoding::HEXLOWER.encode(&cell)
    }
}

/// Hexadecimal digits of a cell's owner.
pub(crate) const CELL_ID_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{author, session};

    #[test]
    fn every_part_of_an_author_changes_the_actor() {
        let (one, cart) = (author(1, 1), session("cart"));
        let actor = ActorId::of(&one, &cart);
        assert_eq!(format!("{actor:?}"), "eb9b73f94ecb3184bd988a70ab6a6712");
        assert_ne!(ActorId::of(&author(2, 1), &cart), actor);
        assert_ne!(ActorId::of(&author(1, 2), &cart), actor);
        assert_ne!(ActorId::of(&one, &session("other")), actor);
    }

    #[test]
    fn a_cell_outlives_the_boot() {
        assert_eq!(author(1, 1).cell(&session("cart")), "dc7206e0cc9e573c");
        assert_eq!(author(1, 2).cell(&session("cart")), author(1, 1).cell(&session("cart")));
        assert_ne!(author(2, 1).cell(&session("cart")), author(1, 1).cell(&session("cart")));
    }
}
