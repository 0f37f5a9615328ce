//! A server per test, and clients that check its answers against the contract.

mod browser;
mod client;
mod process;
mod proxy;

pub use browser::{Browser, Driver};
pub use client::{Answer, Client, User, ids};
pub use process::Process;
pub use proxy::{Host, Proxy};

use actix_web::dev::ServerHandle;
use api_actix::http::origin::Origins;
use api_actix::limits::Rates;
use api_actix::proxies::Proxies;
use api_actix::server::{Deadlines, Settings};
use domain::Clock;
use domain::files::Reserve;
use domain::users::ServerPolicy;
use infra_live::HubOptions;
use parlance::app::{Application, Overrides};
use parlance::config::{Config, Secret, Uploads};
use parlance::logging::LogFormat;
use serde_json::json;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use test_support::TestDb;
use tokio::sync::oneshot;
use wire::PublicUrl;

/// A well-formed id that names nothing.
pub const NOWHERE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The secret that test servers sign with.
pub const SECRET: &str = "a secret of the tests, thirty-two bytes or more";

/// What a test server runs with.
pub struct Setup {
    config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How often the server looks for expired data.
    pub upkeep_every: Duration,
}

impl Deref for Setup {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut Config {
        &mut self.config
    }
}

/// Cheap hashes, no limits, a port and a directory of its own.
fn setup(data_dir: &Path) -> Setup {
    let http = Settings {
        listen: "127.0.0.1:0".to_owned(),
        rates: Rates::off(),
        max_connections: 10_000,
        max_connections_per_address: 10_000,
        min_upload_speed: 1024,
        max_file_bytes: 1024 * 1024,
        proxies: Proxies::default(),
        public_url: PublicUrl::default(),
        origins: Origins::default(),
        deadlines: Deadlines::default(),
    };
    let config = Config {
        nats: None,
        database_url: format!("sqlite://{}", data_dir.join("parlance.db").display()),
        allow_unsafe_durability: false,
        http,
        data_dir: data_dir.to_owned(),
        jwt_secret: Some(Secret::parse(SECRET).unwrap()),
        uploads: Uploads::Directory(data_dir.join("uploads")),
        aws: Vec::new(),
        strip_metadata: true,
        disk_reserve: Reserve::Bytes(0),
        policy: ServerPolicy::default(),
        retention: None,
        live: HubOptions::default(),
        bcrypt_cost: 4,
        log: "off".to_owned(),
        log_format: LogFormat::Text,
        unknown: Vec::new(),
    };
    let Overrides { clock, upkeep_every } = Overrides::default();
    Setup { config, clock, upkeep_every }
}

/// Where `PARLANCE_TEST_BACKEND` is `postgres`, a database there; else servers make a SQLite file in their data
/// directory.
pub fn database() -> Option<TestDb> {
    let asked = std::env::var("PARLANCE_TEST_BACKEND").is_ok_and(|backend| backend == "postgres");
    asked.then(|| TestDb::postgres().expect("PARLANCE_TEST_BACKEND asks for Postgres, and there is none"))
}

/// The real application in a thread of its own. Ends when dropped.
pub struct Server {
    running: Option<(ServerHandle, JoinHandle<()>)>,
    client: Client,
    directory: TempDir,
    _database: Option<TestDb>,
}

impl Server {
    /// With nothing special.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With the configuration changed.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = setup(directory.path());
        let database = database();
        if let Some(database) = &database {
            setup.database_url = database.url().to_owned();
        }
        change(&mut setup);
        let Setup { config, clock, upkeep_every } = setup;
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let application = Application::build(config, Overrides { clock, upkeep_every }).await.unwrap();
                tell.send((application.port(), application.handle())).unwrap();
                application.run_until_stopped().await.unwrap();
            });
        });
        let (port, handle) = told.await.expect("the server did not start");
        let client = Client::new(format!("http://127.0.0.1:{port}"));
        Self { running: Some((handle, thread)), client, directory, _database: database }
    }

    /// A client without a token.
    pub fn anyone(&self) -> &Client {
        &self.client
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Signs up and logs in a user.
    pub async fn user(&self, name: &str) -> User {
        let password = format!("password of {name}");
        let body = json!({ "username": name, "password": password, "email": format!("{name}@example.org") });
        self.client.post("/signup", body).await.expect(201);
        self.log_in(name, &password).await
    }

    /// Begins another session.
    pub async fn log_in(&self, name: &str, password: &str) -> User {
        let login = self.client.post("/login", json!({ "username": name, "password": password })).await.expect(200);
        User::new(&self.client, &login, password)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((handle, thread)) = self.running.take() {
            // The command is sent at once; the answer is the thread's end.
            drop(handle.stop(false));
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
