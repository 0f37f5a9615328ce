//! `parlance doctor`.

use super::say;
use crate::config::Config;
use crate::doctor::{self, Finding, Verdict};
use anyhow::bail;
use clap::Args;
use serde_json::json;

/// The arguments of `parlance doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs all checks and prints a line for each.
///
/// # Errors
/// An error if a check failed; warnings are no errors.
pub async fn run(config: &Config, arguments: &DoctorArguments) -> anyhow::Result<()> {
    tell(&doctor::examine(config).await, arguments)
}

/// Reports why the configuration cannot be read.
///
/// # Errors
/// Always.
pub fn unconfigured(error: &anyhow::Error, arguments: &DoctorArguments) -> anyhow::Result<()> {
    tell(&doctor::unconfigured(error), arguments)
}

fn tell(findings: &[Finding], arguments: &DoctorArguments) -> anyhow::Result<()> {
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    if arguments.json {
        say(format_args!("{}", json!({ "ok": wrong == 0, "checks": findings })))?;
    } else {
        for Finding { check, verdict, says } in findings {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Wrong => "WRONG",
            };
            say(format_args!("{verdict:<8} {check:<15} {says}"))?;
        }
    }
    if wrong > 0 {
        bail!("{wrong} of {} checks found something wrong", findings.len());
    }
    Ok(())
}
