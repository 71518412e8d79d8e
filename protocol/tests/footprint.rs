//! What one node's core takes of memory, counted by the allocator. The facts themselves are left out: the nodes of one
//! process share them.

#![expect(unsafe_code, reason = "an allocator that counts is the only witness")]

mod field;

use field::{Blind, Field, S, facts};
use hedgerow_attest::testing::SampleMesh;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the block came from `alloc` above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn heap_per_node(size: u32, cells: u32) -> usize {
    let mesh = SampleMesh::new(1);
    let facts = facts(&mesh, size, cells);
    let mut field = Field::new(mesh, size);
    let before = HELD.load(Ordering::Relaxed);
    field.start(&facts);
    field.run_for(60 * S, &mut Blind);
    (HELD.load(Ordering::Relaxed) - before) / usize::try_from(size).expect("a few")
}

#[test]
fn a_node_takes_little_beside_the_facts_that_it_shares() {
    println!("core {} B", size_of::<hedgerow_protocol::core::MeshCore>());
    for (size, cells) in [(50, 1), (50, 200), (100, 1)] {
        println!("{size} nodes, {cells} cells: {} B of heap per node", heap_per_node(size, cells));
    }
}
