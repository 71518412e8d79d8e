//! What this node has promised: redb files, committed in groups.
