//! The command line.

mod backup;
mod bar;
mod copy;
mod demo;
mod doctor;
mod healthcheck;
mod prompt;
mod user;

use crate::app::Application;
use crate::config::{self, Config, Flags};
use crate::http::openapi;
use crate::logging;
use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::fmt::Display;
use std::io::Write as _;

/// A chat server: two HTTP APIs over one domain.
#[derive(Debug, Parser)]
#[command(name = "parlance", version, propagate_version = true, after_help = config::help())]
pub struct Cli {
    /// What to do [default: serve]
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C
    Serve,
    /// Serves a small world of made-up people to look at, in a data directory of its own
    Demo(demo::DemoArguments),
    /// Brings the database's tables up to date and exits
    Migrate,
    /// Saves database and uploads into one file, while the server runs
    Backup(backup::BackupArguments),
    /// Puts a backup into an empty place
    Restore(backup::RestoreArguments),
    /// Looks whether everything is as it should be, and says what to do where it is not
    Doctor(doctor::DoctorArguments),
    /// Exits with 0 if the server that runs here is ready, else with 1
    Healthcheck,
    /// Copies a whole database into another, between SQLite and Postgres either way, and compares them
    Copy(copy::CopyArguments),
    /// Makes and lists users, gives roles and passwords, disables and enables
    User(user::UserArguments),
    /// Prints what a shell needs to complete this command line
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Prints the OpenAPI document
    Openapi,
}

/// Does what the command line says.
///
/// # Errors
/// Whatever made it fail, in words for the operator.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => configured(Config::load(&cli.flags)?, serve),
        Command::Demo(arguments) => {
            configured(Config::load_demo(&cli.flags)?, async |config| demo::run(config, &arguments).await)
        }
        Command::Migrate => configured(Config::load(&cli.flags)?, migrate),
        Command::Backup(arguments) => {
            configured(Config::load(&cli.flags)?, async |config| backup::save(&config, &arguments).await)
        }
        Command::Restore(arguments) => {
            configured(Config::load(&cli.flags)?, async |config| backup::restore(&config, &arguments).await)
        }
        Command::Doctor(arguments) => match Config::load(&cli.flags) {
            Ok(config) => configured(config, async |config| doctor::run(&config, &arguments).await),
            Err(error) => doctor::unconfigured(&error, &arguments),
        },
        Command::Healthcheck => healthcheck::run(&Config::load(&cli.flags)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "parlance", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())
        }
        Command::Copy(arguments) => copy::run(&arguments),
        Command::User(arguments) => configured(Config::load(&cli.flags)?, |config| user::run(config, arguments)),
        Command::Openapi => say(openapi::text()?),
    }
}

/// A line on standard output. Its reader may have gone away, as `head` does: no reason for a panic.
fn say(line: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output is closed")
}

/// Does what needs the configuration, a log and a runtime.
fn configured(config: Config, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    logging::start(&config).context("there is no thread for the log")?;
    let outcome = actix_web::rt::System::new().block_on(work(config));
    logging::flush();
    outcome
}

async fn serve(config: Config) -> anyhow::Result<()> {
    Application::build(config).await?.run_until_stopped().await
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
        let mut command = Cli::command();
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
    fn flags_are_taken_before_and_after_the_command() {
        for line in [&["parlance", "--listen", "x:1"][..], &["parlance", "serve", "--listen", "x:1"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().flags.listen.as_deref(), Some("x:1"));
        }
        assert!(Cli::try_parse_from(["parlance", "dance"]).is_err());
    }
}
