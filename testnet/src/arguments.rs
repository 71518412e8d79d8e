//! What may be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use hedgerow::net::Firewall;

use crate::bench::BenchCommand;
use crate::links::LinkQuality;
use crate::measure::MeasureArguments;
use crate::plan::{BackendKind, Plan, PlanError};
use crate::sim::SimCommand;

/// Whole Hedgerow meshes on one machine, to break on purpose.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Folder of the testnet [default: $XDG_STATE_HOME/hedgerow-testnet, else ~/.local/state/hedgerow-testnet]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring up a mesh and wait until its nodes agree
    Up(UpArguments),
    /// Say how the nodes are
    Status {
        /// How it is printed
        #[arg(short, long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// End a node as a power cut would
    Kill {
        /// Name of the node, such as n3
        node: String,
    },
    /// Start a node again with its data
    Restart {
        /// Name of the node, such as n3
        node: String,
    },
    /// Have the network between nodes delay, lose, hold up or cut; what is not named is as without emulation
    Link(LinkArguments),
    /// Set the firewall in front of nodes
    Firewall {
        /// A node such as n3, a region such as r2, or all
        who: String,
        /// What it lets in
        #[arg(value_enum)]
        firewall: FirewallKind,
    },
    /// Make every link clear and open every firewall
    Heal,
    /// Print the end of a node's log
    Logs {
        /// Name of the node, such as n3
        node: String,
        /// At most so many lines
        #[arg(long, default_value_t = 100)]
        lines: usize,
    },
    /// Stop every node and remove its data
    Down,
    /// Play whole meshes in virtual time: scenarios, made-up faults, planted bugs
    #[command(subcommand)]
    Sim(SimCommand),
    /// Bring up a local mesh, measure its crashes and its idle traffic, and compare them with the simulator
    Measure(MeasureArguments),
    /// Measure what a node costs, beside a named baseline in the same run
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Print the compose file of a mesh
    ComposeFile(Shape),
    /// The supervisor that `up` leaves
    #[command(name = SUPERVISE_WORD, hide = true)]
    Supervise(UpArguments),
}

/// How many nodes in how many regions.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// How many nodes: n1, n2 and so on
    #[arg(long, default_value_t = 6)]
    pub(crate) nodes: u16,
    /// Over how many regions they are spread in order: r1, r2 and so on
    #[arg(long, default_value_t = 2)]
    pub(crate) regions: u16,
    /// Over how many networks they are spread in turn, with n1 alone in all of them: compose only
    #[arg(long)]
    pub(crate) networks: Option<u16>,
}

/// `up`
#[derive(Clone, Debug, Args)]
pub(crate) struct UpArguments {
    /// What runs the nodes
    #[arg(long, value_enum, default_value_t = BackendKind::Local)]
    pub(crate) backend: BackendKind,
    /// The shape of the mesh
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// How long the mesh lives, such as 90s, 10m or 1h
    #[arg(long = "for", default_value = "1h", value_parser = parse_life, value_name = "TIME")]
    pub(crate) life: Duration,
    /// How long it may take until its nodes agree
    #[arg(long, default_value = "2m", value_parser = parse_life, value_name = "TIME")]
    pub(crate) ready_within: Duration,
    /// Ports of node i begin at N + 10 i [default: 24000 for local, 41000 for compose]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    pub(crate) port_base: Option<u16>,
    /// Run this `hedgerow` binary as the nodes of the local backend
    #[arg(long, value_name = "FILE")]
    pub(crate) node_program: Option<PathBuf>,
}

/// `link`
#[derive(Clone, Debug, Args)]
pub(crate) struct LinkArguments {
    /// A node such as n3, a region such as r2, or all
    pub(crate) from: String,
    /// The same, for the other end
    pub(crate) to: String,
    /// Leave the way back as it is
    #[arg(long)]
    pub(crate) one_way: bool,
    /// What the link does to packets
    #[command(flatten)]
    pub(crate) quality: LinkQuality,
}

/// What a firewall lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirewallKind {
    /// Everything
    Open,
    /// Answers only: what comes from where something was sent within the last 30 seconds
    Stateful,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line per node
    Table,
    /// Everything
    Json,
}

impl From<FirewallKind> for Firewall {
    fn from(kind: FirewallKind) -> Self {
        match kind {
            FirewallKind::Open => Self::Open,
            FirewallKind::Stateful => Self::Stateful,
        }
    }
}

impl Shape {
    /// The plan, if there is one of this shape.
    pub(crate) const fn plan(self) -> Result<Plan, PlanError> {
        match (Plan::new(self.nodes, self.regions), self.networks) {
            (Ok(plan), Some(networks)) => plan.over(networks),
            (plan, _) => plan,
        }
    }
}

impl UpArguments {
    /// The same words again, for the supervisor.
    pub(crate) fn words(&self) -> Vec<std::ffi::OsString> {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        let backend = match self.backend {
            BackendKind::Local => "local",
            BackendKind::Compose => "compose",
        };
        let mut flag = |name: &str, value: std::ffi::OsString| words.extend([name.into(), value]);
        flag("--backend", backend.into());
        flag("--nodes", self.shape.nodes.to_string().into());
        flag("--regions", self.shape.regions.to_string().into());
        if let Some(networks) = self.shape.networks {
            flag("--networks", networks.to_string().into());
        }
        flag("--for", format!("{}s", self.life.as_secs()).into());
        flag("--ready-within", format!("{}s", self.ready_within.as_secs()).into());
        if let Some(port_base) = self.port_base {
            flag("--port-base", port_base.to_string().into());
        }
        if let Some(program) = &self.node_program {
            flag("--node-program", program.into());
        }
        words
    }
}

/// Reads `1h 30m` and the like; at least a second.
pub(crate) fn parse_life(text: &str) -> Result<Duration, String> {
    let life: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    match u64::try_from(life.as_secs()) {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        Ok(0) | Err(_) => Err("must be at least 1s".to_owned()),
    }
}

/// The word that makes this program the supervisor.
pub(crate) const SUPERVISE_WORD: &str = "__supervise";

#[cfg(test)]
mod tests {
    use hedgerow::net::Loss;

    use super::*;

    #[test]
    fn a_supervisor_gets_the_words_of_its_up() {
        let typed = "t up --backend compose --nodes 7 --regions 3 --networks 2 --for 1h30m --port-base 2000 --node-program /bin/x";
        let Command::Up(up) = Cli::parse_from(typed.split(' ')).command else { panic!("not up") };
        let handed_on = [vec!["t".into(), SUPERVISE_WORD.into()], up.words()].concat();
        let Command::Supervise(again) = Cli::parse_from(handed_on).command else { panic!("not supervise") };
        assert_eq!(format!("{up:?}"), format!("{again:?}"));
        assert_eq!(again.life, Duration::from_secs(5400));
    }

    #[test]
    fn a_link_is_typed_with_what_it_does() {
        let typed =
            "t link r1 n3 --one-way --delay-ms 40 --jitter-ms 5 --loss-percent 1.5 --rate-kbps 20000 --queue-kib 256";
        let Command::Link(link) = Cli::parse_from(typed.split(' ')).command else { panic!("not link") };
        assert_eq!((link.from.as_str(), link.to.as_str(), link.one_way), ("r1", "n3", true));
        let loss_percent = Loss::from_percent(1.5).expect("a share");
        let quality =
            LinkQuality { delay_ms: 40, jitter_ms: 5, loss_percent, rate_kbps: 20_000, queue_kib: 256, cut: false };
        assert_eq!(link.quality, quality);
        let Command::Link(clear) = Cli::parse_from("t link r1 r2".split(' ')).command else { panic!("not link") };
        assert_eq!((clear.one_way, clear.quality), (false, LinkQuality::default()));
        for wrong in ["--loss-percent 101", "--loss-percent some", "--queue-kib 9"] {
            let typed = format!("t link r1 r2 {wrong}");
            assert!(Cli::try_parse_from(typed.split(' ')).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_life_is_at_least_a_second() {
        assert_eq!(parse_life("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_life("10ms"), Err("must be at least 1s".to_owned()));
        assert!(parse_life("-1h").is_err());
        assert!(parse_life("soon").is_err());
    }
}
