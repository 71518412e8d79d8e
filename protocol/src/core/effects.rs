//! The place where the parts of the core put what they want done.

use super::interface::{Event, Hint, Lane, Output};
use super::snapshot::StoreOp;
use crate::fact::Statement;
use crate::id::Token;
use crate::machine::Cx;
use crate::time::{Mono, Wall};
use crate::wire::VerifiedMessage;
use hedgerow_attest::id::NodeId;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

/// What one step may use. Parts of the core get it instead of the context, so that tokens are never given out twice.
#[derive(Debug)]
pub(crate) struct Effects<'a> {
    pub(crate) now: Mono,
    pub(crate) wall: Wall,
    rng: &'a mut ChaCha8Rng,
    out: &'a mut Vec<Output>,
    last: &'a mut Token,
    /// Where the last write of this step stands.
    write: Option<usize>,
    /// The write of this node's departure, if it leaves: no facts leave it before, since that may be one of them.
    pub(crate) departure: Option<Token>,
}

impl<'a> Effects<'a> {
    pub(crate) fn new<'b: 'a>(cx: &'a mut Cx<'b, Output>, last: &'a mut Token) -> Self {
        Self { now: cx.now, wall: cx.wall, rng: cx.rng, out: cx.out, last, write: None, departure: None }
    }

    pub(crate) fn send(&mut self, to: NodeId, lane: Lane, message: VerifiedMessage) {
        self.out.push(Output::Send { to, lane, message, after: None, not_after: None });
    }

    pub(crate) fn send_after(&mut self, to: NodeId, message: VerifiedMessage, after: Option<Token>) {
        self.out.push(Output::Send { to, lane: Lane::Rpc, message, after, not_after: None });
    }

    /// For acts of the holder of a lease: a message that waited too long must not leave.
    pub(crate) fn send_until(&mut self, to: NodeId, message: VerifiedMessage, after: Option<Token>, not_after: Mono) {
        self.out.push(Output::Send { to, lane: Lane::Rpc, message, after, not_after: Some(not_after) });
    }

    /// Writes of one step that follow each other and are to be equally durable are one: a node that hears of fifty facts in
    /// one message writes once.
    pub(crate) fn persist(&mut self, ops: Vec<StoreOp>, sync: bool) -> Token {
        match self.write.and_then(|place| self.out.get_mut(place)) {
            Some(Output::Persist { token, ops: before, sync: synced }) if *synced == sync => {
                before.extend(ops);
                *token
            }
            _ => {
                self.write = Some(self.out.len());
                let token = self.token();
                self.out.push(Output::Persist { token, ops, sync });
                token
            }
        }
    }

    pub(crate) fn sign(&mut self, statement: Statement) -> Token {
        let token = self.token();
        self.out.push(Output::Sign { token, statement });
        token
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.out.push(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(crate) fn hint(&mut self, hint: Hint) {
        self.out.push(Output::Hint(hint));
    }

    /// Notes that a rare path was taken.
    pub(crate) fn sometimes(&mut self, what: &'static str) {
        self.out.push(Output::Sometimes(what));
    }

    /// A number below `bound`, or 0 when the bound is 0. The bias of the multiplication is below 2^-32 for any count here.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.rng.next_u64()) * u128::from(bound)) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// A random span up to that many microseconds.
    pub(crate) fn jitter(&mut self, most: std::time::Duration) -> std::time::Duration {
        let most = usize::try_from(most.as_micros()).unwrap_or(usize::MAX);
        std::time::Duration::from_micros(u64::try_from(self.below(most)).unwrap_or(0))
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Random order (Fisher, Yates; Durstenfeld's form).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    fn token(&mut self) -> Token {
        *self.last = self.last.next();
        *self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::StoreTable;
    use rand_core::SeedableRng as _;

    /// The writes that follow from asking for these, each with what it holds and whether it is synced; and the tokens.
    fn written(asked: &[(u8, bool)]) -> (Vec<(Vec<u8>, bool)>, Vec<u64>) {
        let (mut rng, mut out, mut last) = (ChaCha8Rng::from_seed([1; 32]), Vec::new(), Token(0));
        let mut cx = Cx { now: Mono(0), wall: Wall(0), rng: &mut rng, out: &mut out };
        let mut fx = Effects::new(&mut cx, &mut last);
        let tokens = asked.iter().map(|(key, sync)| {
            fx.event(Event::ClockTrusted);
            let op = StoreOp::Delete { table: StoreTable::Facts, key: vec![*key] };
            fx.persist(vec![op], *sync).0
        });
        let tokens = tokens.collect();
        let writes = out.into_iter().filter_map(|output| {
            let Output::Persist { ops, sync, .. } = output else { return None };
            let keys =
                ops.into_iter().filter_map(|op| if let StoreOp::Delete { key, .. } = op { Some(key) } else { None });
            Some((keys.flatten().collect(), sync))
        });
        (writes.collect(), tokens)
    }

    #[test]
    fn writes_are_joined_while_they_are_equally_durable() {
        let asked = [(1, false), (2, false), (3, true), (4, false), (5, true), (6, true), (7, false), (8, false)];
        let writes = [(vec![1, 2], false), (vec![3], true), (vec![4], false), (vec![5, 6], true), (vec![7, 8], false)];
        assert_eq!(written(&asked), (writes.to_vec(), vec![1, 1, 2, 3, 4, 4, 5, 5]));
    }
}
