//! What happens to packets on their way: loss, delay, repetition, and cuts between groups of nodes.

use super::dice::Dice as _;
use super::time::{MS, Micros};
use rand_chacha::ChaCha8Rng;

/// A set of nodes, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NodeSet(Vec<u64>);

impl FromIterator<u32> for NodeSet {
    fn from_iter<I: IntoIterator<Item = u32>>(nodes: I) -> Self {
        let mut bits = Vec::new();
        for node in nodes {
            let word = node as usize / 64;
            if bits.len() <= word {
                bits.resize(word + 1, 0);
            }
            bits[word] |= 1 << (node % 64);
        }
        Self(bits)
    }
}

impl NodeSet {
    /// Whether the node is in the set.
    pub(crate) fn has(&self, node: u32) -> bool {
        self.0.get(node as usize / 64).is_some_and(|word| word >> (node % 64) & 1 == 1)
    }
}

/// Packets from one set of nodes to another are lost.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    /// Names it, so that it can be healed.
    pub(crate) number: u64,
    from: NodeSet,
    to: NodeSet,
}

/// The state of the whole network.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// Packets that are lost, in each direction, in millionths.
    pub(crate) loss_ppm: u32,
    /// Packets that arrive twice, in millionths.
    pub(crate) duplicate_ppm: u32,
    /// Packets that are held up for up to twenty times the jitter, in millionths: they arrive after later ones.
    pub(crate) late_ppm: u32,
    /// Longest random addition to a delay.
    pub(crate) jitter_us: Micros,
    /// Datagrams of which one random bit is flipped, in millionths; in byte mode only.
    pub(crate) flip_ppm: u32,
    cuts: Vec<Cut>,
    /// Whose packets take longer, by how much, and the number with which that ends.
    congested: Vec<(u64, NodeSet, Micros)>,
    last_cut: u64,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            loss_ppm: 0,
            duplicate_ppm: 0,
            late_ppm: 0,
            jitter_us: 3 * MS,
            flip_ppm: 0,
            cuts: Vec::new(),
            congested: Vec::new(),
            last_cut: 0,
        }
    }
}

impl Weather {
    /// Cuts one direction; returns the number with which it heals.
    pub(crate) fn cut(&mut self, from: NodeSet, to: NodeSet) -> u64 {
        self.last_cut += 1;
        self.cuts.push(Cut { number: self.last_cut, from, to });
        self.last_cut
    }

    /// Packets to and from these nodes take longer; returns the number with which that heals.
    pub(crate) fn congest(&mut self, nodes: NodeSet, more: Micros) -> u64 {
        self.last_cut += 1;
        self.congested.push((self.last_cut, nodes, more));
        self.last_cut
    }

    /// By how much packets between two nodes take longer.
    pub(crate) fn congestion(&self, from: u32, to: u32) -> Micros {
        let slow = self.congested.iter().filter(|(_, nodes, _)| nodes.has(from) || nodes.has(to));
        slow.map(|(_, _, more)| more).sum()
    }

    /// Heals a cut, or a congestion.
    pub(crate) fn heal(&mut self, number: u64) {
        self.cuts.retain(|cut| cut.number != number);
        self.congested.retain(|(congested, ..)| *congested != number);
    }

    /// Heals everything.
    pub(crate) fn heal_all(&mut self) {
        self.cuts.clear();
        self.congested.clear();
    }

    /// Whether the cut is in force.
    pub(crate) fn is_in_force(&self, number: u64) -> bool {
        self.cuts.iter().any(|cut| cut.number == number)
    }

    /// Whether packets from one node to another are cut off.
    pub(crate) fn is_cut(&self, from: u32, to: u32) -> bool {
        self.cuts.iter().any(|cut| cut.from.has(from) && cut.to.has(to))
    }

    /// Whether that cut is between the two, in whichever direction.
    pub(crate) fn divides(&self, number: u64, a: u32, b: u32) -> bool {
        let between = |cut: &Cut| (cut.from.has(a) && cut.to.has(b)) || (cut.from.has(b) && cut.to.has(a));
        self.cuts.iter().any(|cut| cut.number == number && between(cut))
    }

    /// Whether nothing is cut, and nobody is slow.
    pub(crate) fn is_whole(&self) -> bool {
        self.cuts.is_empty() && self.congested.is_empty()
    }

    /// Random delay on top of the distance.
    pub(crate) fn jitter(&self, rng: &mut ChaCha8Rng) -> Micros {
        let most = if rng.chance(self.late_ppm) { self.jitter_us * 20 } else { self.jitter_us };
        rng.below(most + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_has_a_direction_and_heals_by_its_number() {
        let mut weather = Weather::default();
        let number = weather.cut([1, 70].into_iter().collect(), [2].into_iter().collect());
        assert!(weather.is_cut(1, 2) && weather.is_cut(70, 2) && !weather.is_cut(2, 1) && !weather.is_cut(3, 2));
        assert!(weather.divides(number, 2, 70) && !weather.divides(number, 1, 70));
        weather.heal(number);
        assert!(weather.is_whole() && !weather.is_in_force(number));
    }
}
