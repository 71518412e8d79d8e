//! What the demonstration prints, and the count that decides its exit code.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;

/// One line per check; on a terminal the check under way is shown as well.
#[derive(Debug)]
pub(super) struct Report {
    live: bool,
    passed: u32,
    failed: u32,
}

impl Report {
    /// Prints plain lines unless standard output is a terminal.
    pub(super) fn new() -> Self {
        Self { live: std::io::stdout().is_terminal(), passed: 0, failed: 0 }
    }

    /// A heading for the checks that follow.
    pub(super) fn step(&self, title: &str) -> Result<()> {
        write_line(&format!("\n{title}"))
    }

    /// Something worth knowing that is not a check.
    pub(super) fn note(&self, text: &str) -> Result<()> {
        write_line(&format!("        {text}"))
    }

    /// Runs one check and prints what it saw and how long it took.
    ///
    /// A check that fails is counted and printed; the checks after it still run, because what else holds is worth knowing.
    pub(super) async fn check<F>(&mut self, name: &str, observe: F) -> Result<bool>
    where
        F: Future<Output = Result<String>>,
    {
        if self.live {
            let mut out = std::io::stdout().lock();
            write!(out, "  ....  {name}")?;
            out.flush()?;
        }
        let start = Instant::now();
        let outcome = observe.await;
        let took = duration(start.elapsed());
        let erase = if self.live { "\r\u{1b}[2K" } else { "" };
        match outcome {
            Ok(seen) => {
                self.passed += 1;
                write_line(&format!("{erase}  ok    {name}: {seen} ({took})"))?;
                Ok(true)
            }
            Err(error) => {
                self.failed += 1;
                write_line(&format!("{erase}  FAIL  {name}: {error:#} ({took})"))?;
                Ok(false)
            }
        }
    }

    /// The last line, and whether every check passed.
    pub(super) fn finish(&self) -> Result<bool> {
        write_line(&format!("\ndemo: {} of {} checks passed", self.passed, self.passed + self.failed))?;
        Ok(self.failed == 0 && self.passed > 0)
    }
}

/// A duration with the precision that a person reads.
pub(super) fn duration(elapsed: Duration) -> String {
    if elapsed < Duration::from_millis(10) {
        format!("{:.1} ms", elapsed.as_secs_f64() * 1_000.0)
    } else if elapsed < Duration::from_secs(1) {
        format!("{} ms", elapsed.as_millis())
    } else {
        format!("{:.1} s", elapsed.as_secs_f64())
    }
}

fn write_line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_check_fails_the_run_and_does_not_stop_it() {
        let mut report = Report { live: false, passed: 0, failed: 0 };
        assert!(!report.check("first", async { anyhow::bail!("no") }).await.unwrap());
        assert!(report.check("second", async { Ok("yes".to_owned()) }).await.unwrap());
        assert_eq!((report.passed, report.failed), (1, 1));
        assert!(!report.finish().unwrap());
    }

    #[test]
    fn a_run_without_checks_has_not_passed() {
        assert!(!Report { live: false, passed: 0, failed: 0 }.finish().unwrap());
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(512)), "512 ms");
        assert_eq!(duration(Duration::from_millis(3_449)), "3.4 s");
    }
}
