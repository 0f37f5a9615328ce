//! A database a test.

use crate::cluster::Cluster;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use tempfile::TempDir;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A database of a test's own, gone when dropped.
#[derive(Debug)]
pub struct TestDb {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File { _directory: TempDir },
    Server { name: String },
}

impl TestDb {
    /// A file that is not there yet.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("parlance.db").display());
        Self { url, place: Place::File { _directory: directory } }
    }

    /// A migrated database, or `None` where there is no Postgres (which is said, and fails where `CI` is set).
    pub fn postgres() -> Option<Self> {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        let server = server()?;
        let template = TEMPLATE.get_or_init(|| Template::make(server));
        Some(Self::on(server, &template.0))
    }

    /// A database of Postgres with nothing in it; otherwise as [`TestDb::postgres`].
    pub fn empty_postgres() -> Option<Self> {
        Some(Self::on(server()?, "template0"))
    }

    fn on(server: &Server, template: &str) -> Self {
        let name = fresh_name("test");
        server.make(&name, template);
        Self { url: server.url(&name), place: Place::Server { name } }
    }

    /// What to give to `Store::open` or `DATABASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which of the two it is.
    pub fn backend(&self) -> Backend {
        match self.place {
            Place::File { .. } => Backend::Sqlite,
            Place::Server { .. } => Backend::Postgres,
        }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // A cluster of our own goes as a whole.
        if let (Place::Server { name }, Some(server @ Server::Given(_))) = (&self.place, server()) {
            server.drop_database(name);
        }
    }
}

/// What new databases are copied from: copying is faster than migrating.
struct Template(String);

impl Template {
    fn make(server: &'static Server) -> Self {
        let name = fresh_name("template");
        server.make(&name, "template0");
        let url = server.url(&name);
        // On a thread of its own: whoever asks is inside a runtime already.
        let migrated = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(infra_diesel::Store::migrate(&url)).map(drop)
        });
        migrated.join().unwrap().expect("the template does not migrate");
        Self(name)
    }
}

fn fresh_name(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("parlance_{kind}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Where databases are made.
enum Server {
    /// By `TEST_POSTGRES_URL`.
    Given(String),
    /// For this process only. Never dropped: its watchdog sees the process end.
    Own(Cluster),
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Own(cluster) => cluster.patient_url(database),
            Self::Given(url) => with_database(url, database),
        }
    }

    fn make(&self, name: &str, template: &str) {
        // One at a time: a template cannot be copied while another session looks at it.
        static ONE: Mutex<()> = Mutex::new(());
        let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
    }

    fn drop_database(&self, name: &str) {
        self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    fn run(&self, sql: &str) {
        let url = match self {
            Self::Own(cluster) => cluster.url("postgres"),
            Self::Given(url) => url.clone(),
        };
        PgConnection::establish(&url).unwrap().batch_execute(sql).unwrap();
    }
}

/// The URL of another database on the same server.
fn with_database(url: &str, database: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, query)| (before, query));
    let (scheme, rest) = before.split_once("://").expect("TEST_POSTGRES_URL is a URL");
    let authority = rest.split('/').next().unwrap_or_default();
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    format!("{scheme}://{authority}/{database}{query}")
}

/// Runs a statement on a database, past whatever serves it.
pub fn run_sql(url: &str, sql: &str) {
    match url.strip_prefix("sqlite://") {
        Some(path) => SqliteConnection::establish(path).unwrap().batch_execute(sql).unwrap(),
        None => PgConnection::establish(url).unwrap().batch_execute(sql).unwrap(),
    }
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER
        .get_or_init(|| {
            if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
                return Some(Server::Given(url));
            }
            let cluster = Cluster::start();
            if cluster.is_none() {
                assert!(std::env::var_os("CI").is_none(), "CI without Postgres: nothing may be left out there");
                // Past the test harness, which shows only what failing tests print.
                let _ = writeln!(
                    std::io::stderr(),
                    "\n!!! Postgres is not installed and TEST_POSTGRES_URL not set: EVERY TEST ON POSTGRES IS LEFT OUT !!!\n"
                );
            }
            cluster.map(Server::Own)
        })
        .as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_on_the_same_server() {
        for (url, other) in [
            ("postgres://u:p@h:1/db", "postgres://u:p@h:1/x"),
            ("postgres://h", "postgres://h/x"),
            ("postgresql://h/db?sslmode=require", "postgresql://h/x?sslmode=require"),
        ] {
            assert_eq!(with_database(url, "x"), other);
        }
    }
}
