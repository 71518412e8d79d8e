//! `up`: make what the nodes need, leave a supervisor, wait until the mesh is ready.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hedgerow::runner::log_tail;
use tokio::time::sleep;

use crate::arguments::{SUPERVISE_WORD, UpArguments};
use crate::commands::{done, say};
use crate::compose;
use crate::plan::BackendKind;
use crate::report::{MeshReport, Phase};
use crate::supervisor::{ControlError, FolderError, Reply, Request, StateFolder, ask};

/// Returns when the mesh is ready; takes it down again when it does not become so, or on Ctrl-C.
pub(crate) async fn up(arguments: &UpArguments, folder: &StateFolder) -> anyhow::Result<()> {
    let plan = arguments.shape.plan()?;
    if arguments.backend == BackendKind::Local && plan.networks().is_some() {
        bail!("put local nodes into networks: this machine has one; say `--backend compose`");
    }
    match ask(&folder.socket(), &Request::Status).await {
        Err(ControlError::NotUp { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(FolderError::Held { folder: folder.path().to_owned() }.into()),
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder.path()).context("make the state folder")?;
    if arguments.backend == BackendKind::Compose {
        let static_binary = std::env::var_os("HEDGEROW_STATIC_BINARY").map(PathBuf::from);
        compose::prepare(static_binary, &folder.image_context()).await?;
    }
    say(&format!("starting {} nodes in {} regions", plan.node_count(), plan.region_count()));
    let mut supervisor = leave_supervisor(arguments, folder)?;
    let report = tokio::select! {
        report = wait_until_up(&mut supervisor, folder) => report?,
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            done(ask(&folder.socket(), &Request::Down).await?)?;
            bail!("bring the mesh up before it was interrupted; everything is down again");
        }
    };
    say(&report.table());
    say("next: `hedgerow-testnet status`, `kill n3`, `restart n3`, `link r1 r2 --delay-ms 40`, `logs n3`, `down`");
    Ok(())
}

/// The supervisor outlives this process; nobody waits for it.
fn leave_supervisor(arguments: &UpArguments, folder: &StateFolder) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(folder.log())?;
    let program = std::env::current_exe().context("find this program")?;
    Command::new(program)
        .arg("--state")
        .arg(folder.path())
        .arg(SUPERVISE_WORD)
        .args(arguments.words())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start the supervisor")
}

async fn wait_until_up(supervisor: &mut Child, folder: &StateFolder) -> anyhow::Result<Box<MeshReport>> {
    loop {
        match ask(&folder.socket(), &Request::Status).await {
            Ok(Reply::Report(report)) => match report.phase {
                Phase::Up => return Ok(report),
                Phase::Starting => {}
                Phase::Failed { why } => {
                    done(ask(&folder.socket(), &Request::Down).await?)?;
                    bail!("bring the mesh up: {why}");
                }
            },
            Ok(other) => done(other)?,
            Err(ControlError::NotUp { .. }) => {
                if let Some(exit) = supervisor.try_wait()? {
                    bail!(
                        "bring the mesh up: the supervisor ended with {exit}; {}",
                        log_tail(&folder.log(), LAST_LINES)
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK_EVERY).await;
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

const LAST_LINES: usize = 10;
