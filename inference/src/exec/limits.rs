//! What one model may take of a node.

use crate::ir::Limits;

/// Bounds of a node for one model. The smaller of these and the publisher's
/// [`Limits`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecLimits {
    /// Bytes that the resident weights and the values of one request may take together, results and
    /// what kernels work with included. A step outside planned memory is charged copies of its operands
    /// and results, at 16 bytes an element or more where a plain kernel computes with wide numbers.
    /// Default 256 MiB. Too small refuses requests, too large lets one model starve the others.
    pub memory_bytes_max: u64,
    /// Elements of any one tensor. Default 64 Mi (256 MiB of `FP32`).
    pub elements_max: u64,
    /// Value of any symbolic dimension, such as the batch. Default 1024.
    pub symbol_max: u64,
}

impl Default for ExecLimits {
    fn default() -> Self {
        Self { memory_bytes_max: 256 << 20, elements_max: 64 << 20, symbol_max: 1024 }
    }
}

impl ExecLimits {
    /// These limits, tightened by what the publisher stated.
    pub fn tightened(self, publisher: &Limits) -> Self {
        Self {
            memory_bytes_max: self.memory_bytes_max.min(publisher.memory_bytes_max),
            symbol_max: self.symbol_max.min(publisher.symbol_max),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_bound_holds() {
        let node = ExecLimits { memory_bytes_max: 100, elements_max: 10, symbol_max: 5 };
        let publisher = Limits { symbol_max: 3, memory_bytes_max: 200 };
        let expected = ExecLimits { memory_bytes_max: 100, elements_max: 10, symbol_max: 3 };
        assert_eq!(node.tightened(&publisher), expected);
    }
}
