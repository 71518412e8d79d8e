//! The conversation between the commands and the supervisor: one line of JSON each way per connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hedgerow::net::Firewall;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::links::LinkQuality;
use crate::report::MeshReport;

/// What a command wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do", deny_unknown_fields)]
pub(crate) enum Request {
    /// How the mesh is.
    Status,
    /// End a node as a power cut would.
    Kill {
        /// Its name.
        node: String,
    },
    /// Start a node again with its data.
    Restart {
        /// Its name.
        node: String,
    },
    /// Set the links between nodes.
    Link {
        /// A node, a region or `all`.
        from: String,
        /// The same.
        to: String,
        /// Whether the way back stays as it is.
        one_way: bool,
        /// What they do to packets.
        quality: LinkQuality,
    },
    /// Set the firewall in front of nodes.
    Firewall {
        /// A node, a region or `all`.
        who: String,
        /// What it lets in.
        firewall: Firewall,
    },
    /// Make every link clear and open every firewall.
    Heal,
    /// The end of a node's log.
    Logs {
        /// Its name.
        node: String,
        /// At most so many lines.
        lines: usize,
    },
    /// Stop everything and end the supervisor.
    Down,
}

/// What the supervisor says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub(crate) enum Reply {
    /// To `Status`.
    Report(Box<MeshReport>),
    /// To `Logs`.
    Log {
        /// The lines.
        text: String,
    },
    /// It is done.
    Done,
    /// It is not done.
    Refused {
        /// Every cause.
        why: String,
    },
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// No supervisor: `hedgerow-testnet up` starts one.
    #[error("find a testnet in {}; start one with `hedgerow-testnet up`", folder.display())]
    NotUp {
        /// The state folder.
        folder: PathBuf,
    },
    /// The conversation broke off; the supervisor may have ended.
    #[error("talk to the supervisor; its log is supervisor.log in the state folder")]
    Io(#[source] io::Error),
    /// It is busy, or hangs.
    #[error("hear from the supervisor within {0:?}; its log is supervisor.log in the state folder")]
    Late(Duration),
    /// It is of another version: end it with that version's `down`.
    #[error("understand the supervisor; it may be of another version")]
    Form(#[source] serde_json::Error),
}

/// A request on its way to the owner of the mesh.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// Asks the supervisor at `socket`.
pub(crate) async fn ask(socket: &Path, request: &Request) -> Result<Reply, ControlError> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(ControlError::NotUp { folder: socket.parent().unwrap_or(socket).to_owned() });
        }
        Err(error) => return Err(ControlError::Io(error)),
    };
    let mut line = serde_json::to_vec(request).map_err(ControlError::Form)?;
    line.push(b'\n');
    let exchange = async {
        let (reader, mut writer) = stream.into_split();
        writer.write_all(&line).await?;
        let mut reply = Vec::new();
        BufReader::new(reader.take(REPLY_BYTES_MAX)).read_until(b'\n', &mut reply).await?;
        Ok::<_, io::Error>(reply)
    };
    let reply = timeout(PATIENCE, exchange).await.map_err(|_elapsed| ControlError::Late(PATIENCE))?;
    serde_json::from_slice(&reply.map_err(ControlError::Io)?).map_err(ControlError::Form)
}

/// Hands every request on to `calls` and its reply back, until `calls` is closed.
pub(super) async fn listen(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if conversations.len() < CONVERSATIONS_MAX => {
                    conversations.spawn(converse(stream, calls.clone()));
                }
                // Above the limit a client is hung up on and may try again. An error of `accept` concerns one
                // connection.
                Ok(_) | Err(_) => {}
            },
            Some(_ended) = conversations.join_next() => {}
            () = calls.closed() => break,
        }
    }
    // What the owner replied last is still on its way out.
    while conversations.join_next().await.is_some() {}
}

/// A client that breaks off has no interest in the reply.
async fn converse(stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let reading = BufReader::new(reader.take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut line).await;
    reading?;
    let reply = match serde_json::from_slice(&line) {
        Ok(request) => forward(request, &calls).await,
        Err(error) => Reply::Refused { why: format!("read the request: {error}") },
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

async fn forward(request: Request, calls: &mpsc::Sender<Call>) -> Reply {
    let (reply, answer) = oneshot::channel();
    let gone = || Reply::Refused { why: "reach a testnet that is going down".to_owned() };
    match calls.send(Call { request, reply }).await {
        Ok(()) => answer.await.unwrap_or_else(|_dropped| gone()),
        Err(_closed) => gone(),
    }
}

const REQUEST_BYTES_MAX: u64 = 4 * 1024;

/// A report of the largest mesh has about 100 KiB, a log tail at most 64 KiB before JSON escapes it.
const REPLY_BYTES_MAX: u64 = 4 * 1024 * 1024;

const CONVERSATIONS_MAX: usize = 32;

/// `down` of a compose mesh takes half a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_reach_the_owner_and_replies_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("control.sock");
        let (calls, mut inbox) = mpsc::channel(1);
        let listening = tokio::spawn(listen(UnixListener::bind(&socket).expect("bind"), calls));
        let owner = tokio::spawn(async move {
            let call: Call = inbox.recv().await.expect("a call");
            assert_eq!(call.request, Request::Kill { node: "n3".to_owned() });
            call.reply.send(Reply::Refused { why: "no n3".to_owned() }).expect("somebody listens");
        });

        let reply = ask(&socket, &Request::Kill { node: "n3".to_owned() }).await.expect("a reply");

        assert!(matches!(&reply, Reply::Refused { why } if why == "no n3"), "{reply:?}");
        owner.await.expect("the owner ends");
        listening.await.expect("the listener ends with the owner");
    }

    #[tokio::test]
    async fn words_that_are_no_request_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("control.sock");
        let (calls, _inbox) = mpsc::channel(1);
        tokio::spawn(listen(UnixListener::bind(&socket).expect("bind"), calls));
        let mut stream = UnixStream::connect(&socket).await.expect("connected");
        stream.write_all(b"{\"do\":\"explode\"}\n").await.expect("written");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("a reply");
        assert!(reply.contains("read the request"), "{reply}");
    }

    #[tokio::test]
    async fn without_a_supervisor_the_error_names_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = ask(&folder.path().join("control.sock"), &Request::Status).await.expect_err("nobody is there");
        let expected = format!("find a testnet in {}; start one with `hedgerow-testnet up`", folder.path().display());
        assert_eq!(error.to_string(), expected);
    }
}
