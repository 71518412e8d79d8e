//! One function per command: a question to the supervisor and what is printed of its reply.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::arguments::{Cli, Command, Format, LinkArguments};
use crate::bench::bench;
use crate::compose;
use crate::measure::measure;
use crate::sim::{self, SimCommand};
use crate::supervisor::{ControlError, Reply, Request, StateFolder, Supervision, ask, supervise};
use crate::up::up;

/// Runs one command line. Exit codes: 0 done, 1 failed, 3 no testnet is up.
pub(crate) fn run(cli: Cli) -> ExitCode {
    if let Command::Sim(command) = cli.command {
        return simulate(command);
    }
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(run_command(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            let not_up = matches!(error.downcast_ref(), Some(ControlError::NotUp { .. }));
            ExitCode::from(if not_up { 3 } else { 1 })
        }
    }
}

/// Virtual time needs no runtime.
fn simulate(command: SimCommand) -> ExitCode {
    match sim::run(command) {
        Ok(said) => {
            say(&said.text);
            if said.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run_command(cli: Cli) -> anyhow::Result<()> {
    if let Command::ComposeFile(shape) = cli.command {
        say(compose::render(shape.plan()?, compose::PORT_BASE).trim_end());
        return Ok(());
    }
    if let Command::Measure(arguments) = cli.command {
        return measure(&arguments, cli.state).await;
    }
    if let Command::Bench(command) = cli.command {
        let (text, holds) = bench(command).await?;
        say(&text);
        anyhow::ensure!(holds, "reach every goal");
        return Ok(());
    }
    let folder = StateFolder::find(cli.state)?;
    match cli.command {
        Command::Up(arguments) => up(&arguments, &folder).await,
        Command::Supervise(arguments) => {
            let supervision = Supervision {
                plan: arguments.shape.plan()?,
                backend: arguments.backend,
                port_base: arguments.port_base,
                node_program: arguments.node_program,
                life: arguments.life,
                ready_within: arguments.ready_within,
            };
            supervise(supervision, &folder).await
        }
        Command::Status { output } => status(&folder, output).await,
        Command::Kill { node } => {
            done(ask(&folder.socket(), &Request::Kill { node: node.clone() }).await?)?;
            say(&format!("{node} is killed; `hedgerow-testnet restart {node}` brings it back with its data"));
            Ok(())
        }
        Command::Restart { node } => {
            done(ask(&folder.socket(), &Request::Restart { node: node.clone() }).await?)?;
            say(&format!("{node} is started"));
            Ok(())
        }
        Command::Link(LinkArguments { from, to, one_way, quality }) => {
            let ends = if one_way { format!("from {from} to {to}") } else { format!("between {from} and {to}") };
            done(ask(&folder.socket(), &Request::Link { from, to, one_way, quality }).await?)?;
            say(&format!("links {ends} are set; `hedgerow-testnet heal` makes all clear again"));
            Ok(())
        }
        Command::Firewall { who, firewall } => {
            let firewall = firewall.into();
            done(ask(&folder.socket(), &Request::Firewall { who: who.clone(), firewall }).await?)?;
            say(&format!("firewall of {who} is set"));
            Ok(())
        }
        Command::Heal => {
            done(ask(&folder.socket(), &Request::Heal).await?)?;
            say("all links are clear and all firewalls open");
            Ok(())
        }
        Command::Logs { node, lines } => match ask(&folder.socket(), &Request::Logs { node, lines }).await? {
            Reply::Log { text } => {
                say(text.trim_end());
                Ok(())
            }
            other => done(other),
        },
        Command::Down => down(&folder).await,
        Command::Sim(_) | Command::Measure(_) | Command::Bench(_) | Command::ComposeFile(_) => Ok(()),
    }
}

async fn status(folder: &StateFolder, output: Format) -> anyhow::Result<()> {
    match (ask(&folder.socket(), &Request::Status).await?, output) {
        (Reply::Report(report), Format::Table) => say(&report.table()),
        (Reply::Report(report), Format::Json) => say(&serde_json::to_string_pretty(&report)?),
        (other, _) => done(other)?,
    }
    Ok(())
}

/// Also removes what a supervisor that was killed has left.
async fn down(folder: &StateFolder) -> anyhow::Result<()> {
    match ask(&folder.socket(), &Request::Down).await {
        Ok(reply) => done(reply)?,
        Err(error @ ControlError::NotUp { .. }) if !folder.nodes().exists() => return Err(error.into()),
        Err(ControlError::NotUp { .. }) => {
            let _held = folder.hold()?;
            compose::remove_left_over(&folder.nodes()).await?;
            folder.clear().context("remove what an earlier testnet left")?;
        }
        Err(error) => return Err(error.into()),
    }
    say("the testnet is down");
    Ok(())
}

/// A reply that carries nothing else, or the refusal as an error.
pub(crate) fn done(reply: Reply) -> anyhow::Result<()> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused { why } => bail!(why),
        Reply::Report(_) | Reply::Log { .. } => bail!("understand the supervisor: it answered another question"),
    }
}

#[expect(clippy::print_stdout, reason = "a command line")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// How far a long command is, where it does not mix with what the command prints.
#[expect(clippy::print_stderr, reason = "a command line")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stderr, reason = "a command line")]
fn complain(error: &anyhow::Error) {
    eprintln!("hedgerow-testnet: failed to {error:#}");
}
