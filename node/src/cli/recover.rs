//! `hedgerow recover`: gives a cell that lost its quorum for good other voters, in the name of the mesh's operators.

use std::path::Path;

use hedgerow_attest::endorsed::Endorsed;
use hedgerow_attest::secretfile::SecretPurpose;
use hedgerow_protocol::fact::{FACT_MAX, SignedFact};
use hedgerow_protocol::register::Recovery;
use hyper::Method;

use super::failure::{CliError, Exit};
use super::key::SigningKey;
use super::member_arguments::RecoverArguments;
use super::output::{OutputFormat, counted, print, short};
use super::statement;
use crate::admin::AdminClient;
use crate::admin::wire::RecoveryReport;
use crate::store::{Layout, file};

/// Shows what is to be signed; signs it; writes it to a file or has the mesh go by it.
pub(super) async fn run(
    client: &AdminClient,
    data: &Path,
    arguments: &RecoverArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let mut recovery = match &arguments.file {
        Some(path) => read(path)?,
        None => draft(client).await?,
    };
    if arguments.sign {
        let key = OPERATOR_KEY.load(arguments.key.as_deref(), Layout::new(data).operator_key())?;
        recovery = recovery.endorse(&key).ok_or_else(statement::full)?;
    }
    let seen = recovery.peek().map_err(|error| CliError::local("read the statement", error, None))?;
    let seen = RecoveryReport::of(&seen, recovery.count(), false);
    let fact = SignedFact::Recovery(recovery).to_bytes();
    let (report, outcome) = match &arguments.out {
        Some(path) => {
            statement::write(path, &fact)?;
            let next = format!("hedgerow recover {} --sign", path.display());
            (seen, format!("written to {}; another operator signs it with `{next}`", path.display()))
        }
        None if arguments.sign || arguments.submit => (
            client.post_bytes("have the mesh go by it", "/admin/v1/recovery", fact).await?,
            "the mesh goes by it".to_owned(),
        ),
        None => (seen, format!("nothing was signed or changed; {}", next_step(arguments.file.as_deref()))),
    };
    print(format, &report, |report, wide| format!("{}\n{outcome}", told(report, wide)))?;
    Ok(Exit::Ok)
}

/// A draft is made afresh; a file has the signatures of others.
fn next_step(file: Option<&Path>) -> String {
    file.map_or_else(
        || "`hedgerow recover --sign` has the mesh go by it".to_owned(),
        |path| {
            let command = format!("hedgerow recover {}", path.display());
            format!("`{command} --sign` adds a signature and has the mesh go by it, `{command} --submit` as it is")
        },
    )
}

async fn draft(client: &AdminClient) -> Result<Endorsed<Recovery>, CliError> {
    let answer = client.exchange(Method::GET, "/admin/v1/recovery", &[], Vec::new()).await?;
    opened(answer.body_or_refusal("draft a recovery")?).ok_or_else(|| {
        let remedy = "run the command of the same release as the node";
        CliError::local("read the node's draft", anyhow::anyhow!("it is no recovery"), Some(remedy.to_owned()))
    })
}

fn opened(bytes: &[u8]) -> Option<Endorsed<Recovery>> {
    match SignedFact::from_bytes(bytes) {
        Ok(SignedFact::Recovery(endorsed)) => Some(endorsed),
        Ok(_) | Err(_) => None,
    }
}

fn read(path: &Path) -> Result<Endorsed<Recovery>, CliError> {
    let bytes = file::read_bounded(path, FACT_MAX as u64)
        .map_err(|source| CliError::ReadFile { path: path.to_owned(), source })?;
    opened(&bytes).ok_or_else(|| CliError::Usage {
        what: format!("{} is no recovery", path.display()),
        remedy: "take a file that `hedgerow recover --out FILE` wrote",
    })
}

const OPERATOR_KEY: SigningKey = SigningKey {
    purpose: SecretPurpose::Operator,
    operation: "load the operator's key",
    remedy: "name an operator's key with --key FILE; the node that founded the mesh has operator.key in its data folder",
};

fn told(report: &RecoveryReport, wide: bool) -> String {
    let name = |id: &String| if wide { id.clone() } else { short(id) };
    let RecoveryReport { cell, generation, ends_generation, last_slot, quorum, signatures, .. } = report;
    let voters: Vec<String> = report.voters.iter().map(name).collect();
    let voting = format!("{} (quorum {quorum})", voters.join(", "));
    [
        format!("cell        {}", name(cell)),
        format!("generation  {generation}, after slot {last_slot} of generation {ends_generation}; what others know beyond it never counted"),
        format!("voters      {voting}"),
        format!("signed by   {}", counted(*signatures, "operator")),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_ends_and_who_votes() {
        let report = RecoveryReport {
            cell: "abcdefghijkl".to_owned(),
            generation: 1,
            ends_generation: 0,
            last_slot: 7,
            voters: vec!["one-of-them".to_owned(), "two".to_owned()],
            quorum: 2,
            signatures: 1,
            in_force: false,
        };
        assert_eq!(
            told(&report, false),
            "cell        abcdefgh\n\
             generation  1, after slot 7 of generation 0; what others know beyond it never counted\n\
             voters      one-of-t, two (quorum 2)\n\
             signed by   1 operator"
        );
    }

    #[test]
    fn the_next_step_keeps_the_signatures_of_a_file() {
        assert_eq!(next_step(None), "`hedgerow recover --sign` has the mesh go by it");
        assert_eq!(
            next_step(Some(Path::new("signed.bin"))),
            "`hedgerow recover signed.bin --sign` adds a signature and has the mesh go by it, \
             `hedgerow recover signed.bin --submit` as it is"
        );
    }

    #[test]
    fn a_file_that_holds_no_recovery_is_refused_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"anything").unwrap();
        let refused = read(file.path()).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
        assert!(refused.report().contains("is no recovery\n  next: take a file that"), "{}", refused.report());
    }
}
