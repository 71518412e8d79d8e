//! What happened on a node.

use serde::{Deserialize, Serialize};

use super::status::LinkPath;

/// One line of `GET /admin/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number in this run of the process, from 1 on; with `missed`, that of the last that is missing.
    pub seq: u64,
    /// When, by the node, as `2031-02-03T04:05:06.789Z`; with `missed`, when that was told.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened. Nodes, cells and models are in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EventKind {
    /// Another node is seen in another state.
    Member {
        /// Which.
        node: String,
        /// How it was seen, if it was known.
        from: Option<String>,
        /// How it is seen.
        to: String,
    },
    /// A link changed.
    Link {
        /// The member at its other end.
        node: String,
        /// What became of it.
        change: LinkChange,
        /// On which way it runs.
        path: LinkPath,
        /// Smoothed round trip.
        rtt_ms: f64,
    },
    /// Another node leads a region's cell, or nobody does.
    Aggregator {
        /// The region.
        region: String,
        /// The cell.
        cell: String,
        /// Who holds the lease, if anybody.
        holder: Option<String>,
        /// Its term, or the last one's.
        term: u64,
    },
    /// The voters of a cell changed.
    Voters {
        /// The cell.
        cell: String,
        /// Number of the voter set.
        epoch: u64,
        /// How many vote.
        voters: u64,
    },
    /// A placement was decided.
    Placement {
        /// The cell.
        cell: String,
        /// Its number.
        epoch: u64,
        /// The rule that it breaks, so that it is not followed here; nothing where it was adopted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// Something else became of a cell, in words.
    Cell {
        /// The cell.
        cell: String,
        /// What.
        told: String,
    },
    /// This node's certificate was renewed, or was not.
    Certificate {
        /// The serial of the renewed one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<u64>,
        /// Its last second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
        /// Why it was not renewed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// Handshakes or messages were refused.
    Refusal {
        /// The reason under which they are counted.
        reason: String,
        /// How many since this reason was told last.
        times: u64,
    },
    /// A node was put out for good.
    Revoked {
        /// Which.
        node: String,
        /// Why.
        reason: String,
    },
    /// The operator wants to see nothing more of a node.
    Forgotten {
        /// Which.
        node: String,
    },
    /// A model on this node.
    Model {
        /// `name@version`.
        model: String,
        /// `warm`, `failed` or `removed`.
        state: String,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// This node itself, in words.
    Node {
        /// What.
        told: String,
    },
    /// Events that the node keeps no more: its memory is bounded, and they were not read in time.
    Missed {
        /// How many.
        times: u64,
    },
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkChange {
    /// It is usable.
    Up,
    /// It goes on by another way.
    Moved,
    /// It ended; address, path and round trip are those that it had.
    Down,
    /// Something of a later version.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_event_in_json_is_frozen_and_a_later_kind_is_read() {
        let link = EventRow {
            seq: 7,
            at: "2031-02-03T04:05:06.789Z".to_owned(),
            what: EventKind::Link {
                node: "abc".to_owned(),
                change: LinkChange::Up,
                path: LinkPath::Direct { address: "192.0.2.1:4334".parse().unwrap() },
                rtt_ms: 0.5,
            },
        };
        let text = concat!(
            r#"{"seq":7,"at":"2031-02-03T04:05:06.789Z","kind":"link","node":"abc","change":"up","#,
            r#""path":{"kind":"direct","address":"192.0.2.1:4334"},"rtt_ms":0.5}"#
        );
        assert_eq!(serde_json::to_string(&link).unwrap(), text);
        assert_eq!(serde_json::from_str::<EventRow>(text).unwrap(), link);
        let later = r#"{"seq":8,"at":"2031-02-03T04:05:06.789Z","kind":"weather","sky":"clear"}"#;
        assert_eq!(serde_json::from_str::<EventRow>(later).unwrap().what, EventKind::Unknown);
    }
}
