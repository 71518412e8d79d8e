//! Whether what this node sends arrives. QUIC hides a dead direction for as long as anything comes back the other way; its
//! counters do not.

use hedgerow_protocol::link;
use quinn::FrameStats;
use tokio::time::MissedTickBehavior;

use super::links::Links;
use crate::net::limits::PROGRESS_PERIOD;

/// What a connection had sent and had been acknowledged when it was looked at last, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    sent: u64,
    acknowledgements: u64,
}

/// What happened since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// Something was sent that the peer has to acknowledge.
    Sent,
    /// Something was acknowledged.
    Acknowledged,
}

impl Progress {
    /// Looks again. What was sent after the last acknowledgement, but before this look, shows with the next: QUIC repeats what is
    /// not acknowledged.
    fn look(&mut self, now: Self) -> News {
        let before = std::mem::replace(self, now);
        if now.acknowledgements != before.acknowledgements {
            News::Acknowledged
        } else if now.sent != before.sent {
            News::Sent
        } else {
            News::None
        }
    }

    fn of(connection: &quinn::Connection) -> Self {
        let stats = connection.stats();
        Self { sent: eliciting(&stats.frame_tx), acknowledgements: stats.frame_rx.acks }
    }
}

/// Frames that the peer has to acknowledge (RFC 9002, section 2).
fn eliciting(sent: &FrameStats) -> u64 {
    sent.crypto
        + sent.data_blocked
        + sent.datagram
        + u64::from(sent.handshake_done)
        + sent.max_data
        + sent.max_stream_data
        + sent.max_streams_bidi
        + sent.max_streams_uni
        + sent.new_connection_id
        + sent.new_token
        + sent.path_challenge
        + sent.path_response
        + sent.ping
        + sent.reset_stream
        + sent.retire_connection_id
        + sent.stop_sending
        + sent.stream
        + sent.stream_data_blocked
        + sent.streams_blocked_bidi
        + sent.streams_blocked_uni
}

impl Links {
    /// Looks at every link again and again, until the network stops, and lets the machine know.
    pub(in crate::net) async fn watch_progress(self) {
        let stop = self.tasks().stop().clone();
        let mut again = tokio::time::interval(PROGRESS_PERIOD);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = again.tick() => {}
            }
            self.look_at_progress();
        }
    }

    /// Looks at every link once.
    pub(super) fn look_at_progress(&self) {
        let mut sent = false;
        for (link, _) in self.all_live() {
            let now = Progress::of(&link.connection);
            let news = link.progress.lock().expect("no holder of the lock panics").look(now);
            let (peer, id) = (link.member.node(), link.id);
            sent |= news == News::Sent;
            self.table(|table, now| match news {
                News::None => {}
                News::Sent => table.machine.sent(&peer, id, now, link.connection.rtt().min(link::PATIENCE)),
                News::Acknowledged => table.machine.acknowledged(&peer, id),
            });
        }
        if sent {
            self.hurry();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_counts_more_than_what_was_sent_since() {
        let mut progress = Progress::default();
        let at = |sent, acknowledgements| Progress { sent, acknowledgements };
        let looks = [at(0, 0), at(3, 0), at(3, 0), at(4, 1), at(5, 1), at(5, 2)].map(|now| progress.look(now));
        assert_eq!(looks, [News::None, News::Sent, News::None, News::Acknowledged, News::Sent, News::Acknowledged]);
    }
}
