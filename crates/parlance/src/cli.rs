//! The command line.

mod backup;
mod bar;
mod copy;
mod demo;
mod doctor;
mod healthcheck;
mod prompt;
mod reindex;
mod user;

use crate::app::{Application, Overrides};
use crate::config::{self, Config, Flags};
use crate::logging;
use anyhow::Context as _;
use api_actix::document;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::fmt::Display;
use std::io::Write as _;

/// A chat server: two HTTP APIs over one domain.
#[derive(Debug, Parser)]
#[command(name = "parlance", version, propagate_version = true, after_help = config::help())]
pub struct Cli {
    /// The command [default: serve]
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C
    Serve,
    /// Serves sample users and messages from a data directory of its own
    Demo(demo::DemoArguments),
    /// Brings the database's tables up to date and exits
    Migrate,
    /// Saves database and uploads into one file, while the server runs
    Backup(backup::BackupArguments),
    /// Restores a backup into an empty place
    Restore(backup::RestoreArguments),
    /// Checks everything that a server needs, and says what to do about each fault
    Doctor(doctor::DoctorArguments),
    /// Exits with 0 if the server that runs here is ready, else with 1
    Healthcheck,
    /// Copies a database into another, from SQLite to Postgres or back, and compares them
    Copy(copy::CopyArguments),
    /// Makes anew what the server derives from messages and files, while the server runs
    Reindex,
    /// Creates and lists users, changes roles and passwords, disables and enables accounts
    User(user::UserArguments),
    /// Prints a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the OpenAPI document
    Openapi,
}

/// Parses the command line. On a usage error, or for help or the version, the process ends here.
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// All commands. Each prints the program's version for `--version`.
fn command() -> clap::Command {
    fn named(command: clap::Command) -> clap::Command {
        command.display_name("parlance").mut_subcommands(named)
    }
    named(Cli::command())
}

/// Executes the command line.
///
/// # Errors
/// A message for the operator; [`config::UsageError`] if the command line itself is wrong.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let flags = &cli.flags;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => configured(load(flags, Config::load)?, serve),
        Command::Demo(arguments) => {
            configured(load(flags, Config::load_demo)?, async |config| demo::run(config, &arguments).await)
        }
        Command::Migrate => configured(load(flags, Config::load)?, migrate),
        Command::Backup(arguments) => {
            configured(load(flags, Config::load)?, async |config| backup::save(&config, &arguments).await)
        }
        Command::Restore(arguments) => {
            configured(load(flags, Config::load)?, async |config| backup::restore(&config, &arguments).await)
        }
        Command::Doctor(arguments) => match Config::load(flags) {
            Ok(config) => with_runtime(config, async |config| doctor::run(&config, &arguments).await),
            Err(error) if error.is::<config::UsageError>() => Err(error),
            Err(error) => doctor::unconfigured(&error, &arguments),
        },
        Command::Healthcheck => healthcheck::run(&Config::load(&cli.flags)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "parlance", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())
        }
        Command::Reindex => configured(load(flags, Config::load)?, async |config| reindex::run(&config).await),
        Command::Copy(arguments) => copy::run(&arguments),
        Command::User(arguments) => configured(load(flags, Config::load)?, |config| user::run(config, arguments)),
        Command::Openapi => say(document::text(&config::public_url(flags)?)?),
    }
}

/// Prints a line on standard output. The reader may be gone, as after `head`; that must not panic.
fn say(line: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output is closed")
}

/// Loads the configuration. If that fails, a mistyped variable may be the reason, so the operator sees the warnings
/// first.
fn load(flags: &Flags, load: impl FnOnce(&Flags) -> anyhow::Result<Config>) -> anyhow::Result<Config> {
    load(flags).inspect_err(|_| {
        for sentence in config::unknown_variables() {
            // If the warning cannot be written, the error itself has to suffice.
            let _ = writeln!(std::io::stderr(), "parlance: {sentence}");
        }
    })
}

/// Runs a command with configuration, log and runtime, after warning about unknown variables.
fn configured(config: Config, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    with_runtime(config, async |config| {
        for sentence in &config.unknown {
            tracing::warn!("{sentence}");
        }
        work(config).await
    })
}

/// Runs a command with configuration, log and runtime.
fn with_runtime(config: Config, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    logging::start(&config.log, config.log_format);
    let outcome = actix_web::rt::System::new().block_on(work(config));
    logging::flush();
    outcome
}

async fn serve(config: Config) -> anyhow::Result<()> {
    Application::build(config, Overrides::default()).await?.run_until_stopped().await
}

async fn migrate(config: Config) -> anyhow::Result<()> {
    crate::backup::refuse_half_restored(&config)?;
    config.make_data_dir()?;
    let applied = infra_diesel::Store::migrate(&config.database_url).await.context("the database was not migrated")?;
    for name in &applied {
        say(format_args!("applied {name}"))?;
    }
    if applied.is_empty() {
        say("nothing to do")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_says_what_everything_is_and_only_what_is_taken() {
        fn look(command: &clap::Command) {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{}: {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        let mut command = command();
        command.build();
        look(&command);
        let demo = command.find_subcommand_mut("demo").unwrap().render_long_help().to_string();
        assert!(
            demo.contains("--data-dir") && !demo.contains("--config") && !demo.contains("--database-url"),
            "{demo}"
        );
        for refused in [["--config", "x"], ["--database-url", "x"]] {
            let cli = Cli::try_parse_from(["parlance", "demo"].into_iter().chain(refused)).unwrap();
            assert!(Config::load_demo(&cli.flags).is_err_and(|error| error.to_string().contains(refused[0])));
        }
    }

    #[test]
    fn every_command_tells_the_programs_version() {
        fn look(command: &mut clap::Command) {
            let expected = format!("parlance {}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!(command.render_version(), expected, "{}", command.get_name());
            command.get_subcommands_mut().filter(|command| command.get_name() != "help").for_each(look);
        }
        let mut command = command();
        command.build();
        look(&mut command);
    }

    #[test]
    fn flags_are_taken_before_and_after_the_command() {
        for line in [&["parlance", "--listen", "x:1"][..], &["parlance", "serve", "--listen", "x:1"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().flags.listen.as_deref(), Some("x:1"));
        }
        assert!(Cli::try_parse_from(["parlance", "dance"]).is_err());
    }
}
