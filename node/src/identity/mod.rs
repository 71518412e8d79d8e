//! The keys, certificate and root of this node, as files in the data folder.
