//! Checks everything that a server needs.
//!
//! Each check prints one line: that all is well, or what the operator has to do. The doctor changes nothing except for
//! probe files in the data directories and in the store of uploads, which it removes again. A server may run meanwhile.

mod database;
mod local;
mod uploads;

use crate::config::{self, Config};
use serde::Serialize;
use std::time::Duration;

/// How long NATS may take to answer.
const NATS_WITHIN: Duration = Duration::from_secs(5);

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// A warning; a server runs nevertheless.
    Warning,
    /// A fault that the operator has to mend.
    Wrong,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// A message without secrets.
    pub says: String,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, says: impl Into<String>) -> Self {
        let says = says.into();
        // Messages of libraries (libpq, for example) may contain line ends; a check prints one line.
        let says = says.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        Self { check, verdict, says }
    }

    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, says)
    }

    fn warning(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, says)
    }

    fn wrong(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, Verdict::Wrong, says)
    }
}

/// The finding for an unreadable configuration; the doctor cannot check anything else then.
pub fn unconfigured(error: &anyhow::Error) -> Vec<Finding> {
    let mut findings = vec![Finding::wrong("configuration", format!("{error:#}"))];
    findings.extend(environment(&config::unknown_variables()));
    findings
}

/// Reports variables that look like keys and are none.
fn environment(unknown: &[String]) -> Vec<Finding> {
    const CHECK: &str = "environment";
    match unknown {
        [] => vec![Finding::ok(CHECK, "every PARLANCE_... variable is a key")],
        unknown => unknown.iter().map(|sentence| Finding::warning(CHECK, sentence)).collect(),
    }
}

/// Runs all checks. Needs a running actix system.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("configuration", "is read and understood")];
    findings.extend(environment(&config.unknown));
    findings.push(local::secret(config));
    findings.extend(local::half_restored(config));
    findings.extend(local::disks(config));
    let database = database::examine(config).await;
    let is_readable = database.is_readable;
    findings.extend(database.findings);
    findings.extend(uploads::examine(config, is_readable).await);
    findings.push(local::descriptors(config));
    findings.push(local::port(config));
    findings.push(nats(config).await);
    findings
}

/// The bus between nodes.
async fn nats(config: &Config) -> Finding {
    const CHECK: &str = "nats";
    let Some(options) = config.nats.clone() else {
        return Finding::ok(CHECK, "not configured: this is the only node");
    };
    match tokio::time::timeout(NATS_WITHIN, options.probe()).await {
        Ok(Ok(())) => Finding::ok(CHECK, "answers"),
        Ok(Err(error)) => {
            Finding::wrong(CHECK, format!("PARLANCE_NATS_URL: {error}; until it answers, events are late"))
        }
        Err(_) => Finding::wrong(CHECK, "PARLANCE_NATS_URL: it does not answer; until it does, events are late"),
    }
}
