//! A Postgres cluster of one's own, from the programs installed here.

use crate::owner::Owner;
use crate::watchdog::Watchdog;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// A cluster in a temporary directory, reached through a socket in it (so that no port is needed), with `fsync` and
/// `synchronous_commit` as they are by default: on. Stopped and removed when dropped, and also when the process is killed.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    owner: Owner,
    directory: TempDir,
    watchdog: Mutex<Watchdog>,
}

impl Cluster {
    /// Makes and starts one, or `None` where Postgres is not installed.
    pub fn start() -> Option<Self> {
        let programs = programs()?;
        // Not under TMPDIR: the path of a socket has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("parlance-pg-").tempdir_in("/tmp").unwrap();
        let owner = Owner::beside(directory.path());
        owner.take(directory.path());
        let watchdog = Mutex::new(Watchdog::start(directory.path(), &directory.path().join("data")));
        let cluster = Self { programs, owner, directory, watchdog };
        let data = cluster.data();
        let mut initdb = cluster.program("initdb");
        initdb.arg("--pgdata").arg(&data);
        run(initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]));
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 200\nautovacuum = off\n",
            cluster.directory.path().display()
        );
        let configuration = data.join("postgresql.conf");
        let defaults = std::fs::read_to_string(&configuration).unwrap();
        std::fs::write(&configuration, defaults + &settings).unwrap();
        cluster.start_again();
        Some(cluster)
    }

    /// The URL of a database in it.
    pub fn url(&self, database: &str) -> String {
        let socket = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    /// Kills all its processes as a crash would, and starts it again: `pg_ctl restart -m immediate`.
    pub fn crash_and_restart(&self) {
        self.control("restart", &["--mode=immediate"]);
    }

    /// Stops it without waiting for its clients.
    pub fn stop(&self) {
        self.control("stop", &["--mode=fast"]);
    }

    /// Starts it after [`Cluster::stop`]. Returns when it takes connections.
    pub fn start_again(&self) {
        self.control("start", &[]);
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn control(&self, action: &str, arguments: &[&str]) {
        let mut command = self.program("pg_ctl");
        command.arg(action).arg("--pgdata").arg(self.data()).arg("--log").arg(self.directory.path().join("log"));
        run(command.args(["--wait", "--silent"]).args(arguments));
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // The server inherits these: whoever reads the tests' output must not wait for its end.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(self.directory.path());
        self.owner.run(&mut command);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.watchdog.get_mut().unwrap().finish();
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Where `initdb` and the others are: the newest of Debian's versions, else on the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let debian = newest.max().map(|(_, path)| path.join("bin"));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut found = debian.into_iter().chain(std::env::split_paths(&paths));
    found.find(|directory| complete(directory))
}

fn complete(directory: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| directory.join(program).is_file())
}
