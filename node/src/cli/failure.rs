//! What a command can fail with, how that is told, and the exit code that says which kind it was.

use std::path::PathBuf;
use std::process::ExitCode;

use hedgerow_attest::reason::Reason;
use hedgerow_attest::revocation::{RevokedBy, VerifiedRevocation};
use hedgerow_attest::time::UnixSeconds;
use thiserror::Error;

use crate::admin::ClientError;

/// What the exit code of the process means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Not done.
    Failed = 1,
    /// Asked in a way that cannot be done; also clap's own code.
    Usage = 2,
    /// The node or what was asked for is not ready; trying again later may help.
    NotReady = 3,
    /// Some of it was done, such as a write that has not reached its quorum yet.
    PartlyDone = 4,
    /// The node of the data folder left its mesh earlier: to start it again is of no use.
    Left = 5,
    /// The node of the data folder was put out of its mesh: to start it again is of no use.
    Revoked = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked. Nothing was changed unless the variant says so.
#[derive(Debug, Error)]
pub enum CliError {
    /// No node answers in the data folder, it refused, or the conversation broke off.
    #[error(transparent)]
    Node(#[from] ClientError),
    /// What was typed does not make sense to this command.
    #[error("{what}")]
    Usage {
        /// What is wrong with it.
        what: String,
        /// What to type.
        remedy: &'static str,
    },
    /// A file that was named could not be read.
    #[error("read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The command runs without a node and failed by itself.
    #[error("{operation}")]
    Local {
        /// What was being done, as a verb phrase.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: anyhow::Error,
        /// The command that comes next.
        remedy: Option<String>,
        /// The exit code that fits.
        exit: Exit,
    },
    /// The same, where the error is a verb phrase by itself and needs no operation before it.
    #[error("{cause}")]
    Own {
        /// Why it failed.
        cause: anyhow::Error,
        /// The command that comes next, where the error does not say it.
        remedy: Option<&'static str>,
    },
    /// The node left its mesh for good in an earlier run, so that no other takes its word.
    #[error("run: this node left its mesh for good, and no other node takes its word any more")]
    Left,
    /// The node was put out of its mesh for good, in this run or an earlier one, so that no other takes its word.
    #[error("run: this node was put out of its mesh for good, by {by} on {at}: {reason}")]
    Revoked {
        /// Who did.
        by: String,
        /// When, by their clock.
        at: UnixSeconds,
        /// Why, in their words.
        reason: Reason,
    },
    /// Standard output does not take what is printed.
    #[error("print the answer")]
    Print(#[source] std::io::Error),
    /// The answer cannot be written as JSON.
    #[error("print the answer as JSON")]
    PrintJson(#[source] serde_json::Error),
    /// The answer cannot be written as YAML.
    #[error("print the answer as YAML")]
    PrintYaml(#[source] serde_saphyr::ser::Error),
}

impl CliError {
    /// A failure of a command that runs without a node.
    pub(super) fn local(operation: &'static str, source: impl Into<anyhow::Error>, remedy: Option<String>) -> Self {
        Self::Local { operation, source: source.into(), remedy, exit: Exit::Failed }
    }

    /// A failure whose error is a verb phrase by itself and names its remedy.
    pub(super) fn own(cause: impl Into<anyhow::Error>) -> Self {
        Self::Own { cause: cause.into(), remedy: None }
    }

    /// That the node was put out.
    pub(super) fn revoked(revocation: &VerifiedRevocation) -> Self {
        let by = match revocation.by() {
            RevokedBy::Operators { .. } => "the operators of the mesh".to_owned(),
            RevokedBy::Issuer { issuer, .. } => format!("issuer {issuer}"),
        };
        Self::Revoked { by, at: revocation.at(), reason: revocation.reason().clone() }
    }

    /// The exit code of the process.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Node(ClientError::NoNode { .. }) => Exit::NotReady,
            Self::Node(ClientError::Refused { status, .. }) => match status {
                400..=404 | 422 => Exit::Usage,
                503 | 504 => Exit::NotReady,
                _ => Exit::Failed,
            },
            Self::Local { exit, .. } => *exit,
            Self::Left => Exit::Left,
            Self::Revoked { .. } => Exit::Revoked,
            Self::Usage { .. } | Self::Node(ClientError::Form(_)) => Exit::Usage,
            Self::Node(_)
            | Self::Own { .. }
            | Self::ReadFile { .. }
            | Self::Print(_)
            | Self::PrintJson(_)
            | Self::PrintYaml(_) => Exit::Failed,
        }
    }

    /// The next thing to type, where one is known.
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Node(ClientError::NoNode { .. }) => {
                Some("start it with `hedgerow run`, or name its folder with --data DIR".to_owned())
            }
            Self::Node(ClientError::Refused { remedy, .. }) | Self::Local { remedy, .. } => remedy.clone(),
            Self::Usage { remedy, .. } => Some((*remedy).to_owned()),
            Self::Own { remedy, .. } => remedy.map(str::to_owned),
            Self::Left | Self::Revoked { .. } => Some(JOIN_AFRESH.to_owned()),
            Self::Node(ClientError::Form(_)) => Some("write names, tokens and ETags in visible ASCII".to_owned()),
            Self::Node(_) => Some("see what the node is doing with `hedgerow status`".to_owned()),
            Self::ReadFile { .. } | Self::Print(_) | Self::PrintJson(_) | Self::PrintYaml(_) => None,
        }
    }

    /// The whole message for standard error: what failed, every cause once, and what to do next.
    pub fn report(&self) -> String {
        let mut text = match self {
            Self::Usage { what, .. } => format!("hedgerow: {what}"),
            _ => format!("hedgerow: failed to {self}"),
        };
        let mut cause = match self {
            Self::Own { cause, .. } => cause.source(),
            _ => std::error::Error::source(self),
        };
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(remedy) = self.remedy() {
            text.push_str("\n  next: ");
            text.push_str(&remedy);
        }
        text
    }
}

/// What comes after a departure or a revocation.
pub(super) const JOIN_AFRESH: &str =
    "remove its data folder, or join as another node with `hedgerow join TICKET` and an empty folder (--data DIR)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_every_cause_once_and_the_next_command() {
        let error = CliError::Local {
            operation: "found a mesh",
            source: anyhow::anyhow!("the disk is full").context("write root.json"),
            remedy: Some("free some space".to_owned()),
            exit: Exit::Failed,
        };
        assert_eq!(
            error.report(),
            "hedgerow: failed to found a mesh: write root.json: the disk is full\n  next: free some space"
        );
        let own = CliError::own(anyhow::anyhow!("the disk is full").context("found a mesh"));
        assert_eq!(own.report(), "hedgerow: failed to found a mesh: the disk is full");
    }
}
