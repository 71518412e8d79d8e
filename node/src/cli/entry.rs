//! From the words that were typed to an exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::arguments::{Cli, Command, ModelCommand, PlacementCommand, SessionCommand};
use super::failure::{CliError, Exit};
use super::issuer::IssuerCommand;
use super::{
    apply, declare, doctor, emulate, events, forget, infer, init, inspect, invite, issuer, join, leave, members, model,
    nearest, netcheck, ping, placement, recover, revoke, run, session, status,
};
use crate::admin::AdminClient;
use crate::config::default_data_dir;
use crate::demo;

/// Runs one command line, the name of the program first, and says how it ended.
///
/// Answers go to standard output; errors go to standard error and name the next command.
pub fn main_from(words: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(&CliError::Print(error)),
    };
    match runtime.block_on(run_command(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => told(&error),
    }
}

async fn run_command(cli: Cli) -> Result<Exit, CliError> {
    let data = data_dir(cli.data)?;
    let format = cli.output;
    let client = AdminClient::in_data_dir(&data);
    match cli.command {
        Command::Init(arguments) => init::run(&data, &arguments),
        Command::Run(arguments) => run::run(&data, &arguments).await,
        Command::Join(arguments) => join::run(&data, &arguments).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Invite(arguments) => invite::run(&client, &arguments, format).await,
        Command::Issuer(IssuerCommand::Add(arguments)) => issuer::add(&client, &data, &arguments, format).await,
        Command::Issuer(IssuerCommand::Ls) => issuer::list(&client, format).await,
        Command::Members => members::run(&client, format).await,
        Command::Status => status::run(&client, format).await,
        Command::Events(arguments) => events::run(&client, &arguments, format).await,
        Command::Nearest(arguments) => nearest::run(&client, &arguments, format).await,
        Command::Ping(arguments) => ping::run(&client, &arguments, format).await,
        Command::Netcheck => netcheck::run(&client, format).await,
        Command::Model(ModelCommand::Push(arguments)) => model::push(&client, &data, &arguments, format).await,
        Command::Model(ModelCommand::Ls) => model::list(&client, format).await,
        Command::Model(ModelCommand::Inspect(arguments)) => inspect::run(&client, &arguments, format).await,
        Command::Model(ModelCommand::Verify(name)) => model::verify(&client, &name.name, format).await,
        Command::Infer(arguments) => infer::run(&client, &arguments, format).await,
        Command::Session(SessionCommand::Put(arguments)) => session::put(&client, &arguments, format).await,
        Command::Session(SessionCommand::Get(arguments)) => session::get(&client, &arguments, format).await,
        Command::Session(SessionCommand::Ls) => session::list(&client, format).await,
        Command::Session(SessionCommand::Locate(key)) => session::locate(&client, &key, format).await,
        Command::Placement(PlacementCommand::Explain(key)) => placement::explain(&client, &key.key, format).await,
        Command::Get(arguments) => declare::get(&client, &arguments, format).await,
        Command::Diff(manifests) => declare::diff(&client, &manifests, format).await,
        Command::Plan(manifests) => declare::plan(&client, &manifests, format).await,
        Command::Apply(arguments) => apply::run(&client, &data, &arguments, format).await,
        Command::Leave(arguments) => leave::run(&client, &arguments, format).await,
        Command::Revoke(arguments) => revoke::run(&client, &data, &arguments, format).await,
        Command::Forget(arguments) => forget::run(&client, &arguments, format).await,
        Command::Recover(arguments) => recover::run(&client, &data, &arguments, format).await,
        Command::Emulate(arguments) => emulate::run(&client, &arguments, format).await,
        Command::Doctor => doctor::run(&client, &data, format).await,
    }
}

fn data_dir(given: Option<PathBuf>) -> Result<PathBuf, CliError> {
    given.or_else(default_data_dir).ok_or(CliError::Usage {
        what: "no data folder: neither XDG_STATE_HOME nor HOME is set".to_owned(),
        remedy: "name one with --data DIR",
    })
}

#[expect(clippy::print_stderr, reason = "a command line")]
fn told(error: &CliError) -> ExitCode {
    eprintln!("{}", error.report());
    error.exit().into()
}

/// Prints help or what clap has against the words; help that was asked for is not a failure.
fn usage(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        return Exit::Failed.into();
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}
