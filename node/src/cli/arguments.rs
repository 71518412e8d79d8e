//! What may be typed.
#![expect(
    clippy::doc_markdown,
    reason = "these comments are the help that a terminal shows, where backticks are noise"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::emulate::EmulateArguments;
use super::events::EventsArguments;
use super::issuer::IssuerCommand;
use super::member_arguments::{
    ForgetArguments, InitArguments, InviteArguments, JoinArguments, LeaveArguments, RecoverArguments, RevokeArguments,
};
use super::output::OutputFormat;
use crate::admin::wire::NamedExtent;

/// A peer-to-peer edge mesh in one binary: every node is an equal peer.
#[derive(Debug, Parser)]
#[command(name = "hedgerow", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Data folder of the node [default: $XDG_STATE_HOME/hedgerow, else ~/.local/state/hedgerow]
    #[arg(long, global = true, env = "HEDGEROW_DATA", value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) data: Option<PathBuf>,
    /// How answers are printed
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Table, help_heading = "Everywhere")]
    pub(crate) output: OutputFormat,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order in which an operator meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Found a mesh: make keys, the root of trust and this node's membership
    Init(InitArguments),
    /// Run this node until it is told to stop
    Run(Box<RunArguments>),
    /// Print a ticket with which another machine can join
    Invite(InviteArguments),
    /// List the nodes that may issue certificates, or let another one
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Join a mesh with a ticket; `hedgerow run` afterwards needs none
    Join(JoinArguments),
    /// List the members of the mesh as this node sees them
    Members,
    /// Say what this node is and how it is
    Status,
    /// Say what happened on this node, as it sees it, oldest first
    Events(EventsArguments),
    /// Say which peers would answer for a model, best first, and why
    Nearest(NearestArguments),
    /// Reach a member by its id, or any address with a handshake
    Ping(PingArguments),
    /// Ask the members of this node's cell for their links and clocks, and say what is notable
    Netcheck,
    /// Push, list, inspect and verify models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Ask the mesh for an inference
    Infer(InferArguments),
    /// Read and write sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Say where something is placed, and why there
    #[command(subcommand)]
    Placement(PlacementCommand),
    /// Print data classes or node classes; `-o yaml` prints manifests that `apply` takes
    Get(GetArguments),
    /// Say in what a file of manifests differs from what is in force
    Diff(ManifestFile),
    /// Say what a file of manifests would move, and which rule keeps which node out
    Plan(ManifestFile),
    /// Put a file of manifests into force
    Apply(ApplyArguments),
    /// Leave the mesh for good, once others have taken over this node's vote and sessions
    Leave(LeaveArguments),
    /// Put a node out of the mesh for good; it comes back under another name only
    Revoke(RevokeArguments),
    /// Show and keep nothing any more of a node that left, or was put out
    Forget(ForgetArguments),
    /// Have a cell that lost its quorum for good go on with other voters, in the name of the mesh's operators
    Recover(RecoverArguments),
    /// Look for what keeps this node from working, and name the remedy
    Doctor,
    /// Show or set the delay, loss, rate and cuts that a node started with `--emulate` puts on its own packets
    Emulate(EmulateArguments),
    /// Bring up a mesh of six nodes on this machine, use it, break it and check it
    Demo(DemoArguments),
}

/// `hedgerow run`
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Found a mesh first if the data folder is empty
    #[arg(long, conflicts_with = "ticket_file")]
    pub(crate) init: bool,
    /// Name of the mesh that `--init` founds
    #[arg(long, default_value = "hedgerow")]
    pub(crate) name: String,
    /// Region of this node where `--init` founds a mesh
    #[arg(long, default_value = "home")]
    pub(crate) region: String,
    /// What this node would fail together with, where `--init` founds a mesh
    #[arg(long, value_name = "NAME", requires = "init")]
    pub(crate) domain: Option<String>,
    /// How long certificates of members hold, where `--init` founds a mesh [default: 30d]
    #[arg(long, value_name = "TIME", requires = "init", value_parser = super::init::parse_certificate_life)]
    pub(crate) certificate_life: Option<u64>,
    /// Once ready, write a ticket to a file; repeatable, one per region
    #[arg(long, value_name = "[REGION=]FILE")]
    pub(crate) ticket_out: Vec<String>,
    /// How often each written ticket may be used
    #[arg(long, default_value_t = 1)]
    pub(crate) uses: u32,
    /// Join with this ticket if the data folder is empty, waiting for the file to appear
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
    /// UDP on N, REST on N+1, gRPC on N+2, metrics on N+3; 0 picks free ports and prints them
    #[arg(long, value_name = "N")]
    pub(crate) port_base: Option<u16>,
    /// Address and port of the mesh socket
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Address at which others reach the mesh socket; repeatable, carried in tickets
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) advertise: Vec<String>,
    /// Address of the REST interface; loopback unless told
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) rest: Option<String>,
    /// Let REST listen off loopback although requests carry no tokens; whoever reaches it may use it
    #[arg(long)]
    pub(crate) open_rest: bool,
    /// Let `hedgerow emulate` put delay, loss, rate, cuts and a firewall around the mesh socket
    #[arg(long)]
    pub(crate) emulate: bool,
    /// Configuration file [default: hedgerow.toml in the data folder, where there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Stop when this inherited descriptor reaches its end: the parent is gone
    #[arg(long, hide = true, value_name = "FD")]
    pub(crate) parent_pipe: Option<i32>,
}

/// `hedgerow nearest`
#[derive(Debug, Args)]
pub(crate) struct NearestArguments {
    /// Name of the model
    pub(crate) model: String,
}

/// `hedgerow ping`
#[derive(Debug, Args)]
pub(crate) struct PingArguments {
    /// A node id (or its first characters), or an address and port
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) target: String,
}

/// `hedgerow model`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Lower an ONNX file, sign it and place it on the mesh
    Push(PushArguments),
    /// List the models of the mesh
    Ls,
    /// Show a model: inputs, outputs, operators, digests, where it is; of an ONNX file what a node would make of it
    Inspect(InspectArguments),
    /// Check a model's signature and every byte of it as held by this node
    Verify(ModelName),
}

/// `hedgerow model push`
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The ONNX file
    pub(crate) file: PathBuf,
    /// Name of the model [default: the file's name, or its folder's where the file is called model.onnx]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version of the model
    #[arg(long, default_value = "1")]
    pub(crate) version: String,
    /// Secret key of a publisher [default: publisher.key in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Also write what is sent to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle_out: Option<PathBuf>,
    /// Nodes per region; 0 withdraws the model
    #[arg(long, default_value_t = 2)]
    pub(crate) replicas: u8,
    /// Regions that hold it; repeatable [default: every region]
    #[arg(long)]
    pub(crate) region: Vec<String>,
}

/// `hedgerow model inspect`
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// Name of the model, or an ONNX file that ends in .onnx and need not have been pushed
    pub(crate) model: String,
    /// Also show every step with its kernel, multiply-adds and memory; always shown for files
    #[arg(long)]
    pub(crate) plan: bool,
    /// Show the plan for this extent of a named dimension, 1 where none is given; repeatable
    #[arg(long, value_name = "DIM=N")]
    pub(crate) with: Vec<NamedExtent>,
}

/// A model by name.
#[derive(Debug, Args)]
pub(crate) struct ModelName {
    /// Name of the model
    pub(crate) name: String,
}

/// `hedgerow infer`
#[derive(Debug, Args)]
pub(crate) struct InferArguments {
    /// Name of the model
    pub(crate) model: String,
    /// An input: NAME=@FILE (.png, .npy or .json) or NAME=JSON; repeatable
    #[arg(short, long, required = true, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// How long the answer may take, in milliseconds
    #[arg(long, default_value_t = 2000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) timeout_ms: u64,
}

/// `hedgerow session`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Set values of a session, making it where it does not exist
    Put(SessionPutArguments),
    /// Print the value of a session
    Get(SessionGetArguments),
    /// List the sessions that this node holds
    Ls,
    /// Say which nodes hold a session
    Locate(SessionKey),
}

/// Which session.
#[derive(Debug, Args)]
pub(crate) struct SessionKey {
    /// A session id, or a key of your own (made into an id with the class and namespace)
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) session: String,
    /// Data class of the session
    #[arg(long, default_value = "default")]
    pub(crate) class: String,
    /// Namespace of the session
    #[arg(long, default_value = "app")]
    pub(crate) namespace: String,
}

/// `hedgerow session put`
#[derive(Debug, Args)]
pub(crate) struct SessionPutArguments {
    /// Which session
    #[command(flatten)]
    pub(crate) key: SessionKey,
    /// PATH=JSON, with the path's parts separated by slashes; a value that is not JSON is taken as text
    #[arg(required = true, value_name = "PATH=VALUE")]
    pub(crate) values: Vec<String>,
    /// Replicas that must hold the write durably before it counts [default: the class's]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) quorum: Option<u8>,
    /// Refuse the write unless the session is still at this ETag
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
}

/// `hedgerow session get`
#[derive(Debug, Args)]
pub(crate) struct SessionGetArguments {
    /// Which session
    #[command(flatten)]
    pub(crate) key: SessionKey,
    /// A causal token of an earlier answer: read at least that
    #[arg(long)]
    pub(crate) token: Option<String>,
}

/// `hedgerow placement`
#[derive(Debug, Subcommand)]
pub(crate) enum PlacementCommand {
    /// Say which nodes hold a session or a model, and why
    Explain(PlacementKey),
}

/// What is asked about.
#[derive(Debug, Args)]
pub(crate) struct PlacementKey {
    /// A session id or the name of a model
    pub(crate) key: String,
}

/// What there are manifests of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Rules for sessions
    #[value(name = "dataclasses", aliases = ["dataclass", "dc"])]
    DataClasses,
    /// Kinds of machines
    #[value(name = "nodeclasses", aliases = ["nodeclass", "nc"])]
    NodeClasses,
}

/// `hedgerow get`
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// Of what kind
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Only the one of this name
    pub(crate) name: Option<String>,
}

/// A file of manifests.
#[derive(Debug, Args)]
pub(crate) struct ManifestFile {
    /// YAML, one or more documents
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Also remove the data classes that the file does not name
    #[arg(long)]
    pub(crate) prune: bool,
}

/// `hedgerow apply`
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// What is to be in force
    #[command(flatten)]
    pub(crate) manifests: ManifestFile,
    /// Secret key that signs the policy [default: policy.key in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

/// `hedgerow demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Keep the data folders
    #[arg(long)]
    pub(crate) keep: bool,
    /// Leave the mesh up until Ctrl-C and print the addresses to try
    #[arg(long)]
    pub(crate) stay: bool,
}
