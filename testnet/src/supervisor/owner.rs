//! The supervisor's life: come up, answer, go down.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::control::{Call, Reply, Request, listen};
use super::folder::StateFolder;
use super::nodes::Nodes;
use crate::compose;
use crate::links::{LinkError, Links};
use crate::plan::{BackendKind, Plan};
use crate::report::{MeshReport, Phase};

/// What to supervise.
#[derive(Clone, Debug)]
pub(crate) struct Supervision {
    /// The nodes and regions.
    pub(crate) plan: Plan,
    /// What runs them.
    pub(crate) backend: BackendKind,
    /// The first port, unless it is the backend's own.
    pub(crate) port_base: Option<u16>,
    /// A binary to run as the nodes of the local backend, unless it is this program.
    pub(crate) node_program: Option<PathBuf>,
    /// How long the mesh lives.
    pub(crate) life: Duration,
    /// How long it may take to agree.
    pub(crate) ready_within: Duration,
}

/// The one owner of the nodes.
struct Owner {
    supervision: Supervision,
    inbox: mpsc::Receiver<Call>,
    ends_at: Instant,
    terminated: Signal,
}

/// Why the mesh goes down.
enum Ending {
    /// Somebody asked and waits for it.
    Asked(oneshot::Sender<Reply>),
    /// Its time is over, or the process was told to end.
    Over,
    /// It did not come up.
    Failed(anyhow::Error),
}

/// Holds the folder, brings the mesh up, answers until it is to end, and leaves nothing but its log.
pub(crate) async fn supervise(supervision: Supervision, folder: &StateFolder) -> anyhow::Result<()> {
    let _held = folder.hold()?;
    // A session of its own: the terminal that `up` was typed in may close. It fails where it already has one.
    rustix::process::setsid().map(drop).or_else(|error| match error {
        rustix::io::Errno::PERM => Ok(()),
        error => Err(error),
    })?;
    compose::remove_left_over(&folder.nodes()).await?;
    folder.clear().context("remove what an earlier testnet left")?;
    let listener = UnixListener::bind(folder.socket()).context("listen for commands")?;
    fs::set_permissions(folder.socket(), fs::Permissions::from_mode(0o600))?;
    let (calls, inbox) = mpsc::channel(CALLS_MAX);
    let listening = tokio::spawn(listen(listener, calls));

    let owner = Owner {
        ends_at: Instant::now() + supervision.life,
        terminated: signal(SignalKind::terminate())?,
        inbox,
        supervision,
    };
    let ended = owner.live(folder).await;
    listening.await?;
    ended
}

impl Owner {
    async fn live(mut self, folder: &StateFolder) -> anyhow::Result<()> {
        let mut nodes = Nodes::prepare(&self.supervision, folder).await?;
        let ending = match self.come_up(&mut nodes).await {
            Ok(()) => self.answer(&mut nodes).await,
            Err(ending) => ending,
        };
        let stopped = nodes.stop().await;
        let reply_to = match ending {
            Ending::Asked(reply) => Some(reply),
            Ending::Over => None,
            Ending::Failed(error) => self.tell_failure(&error).await,
        };
        let cleared = stopped.and_then(|()| folder.clear().context("remove the nodes' data"));
        if let Some(reply) = reply_to {
            let text = match &cleared {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Refused { why: format!("{error:#}") },
            };
            // Who asked may have left; the mesh is down all the same.
            drop(reply.send(text));
        }
        cleared
    }

    /// Starts the nodes, answering meanwhile that they are starting.
    async fn come_up(&mut self, nodes: &mut Nodes) -> Result<(), Ending> {
        let supervision = self.supervision.clone();
        let mut starting = Box::pin(nodes.start(&supervision));
        loop {
            tokio::select! {
                started = &mut starting => return started.map_err(Ending::Failed),
                ending = self.next_without_nodes(&Phase::Starting, "reach a node of a mesh that is still starting; ask `status`") => {
                    if let Some(ending) = ending {
                        return Err(ending);
                    }
                }
            }
        }
    }

    /// Answers everything until the mesh is to end.
    async fn answer(&mut self, nodes: &mut Nodes) -> Ending {
        let mut links = nodes.links();
        loop {
            let call = tokio::select! {
                call = self.inbox.recv() => call,
                () = sleep_until(self.ends_at) => return Ending::Over,
                _ = self.terminated.recv() => return Ending::Over,
            };
            let Some(Call { request, reply }) = call else { return Ending::Over };
            let result = match request {
                Request::Down => return Ending::Asked(reply),
                Request::Status => nodes.report().await.map(|nodes| self.report(Phase::Up, nodes)),
                Request::Kill { node } => nodes.kill(&node).await.map(|()| Reply::Done),
                Request::Restart { node } => nodes.restart(&node, &links.of(&node)).await.map(|()| Reply::Done),
                Request::Link { from, to, one_way, quality } => {
                    emulate(nodes, &mut links, |links| links.set(&from, &to, quality, one_way)).await
                }
                Request::Firewall { who, firewall } => {
                    emulate(nodes, &mut links, |links| links.set_firewall(&who, firewall)).await
                }
                Request::Heal => emulate(nodes, &mut links, |links| Ok(links.heal())).await,
                Request::Logs { node, lines } => nodes.log(&node, lines).await.map(|text| Reply::Log { text }),
            };
            // A client that hung up does not want to know.
            drop(reply.send(result.unwrap_or_else(|error| Reply::Refused { why: format!("{error:#}") })));
        }
    }

    /// Says why the mesh is not up until somebody has taken note with `down`, or a while has passed.
    async fn tell_failure(&mut self, error: &anyhow::Error) -> Option<oneshot::Sender<Reply>> {
        let why = format!("{error:#}");
        let phase = Phase::Failed { why: why.clone() };
        let refusal = format!("reach a node of a mesh that did not come up: {why}");
        let telling = async {
            loop {
                if let Some(ending) = self.next_without_nodes(&phase, &refusal).await {
                    return ending;
                }
            }
        };
        match timeout(TELL_FOR, telling).await {
            Ok(Ending::Asked(reply)) => Some(reply),
            Ok(Ending::Over | Ending::Failed(_)) | Err(_) => None,
        }
    }

    /// Takes one call while there are no nodes to ask; says if the mesh is to end.
    async fn next_without_nodes(&mut self, phase: &Phase, refusal: &str) -> Option<Ending> {
        let call = tokio::select! {
            call = self.inbox.recv() => call,
            () = sleep_until(self.ends_at) => return Some(Ending::Over),
            _ = self.terminated.recv() => return Some(Ending::Over),
        };
        let Some(Call { request, reply }) = call else { return Some(Ending::Over) };
        let answer = match request {
            Request::Down => return Some(Ending::Asked(reply)),
            Request::Status => self.report(phase.clone(), Vec::new()),
            Request::Kill { .. }
            | Request::Restart { .. }
            | Request::Link { .. }
            | Request::Firewall { .. }
            | Request::Heal
            | Request::Logs { .. } => Reply::Refused { why: refusal.to_owned() },
        };
        // A client that hung up does not want to know.
        drop(reply.send(answer));
        None
    }

    fn report(&self, phase: Phase, nodes: Vec<crate::report::NodeReport>) -> Reply {
        let ends_in_s = self.ends_at.saturating_duration_since(Instant::now()).as_secs();
        Reply::Report(Box::new(MeshReport { backend: self.supervision.backend, phase, ends_in_s, nodes }))
    }
}

/// Changes what nodes are to emulate, and tells those that run; the others are told when they start again.
async fn emulate(
    nodes: &mut Nodes,
    links: &mut Links,
    change: impl FnOnce(&mut Links) -> Result<BTreeSet<String>, LinkError>,
) -> anyhow::Result<Reply> {
    let changed = change(links)?;
    nodes.emulate(&changed, links).await?;
    Ok(Reply::Done)
}

/// Commands are typed by people; one at a time is served.
const CALLS_MAX: usize = 8;

/// `up` looks several times a second.
const TELL_FOR: Duration = Duration::from_secs(30);
