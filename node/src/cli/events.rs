//! `hedgerow events`: what happened on this node, as it sees it, oldest first; with `-f` also what happens from here on.

use clap::Args;

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, is_read, milliseconds, short, way};
use crate::admin::wire::{EventKind, EventRow, LinkChange};
use crate::admin::{AdminClient, ClientError};

/// `hedgerow events`
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Go on with what happens, until interrupted or the node ends
    #[arg(short, long)]
    follow: bool,
    /// Only what came after the event of this number
    #[arg(long, default_value_t = 0, value_name = "N")]
    since: u64,
}

/// Prints each event as it comes: a line of text, of JSON as the node gave it, or a YAML document.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &EventsArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let EventsArguments { follow, since } = arguments;
    let mut lines = client.lines(OPERATION, &format!("/admin/v1/events?since={since}&follow={follow}")).await?;
    while let Some(line) = lines.next().await? {
        if !is_read(&form(&line, format)?)? {
            break;
        }
    }
    Ok(Exit::Ok)
}

fn form(line: &[u8], format: OutputFormat) -> Result<String, CliError> {
    let row = || -> Result<EventRow, CliError> {
        let row = serde_json::from_slice(line);
        Ok(row.map_err(|source| ClientError::BadAnswer { operation: OPERATION, source })?)
    };
    Ok(match format {
        OutputFormat::Table => text(&row()?, false),
        OutputFormat::Wide => text(&row()?, true),
        OutputFormat::Json => String::from_utf8_lossy(line).into_owned(),
        OutputFormat::Yaml => {
            let text = serde_saphyr::to_string(&row()?).map_err(CliError::PrintYaml)?;
            format!("---\n{}", text.trim_end())
        }
    })
}

/// Time, kind, whom it is about, and what happened; wide also the date, the number, and ids in full.
fn text(row: &EventRow, wide: bool) -> String {
    let id = |id: &str| if wide { id.to_owned() } else { short(id) };
    let (kind, whom, what) = told(&row.what, id);
    let width = if wide { ID_CHARS } else { SHORT_CHARS };
    let about = format!("{kind:<11}  {whom:<width$}  {what}");
    if wide {
        return format!("{}  {:>5}  {about}", row.at, row.seq);
    }
    let time = row.at.get(TIME_OF_DAY).unwrap_or(&row.at);
    format!("{time}  {about}")
}

/// The kind in one word, whom it is about, and what happened.
fn told(what: &EventKind, id: impl Fn(&str) -> String) -> (&'static str, String, String) {
    let nobody = || "-".to_owned();
    match what {
        EventKind::Member { node, from, to } => {
            ("member", id(node), format!("{} -> {to}", from.as_deref().unwrap_or("unknown")))
        }
        EventKind::Link { node, change, path, rtt_ms } => {
            let at = format!("{}, {}", way(path), milliseconds(Some(*rtt_ms)));
            let what = match change {
                LinkChange::Up => format!("up, {at}"),
                LinkChange::Moved => format!("moved to {at}"),
                LinkChange::Down => format!("down, was {at}"),
                LinkChange::Unknown => at,
            };
            ("link", id(node), what)
        }
        EventKind::Aggregator { region, cell, holder, term } => {
            let what = match holder {
                Some(holder) => format!("{} leads region {region} in term {term}", id(holder)),
                None => format!("nobody leads region {region} after term {term}"),
            };
            ("aggregator", id(cell), what)
        }
        EventKind::Voters { cell, epoch, voters } => {
            ("voters", id(cell), format!("{voters} voter(s), voter set {epoch}"))
        }
        EventKind::Placement { cell, epoch, fault: None } => ("placement", id(cell), format!("{epoch} adopted")),
        EventKind::Placement { cell, epoch, fault: Some(fault) } => {
            ("placement", id(cell), format!("{epoch} not followed: {fault}"))
        }
        EventKind::Cell { cell, told } => ("cell", id(cell), told.clone()),
        EventKind::Certificate { serial, until, failure } => {
            let what = match (serial, until, failure) {
                (_, _, Some(failure)) => format!("not renewed: cannot {failure}"),
                (Some(serial), Some(until), None) => format!("renewed, serial {serial}, until {until}"),
                (_, _, None) => "renewed".to_owned(),
            };
            ("certificate", nobody(), what)
        }
        EventKind::Refusal { reason, times } => ("refusal", nobody(), format!("{times} {reason}")),
        EventKind::Revoked { node, reason } => ("revoked", id(node), reason.clone()),
        EventKind::Forgotten { node } => ("forgotten", id(node), "is shown no more".to_owned()),
        EventKind::Model { model, state, reason } => {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            ("model", nobody(), format!("{model} {state}{reason}"))
        }
        EventKind::Node { told } => ("node", nobody(), told.clone()),
        EventKind::Missed { times } => ("missed", nobody(), format!("{times} event(s) that the node keeps no more")),
        EventKind::Unknown => ("other", nobody(), "an event of a later version; `-o json` shows it".to_owned()),
    }
}

const OPERATION: &str = "read the events";
/// Where hours to milliseconds stand in `2031-02-03T04:05:06.789Z`.
const TIME_OF_DAY: std::ops::Range<usize> = 11..23;
const SHORT_CHARS: usize = 8;
const ID_CHARS: usize = 52;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(event: &serde_json::Value) -> String {
        let mut row = json!({ "seq": 12, "at": "2031-02-03T04:05:06.789Z" });
        row.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        form(row.to_string().as_bytes(), OutputFormat::Table).unwrap()
    }

    #[test]
    fn each_kind_is_a_line_of_its_own() {
        let (node, cell) = ("n2abcdefghij", "c2abcdefghij");
        let link = |change: &str| {
            json!({
                "kind": "link", "node": node, "change": change, "rtt_ms": 0.314,
                "path": { "kind": "direct", "address": "192.0.2.1:4334" }
            })
        };
        let lines = [
            json!({ "kind": "member", "node": node, "from": "alive", "to": "suspect" }),
            json!({ "kind": "member", "node": node, "from": null, "to": "alive" }),
            link("up"),
            link("moved"),
            link("down"),
            json!({
                "kind": "link", "node": node, "change": "up", "path": { "kind": "relayed", "by": "r3abcdefghij" }, "rtt_ms": 41.0
            }),
            json!({ "kind": "aggregator", "region": "eu", "cell": cell, "holder": node, "term": 5 }),
            json!({ "kind": "aggregator", "region": "eu", "cell": cell, "holder": null, "term": 5 }),
            json!({ "kind": "voters", "cell": cell, "epoch": 2, "voters": 3 }),
            json!({ "kind": "placement", "cell": cell, "epoch": 4 }),
            json!({ "kind": "certificate", "serial": 4, "until": "2031-03-03T04:05:06Z" }),
            json!({ "kind": "certificate", "failure": "find an issuer" }),
            json!({ "kind": "refusal", "reason": "bad_alpn", "times": 3 }),
            json!({ "kind": "revoked", "node": node, "reason": "stolen" }),
            json!({ "kind": "model", "model": "digits@1", "state": "failed", "reason": "no room" }),
            json!({ "kind": "node", "told": "speaks, incarnation 2" }),
            json!({ "kind": "missed", "times": 37 }),
            json!({ "kind": "weather" }),
        ];
        let told: Vec<String> = lines.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "04:05:06.789  member       n2abcdef  alive -> suspect",
                "04:05:06.789  member       n2abcdef  unknown -> alive",
                "04:05:06.789  link         n2abcdef  up, direct 192.0.2.1:4334, 0.31 ms",
                "04:05:06.789  link         n2abcdef  moved to direct 192.0.2.1:4334, 0.31 ms",
                "04:05:06.789  link         n2abcdef  down, was direct 192.0.2.1:4334, 0.31 ms",
                "04:05:06.789  link         n2abcdef  up, relayed by r3abcdef, 41 ms",
                "04:05:06.789  aggregator   c2abcdef  n2abcdef leads region eu in term 5",
                "04:05:06.789  aggregator   c2abcdef  nobody leads region eu after term 5",
                "04:05:06.789  voters       c2abcdef  3 voter(s), voter set 2",
                "04:05:06.789  placement    c2abcdef  4 adopted",
                "04:05:06.789  certificate  -         renewed, serial 4, until 2031-03-03T04:05:06Z",
                "04:05:06.789  certificate  -         not renewed: cannot find an issuer",
                "04:05:06.789  refusal      -         3 bad_alpn",
                "04:05:06.789  revoked      n2abcdef  stolen",
                "04:05:06.789  model        -         digits@1 failed: no room",
                "04:05:06.789  node         -         speaks, incarnation 2",
                "04:05:06.789  missed       -         37 event(s) that the node keeps no more",
                "04:05:06.789  other        -         an event of a later version; `-o json` shows it",
            ]
        );
    }

    #[test]
    fn wide_has_the_number_and_the_date_and_json_is_as_it_came() {
        let came =
            r#"{"seq":12,"at":"2031-02-03T04:05:06.789Z","kind":"refusal","reason":"expired","times":2,"new":1}"#;
        let wide = form(came.as_bytes(), OutputFormat::Wide).unwrap();
        let spaces = " ".repeat(ID_CHARS - 1);
        assert_eq!(wide, format!("2031-02-03T04:05:06.789Z     12  refusal      -{spaces}  2 expired"));
        assert_eq!(form(came.as_bytes(), OutputFormat::Json).unwrap(), came);
        let yaml = form(came.as_bytes(), OutputFormat::Yaml).unwrap();
        assert!(yaml.starts_with("---\n") && yaml.contains("kind: refusal"), "{yaml}");
        assert!(form(b"{", OutputFormat::Table).is_err());
    }
}
