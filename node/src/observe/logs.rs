//! Structured logs on standard error.
//!
//! What may be logged is decided where it is logged: the `Debug` of a key, a ticket or an invitation shows no secret, so
//! there is nothing to filter here.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Logs were set up before in this process; the earlier setup stays.
#[derive(Debug, thiserror::Error)]
#[error("start logs: they were started already")]
pub struct LogError {
    #[from]
    source: TryInitError,
}

/// Writes the events of this process to standard error from here on. Once per process.
pub fn start_logs(config: LogConfig) -> Result<(), LogError> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(targets(config.level))).try_init()?;
    Ok(())
}

/// Which events are written: this project's at the level asked for; those of libraries, which say much about every packet,
/// no louder than warnings, unless everything is asked for.
fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if level == LogLevel::Trace { own } else { own.min(LevelFilter::WARN) };
    // The prefix covers every crate of the workspace.
    Targets::new().with_default(libraries).with_target("hedgerow", own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_stay_quiet_until_everything_is_asked_for() {
        let debug = targets(LogLevel::Debug);
        assert!(debug.would_enable("hedgerow::store", &Level::DEBUG));
        assert!(debug.would_enable("hedgerow_protocol::election", &Level::DEBUG));
        assert!(!debug.would_enable("hedgerow", &Level::TRACE));
        assert!(debug.would_enable("libp2p_swarm", &Level::WARN));
        assert!(!debug.would_enable("libp2p_swarm", &Level::INFO));
        assert!(!targets(LogLevel::Error).would_enable("libp2p_swarm", &Level::WARN));
        assert!(targets(LogLevel::Trace).would_enable("quinn_proto", &Level::TRACE));
    }
}
