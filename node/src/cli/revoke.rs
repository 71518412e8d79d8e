//! `hedgerow revoke`: puts a node out of the mesh for good, in the name of the operators or of the issuer that let it in.

use std::path::Path;

use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::id::{MeshId, NodeId};
use hedgerow_attest::reason::Reason;
use hedgerow_attest::revocation::{self, Revocation};
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_protocol::fact::{FACT_MAX, SignedFact};

use super::failure::{CliError, Exit};
use super::key::SigningKey;
use super::member_arguments::RevokeArguments;
use super::output::{OutputFormat, line, print, short};
use super::statement;
use crate::admin::AdminClient;
use crate::admin::wire::{RevocationDraft, RevocationReport, WithdrawalRequest};
use crate::observe::wall;
use crate::store::{Layout, file};

/// Signs it and has the mesh go by it, or writes it to a file for other operators.
pub(super) async fn run(
    client: &AdminClient,
    data: &Path,
    arguments: &RevokeArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let reason: Reason = arguments.reason.parse().map_err(|error| CliError::Usage {
        what: format!("--reason: {error}"),
        remedy: "say it in one line of at most 96 bytes",
    })?;
    if arguments.as_issuer {
        let target = arguments.node.clone().unwrap_or_default();
        let request = WithdrawalRequest { target, reason: arguments.reason.clone() };
        let report: RevocationReport = client.post(REVOKE, "/admin/v1/withdrawals", &request).await?;
        print(format, &report, told)?;
        return Ok(Exit::Ok);
    }
    let key = REVOCATION_KEY.load(arguments.key.as_deref(), Layout::new(data).operator_key())?;
    let signed = match (&arguments.file, &arguments.node) {
        (Some(path), _) => read(path)?,
        (None, Some(node)) => Endorsed::sign(&draft(client, node, arguments.void_after, reason).await?, &[]),
        (None, None) => {
            return Err(CliError::Usage {
                what: "no node".to_owned(),
                remedy: "hedgerow revoke NODE, or --file FILE with what another operator signed",
            });
        }
    };
    if let (Some(_), Ok(named), OutputFormat::Table | OutputFormat::Wide) = (&arguments.file, signed.peek(), format) {
        line(&format!("signing that node {} is out for good: {}", named.node, named.reason))?;
    }
    let signed = signed.endorse(&key).ok_or_else(statement::full)?;
    let signatures = signed.count();
    let fact = SignedFact::Revocation(signed).to_bytes();
    if let Some(path) = &arguments.out {
        return statement::hand_on(path, &fact, signatures, "hedgerow revoke --file");
    }
    let report: RevocationReport = client.post_bytes(REVOKE, "/admin/v1/revocations", fact).await?;
    print(format, &report, told)?;
    Ok(Exit::Ok)
}

/// What the operators say; where nothing else is asked for, all holds that the node is known to have issued, and nothing later.
async fn draft(
    client: &AdminClient,
    target: &str,
    void_after: Option<u64>,
    reason: Reason,
) -> Result<Revocation, CliError> {
    let path = format!("/admin/v1/revocations/{target}");
    let draft: RevocationDraft = client.get(REVOKE, &path).await?;
    let unread = |error: anyhow::Error| CliError::local("read the node's draft", error, None);
    let node = draft.node.parse::<NodeId>().map_err(|error| unread(error.into()))?;
    let mesh = draft.mesh.parse::<MeshId>().map_err(|error| unread(error.into()))?;
    let holds_up_to = void_after.unwrap_or(draft.issued_up_to);
    let at = wall().unix_seconds();
    Ok(Revocation { version: revocation::VERSION, mesh, node, holds_up_to, at, reason })
}

fn read(path: &Path) -> Result<Endorsed<Revocation>, CliError> {
    let bytes = file::read_bounded(path, FACT_MAX as u64)
        .map_err(|source| CliError::ReadFile { path: path.to_owned(), source })?;
    match SignedFact::from_bytes(&bytes) {
        Ok(SignedFact::Revocation(endorsed)) => Ok(endorsed),
        Ok(_) | Err(_) => Err(CliError::Usage {
            what: format!("{} is no revocation", path.display()),
            remedy: "take a file that `hedgerow revoke NODE --out FILE` wrote",
        }),
    }
}

fn told(report: &RevocationReport, wide: bool) -> String {
    let name = |id: &String| if wide { id.clone() } else { short(id) };
    let by = if report.by == "operators" { report.by.clone() } else { format!("issuer {}", name(&report.by)) };
    let void = match report.holds_up_to {
        Some(serial) if serial > 0 => format!("\nwhat it issued after serial {serial} is void"),
        Some(_) | None => String::new(),
    };
    format!("node {} is out for good, by {by}: {}{void}", name(&report.node), report.reason)
}

const REVOKE: &str = "put the node out";

const REVOCATION_KEY: SigningKey = SigningKey {
    purpose: SecretPurpose::Revocation,
    operation: "load the revocation key",
    remedy: "name an operator's key with --key FILE; the node that founded the mesh has operator.key in its data folder",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_in_one_sentence_and_what_else_follows_in_another() {
        let report = |by: &str, holds_up_to| RevocationReport {
            node: "abcdefghijkl".to_owned(),
            by: by.to_owned(),
            holds_up_to,
            at: "2031-02-03T04:05:06Z".to_owned(),
            reason: "stolen".to_owned(),
        };
        assert_eq!(told(&report("operators", Some(0)), false), "node abcdefgh is out for good, by operators: stolen");
        assert_eq!(
            told(&report("operators", Some(7)), true),
            "node abcdefghijkl is out for good, by operators: stolen\nwhat it issued after serial 7 is void"
        );
        assert_eq!(
            told(&report("mnopqrstuvwx", None), false),
            "node abcdefgh is out for good, by issuer mnopqrst: stolen"
        );
    }

    #[test]
    fn a_file_that_holds_no_revocation_is_refused_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"anything").unwrap();
        let refused = read(file.path()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.report().contains("is no revocation\n  next: take a file that"), "{}", refused.report());
    }
}
