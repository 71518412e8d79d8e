//! One node of a cluster: a core, its keys, its disk and its clock.

use super::disk::Disk;
use crate::core::{CoreConfig, Event, MeshCore, Snapshot};
use crate::defect::{Defect, Defects};
use crate::id::BootId;
use crate::time::{Mono, Wall};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::member::Member;
use hedgerow_attest::testing::SampleMesh;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

/// One defect, or none, chosen when a cluster is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planted(pub(crate) Option<Defect>);

impl Defects for Planted {
    fn has(self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }
}

/// A node, running or not.
pub(crate) struct TestNode {
    planted: Planted,
    pub(crate) member: Member,
    pub(crate) statement: SecretKey,
    pub(crate) core: MeshCore<Planted>,
    pub(crate) disk: Disk,
    pub(crate) up: bool,
    /// Counts its runs; events of earlier ones are stale.
    pub(crate) run: u32,
    /// Its clock's error, in millionths: 10,000 is 1 % fast.
    pub(crate) drift_ppm: i64,
    /// Keeps its clock continuous when the drift changes.
    clock_base: (u64, u64),
    /// Added to its wall clock alone.
    pub(crate) wall_offset_us: u64,
    pub(crate) deaf_to_gossip: bool,
    pub(crate) events: Vec<(u64, Event)>,
    pub(crate) rng: ChaCha8Rng,
    /// A tick that was not asked for is not sent twice.
    pub(crate) tick_at: Option<u64>,
}

impl TestNode {
    pub(crate) fn new(mesh: &SampleMesh, number: u32, region: &str, seed: u64, planted: Planted) -> Self {
        let member = mesh.member(number, region);
        let statement = mesh.keys(number).statement;
        let rng = ChaCha8Rng::seed_from_u64(seed ^ u64::from(number) << 32);
        let core = MeshCore::with_defects(config(mesh, &member, 0), mesh.root().clone(), planted);
        Self {
            planted,
            member,
            statement,
            core,
            disk: Disk::default(),
            up: false,
            run: 0,
            drift_ppm: 0,
            clock_base: (0, 0),
            wall_offset_us: 0,
            deaf_to_gossip: false,
            events: Vec::new(),
            rng,
            tick_at: None,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.member.node()
    }

    /// A fresh core for the next run, and what the disk still holds.
    pub(crate) fn reboot(&mut self, mesh: &SampleMesh) -> Snapshot {
        self.run += 1;
        let config = config(mesh, &self.member, self.run);
        self.core = MeshCore::with_defects(config, mesh.root().clone(), self.planted);
        self.up = true;
        self.tick_at = None;
        Snapshot::from_rows_with_defects(self.disk.rows(), mesh.root(), SampleMesh::NOW, self.planted)
            .expect("the disk loses rows and changes none")
    }

    /// This node's monotonic clock at a moment of true time.
    pub(crate) fn mono(&self, now: u64) -> Mono {
        Mono(self.local(now) + self.clock_start())
    }

    pub(crate) fn wall(&self, now: u64) -> Wall {
        Wall(SampleMesh::NOW.0 * 1_000_000 + self.local(now) + self.wall_offset_us)
    }

    /// True time at which this node's clock shows `mono`, rounded up so that a deadline has passed when its moment comes.
    pub(crate) fn true_time(&self, mono: Mono) -> u64 {
        let (true_base, local_base) = self.clock_base;
        let shown = i128::from(mono.0.saturating_sub(self.clock_start())) - i128::from(local_base);
        let rate = 1_000_000 + i128::from(self.drift_ppm);
        u64::try_from(i128::from(true_base) + (shown * 1_000_000 + rate - 1) / rate).unwrap_or(0)
    }

    /// From here on its clock runs fast or slow.
    pub(crate) fn drift(&mut self, now: u64, ppm: i64) {
        self.clock_base = (now, self.local(now));
        self.drift_ppm = ppm;
    }

    fn local(&self, now: u64) -> u64 {
        let (true_base, local_base) = self.clock_base;
        let passed = i128::from(now - true_base) * (1_000_000 + i128::from(self.drift_ppm)) / 1_000_000;
        local_base + u64::try_from(passed).expect("time goes on")
    }

    /// Starts elsewhere on every node, so that readings of two nodes cannot be compared by accident.
    fn clock_start(&self) -> u64 {
        1_000_000 * u64::from(self.member.node().as_bytes()[0])
    }
}

fn config(mesh: &SampleMesh, member: &Member, run: u32) -> CoreConfig {
    let mut boot = [0; 16];
    boot[..4].copy_from_slice(&run.to_be_bytes());
    boot[4..12].copy_from_slice(&member.node().as_bytes()[..8]);
    let region = member.region().clone();
    CoreConfig::local(mesh.root().mesh(), member.node(), BootId(boot), region, *member.statement())
}
