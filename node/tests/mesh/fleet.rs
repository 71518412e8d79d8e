//! A mesh of node processes, and the public doors through which tests use it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hedgerow::admin::wire::{Aggregator, MemberRow, Status};
use hedgerow::admin::{AdminClient, Answer, HttpClient};
use hedgerow::runner::{Fleet, Launcher, Stopped};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, interval, timeout};

/// Long enough for a loaded machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(25);
const BINARY: &str = env!("CARGO_BIN_EXE_hedgerow");
/// Every node stands here, so that one placement covers all of them.
const REGION: &str = "eu";

/// Node processes with their data folders; all end with the value.
pub(crate) struct Mesh {
    fleet: Fleet,
    names: Vec<&'static str>,
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What a command printed that has to succeed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What a command complained of that has to fail with this code and explain itself.
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
    }
}

/// Looks until `look` sees what it wants.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut looks = interval(LOOK_EVERY);
    let deadline = Instant::now() + PATIENCE;
    loop {
        looks.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
    }
}

/// Runs the binary once against a data folder.
pub(crate) async fn hedgerow(data: &Path, words: &[&str]) -> Ran {
    hedgerow_with(data, words, None).await
}

/// The same, not yet run.
pub(crate) fn command(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--data").arg(data).args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The same with a variable in its environment.
pub(crate) async fn hedgerow_with(data: &Path, words: &[&str], variable: Option<(&str, &str)>) -> Ran {
    let output = timeout(PATIENCE, command(data, words).envs(variable).output())
        .await
        .expect("it ends by itself")
        .expect("it can be executed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A port that nobody used a moment ago.
fn free_udp_port() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port exists");
    socket.local_addr().expect("it is bound").to_string()
}

/// A model file of the repository.
pub(crate) fn model_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/models").join(path)
}

impl Mesh {
    /// No node yet.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("hm").tempdir().expect("a folder");
        Self { fleet: Fleet::new(Launcher::program(BINARY), folder.path()), names: Vec::new(), folder }
    }

    /// The first founds a mesh, the others join it by ticket, and all see all of them alive.
    pub(crate) async fn of(names: &[&'static str]) -> Self {
        let mut mesh = Self::empty();
        let ticket = mesh.folder.path().join("ticket").display().to_string();
        let [first, others @ ..] = names else { panic!("a mesh has a node") };
        let uses = others.len().max(1).to_string();
        mesh.start(first, &["--init", "--region", REGION, "--ticket-out", &ticket, "--uses", &uses]);
        for name in others {
            mesh.start(name, &["--ticket-file", &ticket]);
        }
        mesh.fleet.ready_all(PATIENCE).await.unwrap_or_else(|error| panic!("{error}"));
        mesh.all_alive().await;
        mesh
    }

    /// Two nodes, `a` and `b`, of a mesh whose certificates hold for so long, such as `12s`.
    pub(crate) async fn of_short_lives(life: &str) -> Self {
        let mut mesh = Self::empty();
        let ticket = mesh.path("ticket").display().to_string();
        let words = ["--init", "--region", REGION, "--certificate-life", life, "--ticket-out", &ticket];
        mesh.start_at("a", &free_udp_port(), &words);
        mesh.start("b", &["--ticket-file", &ticket]);
        mesh.fleet.ready_all(PATIENCE).await.unwrap_or_else(|error| panic!("{error}"));
        mesh.all_alive().await;
        mesh
    }

    /// What a node has written to its log.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).expect("it has one")
    }

    /// Starts a node on free ports; `words` come after those.
    pub(crate) fn start(&mut self, name: &'static str, words: &[&str]) {
        self.start_at(name, "127.0.0.1:0", words);
    }

    /// The same with its mesh socket where it is found again after a restart.
    pub(crate) fn start_at(&mut self, name: &'static str, listen: &str, words: &[&str]) {
        self.start_plain(name, listen, &[&["--emulate"], words].concat());
    }

    /// The same, without emulation.
    pub(crate) fn start_for_use(&mut self, name: &'static str, words: &[&str]) {
        self.start_plain(name, "127.0.0.1:0", words);
    }

    fn start_plain(&mut self, name: &'static str, listen: &str, words: &[&str]) {
        let common = ["--rest", "127.0.0.1:0", "--listen", listen];
        self.fleet.start(name, common.iter().chain(words)).expect("it starts");
        self.names.push(name);
    }

    /// Waits until a node answers.
    pub(crate) async fn ready(&mut self, name: &str) -> Status {
        self.fleet.ready(name, PATIENCE).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Ends a node as a power cut would.
    pub(crate) async fn kill(&mut self, name: &str) {
        self.fleet.kill(name).await.expect("it runs");
    }

    /// Ends a node as an operator would.
    pub(crate) async fn stop(&mut self, name: &str) -> Stopped {
        self.fleet.stop(name, PATIENCE).await.expect("it runs")
    }

    /// Waits until a node's process has ended by itself.
    pub(crate) async fn ended(&mut self, name: &str) {
        let node = self.fleet.node_mut(name).expect("it was started");
        until("it ends", async || (!node.is_running().expect("the system tells")).then_some(())).await;
        self.names.retain(|running| *running != name);
    }

    /// Starts an ended node again with its data.
    pub(crate) fn run_again(&mut self, name: &str) {
        self.fleet.node_mut(name).and_then(|node| Ok(node.start_again()?)).expect("it starts");
    }

    /// Starts an ended node again with its data, and waits until it answers.
    pub(crate) async fn start_again(&mut self, name: &str) -> Status {
        self.run_again(name);
        self.ready(name).await
    }

    /// A path beside the data folders.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command against the data folder of this name.
    pub(crate) async fn run(&self, name: &str, words: &[&str]) -> Ran {
        hedgerow(&self.path(name), words).await
    }

    /// The operator's door of a node.
    pub(crate) fn admin(&self, name: &str) -> AdminClient {
        AdminClient::in_data_dir(&self.path(name))
    }

    /// What a node says of itself, if it answers.
    pub(crate) async fn try_status(&self, name: &str) -> Option<Status> {
        self.admin(name).get("read the status", "/admin/v1/status").await.ok()
    }

    /// What a node says of itself.
    pub(crate) async fn status(&self, name: &str) -> Status {
        self.admin(name).get("read the status", "/admin/v1/status").await.expect("it answers")
    }

    /// Whom a node sees.
    pub(crate) async fn members(&self, name: &str) -> Vec<MemberRow> {
        self.admin(name).get("list the members", "/admin/v1/members").await.expect("it answers")
    }

    /// The state of a member in the view of `name`.
    pub(crate) async fn state_of(&self, node: &str, name: &str) -> Option<String> {
        self.members(name).await.into_iter().find(|row| row.node == node).map(|row| row.state)
    }

    /// The aggregator, as far as a node knows it.
    pub(crate) async fn aggregator(&self, name: &str) -> Option<Aggregator> {
        self.status(name).await.aggregators.into_iter().find(|each| each.region == REGION)
    }

    /// The name of a running node by its id.
    pub(crate) async fn name_of(&self, node: &str) -> &'static str {
        for name in &self.names {
            if self.admin(name).get::<Status>("read the status", "/admin/v1/status").await.is_ok_and(|s| s.node == node)
            {
                return name;
            }
        }
        panic!("{node} does not run")
    }

    /// An answer of a node's REST port.
    pub(crate) async fn rest(&self, name: &str, method: Method, path: &str, body: String) -> Answer {
        let rest = HttpClient::tcp(self.status(name).await.listen.rest);
        rest.exchange(method, path, &[], body).await.expect("it answers")
    }

    /// Waits until every node sees exactly all of them, and each of them alive.
    pub(crate) async fn all_alive(&self) {
        let mut wanted = BTreeSet::new();
        for name in &self.names {
            wanted.insert((self.status(name).await.node, "alive".to_owned()));
        }
        until("every node sees all alive", async || {
            for name in &self.names {
                let seen: BTreeSet<_> = self.members(name).await.into_iter().map(|row| (row.node, row.state)).collect();
                if seen != wanted {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Cuts the named nodes off from each other in both directions; an empty list heals every cut.
    pub(crate) async fn cut(&self, apart: &[&str]) {
        let mut ports = Vec::new();
        for name in apart {
            ports.push((*name, self.status(name).await.listen.udp));
        }
        for name in &self.names {
            let others = ports.iter().filter(|(other, _)| apart.contains(name) && other != name);
            let rules: Vec<_> = others.map(|(_, port)| json!({ "peer": port, "cut": "both" })).collect();
            let set = self.admin(name).put("cut", "/admin/v1/emulation", &json!({ "rules": rules })).await;
            let _rules: Value = set.expect("the node runs with --emulate");
        }
    }
}

impl Drop for Mesh {
    #[expect(clippy::print_stderr, reason = "the logs go with the folder, and a failed test is explained by them")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.fleet.nodes_mut() {
                eprintln!("{}", node.last_words());
            }
        }
    }
}
