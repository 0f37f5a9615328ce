//! The load generator. `table` measures everything that has an aim, and prints it as one table; the others look at one
//! thing each: how many deliveries a second, how much memory a socket, what a stalled reader costs, how many messages
//! are stored a second by one node or several.
//!
//! Each command starts the `parlance` beside this binary (`cargo build --release` makes both) on a fresh directory,
//! does its work, prints its figures, and fails if anything was lost, doubled or out of order. `table` and `sends`
//! start their own Postgres, `sends` NATS as well, of the programs installed here.

mod cpu;
mod crowd;
mod deployment;
mod echo;
mod fanout;
mod http;
mod idle;
mod sender;
mod sends;
mod server;
mod socket;
mod stall;
mod stats;
mod table;

use clap::{Parser, Subcommand};
use std::ffi::OsString;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends into one group with many sockets and counts every delivery
    Fanout(fanout::Options),
    /// Opens idle sockets and weighs them beside a bare actix-ws echo server's
    Idle(idle::Options),
    /// Stores messages over HTTP as fast as it goes, on SQLite or Postgres, by one node and by several in turn
    Sends(sends::Options),
    /// Stops a reader (SIGSTOP) under load: when is it cut, what does it cost the others, does it catch up
    Stall(stall::Options),
    /// Measures everything, each thing beside the no-op of the same run, and prints it as one table
    Table(table::Options),
    /// Serves a bare actix-ws echo on a free port (used by `idle`)
    #[command(hide = true)]
    Echo,
    /// Reads a socket and says at its end how far it came (used by `stall`)
    #[command(hide = true)]
    Read(stall::Reader),
}

/// Runs a command line. On a usage error, or for help, the process ends here.
///
/// # Errors
/// What could not be measured.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    // As the workspace builds it, reqwest has no provider for TLS of its own. Fails where there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse_from(arguments).command {
        Command::Echo => echo::serve(),
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(async {
                match command {
                    Command::Fanout(options) => fanout::run(options).await,
                    Command::Idle(options) => idle::run(options).await,
                    Command::Sends(options) => sends::run(options).await,
                    Command::Stall(options) => stall::run(options).await,
                    Command::Table(options) => table::run(options).await,
                    Command::Read(reader) => reader.run().await,
                    Command::Echo => Ok(()),
                }
            })
        }
    }
}
