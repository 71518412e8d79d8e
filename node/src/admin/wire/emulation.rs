//! What a node emulates around its own socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::net::{Cut, EmulationSettings, Firewall, Loss, Rule};

/// `GET /admin/v1/emulation`, and the answer to `PUT`: what is in force, and what it dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmulationReport {
    /// What is let in.
    pub firewall: Firewall,
    /// The rules by peer.
    pub rules: Vec<Rule>,
    /// Datagrams dropped since the start, by reason; a batch that arrived as one counts once.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_report_in_json_is_frozen() {
        let text = concat!(
            r#"{"firewall":"stateful","rules":[{"peer":"127.0.0.1:4334","delay_ms":0,"cut":"both"}],"#,
            r#""dropped":{"cut":2,"firewall":1}}"#
        );
        let report: EmulationReport = serde_json::from_str(text).unwrap();
        let rule = Rule { cut: Cut::Both, ..Rule::towards("127.0.0.1:4334".parse().unwrap()) };
        let dropped = BTreeMap::from([("cut".to_owned(), 2), ("firewall".to_owned(), 1)]);
        assert_eq!(report, EmulationReport { firewall: Firewall::Stateful, rules: vec![rule], dropped });
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
