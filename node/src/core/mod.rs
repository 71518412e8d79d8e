//! The only caller of the mesh core: one task that owns it, its clock, its signer and the view it publishes.
