//! The settings themselves, every value valid.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hedgerow_attest::region::Region;

use super::load::ConfigError;
use crate::net::Relaying;

/// What one process was told. Values that all peers must share are not here: they ride in the signed root and policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The data folder; see `docs/storage.md`.
    pub data: PathBuf,
    /// Address of the mesh's one UDP socket. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Addresses under which peers reach that socket, as tickets and records carry them. Empty: those of the interfaces.
    pub advertise: Vec<SocketAddr>,
    /// Address of the REST interface; loopback, until requests carry tokens.
    pub rest: SocketAddr,
    /// Whether REST may listen off loopback without tokens: whoever reaches it may use it.
    pub open_rest: bool,
    /// The region that `init` writes into this node's certificate. Ignored once the node is a member.
    pub region: Region,
    /// What is logged to standard error, and how.
    pub log: LogConfig,
    /// Whether other networks may be emulated around the mesh socket. Off in production.
    pub emulate: bool,
    /// Whether this node relays for members that cannot dial each other.
    pub relaying: Relaying,
    /// What the artifact folder may hold.
    pub artifacts: ArtifactLimits,
}

/// What is logged to standard error, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// One line of text or one JSON object for each event.
    pub format: LogFormat,
}

/// Severity, as STYLE uses it: per-packet `trace`, decisions `debug`, changes of state `info`, wake someone `warn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And changes of state.
    Info,
    /// And decisions.
    Debug,
    /// And every packet.
    Trace,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// What the artifact folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactLimits {
    /// The largest single file, in bytes; more is refused before anything is written.
    pub bytes_max: u64,
    /// All files together, in bytes.
    pub total_bytes_max: u64,
}

impl Default for ArtifactLimits {
    fn default() -> Self {
        // A guess at what an edge machine can spare; the registry's own accounting is to settle it.
        Self { bytes_max: 256 << 20, total_bytes_max: 8 << 30 }
    }
}

/// What the layers have set so far, before defaults.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) listen: Option<SocketAddr>,
    pub(super) advertise: Option<Vec<SocketAddr>>,
    pub(super) port_base: Option<u16>,
    pub(super) rest: Option<SocketAddr>,
    pub(super) open_rest: Option<bool>,
    pub(super) region: Option<Region>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) emulate: Option<bool>,
    pub(super) relaying: Option<Relaying>,
    pub(super) artifact_bytes_max: Option<u64>,
    pub(super) artifacts_total_bytes_max: Option<u64>,
}

impl Draft {
    /// Fills in defaults, applies the port base and checks what concerns several keys.
    pub(super) fn finish(self, data: PathBuf) -> Result<Config, ConfigError> {
        let limits = ArtifactLimits::default();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut config = Config {
            data,
            listen: self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), UDP_PORT)),
            advertise: self.advertise.unwrap_or_default(),
            rest: self.rest.unwrap_or(SocketAddr::new(loopback, REST_PORT)),
            open_rest: self.open_rest.unwrap_or(false),
            region: self.region.unwrap_or_else(default_region),
            log: LogConfig {
                level: self.log_level.unwrap_or(LogLevel::Info),
                format: self.log_format.unwrap_or(LogFormat::Text),
            },
            emulate: self.emulate.unwrap_or(false),
            relaying: self.relaying.unwrap_or_default(),
            artifacts: ArtifactLimits {
                bytes_max: self.artifact_bytes_max.unwrap_or(limits.bytes_max),
                total_bytes_max: self.artifacts_total_bytes_max.unwrap_or(limits.total_bytes_max),
            },
        };
        if let Some(base) = self.port_base {
            config.use_port_base(base)?;
        }
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// Gives each socket its place above `base`: UDP, REST, gRPC, metrics. 0 leaves every choice to the system.
    fn use_port_base(&mut self, base: u16) -> Result<(), ConfigError> {
        let port = |offset: u16| match base {
            0 => Ok(0),
            _ => base.checked_add(offset).ok_or(ConfigError::PortBase { base }),
        };
        self.listen.set_port(port(0)?);
        self.rest.set_port(port(1)?);
        port(3).map(|_highest| ())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !self.rest.ip().is_loopback() && !self.open_rest {
            return Err(ConfigError::NeedsTokens { key: "rest", address: self.rest });
        }
        match self.advertise.iter().find(|address| address.ip().is_unspecified() || address.port() == 0) {
            Some(&address) => Err(ConfigError::CannotBeDialled { address }),
            None => Ok(()),
        }
    }
}

impl LogLevel {
    /// The level's name in files, variables and flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

fn default_region() -> Region {
    REGION.parse().expect("the default region is a valid name")
}

const UDP_PORT: u16 = 4334;
const REST_PORT: u16 = 8000;
const REGION: &str = "home";
