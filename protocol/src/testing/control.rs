//! What a test does to a cluster, and what it asks of it.

use super::cluster::{Cluster, MS};
use crate::core::{Command, Input, LinkEvent};
use crate::fact::VerifiedFact;
use crate::machine::Machine as _;
use crate::view::{MemberState, MeshView};
use hedgerow_attest::digest::Sha256Digest;

impl Cluster {
    /// Starts a node: what its disk holds, and links to all who are up, as its transport would make them.
    pub(crate) fn start(&mut self, node: usize) {
        let mesh = &self.mesh;
        let snapshot = self.nodes[node].reboot(mesh);
        self.step(node, Input::Start(Box::new(snapshot)));
        let issuer = self.mesh.member(0, self.nodes[0].member.region().as_str());
        let own = self.nodes[node].member.clone();
        for member in [issuer, own] {
            self.command(node, Command::AddMember(member));
        }
        self.run_for(10 * MS);
        for other in 0..self.nodes.len() {
            if other != node && self.nodes[other].up {
                self.connect(node, other);
            }
        }
    }

    /// A link between two nodes comes up: each learns the other's certificate in the handshake.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        if self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a)) {
            return;
        }
        for (here, there) in [(a, b), (b, a)] {
            let member = self.nodes[there].member.clone();
            let peer = member.node();
            self.command(here, Command::AddMember(member));
            self.step(here, Input::Link { peer, event: LinkEvent::Up { rtt_us: None } });
        }
    }

    pub(crate) fn command(&mut self, node: usize, command: Command) {
        self.next_command += 1;
        let id = self.next_command;
        self.step(node, Input::Command { id, command });
    }

    /// Kills a node: what was not synced is gone.
    pub(crate) fn kill(&mut self, node: usize) {
        self.judge.ended(self.now, node);
        self.nodes[node].up = false;
        self.nodes[node].disk.crash();
        self.held.retain(|(of, _), _| *of != node);
        self.unsynced.remove(&node);
    }

    /// Cuts both directions between two groups.
    pub(crate) fn cut(&mut self, left: &[usize], right: &[usize]) {
        for (&a, &b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
            self.cuts.extend([(a, b), (b, a)]);
        }
    }

    /// From here on a node's clock runs fast or slow by so many millionths.
    pub(crate) fn set_drift(&mut self, node: usize, ppm: i64) {
        let now = self.now;
        self.nodes[node].drift(now, ppm);
        self.nodes[node].tick_at = None;
        self.step(node, Input::Tick);
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn announce(&mut self, node: usize, fact: VerifiedFact) {
        self.command(node, Command::Announce(Box::new(fact)));
    }

    /// The digest of the value that a node accepted and nobody decided yet.
    pub(crate) fn accepted_by(&self, node: usize) -> Option<Sha256Digest> {
        self.nodes[node].core.accepted_digest()
    }

    /// The digest of the last placement that a node knows to be decided in its cell.
    pub(crate) fn decided_digest(&self, node: usize) -> Option<Sha256Digest> {
        self.nodes[node].core.decided_digest()
    }

    pub(crate) fn view(&self, node: usize) -> MeshView {
        let node = &self.nodes[node];
        node.core.view(node.mono(self.now))
    }

    /// Of everything that any node's later decisions depend on.
    pub(crate) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for node in &self.nodes {
            node.core.digest(&mut hasher);
        }
        hasher.finalize()
    }

    pub(crate) fn up(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].up)
    }

    /// How `node` sees `of`.
    pub(crate) fn sees(&self, node: usize, of: usize) -> Option<MemberState> {
        self.view(node).members.get(&self.nodes[of].id()).map(|member| member.state)
    }

    /// Whether every running node sees every running node alive.
    pub(crate) fn is_converged(&self) -> bool {
        self.up().all(|a| self.up().all(|b| self.sees(a, b) == Some(MemberState::Alive)))
    }
}
