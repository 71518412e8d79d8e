//! Models on this node: fetched, verified, admitted, run on worker threads.
