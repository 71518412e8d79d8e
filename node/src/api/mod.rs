//! What applications speak: REST on loopback.
