//! `hedgerow-testnet bench …`: what a node's network costs, beside a bare connection of quinn in the same run, and what whole
//! models cost, beside onnxruntime (see [`inference`]).
//!
//! Everything of the network runs over loopback or over a network in memory, and in this process but for strangers and the far ends of idle links,
//! whose work and memory would be counted with the node's. Figures are ratios wherever a machine's speed would
//! show in them; times of single requests alternate between both sides, block by block, so that what else the machine does falls on
//! both alike.

mod bare;
mod bulk;
mod crowded;
mod dead;
mod ends;
mod figure;
mod inference;
mod links;
mod requests;
mod strangers;
mod walled;

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use crate::arguments::Format;
use figure::Figures;
use inference::InferenceArguments;

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Requests, transfers, dead links, memory and idle work of the network of a node
    Network(NetworkArguments),
    /// Time and memory of whole models, beside onnxruntime; needs Python 3.11, taskset, and the package index of Python
    Inference(InferenceArguments),
    /// The members to which `bench network` has links that nobody uses; they end with standard input
    #[command(hide = true)]
    Members {
        /// How many
        count: u32,
    },
    /// The strangers of `bench network`, which dial that address
    #[command(hide = true)]
    Strangers {
        /// Of the node
        address: SocketAddr,
    },
}

/// `bench network`
#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkArguments {
    /// Only figures of this kind: requests, bulk, crowded, dead, walled, strangers or links
    #[arg(long)]
    only: Option<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// Measures, and returns what is to be printed and whether every goal was reached.
pub(crate) async fn bench(command: BenchCommand) -> anyhow::Result<(String, bool)> {
    let arguments = match command {
        BenchCommand::Network(arguments) => arguments,
        BenchCommand::Inference(arguments) => return inference::bench(arguments).await,
        BenchCommand::Members { count } => {
            links::serve(count).await?;
            return Ok((String::new(), true));
        }
        BenchCommand::Strangers { address } => {
            strangers::dial(address).await?;
            return Ok((String::new(), true));
        }
    };
    let wanted = |kind: &str| arguments.only.as_deref().is_none_or(|only| only == kind);
    let mut figures = Figures::default();
    if wanted("requests") {
        requests::measure(&mut figures).await?;
    }
    if wanted("bulk") {
        bulk::measure(&mut figures).await?;
    }
    if wanted("crowded") {
        crowded::measure(&mut figures).await?;
    }
    if wanted("dead") {
        dead::measure(&mut figures).await?;
    }
    if wanted("walled") {
        walled::measure(&mut figures).await?;
    }
    if wanted("strangers") {
        strangers::measure(&mut figures).await?;
    }
    if wanted("links") {
        links::measure(&mut figures).await?;
    }
    anyhow::ensure!(
        !figures.is_empty(),
        "find that kind of figures: requests, bulk, crowded, dead, walled, strangers and links are measured"
    );
    let text = match arguments.output {
        Format::Table => figures.table(),
        Format::Json => serde_json::to_string_pretty(&figures)?,
    };
    Ok((text, figures.hold()))
}
