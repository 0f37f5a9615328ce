//! `parlance demo`: starts a server with sample data.

use super::say;
use crate::app::{Application, Offline, Overrides};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::demo::{self, GUIDES, PASSWORD};
use anyhow::{Context as _, bail};
use clap::builder::ValueParser;
use clap::{Arg, Args, value_parser};
use domain::Clock as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The arguments of `parlance demo`.
#[derive(Debug, Args)]
#[command(arg(refused("config", "config", value_parser!(PathBuf))))]
#[command(arg(refused("database_url", "database-url", value_parser!(String))))]
pub struct DemoArguments {
    /// The same seed gives the same sample data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fill the data directory and exit
    #[arg(long)]
    no_serve: bool,
}

/// A flag of all commands that this one refuses ([`Config::load_demo`]), so that its help does not offer it.
fn refused(id: &'static str, flag: &'static str, parser: impl Into<ValueParser>) -> Arg {
    Arg::new(id).long(flag).value_parser(parser.into()).hide(true)
}

/// Fills the demo's data directory if it is new, prints the accounts, and serves.
///
/// # Errors
/// A message for the operator, also if the directory holds other data.
pub async fn run(config: Config, arguments: &DemoArguments) -> anyhow::Result<()> {
    crate::backup::refuse_half_restored(&config)?;
    let shown = config.data_dir.display().to_string();
    let what = match State::of(&config.data_dir)? {
        State::DemoSummary(what) => format!("{what}, created earlier; remove {shown} to create another"),
        State::Foreign => bail!("{shown} holds data of no demo: name another directory with --data-dir"),
        state @ (State::Empty | State::Begun) => {
            if let State::Begun = state {
                clear(&config.data_dir)
                    .with_context(|| format!("cannot clear what an earlier demo began in {shown}"))?;
            }
            fill(&config, arguments.seed).await?
        }
    };
    let [first, second, third] = GUIDES;
    let log_in = format_args!("log in as {first}, {second} or {third}; the password of all users is: {PASSWORD}");
    let told = say(what).and_then(|()| say(log_in));
    if arguments.no_serve {
        told?;
        return say(format_args!("to serve it: parlance demo --data-dir {shown}"));
    }
    // The demo serves even if nothing reads its standard output.
    Application::build(config, Overrides::default()).await?.run_until_stopped().await
}

async fn fill(config: &Config, seed: u64) -> anyhow::Result<String> {
    config.make_data_dir()?;
    std::fs::write(config.data_dir.join(MARKER), BEGUN)?;
    let now = SystemClock.now();
    let (clock, ids) = demo::clock_and_ids(now, seed);
    let offline = Offline::open(config, clock.clone(), ids).await?;
    let filled = demo::fill(&offline.use_cases, &clock, now, seed).await;
    offline.close().await;
    let demo::DemoSummary { people, groups, messages } = filled.context("the demo could not be filled")?;
    let what = format!("a demo of {people} people, {groups} groups and {messages} messages (seed {seed})");
    std::fs::write(config.data_dir.join(MARKER), &what)?;
    Ok(what)
}

/// The marker: a file that says that a directory is the demo's, and whether it is complete.
const MARKER: &str = "demo";
/// The content of the marker while the demo is being filled.
const BEGUN: &str = "begun";
/// The other files of a demo, which must not exist for a new one.
const MADE: [&str; 3] = ["parlance.db", "parlance.db-wal", "parlance.db-shm"];

/// The state of the directory.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Empty.
    Empty,
    /// An unfinished demo.
    Begun,
    /// A complete demo.
    DemoSummary(String),
    /// Other data.
    Foreign,
}

impl State {
    fn of(data_dir: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(data_dir.join(MARKER)) {
            Ok(text) if text == BEGUN || text.is_empty() => Ok(Self::Begun),
            Ok(text) => Ok(Self::DemoSummary(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let taken = MADE.iter().chain(&["uploads", "jwt-secret"]).any(|name| data_dir.join(name).exists());
                Ok(if taken { Self::Foreign } else { Self::Empty })
            }
            Err(error) => Err(error).context("cannot read the marker of the demo"),
        }
    }
}

/// Removes the files of an unfinished demo.
fn clear(data_dir: &Path) -> std::io::Result<()> {
    for name in MADE {
        match std::fs::remove_file(data_dir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match std::fs::remove_dir_all(data_dir.join("uploads")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_demo_made_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let state = || State::of(dir.path()).unwrap();
        assert_eq!(state(), State::Empty);
        for name in ["parlance.db", "jwt-secret"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
            assert_eq!(state(), State::Foreign, "{name}");
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join(MARKER), BEGUN).unwrap();
        std::fs::write(dir.path().join("parlance.db"), "half").unwrap();
        std::fs::create_dir_all(dir.path().join("uploads/aa")).unwrap();
        assert_eq!(state(), State::Begun);
        clear(dir.path()).unwrap();
        assert!(!dir.path().join("parlance.db").exists() && !dir.path().join("uploads").exists());
        std::fs::write(dir.path().join(MARKER), "a demo").unwrap();
        assert_eq!(state(), State::DemoSummary("a demo".to_owned()));
    }
}
