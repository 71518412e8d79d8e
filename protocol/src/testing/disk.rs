//! A disk that forgets what was not synced when its node is killed.

use crate::core::{Row, StoreOp, StoreTable};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    durable: BTreeMap<(StoreTable, Vec<u8>), Vec<u8>>,
    /// Written and not synced, in order.
    cached: Vec<StoreOp>,
}

impl Disk {
    pub(crate) fn write(&mut self, ops: Vec<StoreOp>) {
        self.cached.extend(ops);
    }

    /// Everything written so far survives from here on.
    pub(crate) fn sync(&mut self) {
        for op in self.cached.drain(..) {
            match op {
                StoreOp::Put { table, key, value } => {
                    self.durable.insert((table, key), value);
                }
                StoreOp::Keep(fact) => {
                    let (table, key, value) = StoreOp::put_fact(&fact);
                    self.durable.insert((table, key), value);
                }
                StoreOp::Delete { table, key } => {
                    self.durable.remove(&(table, key));
                }
            }
        }
    }

    pub(crate) fn crash(&mut self) {
        self.cached.clear();
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.durable.iter().map(|((table, key), value)| (*table, key.clone(), value.clone())).collect()
    }
}
