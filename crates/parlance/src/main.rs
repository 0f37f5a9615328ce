//! The `parlance` program.

use parlance::cli;
use parlance::config::UsageError;
use std::io::Write as _;
use std::process::ExitCode;

/// Threads of requests free what threads of the database have allocated, and the other way round.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for wrong usage, as clap's own errors use it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::run(cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If the message cannot be written, the exit code has to suffice.
            let _ = writeln!(std::io::stderr(), "parlance: {error:#}");
            if error.is::<UsageError>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
