//! The whole table: `docs/performance.md` says what each row is.
//!
//! What is compared takes turns in one run, a second or two each, since a machine that others use is not the same a
//! minute later; and every row stands beside the no-op of the same moment, which tells what the machine could do.

mod figures;
mod live;
mod load;
mod login;
mod population;
mod render;
mod rows;
mod searches;
mod start;
mod stock;
mod turn;

use crate::deployment::{Backend, SECRET};
use crate::server::{Server, program};
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum as _};
use figures::{Line, Section};
use rows::Row;
use std::path::{Path, PathBuf};
use std::process::Command;

use std::time::{Duration, Instant};
use stock::{Database, Stock};
use turn::turn;

#[derive(Debug, Args)]
pub struct Options {
    /// What the messages are stored in; what is not installed is left out
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite,postgres")]
    backend: Vec<Backend>,
    /// How many messages the databases hold
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000")]
    messages: Vec<u64>,
    /// 5,000,000 messages as well
    #[arg(long)]
    full: bool,
    /// Which rows; all without it
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How many turns each row has
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn is measured; the no-op beside it half as long
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The server's binary; two take turns and are compared
    #[arg(long, value_delimiter = ',')]
    binary: Vec<PathBuf>,
    /// Writes the figures to this file, too
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Options {
    fn rows(&self) -> Vec<Row> {
        if self.rows.is_empty() { Row::value_variants().to_vec() } else { self.rows.clone() }
    }

    fn messages(&self) -> Vec<u64> {
        let mut messages = self.messages.clone();
        messages.extend(self.full.then_some(5_000_000));
        messages.sort_unstable();
        messages.dedup();
        messages
    }

    fn programs(&self) -> anyhow::Result<Vec<PathBuf>> {
        if self.binary.is_empty() {
            let binary = program(None)?;
            build(&binary)?;
            return Ok(vec![binary]);
        }
        self.binary.iter().map(|binary| program(Some(binary))).collect()
    }
}

/// Under `cargo run`, has the server's program built as this one was: there may be none yet, or one of yesterday's.
fn build(binary: &Path) -> anyhow::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let directory = binary.parent().and_then(Path::file_name).and_then(|name| name.to_str()).context("no directory")?;
    let profile = if directory == "debug" { "dev" } else { directory };
    let arguments = ["build", "--quiet", "--package", "parlance", "--profile", profile];
    let built = Command::new(cargo).args(arguments).status().context("cargo does not run")?;
    ensure!(built.success(), "the server was not built");
    Ok(())
}

/// A server on a database of its own.
struct Target {
    server: Server,
    section: Section,
    database: Database,
}

/// Runs it and prints the table.
pub async fn run(options: Options) -> anyhow::Result<()> {
    ensure!(options.rounds > 0 && options.seconds > 0.0, "at least one round, and some time");
    let programs = options.programs()?;
    let begun = Instant::now();
    let mut sections = Vec::new();
    for backend in &options.backend {
        let Some(mut stock) = Stock::new(*backend)? else {
            println!("Postgres is not installed: its rows are left out.");
            continue;
        };
        for messages in options.messages() {
            sections.extend(on_messages(&mut stock, *backend, &programs, messages, &options).await?);
        }
        sections.extend(live::sections(&stock, *backend, &programs, &options).await?);
    }
    println!("{}", render::markdown(&sections));
    println!("Took {:.0} s in all.", begun.elapsed().as_secs_f64());
    if let Some(path) = &options.json {
        let sections: Vec<_> = sections.iter().map(Section::json).collect();
        let text = serde_json::to_string_pretty(&sections)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// What is measured on a database with so many messages.
async fn on_messages(
    stock: &mut Stock,
    backend: Backend,
    programs: &[PathBuf],
    messages: u64,
    options: &Options,
) -> anyhow::Result<Vec<Section>> {
    let chosen = options.rows();
    let mut rows: Vec<Row> = chosen.iter().copied().filter(|row| row.is_requests()).collect();
    let (login, cold) = (chosen.contains(&Row::Login), chosen.contains(&Row::Start));
    let searching = chosen.contains(&Row::Searching);
    if rows.is_empty() && !login && !cold && !searching {
        return Ok(Vec::new());
    }
    rows.sort_by_key(|row| row.writes());
    let mut targets = Vec::new();
    for binary in programs {
        targets.push(start(stock, backend, binary, messages).await?);
    }
    let tokens = stock::tokens_of_all()?;
    if chosen.iter().any(|row| row.searches()) {
        for target in &targets {
            searches::until_indexed(&target.server, &tokens).await?;
        }
    }
    // Reading first: what is sent makes the databases larger.
    for rows in rows.chunk_by(|one, other| one.writes() == other.writes()) {
        for target in &mut targets {
            let line = |row: &Row| Line { row: *row, turns: Vec::new(), no_op: Vec::new() };
            target.section.lines.extend(rows.iter().map(line));
        }
        for round in 0..options.rounds {
            let mut rows = rows.to_vec();
            // There and back: whoever always came second would have the fuller tables.
            if round % 2 == 1 {
                rows.reverse();
                targets.reverse();
            }
            for row in rows {
                for target in &mut targets {
                    let (scripts, no_op) = (row.scripts(messages, &tokens), row.no_op());
                    let seconds = Duration::from_secs_f64(options.seconds);
                    let no_op = turn(&target.server, stock.cluster(), no_op, seconds / 2).await?;
                    let turn = turn(&target.server, stock.cluster(), scripts, seconds).await;
                    let turn = turn.with_context(|| row.title())?;
                    let (title, share) = (row.title(), turn.rate / no_op.rate);
                    let (round, rate, no_op_rate) = (round + 1, turn.rate, no_op.rate);
                    eprintln!(
                        "{backend:?} {messages} round {round}: {title} {rate:.0}/s, {share:.3} of the no-op's {no_op_rate:.0}/s"
                    );
                    let line = target.section.lines.iter_mut().find(|line| line.row == row).context("no line")?;
                    line.turns.push(turn);
                    line.no_op.push(no_op);
                }
            }
            if round % 2 == 1 {
                targets.reverse();
            }
        }
    }
    let mut sections = Vec::new();
    for (Target { server, mut section, database }, binary) in targets.into_iter().zip(programs) {
        if searching {
            section.facts.push(searches::beside_sends(&server, &tokens, options).await?);
        }
        server.terminate().await?;
        if cold {
            section.facts.push(start::on_filled(binary, &database, messages, &tokens).await?);
        }
        if login {
            section.facts.push(login::beside_sends(binary, &database, &tokens, options).await?);
        }
        sections.push(section);
    }
    Ok(sections)
}

async fn start(stock: &mut Stock, backend: Backend, binary: &Path, messages: u64) -> anyhow::Result<Target> {
    let database = stock.filled(binary, messages)?;
    let server = serve(binary, &database, &[]).await?;
    Ok(Target { server, section: section(backend, Some(messages), binary), database })
}

fn section(backend: Backend, messages: Option<u64>, binary: &Path) -> Section {
    let backend = match backend {
        Backend::Sqlite => "SQLite",
        Backend::Postgres => "Postgres",
    };
    let program = binary.display().to_string();
    Section { backend: backend.to_owned(), messages, program, ..Section::default() }
}

/// A server on this database that takes the tokens made here.
async fn serve(binary: &Path, database: &Database, more: &[(&str, &str)]) -> anyhow::Result<Server> {
    let mut environment = vec![
        ("DATABASE_URL", database.url.as_str()),
        ("PARLANCE_JWT_SECRET", SECRET),
        ("PARLANCE_ALLOW_UNSAFE_DURABILITY", "off"),
    ];
    environment.extend(more);
    Server::node(Some(binary), &environment).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        Line::try_parse_from(["table"].iter().chain(arguments)).map(|line| line.options).unwrap()
    }

    #[test]
    fn without_arguments_it_is_everything_that_a_laptop_does_in_minutes() {
        let options = options(&[]);
        assert_eq!(options.messages(), [10_000, 1_000_000]);
        assert_eq!(options.backend, [Backend::Sqlite, Backend::Postgres]);
        assert_eq!(options.rows().len(), Row::value_variants().len());
    }

    #[test]
    fn what_is_to_be_measured_can_be_chosen() {
        let chosen = options(&["--full", "--messages", "7", "--rows", "page,send64", "--binary", "a,b"]);
        assert_eq!(chosen.messages(), [7, 5_000_000]);
        assert_eq!(chosen.rows(), [Row::Page, Row::Send64]);
        assert_eq!(chosen.programs().unwrap().len(), 2);
        assert!(Line::try_parse_from(["table", "--rows", "nothing"]).is_err());
    }
}
