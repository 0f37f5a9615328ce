//! `parlance copy`: copies one database into another.

use super::bar::Bar;
use super::say;
use crate::config::UsageError;
use anyhow::bail;
use clap::Args;
use infra_diesel::copy::{CopyError, Plan, Progress, Report, TableReport, TargetState, copy, plan};

/// The arguments of `parlance copy`.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The database to read: sqlite://PATH or postgres://...
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database to fill: empty, or begun by an earlier copy
    #[arg(long, value_name = "URL")]
    to: String,
    /// Report what would be copied and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Copies, compares, and prints the result.
///
/// # Errors
/// A message for the operator, also if the two databases differ afterwards.
pub fn run(arguments: &CopyArguments) -> anyhow::Result<()> {
    let CopyArguments { from, to, dry_run } = arguments;
    if *dry_run {
        return print_plan(&plan(from, to).map_err(|error| refusal("nothing would be copied", error))?);
    }
    let mut bar = Bar::new();
    let outcome = copy(from, to, |Progress { doing, table, rows, of }| {
        bar.draw(&format!("{doing:<9} {table}"), rows, of);
    });
    bar.clear();
    let report = outcome.map_err(|error| refusal("the copy is incomplete", error))?;
    let printed = print_report(&report);
    if !report.is_same() {
        bail!("the two databases differ; the target stays marked as unfinished");
    }
    printed
}

/// A URL without a database is wrong usage; the copy itself finds other faults.
fn refusal(what: &'static str, error: CopyError) -> anyhow::Error {
    match error {
        CopyError::Url(_) => UsageError(format!("{what}: {error}")).into(),
        error => anyhow::Error::from(error).context(what),
    }
}

fn print_plan(plan: &Plan) -> anyhow::Result<()> {
    for (table, rows) in &plan.tables {
        say(format_args!("{table:<14} {rows:>12} rows"))?;
    }
    let target = match plan.target {
        TargetState::Empty => "the target is empty",
        TargetState::Begun => "the target holds an unfinished copy, which would go on",
    };
    say(format_args!("{target}; nothing has changed"))
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    for table in &report.tables {
        let TableReport { table: name, from: (rows, hash), to: (other_rows, other_hash) } = table;
        let hash = hex(&hash[..8]);
        if table.is_same() {
            say(format_args!("{name:<14} {rows:>12} rows  {hash}  the same on both sides"))?;
        } else {
            let other = hex(&other_hash[..8]);
            say(format_args!(
                "{name:<14} {rows:>12} rows  {hash}  DIFFERS: the target has {other_rows} rows  {other}"
            ))?;
        }
    }
    let (compared, differ) = (report.conversations, report.differing.len());
    say(format_args!("{compared} conversations compared one by one, {differ} differ"))?;
    report.differing.iter().take(20).try_for_each(|id| say(format_args!("  differs: {id}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
