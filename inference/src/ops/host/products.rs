//! `MatMul` and `Gemm`.

use super::{
    HostCall, HostKernel,
    kernel::{Geometry, Panels, is_simple},
    matrix::{Finish, Product},
    panels::{Matrix, pack, panel_numbers},
};
use crate::{array::Places, ops::operator::Inference};

pub(super) const MATMUL: HostKernel = HostKernel {
    fits: matmul_fits,
    packs: |_| Some(Panels { input: 1, is_transposed: false }),
    scratch: |geometry| {
        let [outer @ .., inner, columns] = geometry.shape(1) else { return 0 };
        // Threads that share a batch pack for themselves.
        let shares = if outer.is_empty() { 1 } else { geometry.threads };
        if geometry.is_packed { 0 } else { shares * panel_numbers(geometry.isa, *inner, *columns) }
    },
    run: matmul,
};

pub(super) const GEMM: HostKernel = HostKernel {
    fits: gemm_fits,
    packs: |attributes| Some(Panels { input: 1, is_transposed: attributes.flag("transB") }),
    scratch: gemm_scratch,
    run: gemm,
};

fn rank(context: &Inference<'_>, position: usize) -> usize {
    context.shape(position).map_or(0, <[_]>::len)
}

fn matmul_fits(context: &Inference<'_>) -> bool {
    is_simple(context) && rank(context, 0) >= 1 && rank(context, 1) >= 2
}

/// The matrix product of numpy: batches broadcast, a vector on the left is a row.
fn matmul(call: &mut HostCall<'_>) {
    let (a, b) = (call.input(0), call.input(1));
    let [.., inner, columns] = *b.shape else { return };
    let (left, right) = (a.floats(), b.floats());
    let (isa, team) = (call.isa, call.team);
    let finish = Finish { bounds: call.bounds, ..Finish::default() };
    let [target] = &mut *call.outputs else { return };
    if b.shape.len() == 2 {
        let panels = match call.packed {
            Some(packed) => &packed.panels[..],
            None => {
                let panels = &mut call.scratch[..panel_numbers(isa, inner, columns)];
                pack(
                    isa,
                    team,
                    Matrix { numbers: right, stride: columns, is_transposed: false },
                    inner,
                    columns,
                    panels,
                );
                panels
            }
        };
        Product { a: left, panels, inner, columns, finish }.write(isa, team, target.floats(), columns);
        return;
    }
    // A vector on the left has no extent of its own in the result.
    let rows = if a.shape.len() < 2 { 1 } else { a.shape[a.shape.len() - 2] };
    let own = if a.shape.len() < 2 { 1 } else { 2 };
    let batches = &target.shape[..target.shape.len() - own];
    let a_places: Vec<_> = Places::spread(&a.shape[..a.shape.len() - own], batches).collect();
    let b_places: Vec<_> = Places::spread(&b.shape[..b.shape.len() - 2], batches).collect();
    let work = a_places.len() * rows * inner.max(1) * columns;
    let share = panel_numbers(isa, inner, columns);
    let each = |inside: &super::Team, at: usize, result: &mut [f32], panels: &mut [f32]| {
        let numbers = &right[b_places[at] * inner * columns..][..inner * columns];
        let panels = &mut panels[..share];
        pack(isa, inside, Matrix { numbers, stride: columns, is_transposed: false }, inner, columns, panels);
        let a = &left[a_places[at] * rows * inner..][..rows * inner];
        Product { a, panels, inner, columns, finish }.write(isa, inside, result, columns);
    };
    let piece = rows * columns;
    let result = target.floats();
    if a_places.len() < 2 * team.parts(work) {
        result.chunks_mut(piece.max(1)).enumerate().for_each(|(at, part)| each(team, at, part, call.scratch));
    } else {
        team.shares(result, piece, call.scratch, work, &|first, part, panels| {
            let alone = team.alone();
            for (at, part) in part.chunks_mut(piece).enumerate() {
                each(&alone, first + at, part, panels);
            }
        });
    }
}

/// Not for a transposed left factor, nor for what is added other than once to every row.
fn gemm_fits(context: &Inference<'_>) -> bool {
    let attributes = &context.attributes;
    let is_row = |position| {
        let Ok(Some(shape)) = context.optional_shape(position) else { return true };
        let Ok([.., columns]) = context.shape(1).map(|b| [b[0].clone(), b[1].clone()]) else { return false };
        let columns = if attributes.flag("transB") { &context.shape(1).expect("just read")[0] } else { &columns };
        let ([last] | [_, last]) = shape else { return false };
        let is_single = shape.len() == 1 || shape[0].as_fixed() == Some(1);
        is_single && last == columns && last.as_fixed().is_some()
    };
    let is_unscaled = !attributes.has("beta") || attributes.float("beta") == 1.0;
    let has_c = context.optional(2).is_some();
    is_simple(context)
        && rank(context, 0) == 2
        && rank(context, 1) == 2
        && !attributes.flag("transA")
        && (!has_c || (is_unscaled && is_row(2)))
}

fn gemm_sizes(b: &[usize], is_transposed: bool) -> (usize, usize) {
    if is_transposed { (b[1], b[0]) } else { (b[0], b[1]) }
}

fn gemm_scratch(geometry: &Geometry<'_>) -> usize {
    let (inner, columns) = gemm_sizes(geometry.shape(1), geometry.attributes.flag("transB"));
    if geometry.is_packed { 0 } else { panel_numbers(geometry.isa, inner, columns) }
}

/// `alpha · A · B' + C`.
fn gemm(call: &mut HostCall<'_>) {
    let (a, b) = (call.input(0), call.input(1));
    let is_transposed = call.attributes.flag("transB");
    let (inner, columns) = gemm_sizes(b.shape, is_transposed);
    let (isa, team) = (call.isa, call.team);
    let alpha = call.attributes.float("alpha") as f32;
    let finish = Finish {
        scale: (alpha.to_bits() != 1.0_f32.to_bits()).then_some(alpha),
        per_column: call.optional(2).map(|c| c.floats()),
        bounds: call.bounds,
        ..Finish::default()
    };
    let panels = match call.packed {
        Some(packed) => &packed.panels[..],
        None => {
            let panels = &mut call.scratch[..panel_numbers(isa, inner, columns)];
            let matrix = Matrix { numbers: b.floats(), stride: b.shape[1], is_transposed };
            pack(isa, team, matrix, inner, columns, panels);
            panels
        }
    };
    let [target] = &mut *call.outputs else { return };
    Product { a: a.floats(), panels, inner, columns, finish }.write(isa, team, target.floats(), columns);
}
