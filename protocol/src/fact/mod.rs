//! Facts: everything that travels further than one link, or that one node may show to another.
//!
//! A fact is signed by whoever has the right to say it, has a key (what it is about) and a version (of two facts with one
//! key the higher version holds, everywhere, whatever the order of arrival). [`SignedFact::verify`] is the only door from
//! bytes to a [`VerifiedFact`], and a [`VerifiedFact`] is all that a machine accepts.

mod accusation;
mod charter;
mod key;
mod record;
mod rollup;
mod scope;
mod signed;
mod standing;
mod statement;
mod totals;
mod verified;
mod verify;

pub use accusation::{ACCUSERS_MAX, Accusation, Charge};
pub use charter::Founding;
pub(crate) use key::hash64;
pub use key::{FactKey, FactVersion};
pub use record::{ADDRESSES_MAX, DEGRADED_MAX, DegradedReason, Energy, Health, NodeRecord, NodeState, WARM_MAX};
pub use rollup::{
    CELL_MEMBERS_MAX, CONTACT_ADDRESSES_MAX, CONTACTS_MAX, CellContact, Liveness, ROLLUP_MODELS_MAX, Rollup,
    VerifiedRollup, WarmModel,
};
pub use scope::Scope;
pub use signed::{FACT_MAX, FactDecodeError, SignedFact};
pub(crate) use standing::{recheck_accusation, stands_decision};
pub use statement::{SignedStatement, Statement};
pub use totals::{CLASSES_COUNTED_MAX, QUEUE_RANGES, QueueSketch, Totals};
pub use verified::{Fact, FactRefusal, VerifiedFact};
pub(crate) use verify::{verify_accusation, verify_decision};
