//! `hedgerow issuer`: who may issue certificates, and giving a node the right to in the name of the operators.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use hedgerow_attest::delegation::{self, Delegation};
use hedgerow_attest::endorsed::{ENDORSED_OVERHEAD, Endorsed};
use hedgerow_attest::id::MeshId;
use hedgerow_attest::identity::Identity;
use hedgerow_attest::membership::Certificate;
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_attest::signed::Domain as _;

use super::failure::{CliError, Exit};
use super::invite::parse_seconds;
use super::key::SigningKey;
use super::output::{OutputFormat, columns, line, print, short};
use super::statement;
use crate::admin::AdminClient;
use crate::admin::wire::{AppointmentReport, DelegationDraft, IssuerRow};
use crate::observe::wall;
use crate::store::{Layout, file};

/// `hedgerow issuer`
#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    /// Let a member write tickets, admit and renew, so that the mesh needs none of its issuers alone
    Add(IssuerAddArguments),
    /// List the members that may issue, and until when
    Ls,
}

/// `hedgerow issuer add`
#[derive(Debug, Args)]
pub(crate) struct IssuerAddArguments {
    /// The node: its id, or the first characters of it; an issuer, too, whose right is to end later
    #[arg(required_unless_present = "file")]
    node: Option<String>,
    /// How long it may issue, such as 90d [default: the longest that the root allows]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_seconds, conflicts_with = "file")]
    lifetime_s: Option<u64>,
    /// Secret key that signs it [default: operator.key in the data folder]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A delegation that another operator wrote with `--out`, to be signed, too
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    file: Option<PathBuf>,
    /// Write it to a file instead, for other operators to sign
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Lists the issuers, oldest right first.
pub(super) async fn list(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let issuers: Vec<IssuerRow> = client.get("list the issuers", "/admin/v1/issuers").await?;
    print(format, &issuers, |issuers, wide| table(issuers, wide))?;
    Ok(Exit::Ok)
}

/// Signs a delegation and brings it to the node, or writes it to a file for other operators.
pub(super) async fn add(
    client: &AdminClient,
    data: &Path,
    arguments: &IssuerAddArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let key = MEMBERSHIP_KEY.load(arguments.key.as_deref(), Layout::new(data).operator_key())?;
    let delegation = match (&arguments.file, &arguments.node) {
        (Some(path), _) => read(path)?,
        (None, Some(node)) => Endorsed::sign(&draft(client, node, arguments.lifetime_s).await?, &[]),
        (None, None) => {
            return Err(CliError::Usage {
                what: "no node".to_owned(),
                remedy: "hedgerow issuer add NODE, or --file FILE with what another operator signed",
            });
        }
    };
    if let (Some(_), Ok(named), OutputFormat::Table | OutputFormat::Wide) = (&arguments.file, delegation.peek(), format)
    {
        line(&format!("signing that node {} may issue until {}", named.issuer, named.not_after))?;
    }
    let delegation = delegation.endorse(&key).ok_or_else(statement::full)?;
    if let Some(path) = &arguments.out {
        return statement::hand_on(path, &delegation.to_bytes(), delegation.count(), "hedgerow issuer add --file");
    }
    let report: AppointmentReport = client.post_bytes(APPOINT, "/admin/v1/issuers", delegation.to_bytes()).await?;
    print(format, &report, |report, wide| {
        let node = if wide { report.node.clone() } else { short(&report.node) };
        format!("node {node} may issue until {}", report.until)
    })?;
    Ok(Exit::Ok)
}

/// What is to be signed. The node that is asked may lie: an id binds its keys by itself, and is the one that was typed.
async fn draft(client: &AdminClient, target: &str, lifetime_s: Option<u64>) -> Result<Delegation, CliError> {
    let draft: DelegationDraft = client.get(APPOINT, &format!("/admin/v1/issuers/{target}")).await?;
    let unread = |error: anyhow::Error| {
        let remedy = "give the whole id of the node, and run it on a node that you trust";
        CliError::local("believe the node's draft", error, Some(remedy.to_owned()))
    };
    let bytes = HEXLOWER.decode(draft.certificate.as_bytes()).map_err(|error| unread(error.into()))?;
    let certificate = Certificate::from_bytes(&bytes).map_err(|error| unread(error.into()))?;
    let identity = Identity::verify(&certificate.identity).map_err(|error| unread(error.into()))?;
    if !identity.node().to_string().starts_with(target) {
        return Err(unread(anyhow::anyhow!("it is of node {}", identity.node())));
    }
    let now = wall().unix_seconds();
    Ok(Delegation {
        version: delegation::VERSION,
        mesh: draft.mesh.parse::<MeshId>().map_err(|error| unread(error.into()))?,
        issuer: identity.node(),
        statement: *identity.statement(),
        not_before: now,
        not_after: now.plus_s(lifetime_s.unwrap_or(draft.lifetime_s_max)),
        serial: draft.serial,
    })
}

fn read(path: &Path) -> Result<Endorsed<Delegation>, CliError> {
    let bytes = file::read_bounded(path, (Delegation::PAYLOAD_MAX + ENDORSED_OVERHEAD) as u64)
        .map_err(|source| CliError::ReadFile { path: path.to_owned(), source })?;
    let read = Endorsed::from_bytes(&bytes).ok().filter(|read: &Endorsed<Delegation>| read.peek().is_ok());
    read.ok_or_else(|| CliError::Usage {
        what: format!("{} is no delegation", path.display()),
        remedy: "take a file that `hedgerow issuer add NODE --out FILE` wrote",
    })
}

fn table(issuers: &[IssuerRow], wide: bool) -> String {
    let row = |issuer: &IssuerRow| {
        let founds = if issuer.founds { "founds cells" } else { "" };
        let me = if issuer.me { "this node" } else { "" };
        let notes: Vec<_> = [founds, me].into_iter().filter(|note| !note.is_empty()).collect();
        vec![
            if wide { issuer.node.clone() } else { short(&issuer.node) },
            issuer.state.clone(),
            issuer.until.clone(),
            issuer.issued.to_string(),
            if notes.is_empty() { "-".to_owned() } else { notes.join(", ") },
        ]
    };
    columns(&["NODE", "STATE", "MAY ISSUE UNTIL", "ISSUED", "NOTES"], issuers.iter().map(row).collect())
}

const APPOINT: &str = "give the node the right to issue";

const MEMBERSHIP_KEY: SigningKey = SigningKey {
    purpose: SecretPurpose::Membership,
    operation: "load the membership key",
    remedy: "name an operator's key with --key FILE; the node that founded the mesh has operator.key in its data folder",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_listed_with_the_end_of_their_right() {
        let row = |node: &str, me, founds, issued| IssuerRow {
            node: node.to_owned(),
            me,
            state: "alive".to_owned(),
            until: "2031-02-03T04:05:06Z".to_owned(),
            issued,
            founds,
        };
        assert_eq!(
            table(&[row("abcdefghijkl", true, true, 12), row("mnopqrstuvwx", false, false, 1)], false),
            "NODE      STATE  MAY ISSUE UNTIL       ISSUED  NOTES\n\
             abcdefgh  alive  2031-02-03T04:05:06Z  12      founds cells, this node\n\
             mnopqrst  alive  2031-02-03T04:05:06Z  1       -"
        );
    }

    #[test]
    fn a_file_that_holds_no_delegation_is_refused_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"anything").unwrap();
        let refused = read(file.path()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.report().contains("is no delegation\n  next: take a file that"), "{}", refused.report());
    }
}
