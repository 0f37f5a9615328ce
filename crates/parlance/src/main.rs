//! The `parlance` program.

use parlance::cli;
use parlance::config::UsageError;
use std::io::Write as _;
use std::process::ExitCode;

/// What a command line ends with that cannot be followed as it is written; as clap's own refusals do.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::run(cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody hears it, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "parlance: {error:#}");
            if error.is::<UsageError>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
