//! `hedgerow get`, `diff` and `plan`: what is in force, what a file would change in it, and what that would move.

use std::path::Path;

use serde::Serialize;

use super::arguments::{GetArguments, Kind, ManifestFile};
use super::failure::{CliError, Exit};
use super::manifest::{FILE_BYTES_MAX, Manifest, parse, text, ttl_text};
use super::output::{OutputFormat, columns, line, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::{
    DataClassRow, NodeClassReport, NodeClassRow, NodeClassShare, PlanReport, PlanRequest, PlannedClass, PlannedMove,
    PlannedRefusal, PolicyReport,
};

/// What a file makes of what is in force.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    /// What is in force.
    pub(super) now: PolicyReport,
    /// The data classes that would be, by name.
    pub(super) classes: Vec<DataClassRow>,
    /// The node classes that are written.
    pub(super) shares: NodeClassReport,
    /// Those that would be, by name.
    pub(super) node_classes: Vec<NodeClassShare>,
}

/// One field that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    name: String,
    field: String,
    now: String,
    file: String,
    /// `at once` where it tightens a rule, `with the next placement` where it loosens one.
    counts: &'static str,
}

/// Prints what is in force.
pub(super) async fn get(
    client: &AdminClient,
    arguments: &GetArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let named = |name: &str| arguments.name.as_ref().is_none_or(|wanted| wanted == name);
    let manifests: Vec<Manifest> = match arguments.kind {
        Kind::DataClasses => {
            let policy = policy(client).await?;
            policy.classes.into_iter().filter(|class| named(&class.name)).map(Manifest::DataClass).collect()
        }
        Kind::NodeClasses => {
            let mut rows = shares(client).await?.classes;
            rows.retain(|row| named(&row.name));
            if format != OutputFormat::Yaml && !rows.is_empty() {
                print(format, &rows, |rows, _| node_classes(rows))?;
                return Ok(Exit::Ok);
            }
            rows.into_iter().map(share).map(Manifest::NodeClass).collect()
        }
    };
    if let (Some(name), true) = (&arguments.name, manifests.is_empty()) {
        return Err(CliError::Usage {
            what: format!("there is no class '{name}'"),
            remedy: "list all with `hedgerow get dataclasses` or `hedgerow get nodeclasses`",
        });
    }
    if format == OutputFormat::Yaml {
        let texts = manifests.iter().map(text).collect::<Result<Vec<_>, _>>().map_err(CliError::PrintYaml)?;
        line(texts.join("---\n").trim_end())?;
        return Ok(Exit::Ok);
    }
    let classes: Vec<&DataClassRow> = manifests.iter().filter_map(Manifest::data_class).collect();
    print(format, &classes, |classes, _| data_classes(classes))?;
    Ok(Exit::Ok)
}

/// Prints what a file would change.
pub(super) async fn diff(
    client: &AdminClient,
    manifests: &ManifestFile,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let proposal = propose(client, manifests).await?;
    print(format, &proposal.differences(), |rows, _| differences(rows))?;
    Ok(Exit::Ok)
}

/// Prints what a file would move.
pub(super) async fn plan(
    client: &AdminClient,
    manifests: &ManifestFile,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let proposal = propose(client, manifests).await?;
    let request = PlanRequest { classes: proposal.classes, node_classes: proposal.node_classes };
    let report: PlanReport = client.post("plan the change", "/admin/v1/policy/plan", &request).await?;
    print(format, &report, planned)?;
    Ok(Exit::Ok)
}

/// Reads a file and what is in force.
pub(super) async fn propose(client: &AdminClient, manifests: &ManifestFile) -> Result<Proposal, CliError> {
    let wanted = read(&manifests.file)?;
    let now = policy(client).await?;
    let shares = shares(client).await?;
    let mut classes: Vec<DataClassRow> = wanted.iter().filter_map(Manifest::data_class).cloned().collect();
    let mut node_classes: Vec<NodeClassShare> = wanted.iter().filter_map(Manifest::node_class).cloned().collect();
    if !manifests.prune {
        let kept = now.classes.iter().filter(|class| !classes.iter().any(|other| other.name == class.name));
        classes.extend(kept.cloned().collect::<Vec<_>>());
        let kept = shares.written.iter().filter(|class| !node_classes.iter().any(|other| other.name == class.name));
        node_classes.extend(kept.cloned().collect::<Vec<_>>());
    }
    classes.sort_by(|one, two| one.name.cmp(&two.name));
    node_classes.sort_unstable();
    Ok(Proposal { now, classes, shares, node_classes })
}

async fn shares(client: &AdminClient) -> Result<NodeClassReport, CliError> {
    Ok(client.get("list the node classes", "/admin/v1/node-classes").await?)
}

fn share(row: NodeClassRow) -> NodeClassShare {
    NodeClassShare { name: row.name, weight: u16::try_from(row.weight).unwrap_or(u16::MAX) }
}

async fn policy(client: &AdminClient) -> Result<PolicyReport, CliError> {
    Ok(client.get("read the policy", "/admin/v1/policy").await?)
}

fn read(file: &Path) -> Result<Vec<Manifest>, CliError> {
    let failed = |source| CliError::ReadFile { path: file.to_owned(), source };
    if std::fs::metadata(file).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(CliError::Usage {
            what: format!("{} is larger than 1 MiB", file.display()),
            remedy: "split it: each `apply -f` takes one file",
        });
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    parse(file, &text).map_err(|error| CliError::Usage {
        what: error.to_string(),
        remedy: "correct that line; `hedgerow get dataclasses -o yaml` prints manifests of the right form",
    })
}

impl Manifest {
    fn data_class(&self) -> Option<&DataClassRow> {
        match self {
            Self::DataClass(class) => Some(class),
            Self::NodeClass(_) => None,
        }
    }

    fn node_class(&self) -> Option<&NodeClassShare> {
        match self {
            Self::DataClass(_) => None,
            Self::NodeClass(class) => Some(class),
        }
    }
}

impl Proposal {
    /// Every field that would change, data classes first.
    pub(super) fn differences(&self) -> Vec<Difference> {
        [self.data_differences(), self.node_differences()].concat()
    }

    /// The same of node classes. What is no longer written has the share that is built in.
    pub(super) fn node_differences(&self) -> Vec<Difference> {
        let in_force = |name: &str| self.shares.classes.iter().find(|row| row.name == name);
        let weight = |name: &str| in_force(name).map_or_else(|| "-".to_owned(), |row| row.weight.to_string());
        let written = |name: &str| self.shares.written.iter().any(|class| class.name == name);
        let difference = |name: &str, file: String| Difference {
            name: name.to_owned(),
            field: "weight".to_owned(),
            now: weight(name),
            file,
            counts: "for what is placed from then on",
        };
        let changed = self
            .node_classes
            .iter()
            .filter(|class| weight(&class.name) != class.weight.to_string() || !written(&class.name));
        let gone =
            self.shares.written.iter().filter(|class| !self.node_classes.iter().any(|kept| kept.name == class.name));
        let changed = changed.map(|class| difference(&class.name, class.weight.to_string()));
        changed.chain(gone.map(|class| difference(&class.name, "built in".to_owned()))).collect()
    }

    /// The same of data classes.
    pub(super) fn data_differences(&self) -> Vec<Difference> {
        let mut rows = Vec::new();
        for class in &self.classes {
            let known = self.now.classes.iter().find(|known| known.name == class.name);
            let now = known.map(fields).unwrap_or_default();
            let counts = match known {
                Some(known) if tightens(known, class) => "at once",
                _ => "with the next placement",
            };
            for (at, (field, file)) in fields(class).into_iter().enumerate() {
                let now = now.get(at).map_or_else(|| "-".to_owned(), |(_, now)| now.clone());
                if now != file {
                    rows.push(Difference { name: class.name.clone(), field: field.to_owned(), now, file, counts });
                }
            }
        }
        for gone in self.now.classes.iter().filter(|known| !self.classes.iter().any(|class| class.name == known.name)) {
            let (now, file) = ("in force".to_owned(), "removed".to_owned());
            rows.push(Difference { name: gone.name.clone(), field: "class".to_owned(), now, file, counts: "at once" });
        }
        rows
    }
}

/// Whether nothing is allowed that was forbidden, and all is promised that was.
fn tightens(now: &DataClassRow, then: &DataClassRow) -> bool {
    let within = now.regions.is_empty()
        || (!then.regions.is_empty() && then.regions.iter().all(|region| now.regions.contains(region)));
    let longer = then.ttl_s == 0 || (now.ttl_s != 0 && then.ttl_s >= now.ttl_s);
    within
        && longer
        && then.replicas >= now.replicas
        && then.write_quorum >= now.write_quorum
        && (then.personal || !now.personal)
}

fn fields(class: &DataClassRow) -> Vec<(&'static str, String)> {
    vec![
        ("replicas", class.replicas.to_string()),
        ("writeQuorum", class.write_quorum.to_string()),
        ("regions", regions(&class.regions)),
        ("personal", class.personal.to_string()),
        ("ttl", ttl(class.ttl_s)),
    ]
}

fn regions(regions: &[String]) -> String {
    if regions.is_empty() { "all".to_owned() } else { regions.join(",") }
}

fn ttl(seconds: u64) -> String {
    if seconds == 0 { "never".to_owned() } else { ttl_text(seconds) }
}

fn data_classes(classes: &[&DataClassRow]) -> String {
    let row = |class: &&DataClassRow| {
        let mut cells = vec![class.name.clone()];
        cells.extend(fields(class).into_iter().map(|(_, text)| text));
        cells
    };
    columns(&["DATA CLASS", "REPLICAS", "W", "REGIONS", "PERSONAL", "TTL"], classes.iter().map(row).collect())
}

fn node_classes(classes: &[NodeClassRow]) -> String {
    let row = |class: &NodeClassRow| vec![class.name.clone(), class.weight.to_string(), class.nodes.to_string()];
    columns(&["NODE CLASS", "WEIGHT", "NODES"], classes.iter().map(row).collect())
}

pub(super) fn differences(rows: &[Difference]) -> String {
    if rows.is_empty() {
        return "nothing differs from what is in force".to_owned();
    }
    let row = |row: &Difference| {
        vec![row.name.clone(), row.field.clone(), row.now.clone(), row.file.clone(), row.counts.to_owned()]
    };
    columns(&["CLASS", "FIELD", "NOW", "FILE", "COUNTS"], rows.iter().map(row).collect())
}

fn planned(report: &PlanReport, wide: bool) -> String {
    let moves: Vec<&PlannedMove> = report.classes.iter().flat_map(|class| &class.moves).chain(&report.models).collect();
    let size = match (report.bytes, report.copies_of_unknown_size) {
        (0, 0) => String::new(),
        (bytes, 0) => format!(", {bytes} bytes"),
        (0, _) => ", of unknown size".to_owned(),
        (bytes, unknown) => format!(", {bytes} bytes and {unknown} of unknown size"),
    };
    let copies = if report.copies == 1 { "1 copy".to_owned() } else { format!("{} copies", report.copies) };
    let mut lines = vec![format!("cell {} of region {}: {copies} to make{size}", short(&report.cell), report.region)];
    lines.extend(report.classes.iter().filter_map(fate));
    if !moves.is_empty() {
        let rows = move_rows(&moves);
        let (all, shown) = (rows.len(), if wide { rows.len() } else { MOVES_SHOWN });
        lines.push(columns(&["MOVE", "FROM", "TO", "BYTES", "NOTE"], rows.into_iter().take(shown).collect()));
        if all > shown {
            lines.push(format!("and {} more: -o wide shows all", all - shown));
        }
    }
    let refusals = report.classes.iter().flat_map(|class| {
        let row = |refusal: &PlannedRefusal| vec![class.class.clone(), short(&refusal.node), refusal.rules.join("; ")];
        class.refusals.iter().map(row)
    });
    let refusals: Vec<Vec<String>> = refusals.collect();
    if !refusals.is_empty() {
        lines.push(columns(&["REFUSED", "NODE", "RULES"], refusals));
    }
    lines.join("\n")
}

/// A row for each move; groups of one class that follow each other and move alike share one.
fn move_rows(moves: &[&PlannedMove]) -> Vec<Vec<String>> {
    let class = |what: &str| what.rsplit_once('.').map(|(class, _)| class.to_owned());
    let mut rows: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for moved in moves {
        let row = move_row(moved);
        match rows.last_mut() {
            Some((first, last, known))
                if *known == row && class(first).is_some_and(|known| class(&moved.what) == Some(known)) =>
            {
                *last = &moved.what
            }
            _ => rows.push((&moved.what, &moved.what, row)),
        }
    }
    let what = |first: &str, last: &str| match last.rsplit_once('.') {
        Some((_, prefix)) if first != last => format!("{first}-{prefix}"),
        _ => first.to_owned(),
    };
    rows.into_iter().map(|(first, last, row)| [vec![what(first, last)], row].concat()).collect()
}

fn move_row(moved: &PlannedMove) -> Vec<String> {
    let nodes = |nodes: &[String]| {
        let names: Vec<String> = nodes.iter().map(|node| short(node)).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(",") }
    };
    let mut notes = moved.notes.clone();
    if !moved.stops.is_empty() {
        notes.push(format!("stops at once: {}", nodes(&moved.stops)));
    }
    if !moved.waits.is_empty() {
        notes.push(format!("waits for the commit: {}", nodes(&moved.waits)));
    }
    let bytes = moved.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    vec![nodes(&moved.from), nodes(&moved.to), bytes, notes.join("; ")]
}

fn fate(class: &PlannedClass) -> Option<String> {
    let what = match class.fate.as_str() {
        "placed" => return None,
        "removed" => "is removed: nothing of it is read or written, and nothing is deleted",
        "forbidden" => "is not allowed in this region",
        "nobody" => "can be held by no node: see who is refused and why",
        other => other,
    };
    Some(format!("class {} {what}", class.class))
}

/// Moves that a terminal shows.
const MOVES_SHOWN: usize = 20;

#[cfg(test)]
#[path = "declare_tests.rs"]
mod tests;
