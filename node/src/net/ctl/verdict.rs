//! The node's judgement on a gossiped fact, which decides whether it spreads and how its bearer scores.

use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use tokio::sync::mpsc;

use super::swarm::Order;

/// A judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well signed and worth spreading.
    Accept,
    /// Forged or malformed; it spreads no further, and who passed it on loses score.
    Reject,
    /// Neither: known already, too old, or of somebody unknown so far.
    Ignore,
}

impl From<Verdict> for MessageAcceptance {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::Accept,
            Verdict::Reject => Self::Reject,
            Verdict::Ignore => Self::Ignore,
        }
    }
}

/// Where the judgement on one message goes; dropping it means [`Verdict::Ignore`]. It counts while
/// gossipsub remembers the message, which is five seconds.
#[derive(Debug)]
pub struct GossipVerdict {
    pending: Option<(MessageId, PeerId)>,
    orders: mpsc::Sender<Order>,
}

impl GossipVerdict {
    pub(super) fn new(message: MessageId, bearer: PeerId, orders: mpsc::Sender<Order>) -> Self {
        Self { pending: Some((message, bearer)), orders }
    }

    /// Gives the judgement.
    pub fn give(mut self, verdict: Verdict) {
        self.report(verdict);
    }

    fn report(&mut self, verdict: Verdict) {
        let Some((message, bearer)) = self.pending.take() else { return };
        let order = Order::Judge { message, bearer, verdict };
        if self.orders.try_send(order).is_err() {
            tracing::debug!(?verdict, "a verdict came when the swarm was busy or gone");
        }
    }
}

impl Drop for GossipVerdict {
    fn drop(&mut self) {
        self.report(Verdict::Ignore);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_verdict_is_given_and_a_dropped_one_means_ignore() {
        let (tx, mut rx) = mpsc::channel(4);
        let (id, bearer) = (MessageId::from("1"), PeerId::random());
        GossipVerdict::new(id.clone(), bearer, tx.clone()).give(Verdict::Accept);
        drop(GossipVerdict::new(id.clone(), bearer, tx.clone()));
        drop(tx);
        let mut verdicts = Vec::new();
        while let Some(Order::Judge { message, bearer: from, verdict }) = rx.recv().await {
            assert_eq!((message, from), (id.clone(), bearer));
            verdicts.push(verdict);
        }
        assert_eq!(verdicts, [Verdict::Accept, Verdict::Ignore]);
    }
}
