//! Starts a Postgres cluster, from the programs installed on this machine.

use crate::owner::Owner;
use crate::tls::Certificates;
use crate::watchdog::Watchdog;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// A cluster in a temporary directory, reached through a socket in it (so that no port is needed), with `fsync` and
/// `synchronous_commit` as they are by default: on. Stopped and removed when dropped, and also when the process is
/// killed.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    owner: Owner,
    directory: TempDir,
    /// On 127.0.0.1, of a cluster with TLS.
    port: Option<u16>,
    watchdog: Mutex<Watchdog>,
}

impl Cluster {
    /// Makes and starts one, or `None` where Postgres is not installed.
    pub fn start() -> Option<Self> {
        Self::with("")
    }

    /// With these lines at the end of its `postgresql.conf`.
    pub fn with(settings: &str) -> Option<Self> {
        let cluster = Self::make()?;
        cluster.configure("postgresql.conf", settings);
        cluster.start_again();
        Some(cluster)
    }

    /// Listens on the loopback address too, and there to TLS only, with a certificate for `localhost` of a CA of its
    /// own. `None` also where there is no `openssl` to make them.
    pub fn with_tls() -> Option<(Self, Certificates)> {
        let mut cluster = Self::make()?;
        let certificates = Certificates::make(cluster.directory.path())?;
        cluster.owner.take(&certificates.key);
        let port = crate::free_port();
        cluster.port = Some(port);
        let (certificate, key) = (certificates.certificate.display(), certificates.key.display());
        cluster.configure(
            "postgresql.conf",
            &format!(
                "listen_addresses = '127.0.0.1'\nport = {port}\n\
                 ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n"
            ),
        );
        std::fs::write(cluster.data().join("pg_hba.conf"), "local all all trust\nhostssl all all all trust\n").unwrap();
        cluster.start_again();
        Some((cluster, certificates))
    }

    fn make() -> Option<Self> {
        let programs = programs()?;
        // Not under TMPDIR: the path of a socket has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("parlance-pg-").tempdir_in("/tmp").unwrap();
        let owner = Owner::beside(directory.path());
        owner.take(directory.path());
        let watchdog = Mutex::new(Watchdog::start(directory.path(), &directory.path().join("data")));
        let cluster = Self { programs, owner, directory, port: None, watchdog };
        let data = cluster.data();
        let mut initdb = cluster.program("initdb");
        initdb.arg("--pgdata").arg(&data);
        run(initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]));
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 500\nautovacuum = off\n",
            cluster.directory.path().display()
        );
        cluster.configure("postgresql.conf", &settings);
        Some(cluster)
    }

    /// Adds to a file of settings.
    fn configure(&self, file: &str, settings: &str) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.data().join(file)).unwrap();
        file.write_all(settings.as_bytes()).unwrap();
    }

    /// The URL of a database in it, for a server that is to wait for it however busy the machine is.
    pub fn patient_url(&self, database: &str) -> String {
        format!("{}?connect_timeout=60", self.url(database))
    }

    /// The URL of a database in it.
    pub fn url(&self, database: &str) -> String {
        let socket = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    /// Where its sockets are.
    pub(crate) fn sockets(&self) -> &Path {
        self.directory.path()
    }

    /// The port on 127.0.0.1 of a cluster [with TLS](Cluster::with_tls).
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Stops all its processes where they are: it takes connections and queries, and answers nothing.
    pub fn pause(&self) {
        // The postmaster first: it must not start others.
        self.signal("STOP", &[self.postmaster()]);
        self.signal("STOP", &children(self.postmaster()));
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal("CONT", &children(self.postmaster()));
        self.signal("CONT", &[self.postmaster()]);
    }

    fn postmaster(&self) -> u32 {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    fn signal(&self, name: &str, processes: &[u32]) {
        let mut command = Command::new("kill");
        command.arg(format!("-{name}")).args(processes.iter().map(u32::to_string)).stderr(Stdio::null());
        // A process may have ended meanwhile.
        self.owner.run(&mut command).status().unwrap();
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

    /// Makes it the copy of another, which takes no writes, as a failover does to who was the first. Stops and starts
    /// it.
    pub fn become_standby(&self) {
        self.stop();
        self.configure("standby.signal", "");
        let signal = self.data().join("standby.signal");
        self.owner.take(&signal);
        self.start_again();
    }

    /// Lets a copy take writes.
    pub fn promote(&self) {
        self.control("promote", &[]);
    }

    /// Runs statements as its superuser, in the database `postgres`.
    pub fn run(&self, sql: &str) {
        PgConnection::establish(&self.url("postgres")).unwrap().batch_execute(sql).unwrap();
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

/// The processes that were started by one.
fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |process: &u32| {
        // After the name, which is in brackets and may hold anything: the state, then the parent.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parent == Some(of)
    };
    processes.filter(is_child).collect()
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
