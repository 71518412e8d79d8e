//! Matrix products over panels of columns.
//!
//! The right factor is stored as panels of as many columns as two vectors hold, each row of a panel
//! after the other (K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication",
//! 2008, §4). Every element is one sum over the inner dimension in ascending order, block by block,
//! whatever rows and columns are computed beside it: a row of a batch has the same bits as the same row
//! alone.

use bytemuck::cast_slice;
use pulp::{Simd, WithSimd};

use super::{
    Isa, Team,
    panels::{VECTORS, panel_columns},
};

/// Terms that are added up before their sum joins those of the blocks before: the error of a sum grows
/// with the number of terms, that of blocks with the terms of one and the number of blocks
/// (N. J. Higham, "The accuracy of floating point summation", 1993, §2).
const BLOCK_TERMS: usize = 256;
/// Most rows of a tile; with two vectors each, the sums take 24 of 32 registers.
const TILE_ROWS_MAX: usize = 12;
/// Panels that are read again for each tile stay within so many numbers: half of the second cache of
/// small machines.
const CHUNK_NUMBERS: usize = 1 << 16;

/// What is done with a sum before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Finish<'a> {
    /// Factor of every sum; `None` is 1.
    pub(super) scale: Option<f32>,
    /// Added to all elements of a row.
    pub(super) per_row: Option<&'a [f32]>,
    /// Added to all elements of a column.
    pub(super) per_column: Option<&'a [f32]>,
    pub(super) bounds: Option<Bounds>,
}

/// Results outside become the bound; a NaN stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) least: f32,
    pub(crate) most: f32,
}

impl Bounds {
    /// ONNX: `min(max(x, least), most)`, also where `least` is above `most`.
    #[inline(always)]
    pub(super) fn of(self, x: f32) -> f32 {
        let raised = if x <= self.least { self.least } else { x };
        if raised > self.most { self.most } else { raised }
    }
}

/// `A · B`, with `A` row by row and `B` in panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product<'a> {
    pub(super) a: &'a [f32],
    pub(super) panels: &'a [f32],
    pub(super) inner: usize,
    pub(super) columns: usize,
    pub(super) finish: Finish<'a>,
}

/// A window of the result: some rows, of each the columns from a place on.
struct Window<'a> {
    first_row: usize,
    first_column: usize,
    rows: [&'a mut [f32]; TILE_ROWS_MAX],
    count: usize,
}

impl Product<'_> {
    /// Writes the product to `result`, whose rows lie `stride` apart and begin with the columns that
    /// are computed.
    pub(super) fn write(&self, isa: Isa, team: &Team, result: &mut [f32], stride: usize) {
        if self.columns == 0 || result.is_empty() {
            return;
        }
        let rows = result.len().div_ceil(stride);
        let work = rows * self.inner.max(1) * self.columns;
        let parts = team.parts(work);
        if parts > 1 && rows <= TILE_ROWS_MAX {
            self.halve_columns(isa, team, Window::of(result, stride, 0, self.columns), parts);
            return;
        }
        let tiles = rows.div_ceil(TILE_ROWS_MAX).div_ceil(parts);
        let piece = tiles * TILE_ROWS_MAX;
        team.pieces(result, piece * stride, work, &|at, part| self.rows(isa, team, part, stride, at * piece, work));
    }

    /// Whole rows, panel chunk by panel chunk.
    fn rows(&self, isa: Isa, team: &Team, result: &mut [f32], stride: usize, first: usize, work: usize) {
        let width = panel_columns(isa);
        let chunk = (CHUNK_NUMBERS / (self.inner * width).max(1)).max(1) * width;
        for from in (0..self.columns).step_by(chunk) {
            let to = (from + chunk).min(self.columns);
            for (at, block) in result.chunks_mut(TILE_ROWS_MAX * stride).enumerate() {
                if team.asks(work).is_some_and(Team::is_over) {
                    return;
                }
                let mut window = Window::of(block, stride, first + at * TILE_ROWS_MAX, to);
                window.skip(from);
                isa.run(Block { product: self, window });
            }
        }
    }

    /// Few rows: threads share columns.
    fn halve_columns(&self, isa: Isa, team: &Team, mut window: Window<'_>, parts: usize) {
        let width = panel_columns(isa);
        let panels = window.columns().div_ceil(width);
        if parts <= 1 || panels <= 1 {
            isa.run(Block { product: self, window });
            return;
        }
        let right = window.split_off(panels.div_ceil(2) * width);
        team.both(
            || self.halve_columns(isa, team, window, parts.div_ceil(2)),
            || self.halve_columns(isa, team, right, parts / 2),
        );
    }
}

impl<'a> Window<'a> {
    /// The first columns of rows.
    fn of(block: &'a mut [f32], stride: usize, first_row: usize, columns: usize) -> Self {
        let mut window = Self { first_row, first_column: 0, rows: Default::default(), count: 0 };
        for (slot, row) in window.rows.iter_mut().zip(block.chunks_mut(stride)) {
            *slot = &mut row[..columns];
            window.count += 1;
        }
        window
    }

    fn columns(&self) -> usize {
        self.rows[0].len()
    }

    /// Leaves the first columns out, up to a place of the whole row.
    fn skip(&mut self, to: usize) {
        let rest = self.split_off(to - self.first_column);
        *self = rest;
    }

    /// The columns behind the first `at` of this window.
    fn split_off(&mut self, at: usize) -> Self {
        let mut right = Self {
            first_row: self.first_row,
            first_column: self.first_column + at,
            rows: Default::default(),
            count: self.count,
        };
        for (left, right) in self.rows[..self.count].iter_mut().zip(&mut right.rows) {
            let (near, far) = std::mem::take(left).split_at_mut(at);
            (*left, *right) = (near, far);
        }
        right
    }
}

/// The tiles of a window.
struct Block<'a, 'b> {
    product: &'a Product<'b>,
    window: Window<'a>,
}

impl WithSimd for Block<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = S::F32_LANES * VECTORS;
        let panel = self.product.inner * width;
        let mut row = 0;
        // The largest tile first; how a row is grouped does not change its sums.
        while row < self.window.count {
            let left = self.window.count - row;
            let done = if left >= 12 && S::REGISTER_COUNT >= 32 {
                self.tiles::<S, 12, 1>(simd, row, panel)
            } else if left >= 6 {
                self.tiles::<S, 6, 1>(simd, row, panel)
            } else if left >= 4 {
                self.tiles::<S, 4, 1>(simd, row, panel)
            } else if left >= 2 {
                self.tiles::<S, 2, 2>(simd, row, panel)
            } else {
                self.tiles::<S, 1, 4>(simd, row, panel)
            };
            row += done;
        }
    }
}

impl Block<'_, '_> {
    /// `R` rows over all columns of the window, `P` panels at a time where there are so many.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const P: usize>(&mut self, simd: S, row: usize, panel: usize) -> usize {
        let width = S::F32_LANES * VECTORS;
        let mut at = 0;
        while at < self.window.columns() {
            let first = (self.window.first_column + at) / width;
            if P > 1 && self.window.columns() - at > (P - 1) * width {
                self.tile::<S, R, P>(simd, row, at, first * panel);
                at += P * width;
            } else {
                self.tile::<S, R, 1>(simd, row, at, first * panel);
                at += width;
            }
        }
        R
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const P: usize>(&mut self, simd: S, row: usize, at: usize, start: usize) {
        let Product { a, panels, inner, .. } = *self.product;
        let width = S::F32_LANES * VECTORS;
        let a: [&[f32]; R] = std::array::from_fn(|r| {
            let start = (self.window.first_row + row + r) * inner;
            &a[start..start + inner]
        });
        let panels: [&[S::f32s]; P] = std::array::from_fn(|p| {
            let start = start + p * inner * width;
            cast_slice(&panels[start..start + inner * width])
        });
        let sums = sums::<S, R, P>(simd, inner, a, panels);
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    self.store(simd, row + r, at + p * width + v * S::F32_LANES, sum);
                }
            }
        }
    }

    /// Finishes a vector of sums and stores as many as there are columns.
    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, row: usize, at: usize, sum: S::f32s) {
        let Finish { scale, per_row, per_column, bounds } = self.product.finish;
        let Some(target) = self.window.rows[row].get_mut(at..) else { return };
        let count = target.len().min(S::F32_LANES);
        let mut sum = sum;
        if let Some(scale) = scale {
            sum = simd.mul_f32s(sum, simd.splat_f32s(scale));
        }
        if let Some(per_row) = per_row {
            sum = simd.add_f32s(sum, simd.splat_f32s(per_row[self.window.first_row + row]));
        }
        if let Some(per_column) = per_column {
            let from = self.window.first_column + at;
            sum = simd.add_f32s(sum, simd.partial_load_f32s(&per_column[from..from + count]));
        }
        if let Some(Bounds { least, most }) = bounds {
            let (least, most) = (simd.splat_f32s(least), simd.splat_f32s(most));
            sum = simd.select_f32s(simd.less_than_or_equal_f32s(sum, least), least, sum);
            sum = simd.select_f32s(simd.less_than_f32s(most, sum), most, sum);
        }
        simd.partial_store_f32s(&mut target[..count], sum);
    }
}

/// `R` rows times `P` panels.
#[inline(always)]
fn sums<S: Simd, const R: usize, const P: usize>(
    simd: S,
    inner: usize,
    a: [&[f32]; R],
    panels: [&[S::f32s]; P],
) -> [[[S::f32s; VECTORS]; P]; R] {
    let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; P]; R];
    for from in (0..inner).step_by(BLOCK_TERMS) {
        let to = inner.min(from + BLOCK_TERMS);
        let block = block_sums::<S, R, P>(simd, from, a.map(|a| &a[from..to]), panels);
        for (sum, block) in sums.as_flattened_mut().iter_mut().zip(block.as_flattened()) {
            for (sum, block) in sum.iter_mut().zip(block) {
                *sum = simd.add_f32s(*sum, *block);
            }
        }
    }
    sums
}

/// The terms of one block, from a place of the panels on.
#[inline(always)]
fn block_sums<S: Simd, const R: usize, const P: usize>(
    simd: S,
    from: usize,
    a: [&[f32]; R],
    panels: [&[S::f32s]; P],
) -> [[[S::f32s; VECTORS]; P]; R] {
    let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; P]; R];
    let terms = a[0].len();
    let a = a.map(|a| &a[..terms]);
    let panels = panels.map(|panel| &panel[from * VECTORS..(from + terms) * VECTORS]);
    for k in 0..terms {
        let lines: [[S::f32s; VECTORS]; P] =
            std::array::from_fn(|p| std::array::from_fn(|v| panels[p][k * VECTORS + v]));
        for r in 0..R {
            let factor = simd.splat_f32s(a[r][k]);
            for p in 0..P {
                for v in 0..VECTORS {
                    sums[r][p][v] = simd.mul_add_e_f32s(factor, lines[p][v], sums[r][p][v]);
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::{super::Packed, *};

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7_919 + seed * 104_729) % 2_003) as f32 / 1_001.5 - 1.0).collect()
    }

    /// Sums in ascending order, block by block, fused where the set fuses.
    fn expected(isa: Isa, a: &[f32], b: &[f32], [rows, inner, columns]: [usize; 3]) -> Vec<f32> {
        let sum = |row: usize, column: usize| {
            let term = |sum: f32, k: usize| {
                let (a, b) = (a[row * inner + k], b[k * columns + column]);
                if isa == Isa::PLAIN { sum + a * b } else { a.mul_add(b, sum) }
            };
            let block = |from: usize| (from..inner.min(from + BLOCK_TERMS)).fold(0.0, term);
            (0..inner).step_by(BLOCK_TERMS).map(block).fold(0.0, |sum, block| sum + block)
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| sum(r, c)).collect()
    }

    #[test]
    fn every_element_is_one_sum_in_order_whatever_is_beside_it() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for isa in Isa::all() {
            for (rows, inner, columns) in [
                (1, 1, 1),
                (1, 300, 1000),
                (2, 7, 33),
                (5, 64, 31),
                (11, 3, 65),
                (13, 0, 4),
                (29, 70, 129),
                (70, 65, 64),
            ] {
                let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
                let mut expected = expected(isa, &a, &b, [rows, inner, columns]);
                expected.iter_mut().for_each(|x| *x = (*x * 2.0).clamp(-1.0, 1.5));
                let packed = Packed::new(isa, &b, inner, columns, false);
                let turned: Vec<_> = (0..columns * inner).map(|at| b[at % inner * columns + at / inner]).collect();
                let turned = Packed::new(isa, &turned, inner, columns, true);
                assert_eq!(packed.panels, turned.panels);
                let finish =
                    Finish { scale: Some(2.0), bounds: Some(Bounds { least: -1.0, most: 1.5 }), ..Finish::default() };
                let product = Product { a: &a, panels: &packed.panels, inner, columns, finish };
                for threads in 1..=2 {
                    let mut made = vec![f32::NAN; rows * columns];
                    let team = Team::new(threads, None);
                    pool.install(|| product.write(isa, &team, &mut made, columns));
                    assert_eq!(made, expected, "{isa:?} {rows}×{inner}×{columns} on {threads} threads");
                }
            }
        }
    }

    #[test]
    fn biases_bounds_and_what_is_no_number() {
        for isa in Isa::all() {
            let packed = Packed::new(isa, &[1.0, -1.0, f32::NAN], 1, 3, false);
            let finish = Finish {
                scale: None,
                per_row: Some(&[10.0, 20.0]),
                per_column: Some(&[0.5, 1.0, 1.5]),
                bounds: Some(Bounds { least: 0.0, most: 13.0 }),
            };
            let product = Product { a: &[1.0, -30.0], panels: &packed.panels, inner: 1, columns: 3, finish };
            // The result has wider rows than the product.
            let mut made = [7.0; 8];
            product.write(isa, &Team::new(1, None), &mut made, 4);
            assert_eq!([&made[..2], &made[3..6], &made[7..]].concat(), [11.5, 10.0, 7.0, 0.0, 13.0, 7.0], "{isa:?}");
            assert!(made[2].is_nan() && made[6].is_nan());
        }
    }
}
