//! One cell of real cores under virtual time, in a mesh whose other cells are there as facts alone: what a node costs.

use hedgerow_attest::id::NodeId;
use hedgerow_attest::key::SecretKey;
use hedgerow_attest::root::TrustRoot;
use hedgerow_attest::signed::Signed;
use hedgerow_attest::testing::SampleMesh;
use hedgerow_protocol::core::{CoreConfig, Input, MeshCore, Output, Snapshot};
use hedgerow_protocol::fact::{Rollup, SignedFact, SignedStatement, Statement, Totals, VerifiedFact};
use hedgerow_protocol::id::{BootId, ConfigEpoch, Generation, Slot, Term};
use hedgerow_protocol::machine::{Cx, Machine as _};
use hedgerow_protocol::register::{Acceptance, Configuration, Content, Decision, Head, Value, Voter};
use hedgerow_protocol::roster::Roster;
use hedgerow_protocol::time::{Mono, Wall};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// One second of virtual time.
pub(crate) const S: u64 = 1_000_000;

const DELAY: u64 = 1_000;

/// A node: its core and what its driver needs.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) core: MeshCore,
    id: NodeId,
    key: SecretKey,
    rng: ChaCha8Rng,
    tick_at: u64,
}

/// The cell, and time.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) nodes: Vec<Node>,
    by_id: BTreeMap<NodeId, usize>,
    mesh: SampleMesh,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    inputs: BTreeMap<u64, Input>,
    order: u64,
}

/// What is seen of every step, before and after it.
pub(crate) trait Watch {
    fn before(&mut self, input: &Input);
    fn after(&mut self);
}

/// Sees nothing.
#[derive(Debug)]
pub(crate) struct Blind;

impl Watch for Blind {
    fn before(&mut self, _input: &Input) {}
    fn after(&mut self) {}
}

/// The certificates of `size` nodes of region `eu`, the birth of its cell, and of every other cell its birth, its voters
/// and a rollup.
pub(crate) fn facts(mesh: &SampleMesh, size: u32, cells: u32) -> Vec<VerifiedFact> {
    let mut roster = Roster::default();
    let mut facts: Vec<VerifiedFact> = (0..size).map(|n| VerifiedFact::member(mesh.member(n, "eu"))).collect();
    facts.push(VerifiedFact::genesis(mesh.birth("eu", &mesh.member(0, "eu"))));
    for cell in 1..cells {
        let region = format!("r{cell}");
        let voters: Vec<u32> = (0..3).map(|n| 100_000 + cell * 10 + n).collect();
        let birth = mesh.birth(&region, &mesh.member(voters[0], &region));
        facts.push(VerifiedFact::member(mesh.member(voters[0], &region)));
        facts.push(VerifiedFact::genesis(birth.clone()));
        roster.charter(&VerifiedFact::genesis(birth.clone()));
        let decision = decision(mesh, &birth, &region, &voters).verify(birth_voters(&roster, &birth)).expect("signed");
        facts.push(
            SignedFact::Decision(Box::new(decision.decision().clone()))
                .verify(&roster, mesh.root(), SampleMesh::NOW)
                .expect("signed"),
        );
        facts.push(rollup(mesh, &birth, &region, voters[0]));
    }
    facts
}

fn birth_voters<'a>(roster: &'a Roster, birth: &hedgerow_attest::genesis::Birth) -> &'a Configuration {
    roster.voters_at(&birth.cell(), Head::genesis(birth.cell()).next()).expect("it was founded")
}

fn decision(mesh: &SampleMesh, birth: &hedgerow_attest::genesis::Birth, region: &str, voters: &[u32]) -> Decision {
    let cell = birth.cell();
    let voter = |number: &u32| {
        let member = mesh.member(*number, region);
        Voter { node: member.node(), key: *member.statement() }
    };
    let next = Configuration::majority(ConfigEpoch(2), voters.iter().map(voter).collect());
    let (generation, slot, term) = (Generation(0), Slot(1), Term(1));
    let value =
        Value { cell, generation, slot, previous: Head::genesis(cell).digest, content: Content::Configuration(next) };
    let accept = |number: &u32| {
        let voter = mesh.member(*number, region).node();
        let acceptance = Acceptance { cell, generation, slot, value: value.digest(), term, voter };
        Signed::sign(&acceptance, &mesh.keys(*number).statement)
    };
    let acceptances = voters.iter().take(2).map(accept).collect();
    Decision { value, term, config_epoch: ConfigEpoch(1), acceptances }
}

fn rollup(mesh: &SampleMesh, birth: &hedgerow_attest::genesis::Birth, region: &str, holder: u32) -> VerifiedFact {
    let member = mesh.member(holder, region);
    let rollup = Rollup {
        cell: birth.cell(),
        region: member.region().clone(),
        generation: Generation(0),
        config_epoch: ConfigEpoch(2),
        term: Term(1),
        window: 1,
        holder: member.node(),
        at: Wall(0),
        place: None,
        totals: Totals::default(),
        models: vec![],
        contacts: vec![],
    };
    match Statement::Rollup(Box::new(rollup)).sign(&mesh.keys(holder).statement) {
        SignedStatement::Fact(fact) => *fact,
        SignedStatement::Accusation(_) | SignedStatement::Grant(_) | SignedStatement::Acceptance(_) => {
            unreachable!("a rollup is a fact")
        }
    }
}

impl Field {
    /// Nodes that know nothing yet; their cores take no room.
    pub(crate) fn new(mesh: SampleMesh, size: u32) -> Self {
        let root = Arc::new(mesh.root().clone());
        let nodes: Vec<Node> = (0..size).map(|number| Node::new(&mesh, &root, number)).collect();
        let by_id = nodes.iter().enumerate().map(|(index, node)| (node.id, index)).collect();
        let (queue, inputs) = (BinaryHeap::new(), BTreeMap::new());
        Self { nodes, by_id, mesh, now: S, queue, inputs, order: 0 }
    }

    /// Starts every node with these facts.
    pub(crate) fn start(&mut self, facts: &[VerifiedFact]) {
        for node in 0..self.nodes.len() {
            self.step(node, Input::Start(Box::<Snapshot>::default()), &mut Blind);
            for fact in facts {
                self.step(node, Input::Fact(Box::new(fact.clone())), &mut Blind);
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, span: u64, watch: &mut impl Watch) -> u64 {
        let (until, mut steps) = (self.now + span, 0);
        while let Some(Reverse((at, order, node))) = self.queue.pop() {
            if at > until {
                self.queue.push(Reverse((at, order, node)));
                break;
            }
            self.now = at;
            match self.inputs.remove(&order) {
                Some(input) => self.step(node, input, watch),
                None if self.nodes[node].tick_at == at => self.step(node, Input::Tick, watch),
                None => continue,
            }
            steps += 1;
        }
        self.now = until;
        steps
    }

    fn step(&mut self, index: usize, input: Input, watch: &mut impl Watch) {
        let node = &mut self.nodes[index];
        let mut out = Vec::new();
        let wall = Wall(SampleMesh::NOW.0 * S + self.now);
        watch.before(&input);
        node.core.step(&mut Cx { now: Mono(self.now), wall, rng: &mut node.rng, out: &mut out }, input);
        let deadline = node.core.next_deadline();
        watch.after();
        if let Some(deadline) = deadline {
            let at = deadline.0.max(self.now + 1);
            if at < node.tick_at || node.tick_at <= self.now {
                node.tick_at = at;
                self.push(at, index, None);
            }
        }
        for output in out {
            self.carry_out(index, output);
        }
    }

    fn push(&mut self, at: u64, node: usize, input: Option<Input>) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, node)));
        if let Some(input) = input {
            self.inputs.insert(self.order, input);
        }
    }

    fn carry_out(&mut self, from: usize, output: Output) {
        let sender = self.nodes[from].id;
        match output {
            Output::Send { to, message, .. } => {
                let Some(&to) = self.by_id.get(&to) else { return };
                let roster = self.nodes[to].core.roster();
                if let Ok(message) = message.recheck(sender, roster, self.mesh.root()) {
                    self.push(self.now + DELAY, to, Some(Input::Net { from: sender, message }));
                }
            }
            Output::Publish { fact, .. } => {
                for to in (0..self.nodes.len()).filter(|to| *to != from) {
                    if fact.stands(self.nodes[to].core.roster(), self.mesh.root()).is_ok() {
                        self.push(self.now + DELAY, to, Some(Input::Fact(Box::new(fact.clone()))));
                    }
                }
            }
            Output::Persist { token, .. } => self.push(self.now + DELAY, from, Some(Input::Persisted(token))),
            Output::Sign { token, statement } => {
                let statement = statement.sign(&self.nodes[from].key);
                self.push(self.now, from, Some(Input::Signed { token, statement }));
            }
            Output::Reply { .. }
            | Output::Event(_)
            | Output::Hint(_)
            | Output::Sometimes(_)
            | Output::Follow(_)
            | Output::Unfollow(_) => {}
        }
    }
}

impl Node {
    fn new(mesh: &SampleMesh, root: &Arc<TrustRoot>, number: u32) -> Self {
        let member = mesh.member(number, "eu");
        let boot = BootId([1; 16]);
        let config =
            CoreConfig::local(mesh.root().mesh(), member.node(), boot, member.region().clone(), *member.statement());
        let config = CoreConfig { detail_cells: 0, ..config };
        let core = MeshCore::new(config, Arc::clone(root));
        let rng = ChaCha8Rng::seed_from_u64(u64::from(number));
        Self { core, id: member.node(), key: mesh.keys(number).statement, rng, tick_at: 0 }
    }
}
