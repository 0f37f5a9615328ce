//! Filled databases: made once, kept under `target/bench-data`, and copied for each run.

use super::population::{self, Kind, USERS, id, name};
use crate::deployment::{Backend, SECRET};
use anyhow::{Context as _, ensure};
use domain::Clock as _;
use domain::sessions::{Session, TokenService as _};
use domain::users::Username;
use domain::{SessionId, Timestamp, UserId};
use infra_auth::JwtTokens;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tempfile::TempDir;
use test_support::{Cluster, SystemClock, run_sql};

/// Counts up when what is filled in changes.
const EDITION: u32 = 2;

/// The migration since which conversations have digests.
const FIRST_WITH_DIGESTS: &str = "20261127000130";

/// Whence databases of one kind come.
pub struct Stock {
    backend: Backend,
    /// The one Postgres of this run.
    cluster: Option<Cluster>,
    kept: PathBuf,
    /// Databases of the cluster that are filled, to be copied.
    made: BTreeSet<String>,
}

/// A database of one's own, gone when dropped.
pub struct Database {
    pub url: String,
    _directory: Option<TempDir>,
}

impl Stock {
    /// `None` where Postgres is asked for and not installed.
    pub fn new(backend: Backend) -> anyhow::Result<Option<Self>> {
        let cluster = match backend {
            Backend::Sqlite => None,
            // As they are by default. It is said all the same: the figures are worth nothing without.
            Backend::Postgres => match Cluster::with("fsync = on\nsynchronous_commit = on\n") {
                None => return Ok(None),
                cluster => cluster,
            },
        };
        // Beside the directory of this binary.
        let program = std::env::current_exe()?;
        let target = program.parent().and_then(Path::parent).context("this binary is nowhere")?;
        Ok(Some(Self { backend, cluster, kept: target.join("bench-data"), made: BTreeSet::new() }))
    }

    /// The Postgres, if it is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// A copy of a database with so many messages, as this program's version has it, with everybody logged in.
    pub fn filled(&mut self, binary: &Path, messages: u64) -> anyhow::Result<Database> {
        let key = format!("{}_{EDITION}_{messages}", version(binary)?);
        let database = match self.backend {
            Backend::Sqlite => {
                let kept = self.kept.join(format!("sqlite_{key}.db"));
                if !kept.exists() {
                    std::fs::create_dir_all(&self.kept)?;
                    let half = kept.with_extension("half");
                    // Of a run that was broken off. What cannot be removed is found by the next line.
                    drop(std::fs::remove_file(&half));
                    self.make(binary, &format!("sqlite://{}", half.display()), messages)?;
                    std::fs::rename(&half, &kept)?;
                    // The lock of the program that looked at it.
                    drop(std::fs::remove_file(half.with_extension("half.lock")));
                }
                let directory = tempfile::tempdir()?;
                let path = directory.path().join("parlance.db");
                std::fs::copy(&kept, &path)?;
                // Not while something is measured.
                std::fs::File::open(&path)?.sync_all()?;
                Database { url: format!("sqlite://{}", path.display()), _directory: Some(directory) }
            }
            Backend::Postgres => {
                let template = format!("filled_{}", key.replace('-', "_"));
                let cluster = self.cluster.as_ref().context("no Postgres")?;
                if !self.made.contains(&template) {
                    cluster.run(&format!("CREATE DATABASE {template} TEMPLATE template0"));
                    self.make(binary, &cluster.url(&template), messages)?;
                    self.made.insert(template.clone());
                }
                self.copy_of(&template)?
            }
        };
        run_sql(&database.url, &population::sessions(self.backend, USERS, now()));
        Ok(database)
    }

    /// A database without tables.
    pub fn empty(&self) -> anyhow::Result<Database> {
        match self.backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir()?;
                let url = format!("sqlite://{}", directory.path().join("parlance.db").display());
                Ok(Database { url, _directory: Some(directory) })
            }
            Backend::Postgres => self.copy_of("template0"),
        }
    }

    /// A database of so many users, all logged in, the first in one group.
    pub fn crowd(&self, binary: &Path, users: u64, members: u64) -> anyhow::Result<Database> {
        let database = self.empty()?;
        migrate(binary, &database.url)?;
        run_sql(&database.url, &population::crowd(self.backend, users, members, now()));
        run_sql(&database.url, &population::sessions(self.backend, users, now()));
        Ok(database)
    }

    fn copy_of(&self, template: &str) -> anyhow::Result<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cluster = self.cluster.as_ref().context("no Postgres")?;
        let name = format!("run_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster.run(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"));
        // What copying has left to write is not to be written while something is measured.
        cluster.run("CHECKPOINT");
        Ok(Database { url: cluster.url(&name), _directory: None })
    }

    fn make(&self, binary: &Path, url: &str, messages: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        migrate(binary, url)?;
        let rows = population::fill(self.backend, messages, now());
        match self.backend {
            Backend::Sqlite => {
                // Nothing of it is worth anything before it is whole.
                let fast = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN;";
                run_sql(url, &format!("{fast}\n{rows}\nCOMMIT; PRAGMA journal_mode = WAL;"));
            }
            Backend::Postgres => {
                // The checks of foreign keys would take longer than all the rest; `doctor` looks at the rows below.
                run_sql(url, &format!("SET session_replication_role = replica; BEGIN;\n{rows}\nCOMMIT;"));
                run_sql(url, "VACUUM ANALYZE");
            }
        }
        if version(binary)?.as_str() >= FIRST_WITH_DIGESTS {
            // The program makes the digests of what was filled in past it.
            run_sql(url, "UPDATE server SET digest_form = 0; UPDATE conversations SET digest = '' WHERE last_seq > 0;");
            migrate(binary, url)?;
        }
        let filled = begun.elapsed();
        check(binary, url)?;
        eprintln!(
            "filled with {messages} messages in {:.1} s; `parlance doctor` found nothing wrong in {:.1} s",
            filled.as_secs_f64(),
            (begun.elapsed() - filled).as_secs_f64()
        );
        Ok(())
    }
}

/// Microseconds since the epoch.
pub fn now() -> u64 {
    SystemClock.now().as_micros().unsigned_abs()
}

/// A token of each of the first users.
pub fn tokens(users: u64, name: impl Fn(u64) -> String) -> anyhow::Result<Vec<String>> {
    let tokens = JwtTokens::new(SECRET.as_bytes());
    let now = Timestamp::from_micros(i64::try_from(now())?).context("no time")?;
    let token = |user| {
        let session = SessionId(id(Kind::Session, user).parse()?);
        let session = Session::begin(session, UserId(id(Kind::User, user).parse()?), None, now);
        Ok(tokens.issue(&session, &Username::parse("username", &name(user))?)?)
    };
    (0..users).map(token).collect()
}

/// Tokens of the whole population.
pub fn tokens_of_all() -> anyhow::Result<Vec<String>> {
    tokens(USERS, name)
}

/// A command of the program, in a directory of its own.
fn command(binary: &Path, url: &str, argument: &str) -> anyhow::Result<(Command, TempDir)> {
    let directory = tempfile::tempdir()?;
    let mut command = Command::new(binary);
    command.arg(argument).current_dir(directory.path());
    command.env("DATABASE_URL", url).env("PARLANCE_LOG", "error").env("PARLANCE_JWT_SECRET", SECRET);
    Ok((command, directory))
}

/// Brings the tables up to date; returns the name of the newest migration that was run.
fn migrate(binary: &Path, url: &str) -> anyhow::Result<String> {
    let (mut command, _directory) = command(binary, url, "migrate")?;
    let output = command.output().with_context(|| format!("{} does not run: build it first", binary.display()))?;
    ensure!(output.status.success(), "parlance migrate: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    Ok(said.lines().last().unwrap_or_default().trim_start_matches("applied ").to_owned())
}

/// The version of the tables of this program.
fn version(binary: &Path) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    migrate(binary, &format!("sqlite://{}", directory.path().join("empty.db").display()))
}

/// Fails where the program finds fault with the database.
fn check(binary: &Path, url: &str) -> anyhow::Result<()> {
    let (mut command, _directory) = command(binary, url, "doctor")?;
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("counters, watermarks and memberships are right"), "parlance doctor: {said}");
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("WRONG")).collect();
    ensure!(wrong.is_empty(), "parlance doctor: {}", wrong.join("; "));
    Ok(())
}
