//! The operator's door: JSON over a unix socket in the data folder.
