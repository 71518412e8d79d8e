//! The simulated world: nodes, the queue of what will happen, and true time.

use super::clock::NodeClock;
use super::dice::mix;
use super::disk::Disk;
use super::geography::Geography;
use super::handshake::Attempt;
use super::mesh::MeshPlan;
use super::node::{Process, Sent, SimNode};
use super::oracle::Oracle;
use super::parcel::{Parcel, WireMode};
use super::post::Post;
use super::queue::Queue;
use super::time::Micros;
use super::weather::Weather;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::member::Member;
use hedgerow_protocol::core::{CoreConfig, DivisionConfig, Input, MeshCore, Output};
use hedgerow_protocol::defect::Defects;
use hedgerow_protocol::id::{BootId, Token};
use hedgerow_protocol::machine::Machine as _;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A parcel arrives.
    Arrival {
        /// From whom.
        from: u32,
        /// Where.
        to: u32,
        /// Over which connection.
        connection: u64,
        /// What.
        parcel: Parcel,
    },
    /// A parcel of a stream that was not acknowledged is sent again.
    Resend {
        /// From whom.
        from: u32,
        /// To whom.
        to: u32,
        /// Over which connection.
        connection: u64,
        /// What.
        parcel: Parcel,
        /// How long the sender waits for the next acknowledgement.
        patience: Micros,
    },
    /// A node's deadline.
    Tick {
        /// The node.
        node: u32,
        /// Of which run.
        run: u32,
    },
    /// A write is complete.
    Written {
        /// The node.
        node: u32,
        /// Of which run.
        run: u32,
        /// The write.
        token: Token,
        /// Whether it is durable now.
        synced: bool,
    },
    /// The last flight of a handshake arrives.
    Knock {
        /// Of which attempt.
        attempt: Attempt,
        /// When it is given up.
        gives_up: Micros,
    },
    /// The greeting of whoever was dialled arrives.
    Greeted {
        /// Of which attempt.
        attempt: Attempt,
        /// Over which connection.
        connection: u64,
        /// The run of the process that greets.
        life: u32,
    },
    /// An attempt has had no answer in time.
    Unanswered {
        /// Which.
        attempt: Attempt,
    },
    /// A deadline of a node's links.
    LinkTick {
        /// The node.
        node: u32,
        /// Of which run.
        run: u32,
    },
    /// A node gives up a connection.
    Lost {
        /// The node.
        node: u32,
        /// The other end.
        peer: u32,
        /// The connection.
        connection: u64,
    },
    /// A cut has lasted as long as a connection lives in silence.
    Silence {
        /// The cut.
        cut: u64,
    },
    /// A node's process goes on; its monotonic clock stood still meanwhile if it was its machine that stopped.
    Wake {
        /// The node.
        node: u32,
        /// Of which run.
        run: u32,
        /// Since when its machine stood still.
        stood_since: Option<Micros>,
    },
    /// Something that the script of the run foresaw.
    Script(usize),
}

/// How a world is made.
#[derive(Debug, Clone)]
pub(crate) struct WorldOptions<D> {
    /// Everything random follows from it.
    pub(crate) seed: u64,
    /// How messages are handed over.
    pub(crate) wire: WireMode,
    /// Whether bytes are counted.
    pub(crate) is_metered: bool,
    /// Whether disks keep anything.
    pub(crate) keeps_disks: bool,
    /// The rules that all nodes are built without.
    pub(crate) defects: D,
    /// Changes the settings of every node.
    pub(crate) settings: fn(&mut CoreConfig),
    /// When cells split and merge, if other than on nodes.
    pub(crate) division: Option<DivisionConfig>,
}

/// True time, and everything in it.
#[derive(Debug)]
pub(crate) struct World<D: Defects> {
    pub(crate) options: WorldOptions<D>,
    pub(crate) plan: Arc<MeshPlan>,
    pub(crate) nodes: Vec<SimNode<D>>,
    pub(crate) now: Micros,
    pub(crate) weather: Weather,
    pub(crate) post: Post,
    /// Letters that wait until they are released: from whom, to whom, what.
    pub(super) held: Vec<(u32, u32, Parcel)>,
    pub(crate) geography: Geography,
    pub(crate) queue: Queue<Event>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) oracle: Oracle,
    pub(crate) sometimes: BTreeMap<&'static str, u64>,
    /// What the script foresaw and its clock brought.
    pub(crate) due: VecDeque<usize>,
    pub(crate) last_connection: u64,
    pub(crate) last_publication: u32,
    pub(crate) last_command: u64,
    /// Steps of all nodes.
    pub(crate) steps: u64,
    /// Things that happened.
    pub(crate) happened: u64,
    trail: u64,
    /// Looked into and never walked through: its order is no part of a run.
    numbers: HashMap<NodeId, u32>,
    pub(super) out: Vec<Output>,
    pub(super) soon: VecDeque<Input>,
}

impl<D: Defects> World<D> {
    /// A world in which no node runs.
    pub(crate) fn new(plan: Arc<MeshPlan>, options: WorldOptions<D>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let places: Vec<_> = plan.regions().iter().map(|region| region.place).collect();
        let nodes = (0..).zip(plan.members()).map(|(number, member)| {
            let region = plan.region_of(number);
            SimNode {
                member: member.clone(),
                region,
                signer: plan.signer(number, options.wire == WireMode::Bytes),
                core: core(&plan, member, number, 0, &options),
                clock: NodeClock::new(mix(options.seed ^ u64::from(number)) % (1 << 40)),
                disk: Disk::new(!options.keeps_disks),
                spot: Geography::spot(region, plan.regions()[region].spread, &mut rng),
                rng: ChaCha8Rng::seed_from_u64(mix(options.seed) ^ u64::from(number)),
                up: false,
                run: 0,
                process: Process::new(number),
                sent: Sent::default(),
            }
        });
        let nodes: Vec<SimNode<D>> = nodes.collect();
        let numbers = plan.ids().zip(0..).collect();
        let oracle = Oracle::new(&nodes.iter().map(|node| node.region).collect::<Vec<_>>());
        Self {
            geography: Geography::new(&places),
            options,
            plan,
            nodes,
            now: 0,
            weather: Weather::default(),
            post: Post::default(),
            held: Vec::new(),
            queue: Queue::default(),
            rng,
            oracle,
            sometimes: BTreeMap::new(),
            due: VecDeque::new(),
            last_connection: 0,
            last_publication: 0,
            last_command: 0,
            steps: 0,
            happened: 0,
            trail: 0,
            numbers,
            out: Vec::new(),
            soon: VecDeque::new(),
        }
    }

    /// The number of a node.
    pub(crate) fn number_of(&self, node: &NodeId) -> Option<u32> {
        self.numbers.get(node).copied()
    }

    /// The node of that number.
    pub(crate) fn node(&self, number: u32) -> &SimNode<D> {
        &self.nodes[number as usize]
    }

    /// Nodes whose process runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.nodes).filter(|(_, node)| node.up).map(|(number, _)| number)
    }

    /// Those of them that have not left.
    pub(crate) fn there(&self) -> impl Iterator<Item = u32> + '_ {
        self.running().filter(|number| self.node(*number).is_there())
    }

    /// Nodes whose process runs and does not stand still.
    pub(crate) fn awake(&self) -> impl Iterator<Item = u32> + '_ {
        self.running().filter(|number| self.node(*number).is_awake(self.now))
    }

    /// Lets time pass up to that moment, or up to the next thing that the script foresaw.
    pub(crate) fn run_until(&mut self, until: Micros) -> Option<usize> {
        while self.run_once(until) {
            if let Some(due) = self.due.pop_front() {
                return Some(due);
            }
        }
        None
    }

    /// Lets one thing happen, if anything happens up to that moment; else it is that moment.
    pub(crate) fn run_once(&mut self, until: Micros) -> bool {
        let Some((at, event)) = self.queue.pop_until(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        self.happened += 1;
        self.happen(event);
        true
    }

    /// What the script foresaw for this moment, if that is what happened last.
    pub(crate) fn take_due(&mut self) -> Option<usize> {
        self.due.pop_front()
    }

    fn happen(&mut self, event: Event) {
        if let Some(node) = event.of_node()
            && self.nodes[node as usize].process.asleep_until > self.now
        {
            let wakes = self.nodes[node as usize].process.asleep_until;
            return self.queue.push(wakes, event);
        }
        match event {
            Event::Arrival { from, to, connection, parcel } => self.arrive(from, to, connection, parcel),
            Event::Resend { from, to, connection, parcel, patience } => {
                self.resend(from, to, connection, parcel, patience);
            }
            Event::Tick { node, run } => self.tick(node, run),
            Event::Written { node, run, token, synced } => self.written(node, run, token, synced),
            Event::Knock { attempt, gives_up } => self.knocked(attempt, gives_up),
            Event::Greeted { attempt, connection, life } => self.greeted(attempt, connection, life),
            Event::Unanswered { attempt } => self.unanswered(attempt),
            Event::LinkTick { node, run } => self.link_tick(node, run),
            Event::Lost { node, peer, connection } => self.lose_link(node, peer, connection),
            Event::Silence { cut } => self.fall_silent(cut),
            Event::Wake { node, run, stood_since } => self.wake(node, run, stood_since),
            Event::Script(line) => self.due.push_back(line),
        }
    }

    /// A fresh core for a node's next run.
    pub(super) fn fresh_core(&self, number: u32) -> MeshCore<D> {
        let node = self.node(number);
        core(&self.plan, &node.member, number, node.run, &self.options)
    }

    /// Mixes something that happened into the trail, so that two runs of one seed can be compared as they go.
    pub(super) fn leave_trail(&mut self, node: u32, kind: u64) {
        self.trail = mix(self.trail ^ self.now ^ (u64::from(node) << 40) ^ (kind << 60));
    }

    /// Of everything that happened and of everything that later decisions depend on.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.trail.to_be_bytes());
        hasher.update(&self.happened.to_be_bytes());
        for node in &self.nodes {
            node.core.digest(&mut hasher);
            node.process.links.machine.digest(&mut hasher);
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

impl Event {
    /// The node that has to be awake for this to happen.
    fn of_node(&self) -> Option<u32> {
        match self {
            Self::Arrival { to, .. } => Some(*to),
            Self::Tick { node, .. }
            | Self::LinkTick { node, .. }
            | Self::Written { node, .. }
            | Self::Lost { node, .. } => Some(*node),
            Self::Resend { from, .. } => Some(*from),
            Self::Greeted { attempt, .. } | Self::Unanswered { attempt } => Some(attempt.from),
            Self::Knock { .. } | Self::Silence { .. } | Self::Wake { .. } | Self::Script(_) => None,
        }
    }
}

fn core<D: Defects>(plan: &MeshPlan, member: &Member, number: u32, run: u32, options: &WorldOptions<D>) -> MeshCore<D> {
    let mut boot = [0; 16];
    boot[..4].copy_from_slice(&number.to_be_bytes());
    boot[4..8].copy_from_slice(&run.to_be_bytes());
    boot[8..].copy_from_slice(&options.seed.to_be_bytes());
    let root = plan.root();
    let region = member.region().clone();
    let mut config = CoreConfig::local(root.mesh(), member.node(), BootId(boot), region, *member.statement());
    (options.settings)(&mut config);
    config.division = options.division.unwrap_or(config.division);
    MeshCore::with_defects(config, Arc::clone(root), options.defects)
}
