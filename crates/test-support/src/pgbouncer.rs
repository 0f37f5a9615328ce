//! Starts a PgBouncer in front of a cluster, from the program installed on this machine.

use crate::cluster::Cluster;
use crate::owner::Owner;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Listens on a port of its own on 127.0.0.1. Ends when dropped, and also when the process is killed.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    has_room: bool,
    /// A shell that ends the pooler when its standard input ends: with this process at the latest.
    shell: Child,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts one, with these lines in its configuration (`pool_mode = ...`), or `None` where it is not installed.
    pub fn before(cluster: &Cluster, settings: &str) -> Option<Self> {
        let program = program()?;
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner::beside(directory.path());
        owner.take(directory.path());
        let port = crate::free_port();
        let configuration = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} user=postgres\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\nserver_login_retry = 1\n{settings}\n",
            cluster.sockets().display()
        );
        std::fs::write(&configuration, text).unwrap();
        const SCRIPT: &str = r#"
            "$@" < /dev/null & pooler=$!
            cat > /dev/null
            kill -9 "$pooler"
            wait "$pooler"
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "pgbouncer"]).arg(program).arg(&configuration).current_dir(directory.path());
        // A group of its own: Ctrl-C in the terminal ends the tests, and they end it.
        std::os::unix::process::CommandExt::process_group(owner.run(&mut command), 0);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(shell.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("process up") {
            assert!(log.read_line(&mut said).unwrap() > 0, "pgbouncer: {said}");
        }
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        let has_room = !settings.contains("default_pool_size = 1");
        Some(Self { port, has_room, shell, _directory: directory })
    }

    /// Lets it have so many sessions of the database `postgres` that nobody uses (one at the most where it may have but
    /// one).
    pub fn leave_idle(&self, sessions: usize) {
        let mut used = Vec::new();
        for _ in 0..sessions {
            let mut conn = PgConnection::establish(&self.url("postgres")).unwrap();
            // Where there are no transactions, the next one gets the same session.
            if conn.batch_execute("BEGIN").is_err() || !self.has_room {
                break;
            }
            used.push(conn);
        }
    }

    /// The URL of a database of the cluster behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }
}

/// Debian keeps it where only root looks.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|directory| directory.join("pgbouncer"));
    let program = found.into_iter().find(|program| program.is_file());
    if program.is_none() {
        assert!(std::env::var_os("CI").is_none(), "pgbouncer is not installed, and under CI it has to be");
        eprintln!("LEFT OUT: there is no pgbouncer (Debian: apt install pgbouncer)");
    }
    program
}
