//! What `hedgerow doctor` makes of one thing that it looked at.

use serde::Serialize;

use crate::observe::chain;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    pub(super) seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// Nothing is wrong yet.
    Warn,
    Fail,
}

/// Errors read after "failed to"; a finding is a sentence of its own.
pub(super) fn cannot(error: &dyn std::error::Error) -> String {
    format!("cannot {}", chain(error))
}

pub(super) fn good(what: &'static str, seen: String) -> Finding {
    Finding { what, verdict: Verdict::Ok, seen, remedy: None }
}

pub(super) fn warn(what: &'static str, seen: String, remedy: &str) -> Finding {
    Finding { what, verdict: Verdict::Warn, seen, remedy: Some(remedy.to_owned()) }
}

/// Something is wrong, and the error names its remedy itself.
pub(super) fn broken(what: &'static str, seen: String) -> Finding {
    Finding { what, verdict: Verdict::Fail, seen, remedy: None }
}

pub(super) fn bad(what: &'static str, seen: String, remedy: &str) -> Finding {
    Finding { what, verdict: Verdict::Fail, seen, remedy: Some(remedy.to_owned()) }
}

pub(super) fn told(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        lines.push(format!("{verdict}  {}: {}", finding.what, finding.seen));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("      next: {remedy}"));
        }
    }
    lines.join("\n")
}
