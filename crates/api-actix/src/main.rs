//! The `parlance` program.

use api_actix::cli;
use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody hears it, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "parlance: {error:#}");
            ExitCode::FAILURE
        }
    }
}
