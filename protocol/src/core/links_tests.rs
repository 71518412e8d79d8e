//! Tests of whom a node asks to be linked to.

use super::super::{Command, CoreConfig, Hint, Input, LinkEvent, MeshCore, Output, Snapshot};
use crate::fact::VerifiedFact;
use crate::id::BootId;
use crate::machine::{Cx, Machine as _};
use crate::time::{Mono, Wall};
use hedgerow_attest::id::NodeId;
use hedgerow_attest::testing::SampleMesh;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use std::collections::BTreeSet;

/// Node 1 of a mesh, whose disk and key do at once what they are asked for.
struct Bench {
    mesh: SampleMesh,
    core: MeshCore,
    rng: ChaCha8Rng,
    /// Whom it asked to be linked to.
    dialled: BTreeSet<NodeId>,
}

impl Bench {
    fn new() -> Self {
        let mesh = SampleMesh::new(1);
        let me = mesh.member(1, "eu");
        let config =
            CoreConfig::local(mesh.root().mesh(), me.node(), BootId([7; 16]), me.region().clone(), *me.statement());
        let core = MeshCore::new(config, mesh.root().clone());
        Self { mesh, core, rng: ChaCha8Rng::seed_from_u64(1), dialled: BTreeSet::new() }
    }

    /// Steps through inputs in their order, at that second, and through what follows from each.
    fn take(&mut self, second: u64, mut inputs: Vec<Input>) {
        inputs.reverse();
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            let (now, wall) = (Mono(second * 1_000_000), Wall((SampleMesh::NOW.0 + second) * 1_000_000));
            self.core.step(&mut Cx { now, wall, rng: &mut self.rng, out: &mut out }, input);
            for output in out {
                match output {
                    Output::Persist { token, .. } => inputs.push(Input::Persisted(token)),
                    Output::Sign { token, statement } => {
                        let statement = statement.sign(&self.mesh.keys(1).statement);
                        inputs.push(Input::Signed { token, statement });
                    }
                    Output::Hint(Hint::Dial { peer, .. }) => drop(self.dialled.insert(peer)),
                    Output::Hint(Hint::Hangup { .. })
                    | Output::Send { .. }
                    | Output::Publish { .. }
                    | Output::Follow(_)
                    | Output::Unfollow(_)
                    | Output::Reply { .. }
                    | Output::Event(_)
                    | Output::Sometimes(_) => {}
                }
            }
        }
    }
}

/// Whom node 1 asks to be linked to while time passes and nobody answers; it knows the certificates of nodes 0 to 6.
fn dialled() -> (SampleMesh, BTreeSet<NodeId>) {
    let mut bench = Bench::new();
    let members = (0..7).map(|number| Command::AddMember(bench.mesh.member(number, "eu")));
    let members = members.map(|command| Input::Command { id: 1, command });
    let begin = std::iter::once(Input::Start(Box::<Snapshot>::default())).chain(members).collect();
    bench.take(1, begin);
    for second in 2..8 {
        bench.take(second, vec![Input::Tick]);
    }
    (bench.mesh, bench.dialled)
}

#[test]
fn a_link_that_came_up_before_the_node_might_speak_is_greeted_and_counted() {
    let mesh = SampleMesh::new(1);
    let (me, other) = (mesh.member(1, "eu"), mesh.member(0, "eu"));
    let config =
        CoreConfig::local(mesh.root().mesh(), me.node(), BootId([7; 16]), me.region().clone(), *me.statement());
    let mut core = MeshCore::new(config, mesh.root().clone());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut step = |core: &mut MeshCore, input| {
        let mut out = Vec::new();
        let (now, wall) = (Mono(1_000_000), Wall(SampleMesh::NOW.0 * 1_000_000));
        core.step(&mut Cx { now, wall, rng: &mut rng, out: &mut out }, input);
        out
    };
    let started = step(&mut core, Input::Start(Box::<Snapshot>::default()));
    let up = LinkEvent::Up { rtt_us: Some(900) };
    assert_eq!(step(&mut core, Input::Link { peer: other.node(), event: up }), []);
    let token = started.iter().find_map(|output| {
        let Output::Persist { token, .. } = output else { return None };
        Some(*token)
    });
    let sent = step(&mut core, Input::Persisted(token.expect("its incarnation is written")));
    let greets = sent.iter().any(|output| matches!(output, Output::Send { to, .. } if *to == other.node()));
    assert!(greets, "{sent:?}");
    assert_eq!(core.contacts.links(), 1);
}

#[test]
fn members_of_whom_only_the_certificate_is_known_are_dialled() {
    let (mesh, dialled) = dialled();
    let others = [0, 2, 3, 4, 5, 6].map(|number| mesh.member(number, "eu").node());
    assert_eq!(dialled, BTreeSet::from(others));
}

/// Elsewhere 445 ghosts, dialled as gossip told of them, wedged the start of a node.
#[test]
fn news_of_members_makes_a_node_dial_nobody() {
    let mut bench = Bench::new();
    let ghosts = (2..447).map(|number| VerifiedFact::member(bench.mesh.member(number, "eu")));
    let ghosts = ghosts.map(|ghost| Input::Fact(Box::new(ghost)));
    let inputs = std::iter::once(Input::Start(Box::<Snapshot>::default())).chain(ghosts).collect();
    bench.take(1, inputs);
    assert_eq!(bench.core.roster().members().len(), 445, "they are known");
    assert_eq!(bench.dialled, BTreeSet::new());
}
