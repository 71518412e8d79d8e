//! How an answer looks: a table for people, JSON or YAML for programs.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::failure::CliError;
use crate::admin::wire::LinkPath;

/// The forms of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns
    #[default]
    Table,
    /// The same with every column
    Wide,
    /// JSON as the node gave it
    Json,
    /// The same as YAML
    Yaml,
}

/// Prints `value` in a form for programs, or what `table` makes of it for people.
pub(super) fn print<T: Serialize>(
    format: OutputFormat,
    value: &T,
    table: impl FnOnce(&T, bool) -> String,
) -> Result<(), CliError> {
    let text = match format {
        OutputFormat::Table => table(value, false),
        OutputFormat::Wide => table(value, true),
        OutputFormat::Json => serde_json::to_string_pretty(value).map_err(CliError::PrintJson)?,
        OutputFormat::Yaml => serde_saphyr::to_string(value).map_err(CliError::PrintYaml)?,
    };
    line(text.trim_end())
}

/// Writes one block of text and a line end to standard output.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    is_read(text).map(drop)
}

/// The same, and whether anybody reads on: the reader of a pipe may have seen enough.
pub(super) fn is_read(text: &str) -> Result<bool, CliError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Print(error)),
    }
}

/// Columns without lines, as `kubectl` and `docker` have accustomed operators to.
pub(super) fn columns(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `1 node`, `2 nodes`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The first characters of an id: enough for people, and for `hedgerow ping`.
pub(super) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// The way on which a link runs.
pub(super) fn way(path: &LinkPath) -> String {
    match path {
        LinkPath::Direct { address } => format!("direct {address}"),
        LinkPath::Relayed { by } => format!("relayed by {}", short(by)),
        LinkPath::Unknown => "other".to_owned(),
    }
}

/// Milliseconds with the precision that a person reads, `-` where nothing was measured.
pub(super) fn milliseconds(value: Option<f64>) -> String {
    match value {
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) => format!("{ms:.0} ms"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_not_padded_at_the_end() {
        let text =
            columns(&["NAME", "STATE"], vec![vec!["a".into(), "up".into()], vec!["longer".into(), "down".into()]]);
        assert_eq!(text, "NAME    STATE\na       up\nlonger  down");
    }

    #[test]
    fn milliseconds_keep_two_places_only_where_they_matter() {
        assert_eq!(milliseconds(Some(0.123)), "0.12 ms");
        assert_eq!(milliseconds(Some(41.7)), "42 ms");
        assert_eq!(milliseconds(None), "-");
    }
}
