//! Placement groups of sessions: one owner task each, driving a replica.
