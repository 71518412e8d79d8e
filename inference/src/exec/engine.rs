//! What a model computes with.

use crate::ops::host::Isa;

/// Which kernels take the place of the plain ones where they fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Those of this crate for the processor, compiled for an instruction set.
    Host(Isa),
    /// burn's, on a device of a backend.
    Backend,
}
