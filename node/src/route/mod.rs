//! Where a request is answered: here, or on the best peer.
