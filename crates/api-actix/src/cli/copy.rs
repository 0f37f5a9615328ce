//! `parlance copy`: one database into another.

use anyhow::{Context as _, bail};
use clap::Args;
use infra_diesel::copy::{Plan, Progress, Report, TableReport, TargetState, copy, plan};
use std::io::{self, IsTerminal as _, Write as _};

/// Where from, where to.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The database to read: sqlite://PATH or postgres://...
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database to fill: empty, or begun by an earlier copy
    #[arg(long, value_name = "URL")]
    to: String,
    /// Say what would be copied and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Copies, compares, and prints what came of it.
///
/// # Errors
/// In words for the operator; also where the two sides differ afterwards.
pub fn run(arguments: &CopyArguments) -> anyhow::Result<()> {
    let CopyArguments { from, to, dry_run } = arguments;
    if *dry_run {
        print_plan(&plan(from, to).context("nothing would be copied")?);
        return Ok(());
    }
    let mut bar = Bar::new();
    let outcome = copy(from, to, |progress| bar.draw(progress));
    bar.clear();
    let report = outcome.context("the copy is not complete")?;
    print_report(&report);
    if !report.is_same() {
        bail!("the two databases differ; the target stays marked as unfinished");
    }
    Ok(())
}

fn print_plan(plan: &Plan) {
    for (table, rows) in &plan.tables {
        println!("{table:<14} {rows:>12} rows");
    }
    println!(
        "{}, and nothing was changed",
        match plan.target {
            TargetState::Empty => "the target is empty",
            TargetState::Begun => "the target holds a copy that was begun and would go on",
        }
    );
}

fn print_report(report: &Report) {
    for table in &report.tables {
        let TableReport { table: name, from: (rows, hash), to: (other_rows, other_hash) } = table;
        let hash = hex(&hash[..8]);
        if table.is_same() {
            println!("{name:<14} {rows:>12} rows  {hash}  the same on both sides");
        } else {
            let other = hex(&other_hash[..8]);
            println!("{name:<14} {rows:>12} rows  {hash}  DIFFERS: the target has {other_rows} rows  {other}");
        }
    }
    println!("{} conversations compared one by one, {} differ", report.conversations, report.differing.len());
    for id in report.differing.iter().take(20) {
        println!("  differs: {id}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line on the terminal that is drawn over; nothing where nobody watches.
struct Bar {
    watched: bool,
    drawn: String,
}

impl Bar {
    fn new() -> Self {
        Self { watched: io::stderr().is_terminal(), drawn: String::new() }
    }

    fn draw(&mut self, progress: Progress) {
        let line = bar(progress);
        if self.watched && line != self.drawn {
            // Whoever does not see it misses nothing that counts.
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            self.drawn = line;
        }
    }

    fn clear(&mut self) {
        if !self.drawn.is_empty() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// How many characters the bar has.
const WIDTH: u64 = 30;

fn bar(Progress { doing, table, rows, of }: Progress) -> String {
    let done = (rows * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    let (full, empty) = ("#".repeat(done as usize), ".".repeat((WIDTH - done) as usize));
    format!("{doing:<9} {table:<13} [{full}{empty}] {rows} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let at = |rows, of| bar(Progress { doing: "copying", table: "users", rows, of });
        assert_eq!(at(0, 0), format!("copying   users         [{}] 0 of 0", "#".repeat(30)));
        assert_eq!(at(1, 3), format!("copying   users         [{}{}] 1 of 3", "#".repeat(10), ".".repeat(20)));
        assert_eq!(at(5, 3), format!("copying   users         [{}] 5 of 3", "#".repeat(30)));
    }
}
