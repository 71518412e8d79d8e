//! What may be typed about who belongs to the mesh.

use std::path::PathBuf;

use clap::Args;

/// `hedgerow init`
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Name of the mesh, for people
    #[arg(long, default_value = "hedgerow")]
    pub(crate) name: String,
    /// Region of this node: an operator's fence, never changed by the mesh
    #[arg(long, default_value = "home")]
    pub(crate) region: String,
    /// What this node would fail together with, such as a rack or a site: copies are kept apart
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// How long certificates of members hold, such as 12h or 30d; nodes renew theirs from half of it on
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = super::init::parse_certificate_life)]
    pub(crate) certificate_life: u64,
}

/// `hedgerow invite`
#[derive(Debug, Args)]
pub(crate) struct InviteArguments {
    /// How long the ticket may be redeemed, such as 15m, 1h or 2d
    #[arg(long, default_value = "1h", value_parser = super::invite::parse_lifetime)]
    pub(crate) ttl: u64,
    /// How many nodes may join with it
    #[arg(long, default_value_t = 1)]
    pub(crate) uses: u32,
    /// Region of the nodes that join with it [default: this node's]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// What they would fail together with, such as a rack or a site: copies are kept apart
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// What they may be asked to do: voter (order the cell), replica (hold sessions), worker (run models) [default: all]
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Option<Vec<String>>,
}

/// `hedgerow join`
#[derive(Debug, Args)]
pub(crate) struct JoinArguments {
    /// The ticket, or `-` for standard input
    #[arg(
        required_unless_present = "ticket_file",
        conflicts_with = "ticket_file",
        env = "HEDGEROW_TICKET",
        hide_env_values = true
    )]
    pub(crate) ticket: Option<String>,
    /// A file that holds the ticket
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
}

/// `hedgerow leave`
#[derive(Debug, Args)]
pub(crate) struct LeaveArguments {
    /// Leave although no other node of the region can take over what this one has: it is lost to the mesh
    #[arg(long)]
    pub(crate) abandon: bool,
}

/// `hedgerow recover`
#[derive(Debug, Args)]
pub(crate) struct RecoverArguments {
    /// A statement that `--out` wrote [default: what this node says of its own cell]
    pub(crate) file: Option<PathBuf>,
    /// Sign it, and have the mesh go by it
    #[arg(long)]
    pub(crate) sign: bool,
    /// Secret key that signs it [default: operator.key in the data folder]
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub(crate) key: Option<PathBuf>,
    /// Have the mesh go by it as it was signed by others
    #[arg(long, requires = "file", conflicts_with_all = ["sign", "out"])]
    pub(crate) submit: bool,
    /// Write it to a file instead, for other operators to sign
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `hedgerow revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// The node: its id, or the first characters of it
    #[arg(required_unless_present = "file")]
    pub(crate) node: Option<String>,
    /// Why, for people: one line that everybody in the mesh can read
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Secret key that signs it [default: operator.key in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Of an issuer: what it issued with a higher serial is void [default: the highest that is known here]
    #[arg(long, value_name = "SERIAL", conflicts_with = "file")]
    pub(crate) void_after: Option<u64>,
    /// Have the issuer that is this node do it, to a node to which it issued a certificate, without an operator's key
    #[arg(long, requires = "node", conflicts_with_all = ["key", "void_after", "file", "out"])]
    pub(crate) as_issuer: bool,
    /// A statement that another operator wrote with `--out`, to be signed, too
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    pub(crate) file: Option<PathBuf>,
    /// Write it to a file instead, for other operators to sign
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `hedgerow forget`
#[derive(Debug, Args)]
pub(crate) struct ForgetArguments {
    /// The node that is gone: its id, or the first characters of it
    pub(crate) node: String,
}
