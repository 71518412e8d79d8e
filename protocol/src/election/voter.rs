//! What a voter keeps: whom it promised a lease, and what it accepted. Durable before anyone hears of it.

use crate::id::{BootId, Term};
use crate::register::Value;
use hedgerow_attest::id::NodeId;
use serde::{Deserialize, Serialize};

/// The last promise of a voter. A later one has a higher term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) term: Term,
    pub(crate) holder: NodeId,
    /// The holder's run: its next one asks for a term of its own.
    pub(crate) boot: BootId,
}

/// The value that a voter accepted for the slot after its head.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) term: Term,
    pub(crate) value: Value,
}

/// Everything that a voter must not forget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct VoterRecord {
    pub(crate) promise: Option<Promise>,
    pub(crate) accepted: Option<Accepted>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_frozen() {
        let promise = Promise { term: Term(300), holder: NodeId::from_bytes([2; 32]), boot: BootId([3; 16]) };
        let record = VoterRecord { promise: Some(promise), accepted: None };
        let bytes = [vec![1, 0xac, 0x02], vec![2; 32], vec![3; 16], vec![0]].concat();
        assert_eq!(postcard::to_stdvec(&record), Ok(bytes.clone()));
        assert_eq!(postcard::from_bytes(&bytes), Ok(record));
    }
}
