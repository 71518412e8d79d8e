use axum::Json;
use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::UnixListener;

use super::super::fleet::{Fleet, FleetError};
use super::super::leash::watch_parent;
use super::*;

/// Processes of a loaded machine may take their time; a passing test waits only as long as it must.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_process_is_ready_when_it_says_so_and_stops_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::new(child("child_node"), folder.path());
    fleet.start("n1", NO_WORDS).expect("start");
    fleet.start("n2", NO_WORDS).expect("start");

    let statuses = fleet.ready_all(DEADLINE).await.expect("both ready");
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["n1", "n2"]);
    assert_eq!(statuses["n2"].listen.admin, folder.path().join("n2/admin.sock"));

    let how = fleet.stop("n1", DEADLINE).await.expect("stopped");
    assert!(matches!(how, Stopped::Itself(exit) if exit.code().is_none()), "{how:?}");
    let rest = fleet.stop_all(DEADLINE).await.expect("stopped");
    assert_eq!(rest.keys().collect::<Vec<_>>(), ["n2"]);
}

#[tokio::test]
async fn a_killed_process_starts_again_with_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::new(child("child_node"), folder.path());
    let first = fleet.start("n1", NO_WORDS).expect("start").ready(DEADLINE).await.expect("ready");
    fleet.kill("n1").await.expect("killed");
    assert!(!fleet.node_mut("n1").expect("known").is_running().expect("watched"));

    fleet.restart("n1", DEADLINE).await.expect("started");
    let second = fleet.ready("n1", DEADLINE).await.expect("ready");
    assert_ne!(first.pid, second.pid);
    assert_eq!(first.listen, second.listen);
}

#[tokio::test]
async fn the_nodes_of_a_killed_parent_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parents = Fleet::new(child("parent_of_a_node"), folder.path());
    parents.start("parent", NO_WORDS).expect("start");
    let socket = AdminClient::in_data_dir(&folder.path().join("parent/orphan"));
    until("the node answers", async || status_of(&socket).await.is_some()).await;

    parents.kill("parent").await.expect("killed");

    until("the node is gone", async || status_of(&socket).await.is_none()).await;
}

#[tokio::test]
async fn an_end_before_readiness_is_told_with_the_last_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::new(child("child_that_fails"), folder.path());
    let error = fleet.start("n1", NO_WORDS).expect("start").ready(DEADLINE).await.expect_err("it fails");
    let text = error.to_string();
    assert!(matches!(error, ReadyError::Ended { exit, .. } if exit.code() == Some(101)), "{text}");
    assert!(text.contains("see n1 become ready") && text.contains("the port is busy"), "{text}");
}

#[tokio::test]
async fn a_process_that_never_answers_is_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::new(Launcher::program("/bin/cat").lead(["-", "--"]), folder.path());
    // `cat` takes standard input first, which does not end, and only then the words that are no files.
    let process = fleet.start("n1", NO_WORDS).expect("start");
    let error = process.ready(Duration::from_millis(100)).await.expect_err("never ready");
    assert!(matches!(error, ReadyError::Late { last: None, .. }), "{error}");
}

#[tokio::test]
async fn names_and_programs_that_do_not_exist_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::new(Launcher::program(folder.path().join("absent")), folder.path());
    let error = fleet.start("n1", NO_WORDS).expect_err("no such program");
    assert!(matches!(error, FleetError::Start(StartError::Execute { .. })), "{error}");
    let error = fleet.kill("n9").await.expect_err("no such node");
    assert_eq!(error.to_string(), "find the node n9 among ");
}

const NO_WORDS: [&str; 0] = [];

/// This test binary as the body of one of the functions below. What the runner adds comes after `--` and so is taken
/// by the test harness as the names of further tests, which do not exist.
fn child(body: &str) -> Launcher {
    let name = format!("{}::{body}", module_path!().split_once("::").expect("inside the crate").1);
    Launcher::this_program().expect("a program").lead(["--exact", &name, "--include-ignored", "--nocapture", "--"])
}

#[test]
#[ignore = "the body of a child process"]
fn child_node() {
    let Some(data) = word_after("--data") else { return };
    watch_parent(word_after("--parent-pipe").expect("a pipe").parse().expect("a descriptor")).expect("watched");
    serve_status(Path::new(&data));
}

#[test]
#[ignore = "the body of a child process"]
fn parent_of_a_node() {
    let Some(data) = word_after("--data") else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut fleet = Fleet::new(child("child_node"), data);
        fleet.start("orphan", NO_WORDS).expect("start");
        std::future::pending::<()>().await;
    });
}

#[test]
#[ignore = "the body of a child process"]
fn child_that_fails() -> Result<(), &'static str> {
    if word_after("--data").is_some() { Err("the port is busy") } else { Ok(()) }
}

fn word_after(flag: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != flag);
    words.next().and(words.next())
}

/// Answers as a node would that is ready, until it is ended.
fn serve_status(data: &Path) {
    let socket = data.join(crate::admin::SOCKET_NAME);
    std::fs::create_dir_all(data).expect("a folder");
    if socket.exists() {
        std::fs::remove_file(&socket).expect("the socket of an earlier process");
    }
    let status = json!({
        "node": "n", "peer": "p", "mesh": "m", "region": "r1", "cell": null, "state": "ready", "reasons": [],
        "version": "0", "pid": std::process::id(), "uptime_ms": 0,
        "listen": { "udp": "127.0.0.1:1", "rest": "127.0.0.1:2", "admin": socket },
        "members": { "alive": 1, "suspect": 0, "down": 0, "stopping": 0, "left": 0, "total": 1 },
        "aggregators": [], "refusals": {}, "models": [], "emulation": null, "memory_rss_bytes": 0
    });
    let router = Router::new().route("/admin/v1/status", get(async move || Json(status.clone())));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = UnixListener::bind(socket).expect("bind");
        axum::serve(listener, router).await.expect("serve");
    });
}

async fn status_of(node: &AdminClient) -> Option<Status> {
    node.get("read the status", "/admin/v1/status").await.ok()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(DEADLINE, waiting).await.is_ok(), "not within {DEADLINE:?}: {what}");
}
