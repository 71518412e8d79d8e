//! `hedgerow run`: this node, until it is told to stop.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hedgerow_attest::membership::Roles;
use hedgerow_attest::region::Region;

use super::arguments::RunArguments;
use super::failure::{CliError, Exit};
use super::init::{found_mesh, open_folder};
use super::join::{decode, read_bounded, redeem};
use super::output::line;
use crate::admin::{Invited, write_ticket};
use crate::config::{Config, Flags};
use crate::identity::{Enrolled, MEMBERSHIP_S};
use crate::observe::{chain, raise_floor, start_logs, wall};
use crate::peer::{Peer, PeerStartError, stop_signal};
use crate::runner::watch_parent;
use crate::store::{DataFolder, Store};

/// How often a ticket file that is not there yet is looked for.
const LOOK_FOR_TICKET: Duration = Duration::from_millis(200);
/// How long it is looked for; containers of one testnet start within seconds of each other.
const TICKET_PATIENCE: Duration = Duration::from_secs(120);
/// A ticket that a starting node writes lives this long.
const TICKET_TTL_S: u64 = 86_400;

/// Runs the node; clean after SIGTERM or SIGINT, and when it was told to leave its mesh and has. One that is put out ends with a code
/// of its own.
pub(super) async fn run(data: &Path, arguments: &RunArguments) -> Result<Exit, CliError> {
    let failed = |error: anyhow::Error| CliError::local("run", error, None);
    if let Some(fd) = arguments.parent_pipe {
        watch_parent(fd).map_err(CliError::own)?;
    }
    let config = Config::load(&flags(data, arguments)).map_err(CliError::own)?;
    start_logs(config.log).map_err(|error| CliError::local("start the log", error, None))?;
    let folder = open_folder(data)?;
    take_time(&folder);
    become_member(&folder, arguments).await?;
    let enrolled = Enrolled::load(folder.layout(), wall().unix_seconds()).map_err(CliError::own)?;
    let store = Store::open(&folder, config.artifacts).map_err(CliError::own)?;
    let started = Peer::start(&config, folder, store, &enrolled).await;
    let mut peer = started.map_err(not_started)?;
    announce(&peer)?;
    for spec in &arguments.ticket_out {
        write_ticket_file(&peer, spec, arguments.uses).await?;
    }
    let (left, expelled) = (peer.left(), peer.expelled());
    let mut revoked = None;
    let outcome = tokio::select! {
        () = left => Ok("departure"),
        revocation = expelled => {
            revoked = Some(CliError::revoked(&revocation));
            Ok("revocation")
        }
        signal = stop_signal() => signal.map_err(anyhow::Error::from),
        room = peer.ended() => Err(anyhow::anyhow!("{room} ended by a fault; see the log, report it, start the node again")),
    };
    match &outcome {
        Ok(why) => tracing::info!(why, "stopping"),
        Err(error) => tracing::error!(%error, "stopping"),
    }
    peer.stop().await;
    match revoked {
        Some(revoked) => Err(revoked),
        None => outcome.map(|_why| Exit::Ok).map_err(failed),
    }
}

/// A node that left its mesh or was put out of it starts never again.
fn not_started(error: PeerStartError) -> CliError {
    match error.revocation() {
        Some(revocation) => CliError::revoked(revocation),
        None if error.is_departure() => CliError::Left,
        None => CliError::own(error),
    }
}

fn flags(data: &Path, arguments: &RunArguments) -> Flags {
    Flags {
        data: Some(data.to_owned()),
        config: arguments.config.clone(),
        listen: arguments.listen.clone(),
        advertise: arguments.advertise.clone(),
        port_base: arguments.port_base,
        rest: arguments.rest.clone(),
        open_rest: arguments.open_rest,
        region: None,
        emulate: arguments.emulate,
    }
}

/// Time goes on from where it was when the node stopped, whatever the clock of the machine says.
fn take_time(folder: &DataFolder) {
    match folder.layout().read_clock() {
        Ok(passed) => passed.into_iter().for_each(raise_floor),
        Err(error) => tracing::warn!(error = chain(&error), "the clock of this machine is believed"),
    }
}

/// An empty folder becomes a member's where the command line says how; one that is a member's already is left as it is.
async fn become_member(folder: &DataFolder, arguments: &RunArguments) -> Result<(), CliError> {
    if folder.layout().membership().exists() {
        return Ok(());
    }
    if arguments.init {
        let RunArguments { name, region, domain, certificate_life, .. } = arguments;
        found_mesh(folder, name, region, domain.as_deref(), certificate_life.unwrap_or(MEMBERSHIP_S))?;
    } else if let Some(path) = &arguments.ticket_file {
        let ticket = decode(&await_ticket(path).await?)?;
        redeem(folder, &ticket).await?;
    }
    Ok(())
}

/// The file appears whole: it is written under another name first.
async fn await_ticket(path: &Path) -> Result<String, CliError> {
    let appears = async {
        loop {
            match read_bounded(path) {
                Err(CliError::ReadFile { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    tokio::time::sleep(LOOK_FOR_TICKET).await;
                }
                read => return read,
            }
        }
    };
    tokio::time::timeout(TICKET_PATIENCE, appears).await.unwrap_or_else(|_elapsed| {
        let why = anyhow::anyhow!("{} did not appear within {} s", path.display(), TICKET_PATIENCE.as_secs());
        Err(CliError::local(
            "wait for a ticket",
            why,
            Some("write it with `hedgerow invite > FILE` on a node of the mesh".to_owned()),
        ))
    })
}

/// The ports that were bound, for whoever started the node with `--port-base 0`.
fn announce(peer: &Peer) -> Result<(), CliError> {
    let state = peer.state();
    line(&format!("node   {}", state.api.core.view().me))?;
    line(&format!("mesh   udp {}", state.net.local_addr()))?;
    line(&format!("REST   http://{}", state.about.rest))
}

/// `[REGION=]FILE`, written under another name and renamed, so that nobody reads half a ticket.
async fn write_ticket_file(peer: &Peer, spec: &str, uses: u32) -> Result<(), CliError> {
    let (region, path) = match spec.split_once('=') {
        Some((region, path)) => {
            let region = Region::new(region).map_err(|error| CliError::Usage {
                what: format!("--ticket-out {spec}: {error}"),
                remedy: "write --ticket-out REGION=FILE",
            })?;
            (region, PathBuf::from(path))
        }
        None => (peer.state().about.region.clone(), PathBuf::from(spec)),
    };
    let not_after = wall().unix_seconds().plus_s(TICKET_TTL_S);
    let invited = Invited { region, roles: Roles::all(), domain: None, uses, not_after };
    let ticket = write_ticket(peer.state(), invited)
        .await
        .map_err(|problem| CliError::local("write a ticket", anyhow::anyhow!(problem.detail), problem.remedy))?;
    let failed = |source: std::io::Error| {
        CliError::local("write a ticket", anyhow::Error::from(source).context(path.display().to_string()), None)
    };
    let partial = path.with_extension("partial");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    file.write_all(ticket.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    std::fs::rename(&partial, &path).map_err(failed)
}
