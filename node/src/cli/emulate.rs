//! `hedgerow emulate`: shows or sets what a node that was started for it does to its own packets.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, counted, print};
use crate::admin::AdminClient;
use crate::admin::wire::{Cut, EmulationReport, EmulationSettings, Firewall, Loss, Rule};

/// `hedgerow emulate`
#[derive(Debug, Args)]
pub(crate) struct EmulateArguments {
    /// Put the JSON in this file into force instead of what was; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Shows what is in force, after setting it where a file is named.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &EmulateArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let report: EmulationReport = match &arguments.file {
        Some(file) => client.put("set the emulation", ROUTE, &settings(file)?).await?,
        None => client.get("read the emulation", ROUTE).await?,
    };
    print(format, &report, |report, _| table(report))?;
    Ok(Exit::Ok)
}

/// What is emulated, in a line.
pub(super) fn summary(report: &EmulationReport) -> String {
    let firewall = match report.firewall {
        Firewall::Open => "",
        Firewall::Stateful => "a stateful firewall, ",
    };
    let dropped: Vec<_> = report.dropped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let dropped = if dropped.is_empty() { String::new() } else { format!("; dropped {}", dropped.join(", ")) };
    format!("{firewall}{}{dropped}", counted(report.rules.len(), "rule"))
}

/// What a rule does, for people.
pub(super) fn told(rule: &Rule) -> String {
    let doings = doings(rule).into_iter().flatten().collect::<Vec<_>>();
    let doings = if doings.is_empty() { "nothing".to_owned() } else { doings.join(", ") };
    format!("to {}: {doings}", rule.peer)
}

fn table(report: &EmulationReport) -> String {
    if report.rules.is_empty() {
        return summary(report);
    }
    let row = |rule: &Rule| {
        let cells = doings(rule).map(|doing| doing.unwrap_or_else(|| "-".to_owned()));
        [vec![rule.peer.to_string()], cells.to_vec()].concat()
    };
    let header = ["PEER", "DELAY", "JITTER", "LOSS", "RATE", "QUEUE", "CUT"];
    format!("{}\n{}", summary(report), columns(&header, report.rules.iter().map(row).collect()))
}

/// Delay, jitter, loss, rate, queue and cut, those that there are.
fn doings(rule: &Rule) -> [Option<String>; 6] {
    let number = |number: u32, unit: &str| (number > 0).then(|| format!("{number} {unit}"));
    let cut = match rule.cut {
        Cut::None => None,
        Cut::Both => Some("cut both ways".to_owned()),
        Cut::In => Some("cut inwards".to_owned()),
        Cut::Out => Some("cut outwards".to_owned()),
    };
    [
        number(rule.delay_ms, "ms"),
        number(rule.jitter_ms, "ms").map(|jitter| format!("up to {jitter} more")),
        (rule.loss_percent != Loss::NONE).then(|| format!("{} % lost", rule.loss_percent.percent())),
        number(rule.rate_kbps, "kbit/s"),
        number(rule.queue_kib, "KiB").map(|queue| format!("{queue} of queue")),
        cut,
    ]
}

fn settings(file: &Path) -> Result<EmulationSettings, CliError> {
    let unread = |source| CliError::ReadFile { path: file.to_owned(), source };
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unread)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(unread)?
    };
    serde_json::from_str(&text).map_err(|error| CliError::Usage {
        what: format!("{} is no emulation: {error}", file.display()),
        remedy: r#"write {"firewall": "open", "rules": [{"peer": "IP:PORT", "delay_ms": 40}]}; docs/network.md has every field"#,
    })
}

const ROUTE: &str = "/admin/v1/emulation";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_emulated_is_told_in_words_and_in_columns() {
        let rules: Vec<Rule> = serde_json::from_str(concat!(
            r#"[{"peer":"10.0.0.1:0","delay_ms":40,"jitter_ms":5,"loss_percent":1.5,"rate_kbps":20000,"queue_kib":256},"#,
            r#"{"peer":"10.0.0.2:4334","cut":"in"},{"peer":"10.0.0.3:4334"}]"#
        ))
        .unwrap();
        let words: Vec<_> = rules.iter().map(told).collect();
        assert_eq!(
            words,
            [
                "to 10.0.0.1:0: 40 ms, up to 5 ms more, 1.5 % lost, 20000 kbit/s, 256 KiB of queue",
                "to 10.0.0.2:4334: cut inwards",
                "to 10.0.0.3:4334: nothing"
            ]
        );
        let dropped = BTreeMap::from([("cut".to_owned(), 2), ("firewall".to_owned(), 1)]);
        let report = EmulationReport { firewall: Firewall::Stateful, rules, dropped };
        assert_eq!(
            table(&report),
            "a stateful firewall, 3 rules; dropped 2 cut, 1 firewall\n\
             PEER           DELAY  JITTER           LOSS        RATE          QUEUE             CUT\n\
             10.0.0.1:0     40 ms  up to 5 ms more  1.5 % lost  20000 kbit/s  256 KiB of queue  -\n\
             10.0.0.2:4334  -      -                -           -             -                 cut inwards\n\
             10.0.0.3:4334  -      -                -           -             -                 -"
        );
        let nothing = EmulationReport { firewall: Firewall::Open, rules: vec![], dropped: BTreeMap::new() };
        assert_eq!(table(&nothing), "0 rules");
    }
}
