//! `hedgerow leave`: this node leaves its mesh for good, and says meanwhile what it waits for.

use std::time::Duration;

use super::failure::{CliError, Exit};
use super::member_arguments::LeaveArguments;
use super::output::{OutputFormat, counted, print, short};
use crate::admin::wire::{DepartureReport, DepartureRequest, DepartureState};
use crate::admin::{AdminClient, ClientError};

/// Has the node leave, and follows it until it has; exit code 4 where it went before it was relieved.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &LeaveArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let request = DepartureRequest { abandon: arguments.abandon };
    let mut report: DepartureReport = client.post(LEAVE, PATH, &request).await?;
    let mut told = None;
    while report.state == DepartureState::Leaving {
        let waits = waits_for(&report);
        if told.as_ref() != Some(&waits) {
            let limit = report.gives_up_in_ms.map(|ms| format!("; goes in {} s in any case", ms / 1000));
            tell(&format!("leaving: {waits}{}, also if this command is interrupted", limit.unwrap_or_default()));
            told = Some(waits);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        report = client.get(LEAVE, PATH).await.map_err(broken_off)?;
    }
    match report.state {
        DepartureState::Left => {
            print(format, &report, |report, _| left(report))?;
            Ok(if report.is_relieved || arguments.abandon { Exit::Ok } else { Exit::PartlyDone })
        }
        DepartureState::Staying | DepartureState::Leaving | DepartureState::Failed | DepartureState::Unknown => {
            let why = report.error.unwrap_or_else(|| "it says no more that it leaves".to_owned());
            Err(CliError::local(LEAVE, anyhow::anyhow!(why), Some("see its log, then try again".to_owned())))
        }
    }
}

/// What others have yet to take over.
fn waits_for(report: &DepartureReport) -> String {
    let groups = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "group");
    let votes = report.votes.then(|| "its vote to be taken over".to_owned());
    let held =
        (report.groups_held > 0).then(|| format!("{} of sessions to be placed elsewhere", groups(report.groups_held)));
    let open =
        (report.groups_open > 0).then(|| format!("{} of sessions to be handed over", groups(report.groups_open)));
    let waits: Vec<String> = [votes, held, open].into_iter().flatten().collect();
    if waits.is_empty() { "tells the mesh".to_owned() } else { format!("waits for {}", waits.join(", ")) }
}

fn left(report: &DepartureReport) -> String {
    let node = short(&report.node);
    let seconds = report.waited_ms as f64 / 1000.0;
    let how = if report.is_relieved {
        "nothing that it had is missing"
    } else {
        "NOT all that it had was taken over: others have fewer copies than they should, or what only it had is lost"
    };
    format!(
        "node {node} left the mesh for good after {seconds:.1} s; {how}\n\
         its process ends; its data folder is of no further use, and joins no mesh again"
    )
}

/// A node that ends meanwhile may have left or not.
fn broken_off(error: ClientError) -> CliError {
    match error {
        ClientError::NoNode { .. } | ClientError::Io { .. } | ClientError::Http { .. } | ClientError::Late { .. } => {
            CliError::Own {
                cause: anyhow::Error::from(error).context("see the node leave: it does not answer any more"),
                remedy: Some(
                    "start it with `hedgerow run`, which says whether it has left; if not, repeat the command",
                ),
            }
        }
        other @ (ClientError::Form(_)
        | ClientError::Encode(_)
        | ClientError::TooLarge
        | ClientError::Refused { .. }
        | ClientError::BadAnswer { .. }) => other.into(),
    }
}

#[expect(clippy::print_stderr, reason = "progress is for people, the answer alone goes to standard output")]
fn tell(text: &str) {
    eprintln!("{text}");
}

const LEAVE: &str = "leave the mesh";
const PATH: &str = "/admin/v1/departure";

/// Often enough that a departure of a node that nobody needs seems to take no time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn report(votes: bool, groups_held: u64, groups_open: u64) -> DepartureReport {
        DepartureReport {
            node: "abcdefghijkl".to_owned(),
            state: DepartureState::Leaving,
            votes,
            groups_held,
            groups_open,
            is_relieved: false,
            waited_ms: 1234,
            gives_up_in_ms: Some(598_766),
            error: None,
        }
    }

    #[test]
    fn what_is_waited_for_is_named_and_nothing_else() {
        assert_eq!(waits_for(&report(false, 0, 0)), "tells the mesh");
        assert_eq!(
            waits_for(&report(true, 16, 1)),
            "waits for its vote to be taken over, 16 groups of sessions to be placed elsewhere, \
             1 group of sessions to be handed over"
        );
    }
}
