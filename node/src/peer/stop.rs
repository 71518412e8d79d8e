//! When a node is told to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM or SIGINT; which of them is given back for the log.
pub async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
