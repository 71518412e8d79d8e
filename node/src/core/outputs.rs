//! What the core wants done, done.

use bytes::Bytes;
use hedgerow_protocol::core::{Hint, Input, Lane, Output, Reply, Row, StoreOp, StoreTable};
use hedgerow_protocol::fact::Scope;
use hedgerow_protocol::link::Origin;
use hedgerow_protocol::wire;

use super::durability::Fate;
use super::handle::CommandError;
use super::task::CoreTask;
use crate::net;
use crate::observe::{Happening, mono};
use crate::store::{self, RowChange};

/// The topic of the facts that everybody has to know; the endpoint is the mesh's own, so that the topic need not name it.
pub const MESH_TOPIC: &str = "hedgerow/mesh/1";

/// The topic of the facts of that scope.
fn topic(scope: Scope) -> String {
    match scope {
        Scope::Mesh | Scope::Directory => MESH_TOPIC.to_owned(),
        Scope::Cell(cell) => format!("hedgerow/cell/1/{cell}"),
    }
}

impl CoreTask {
    /// Carries out one output, or puts it aside until what it waits for is durable.
    pub(super) async fn carry_out(&mut self, output: Output) {
        let after = match &output {
            Output::Send { after, .. } | Output::Publish { after, .. } | Output::Reply { after, .. } => *after,
            Output::Persist { .. }
            | Output::Sign { .. }
            | Output::Event(_)
            | Output::Hint(_)
            | Output::Follow(_)
            | Output::Unfollow(_)
            | Output::Sometimes(_) => None,
        };
        match self.durability.judge(after, output) {
            Fate::Leaves(output) => self.release(output).await,
            Fate::Waits => {}
            Fate::Void(output) => self.drop_output(output),
        }
    }

    /// An output whose condition failed does not leave; whoever waits for an answer hears of that instead.
    pub(super) fn drop_output(&mut self, output: Output) {
        match output {
            Output::Reply { id, .. } => self.reply(id, Err(CommandError::Storage)),
            other => {
                tracing::debug!(output = ?std::mem::discriminant(&other), "what a failed promise would have said is dropped")
            }
        }
    }

    fn reply(&mut self, id: u64, answer: Result<Reply, CommandError>) {
        if let Some(asker) = self.replies.remove(&id)
            && asker.send(answer).is_err()
        {
            tracing::debug!("a command was answered after its asker had left");
        }
    }

    /// Carries out an output whose condition holds.
    pub(super) async fn release(&mut self, output: Output) {
        match output {
            Output::Send { to, lane, message, not_after, .. } => {
                if not_after.is_some_and(|latest| mono() > latest) {
                    return tracing::debug!(%to, "a message was too late to be sent");
                }
                if let Err(error) = self.net.send(to, net_lane(lane), Bytes::from(wire::encode(&message.to_wire()))) {
                    tracing::trace!(%to, %error, "a message was not queued");
                }
            }
            Output::Follow(scope) => {
                if let Err(error) = self.net.subscribe(&topic(scope)) {
                    tracing::warn!(%error, ?scope, "gossip is not heard and comes by exchange alone");
                }
            }
            Output::Unfollow(scope) => {
                if let Err(error) = self.net.unsubscribe(&topic(scope)) {
                    tracing::debug!(%error, ?scope, "gossip of no use goes on being heard");
                }
            }
            Output::Publish { scope, fact, .. } => {
                // Gossip is lossy: what it does not take, the exchange of facts brings.
                if let Err(error) = self.net.publish(&topic(scope), Bytes::from(fact.signed().to_bytes())) {
                    tracing::debug!(%error, "a fact was not published");
                }
            }
            Output::Persist { token, ops, sync } => {
                let completion = self.store.persist(ops.into_iter().map(row_change).collect(), sync).await;
                self.durability.begun(token, completion);
            }
            Output::Sign { token, statement } => {
                let statement = statement.sign(&self.statement);
                self.soon.push_back(Input::Signed { token, statement });
            }
            Output::Reply { id, reply, .. } => self.reply(id, Ok(reply)),
            Output::Event(event) => self.events.record(Happening::Core(event)),
            Output::Hint(Hint::Dial { peer, addresses }) => {
                self.net.learn(peer, Origin::Said, &addresses);
                self.net.connect(peer);
            }
            Output::Hint(Hint::Hangup { peer }) => self.net.spare(peer),
            Output::Sometimes(path) => tracing::trace!(path, "a rare path was taken"),
        }
    }
}

/// The rows of the store as the core reads them; rows of tables that it does not know are left alone.
pub(super) fn core_rows(rows: Vec<store::Row>) -> Vec<Row> {
    let known = |(number, key, value): store::Row| {
        let table = TABLES.into_iter().find(|table| table_number(*table) == number)?;
        Some((table, key, value))
    };
    rows.into_iter().filter_map(known).collect()
}

fn row_change(op: StoreOp) -> RowChange {
    match op {
        StoreOp::Put { table, key, value } => RowChange::Put { table: table_number(table), key, value },
        StoreOp::Keep(fact) => {
            let (table, key, value) = StoreOp::put_fact(&fact);
            RowChange::Put { table: table_number(table), key, value }
        }
        StoreOp::Delete { table, key } => RowChange::Delete { table: table_number(table), key },
    }
}

const TABLES: [StoreTable; 4] = [StoreTable::Incarnation, StoreTable::Facts, StoreTable::Votes, StoreTable::Fences];

/// The numbers on disk (`docs/storage.md`); they never change.
fn table_number(table: StoreTable) -> u8 {
    match table {
        StoreTable::Incarnation => 0,
        StoreTable::Facts => 1,
        StoreTable::Votes => 2,
        StoreTable::Fences => 3,
    }
}

fn net_lane(lane: Lane) -> net::Lane {
    match lane {
        Lane::Probe => net::Lane::Probe,
        Lane::Rpc => net::Lane::Rpc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_a_topic_of_its_own_and_rollups_have_none() {
        let cell = Scope::Cell(hedgerow_attest::id::CellId::from_bytes([7; 32]));
        let named = "hedgerow/cell/1/a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq";
        assert_eq!([Scope::Mesh, Scope::Directory, cell].map(topic), [MESH_TOPIC, MESH_TOPIC, named]);
    }

    #[test]
    fn every_table_has_a_number_of_its_own_and_unknown_rows_stay() {
        let numbers: Vec<_> = TABLES.into_iter().map(table_number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        let rows = core_rows(vec![(1, vec![1], vec![2]), (200, vec![3], vec![4])]);
        assert_eq!(rows, [(StoreTable::Facts, vec![1], vec![2])]);
    }
}
