//! Session documents and their replication.
