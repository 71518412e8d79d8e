//! The table of keys: one row for each thing that can be told to a process.

use std::net::SocketAddr;
use std::str::FromStr;

use super::settings::{Draft, LogFormat, LogLevel};

/// One key, as every layer knows it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted name in the file, such as `log.level`.
    pub name: &'static str,
    /// Environment variable.
    pub variable: &'static str,
    /// Flag, where a command has one.
    pub flag: Option<&'static str>,
    /// What a value looks like, with its unit; also what an error says was expected.
    pub expected: &'static str,
    /// The value where no layer sets one.
    pub default: &'static str,
    /// What it means and what to mind when choosing it.
    pub meaning: &'static str,
    /// Whether it may stand in the file.
    pub in_file: bool,
    pub(super) set: fn(&mut Draft, &str) -> Result<(), NotAsExpected>,
}

/// A value that its key does not understand; the layer that read it knows where it came from.
#[derive(Debug)]
pub(super) struct NotAsExpected;

impl Key {
    /// The row for a dotted name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

/// Every key, in the order of `docs/config.md`.
pub const KEYS: &[Key] = &[
    Key {
        name: "data",
        variable: "HEDGEROW_DATA",
        flag: Some("--data"),
        expected: "a path",
        default: "`$XDG_STATE_HOME/hedgerow`, else `~/.local/state/hedgerow`",
        meaning: "the data folder; keep it short, the admin socket in it has to fit into 107 bytes",
        in_file: false,
        set: |_, _| Ok(()), // settled before any other layer is read, because the file lies in it
    },
    Key {
        name: "listen",
        variable: "HEDGEROW_LISTEN",
        flag: Some("--listen"),
        expected: "IP:PORT",
        default: "`0.0.0.0:4334`",
        meaning: "address of the mesh's UDP socket; port 0 takes a free one",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.listen, text),
    },
    Key {
        name: "advertise",
        variable: "HEDGEROW_ADVERTISE",
        flag: Some("--advertise"),
        expected: "a list of IP:PORT, at most 8",
        default: "none",
        meaning: "where else peers reach that socket, before its own address or those of the interfaces; tickets and records carry it, so set it behind a port mapping",
        in_file: true,
        set: |draft, text| {
            draft.advertise = Some(addresses(text)?);
            Ok(())
        },
    },
    Key {
        name: "port_base",
        variable: "HEDGEROW_PORT_BASE",
        flag: Some("--port-base"),
        expected: "a port, at most 65532",
        default: "none",
        meaning: "puts UDP on N and REST on N+1, whatever ports are set elsewhere, and keeps N+2 for gRPC and N+3 for metrics; 0 takes free ones",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.port_base, text),
    },
    Key {
        name: "rest",
        variable: "HEDGEROW_REST",
        flag: Some("--rest"),
        expected: "IP:PORT on loopback",
        default: "`127.0.0.1:8000`",
        meaning: "address of the REST interface; refused off loopback until requests carry tokens",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.rest, text),
    },
    Key {
        name: "open_rest",
        variable: "HEDGEROW_OPEN_REST",
        flag: Some("--open-rest"),
        expected: "true or false",
        default: "`false`",
        meaning: "lets REST listen off loopback although requests carry no tokens yet; for containers whose port is published on loopback only",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.open_rest, text),
    },
    Key {
        name: "region",
        variable: "HEDGEROW_REGION",
        flag: Some("--region"),
        expected: "1 to 32 of a-z, 0-9 and -",
        default: "`home`",
        meaning: "the region that `init` certifies this node for; a member's region is in its certificate and stays",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.region, text),
    },
    Key {
        name: "emulate",
        variable: "HEDGEROW_EMULATE",
        flag: Some("--emulate"),
        expected: "true or false",
        default: "`false`",
        meaning: "lets `hedgerow emulate` put delay, loss, rate, cuts and a firewall around the mesh socket; for testnets",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.emulate, text),
    },
    Key {
        name: "relay",
        variable: "HEDGEROW_RELAY",
        flag: None,
        expected: "auto, on or off",
        default: "`auto`",
        meaning: "whether this node relays for members that cannot dial each other; `auto`: once it was reached from outside its network, or from two networks",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.relaying, text),
    },
    Key {
        name: "log.level",
        variable: "HEDGEROW_LOG_LEVEL",
        flag: None,
        expected: "error, warn, info, debug or trace",
        default: "`info`",
        meaning: "the least severe level written; libraries stay at `warn` below `trace`",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.log_level, text),
    },
    Key {
        name: "log.format",
        variable: "HEDGEROW_LOG_FORMAT",
        flag: None,
        expected: "text or json",
        default: "`text`",
        meaning: "lines for people or JSON objects for collectors, on standard error",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.log_format, text),
    },
    Key {
        name: "artifacts.bytes_max",
        variable: "HEDGEROW_ARTIFACTS_BYTES_MAX",
        flag: None,
        expected: "bytes",
        default: "`268435456` (256 MiB)",
        meaning: "the largest artifact file; a larger model is refused before it is written",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.artifact_bytes_max, text),
    },
    Key {
        name: "artifacts.total_bytes_max",
        variable: "HEDGEROW_ARTIFACTS_TOTAL_BYTES_MAX",
        flag: None,
        expected: "bytes",
        default: "`8589934592` (8 GiB)",
        meaning: "all artifact files together; beyond it a model is refused, nothing is evicted",
        in_file: true,
        set: |draft, text| parse_into(&mut draft.artifacts_total_bytes_max, text),
    },
];

impl FromStr for LogLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace]
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or(())
    }
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

#[expect(
    clippy::map_err_ignore,
    reason = "the key's `expected` says more than the parser's message, and the value is reported beside it"
)]
fn parse_into<T: FromStr>(slot: &mut Option<T>, text: &str) -> Result<(), NotAsExpected> {
    *slot = Some(text.parse().map_err(|_| NotAsExpected)?);
    Ok(())
}

#[expect(clippy::map_err_ignore, reason = "as in parse_into")]
fn addresses(text: &str) -> Result<Vec<SocketAddr>, NotAsExpected> {
    let all: Vec<SocketAddr> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| NotAsExpected)?;
    if all.len() > ADVERTISED_MAX { Err(NotAsExpected) } else { Ok(all) }
}

/// A ticket carries no more addresses than this.
const ADVERTISED_MAX: usize = 8;
