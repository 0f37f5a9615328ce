//! The program as a process, as an operator starts it.

use super::Client;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A `parlance` process, killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    /// What it printed on standard output until it listened.
    pub printed: Vec<String>,
    pub client: Client,
}

impl Process {
    /// The command line, in an environment that holds nothing of ours but a data directory, a free port and cheap
    /// hashes.
    pub fn command(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        for (name, _) in std::env::vars() {
            if name.starts_with("PARLANCE_") || name.starts_with("AWS_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        command.env("PARLANCE_LISTEN", "127.0.0.1:0").env("PARLANCE_BCRYPT_COST", "4");
        command.envs(environment.iter().copied());
        command
    }

    /// Runs to the end.
    pub fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Self::command(directory, arguments, environment).output().unwrap()
    }

    /// Runs to the end with something on standard input.
    pub fn run_with_input(directory: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = Self::command(directory, arguments, environment);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The reader may already be gone.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The same after a line of shell that sets limits.
    pub fn command_within(directory: &Path, limits: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let plain = Self::command(directory, arguments, environment);
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")]).arg(plain.get_program()).args(arguments);
        command.current_dir(directory).stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts a server after a line of shell that sets limits, and waits until it listens.
    pub fn start_within(directory: &Path, limits: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_command(directory, Self::command_within(directory, limits, &[], environment))
    }

    /// Its id among the processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a server and waits until it listens.
    pub fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_command(directory, Self::command(directory, arguments, environment))
    }

    /// Like [`Process::start`], by a command that was changed.
    pub fn start_command(directory: &Path, mut command: Command) -> Self {
        // The log goes to a file: a pipe without a reader would block the server.
        let log = directory.join("log.txt");
        let child = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut process = Self { child, log, printed: Vec::new(), client: Client::new(String::new()) };
        for line in BufReader::new(process.child.stdout.take().unwrap()).lines() {
            process.printed.push(line.unwrap());
            if let Some(base) = process.printed.last().and_then(|line| line.strip_prefix("listening on ")) {
                process.client = Client::new(base.to_owned());
                return process;
            }
        }
        panic!("it did not listen: {}", process.wait().1);
    }

    /// The most memory it has held so far, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Sends a signal, as `kill` does.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end and gives the exit code and the log.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, std::fs::read_to_string(&self.log).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
