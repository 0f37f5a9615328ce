//! The command line.

mod backup;
mod bar;
mod copy;
mod demo;
mod doctor;
mod user;

use crate::app::Application;
use crate::config::{self, Config, Flags};
use crate::http::openapi;
use crate::logging;
use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
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
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "parlance", &mut std::io::stdout());
            Ok(())
        }
        Command::Copy(arguments) => copy::run(&arguments),
        Command::User(arguments) => configured(Config::load(&cli.flags)?, |config| user::run(config, arguments)),
        Command::Openapi => {
            // Its reader may go away before the end, as `head` does.
            writeln!(std::io::stdout(), "{}", openapi::text()?).context("the document was not printed whole")
        }
    }
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
    config.make_data_dir()?;
    let applied = infra_diesel::Store::migrate(&config.database_url).await.context("the database was not migrated")?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("nothing to do");
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
    fn flags_are_taken_before_and_after_the_command() {
        for line in [&["parlance", "--listen", "x:1"][..], &["parlance", "serve", "--listen", "x:1"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().flags.listen.as_deref(), Some("x:1"));
        }
        assert!(Cli::try_parse_from(["parlance", "dance"]).is_err());
    }
}
