//! Starts a NATS server, from the program installed on this machine.

use crate::tls::Certificates;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Listens on a port of its own on 127.0.0.1. Ends when dropped, and also when the process is killed.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    port: u16,
    arguments: Vec<String>,
    running: Option<Running>,
    certificates: Option<Certificates>,
    _directory: TempDir,
}

#[derive(Debug)]
struct Running {
    /// A shell that ends the server when its standard input ends: with this process at the latest.
    shell: Child,
    server: String,
}

impl NatsServer {
    /// Starts one, or `None` where it is not installed.
    pub fn start() -> Option<Self> {
        Self::with(|_| (Vec::new(), None))
    }

    /// Takes TLS only, with a certificate for `localhost` of a CA of its own, and only who knows this user's password.
    pub fn with_tls(user: &str, password: &str) -> Option<Self> {
        Self::with(|directory| {
            let certificates = Certificates::make(directory).expect("there is no openssl");
            let (certificate, key) = (certificates.certificate.display(), certificates.key.display());
            let arguments = ["--user", user, "--pass", password, "--tls", "--tlscert"].map(str::to_owned);
            let files = [certificate.to_string(), "--tlskey".to_owned(), key.to_string()];
            (arguments.into_iter().chain(files).collect(), Some(certificates))
        })
    }

    fn with(prepare: impl FnOnce(&Path) -> (Vec<String>, Option<Certificates>)) -> Option<Self> {
        let program = program()?;
        let directory = tempfile::tempdir().unwrap();
        let (arguments, certificates) = prepare(directory.path());
        let port = crate::free_port();
        let mut server = Self { program, port, arguments, running: None, certificates, _directory: directory };
        server.start_again();
        Some(server)
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of a server with TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().unwrap()
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.shell.stdin.take());
            running.shell.wait().unwrap();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let server = &self.running.as_ref().unwrap().server;
        assert!(Command::new("kill").args([&format!("-{name}"), server]).status().unwrap().success());
    }

    /// On the same port.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        const SCRIPT: &str = r#"
            "$@" < /dev/null & server=$!
            echo "$server"
            cat > /dev/null
            kill -9 "$server"
            wait "$server"
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "nats"]).arg(&self.program);
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string()]).args(&self.arguments);
        // A group of its own: Ctrl-C in the terminal ends the tests, and they end it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut server = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut server).unwrap();
        let mut log = BufReader::new(shell.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Server is ready") {
            assert!(log.read_line(&mut said).unwrap() > 0, "nats-server: {said}");
        }
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        self.running = Some(Running { shell, server: server.trim().to_owned() });
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps it where only root looks.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|directory| directory.join("nats-server"));
    let program = found.into_iter().find(|program| program.is_file());
    if program.is_none() {
        assert!(std::env::var_os("CI").is_none(), "nats-server is not installed, and under CI it has to be");
        eprintln!("LEFT OUT: there is no nats-server (Debian: apt install nats-server)");
    }
    program
}
