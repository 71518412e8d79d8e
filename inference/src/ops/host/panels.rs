//! Right factors of products in panels: as many columns as two vectors hold, each row of a panel after
//! the other.

use aligned_vec::AVec;

use super::{Isa, Team};

/// Vectors in a row of a panel.
pub(super) const VECTORS: usize = 2;

/// Columns of a panel.
pub(super) fn panel_columns(isa: Isa) -> usize {
    isa.lanes() * VECTORS
}

/// Numbers that the panels of a matrix take: columns are filled up to whole panels with zeros.
pub(super) fn panel_numbers(isa: Isa, inner: usize, columns: usize) -> usize {
    inner.saturating_mul(columns.next_multiple_of(panel_columns(isa)))
}

/// A matrix whose rows and columns may be exchanged, as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    pub(super) numbers: &'a [f32],
    /// Numbers from one row to the next in memory.
    pub(super) stride: usize,
    /// What is meant are the columns of what lies in memory.
    pub(super) is_transposed: bool,
}

/// Writes a matrix of so many rows and columns to panels.
pub(super) fn pack(isa: Isa, team: &Team, matrix: Matrix<'_>, inner: usize, columns: usize, panels: &mut [f32]) {
    let width = panel_columns(isa);
    let work = panels.len();
    team.pieces(panels, inner * width, work, &|panel, part| {
        let from = panel * width;
        let count = width.min(columns - from);
        if matrix.is_transposed {
            part.fill(0.0);
            for (column, line) in matrix.numbers[from * matrix.stride..].chunks(matrix.stride).take(count).enumerate() {
                for (row, number) in line[..inner].iter().enumerate() {
                    part[row * width + column] = *number;
                }
            }
        } else {
            for (row, target) in part.chunks_exact_mut(width).enumerate() {
                let start = row * matrix.stride + from;
                target[..count].copy_from_slice(&matrix.numbers[start..start + count]);
                target[count..].fill(0.0);
            }
        }
    });
}

/// A constant right factor, packed once.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(super) panels: AVec<f32>,
}

impl Packed {
    /// `inner × columns` numbers, or their transpose.
    pub(crate) fn new(isa: Isa, numbers: &[f32], inner: usize, columns: usize, is_transposed: bool) -> Self {
        let stride = if is_transposed { inner } else { columns };
        let mut panels = AVec::new(64);
        panels.resize(panel_numbers(isa, inner, columns), 0.0);
        let matrix = Matrix { numbers, stride, is_transposed };
        pack(isa, &Team::new(1, None), matrix, inner, columns, &mut panels);
        Self { panels }
    }

    /// Bytes that the panels of a matrix of these extents take.
    pub(crate) fn bytes(isa: Isa, inner: usize, columns: usize) -> u64 {
        (panel_numbers(isa, inner, columns) as u64).saturating_mul(size_of::<f32>() as u64)
    }
}
