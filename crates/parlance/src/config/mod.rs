//! The configuration: flags override the environment, which overrides `parlance.toml` (`docs/api.md`, Configuration).

mod aws;
mod keys;
mod nats;
mod secret;
mod source;
mod unknown;

pub use keys::{KEYS, Key, help};
pub use secret::Secret;
pub use source::{Flags, UsageError};

use crate::logging::LogFormat;
use crate::private_files::folder_of;
use anyhow::Context as _;
use api_actix::http::origin::Origins;
use api_actix::limits::{Limit, Rate, Rates};
use api_actix::proxies::Proxies;
use api_actix::server::{Deadlines, Settings};
use domain::files::{FileQuota, Reserve, UploadQuota};
use domain::groups::GroupQuotas;
use domain::messages::EditHistory;
use domain::retention::Retention;
use domain::sessions::SessionLifetime;
use domain::users::{AdminNames, Broadcasters, ServerPolicy};
use infra_files::Bucket;
use infra_live::{HubOptions, NatsOptions};
use source::Source;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;
use wire::PublicUrl;

/// The store of uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploads {
    /// On this machine.
    Directory(PathBuf),
    /// In S3, for several nodes.
    Bucket(Bucket),
}

/// A configuration that is valid in itself. The start shows whether the database is reachable.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://...` or `postgres://...`; may contain a password.
    pub database_url: String,
    /// Whether the server accepts a Postgres that answers before a commit is on disk.
    pub allow_unsafe_durability: bool,
    /// The settings of the edge: port, limits, addresses.
    pub http: Settings,
    /// The directory of the database, the uploads and the generated secret.
    pub data_dir: PathBuf,
    /// `None` stands for the secret in the data directory.
    pub jwt_secret: Option<Secret>,
    /// The connection to other nodes, if there are any.
    pub nats: Option<NatsOptions>,
    /// The store of uploads.
    pub uploads: Uploads,
    /// The `AWS_...` variables, for access to a bucket.
    pub aws: Vec<(String, String)>,
    /// Whether uploaded images lose their metadata.
    pub strip_metadata: bool,
    /// How many bytes uploads leave free.
    pub disk_reserve: Reserve,
    /// The names of admins and of users who may broadcast.
    pub policy: ServerPolicy,
    /// How long the server keeps messages; `None` for ever.
    pub retention: Option<Retention>,
    /// The options of live connections. Keys set only their number.
    pub live: HubOptions,
    /// The cost of bcrypt.
    pub bcrypt_cost: u32,
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// Warnings about variables that look like keys and are none.
    pub unknown: Vec<String>,
}

/// A word that is no level would name a part of the program and silence all others.
fn log(text: &str) -> Result<String, String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let known = |word: &str| word.contains('=') || levels.contains(&word.trim().to_ascii_lowercase().as_str());
    match EnvFilter::builder().parse(text) {
        Ok(_) if text.split(',').all(known) => Ok(text.to_owned()),
        _ => Err("must be a level or directives like info,api_actix=debug".to_owned()),
    }
}

impl Config {
    /// Loads the configuration from the flags, the environment and the file that they point to.
    ///
    /// # Errors
    /// A message that names the key at fault and never shows its value.
    pub fn load(flags: &Flags) -> anyhow::Result<Self> {
        let here = working_directory()?;
        let config = Self::from_source(&Source::gather(flags, |name| std::env::var_os(name), &here)?)?;
        Ok(Self { aws: aws::variables(std::env::vars_os(), &here)?, unknown: unknown_variables(), ..config })
    }

    /// Loads the configuration of `parlance demo`, which must not touch other data. It uses `--data-dir` or
    /// `./demo-data`, the file in that directory if there is one, and no environment variable that says where data is.
    ///
    /// # Errors
    /// Those of [`Config::load`]; also an error if `--database-url` or `--config` is given.
    pub fn load_demo(flags: &Flags) -> anyhow::Result<Self> {
        if flags.database_url.is_some() || flags.config.is_some() {
            let refusal = "the demo has its own SQLite database: it takes neither --database-url nor --config";
            return Err(UsageError(refusal.to_owned()).into());
        }
        let data_dir = flags.data_dir.clone().unwrap_or_else(|| "./demo-data".to_owned());
        let here = working_directory()?.join(&data_dir);
        let flags = Flags { data_dir: Some(data_dir), ..flags.clone() };
        let away = [keys::DATABASE_URL, keys::DATA_DIR, keys::FILES, keys::NATS_URL, keys::JWT_SECRET];
        let is_away = |key: &Key, name: &str| key.name == name || key.file_name().is_some_and(|file| file == name);
        let environment = |name: &str| {
            if away.iter().any(|key| is_away(key, name)) { None } else { std::env::var_os(name) }
        };
        let config = Self::from_source(&Source::gather(&flags, environment, &here)?)?;
        Ok(Self { unknown: unknown_variables(), ..config })
    }

    /// The default limit of connections per network: many, and never all.
    pub fn a_share_of(max_connections: usize) -> usize {
        (max_connections / 5).saturating_mul(2).max(1)
    }

    fn from_source(source: &Source) -> anyhow::Result<Self> {
        let data_dir: PathBuf = source.read(keys::DATA_DIR, |text| Ok(text.into()))?;
        let database_url = source.optional(keys::DATABASE_URL, database_url)?.unwrap_or_else(|| sqlite_in(&data_dir));
        let jwt_secret = source.optional(keys::JWT_SECRET, Secret::parse)?;
        let admins = source.optional(keys::ADMINS, admins)?.unwrap_or_default();
        let broadcasters = source.read(keys::BROADCAST, |text| match text {
            "everyone" => Ok(Broadcasters::Everyone),
            "admins" => Ok(Broadcasters::Admins),
            _ => Err("must be everyone or admins".to_owned()),
        })?;
        let edit_history = source.read(keys::EDIT_HISTORY, |text| match text {
            "author" => Ok(EditHistory::Author),
            "members" => Ok(EditHistory::Members),
            "off" => Ok(EditHistory::Off),
            _ => Err("must be author, members or off".to_owned()),
        })?;
        let files = source.read(keys::MAX_FILE_BYTES_PER_USER, |text| {
            text.parse().map(FileQuota).map_err(|_| "must be a number of bytes".to_owned())
        })?;
        let at_once = source.read(keys::MAX_UPLOADS_PER_USER, |text| at_least_one(text).map(UploadQuota))?;
        Ok(Self {
            nats: nats::options(source, &database_url, jwt_secret.as_ref())?,
            database_url,
            allow_unsafe_durability: source.read(keys::ALLOW_UNSAFE_DURABILITY, on_or_off)?,
            http: http(source)?,
            jwt_secret,
            uploads: source
                .optional(keys::FILES, uploads)?
                .unwrap_or_else(|| Uploads::Directory(data_dir.join("uploads"))),
            aws: Vec::new(),
            strip_metadata: source.read(keys::STRIP_METADATA, on_or_off)?,
            disk_reserve: source.read(keys::DISK_RESERVE, disk_reserve)?,
            policy: ServerPolicy {
                admins,
                broadcasters,
                edit_history,
                files,
                uploads: at_once,
                sessions: source.read(keys::SESSION_DAYS, session_lifetime)?,
                groups: group_quotas(source)?,
                ..ServerPolicy::default()
            },
            retention: source.read(keys::RETENTION_DAYS, retention)?,
            live: HubOptions {
                max: source.read(keys::MAX_SOCKETS, at_least_one)?,
                max_per_user: source.read(keys::MAX_SOCKETS_PER_USER, at_least_one)?,
                ..HubOptions::default()
            },
            bcrypt_cost: source.read(keys::BCRYPT_COST, |text| {
                let cost = text.parse().ok().filter(|cost| (4..=15).contains(cost));
                cost.ok_or_else(|| "must be a number from 4 to 15".to_owned())
            })?,
            log: source.read(keys::LOG, log)?,
            log_format: source.read(keys::LOG_FORMAT, |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text or json".to_owned()),
            })?,
            data_dir,
            unknown: Vec::new(),
        })
    }

    /// The folder of the database, if it is a file.
    pub fn database_folder(&self) -> Option<&Path> {
        self.database_url.strip_prefix("sqlite://").map(|path| folder_of(Path::new(path)))
    }

    /// Creates the data directory, for this user only.
    ///
    /// # Errors
    /// An I/O error.
    pub fn make_data_dir(&self) -> anyhow::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let shown = self.data_dir.display();
        builder.create(&self.data_dir).with_context(|| format!("{}: cannot make {shown}", keys::DATA_DIR.name))
    }
}

/// The settings of the edge.
fn http(source: &Source) -> anyhow::Result<Settings> {
    let max_connections = source.read(keys::MAX_CONNECTIONS, at_least_one)?;
    Ok(Settings {
        listen: source.read(keys::LISTEN, listen)?,
        rates: rates(source)?,
        max_connections,
        max_connections_per_address: source
            .optional(keys::MAX_CONNECTIONS_PER_ADDRESS, at_least_one)?
            .unwrap_or_else(|| Config::a_share_of(max_connections)),
        min_upload_speed: source
            .read(keys::MIN_UPLOAD_SPEED, |text| text.parse().map_err(|_| "must be a number of bytes".to_owned()))?,
        max_file_bytes: source.read(keys::MAX_FILE_BYTES, |text| {
            text.parse().ok().filter(|bytes| *bytes > 0).ok_or_else(|| "must be a number of bytes".to_owned())
        })?,
        proxies: source.optional(keys::TRUSTED_PROXIES, Proxies::parse)?.unwrap_or_default(),
        public_url: source.optional(keys::PUBLIC_URL, PublicUrl::parse)?.unwrap_or_default(),
        origins: source.optional(keys::ALLOWED_ORIGINS, Origins::parse)?.unwrap_or_default(),
        deadlines: Deadlines::default(),
    })
}

fn disk_reserve(text: &str) -> Result<Reserve, String> {
    match text {
        "auto" => Ok(Reserve::Share),
        bytes => bytes.parse().map(Reserve::Bytes).map_err(|_| "must be auto or a number of bytes".to_owned()),
    }
}

/// Warnings about variables of this process that look like keys and are none.
pub fn unknown_variables() -> Vec<String> {
    unknown::among(std::env::vars_os())
}

/// Reads only the URL under which clients reach the server, for commands that need nothing else and must not fail
/// because of another key.
///
/// # Errors
/// Those of [`Config::load`]; no other key's value is read.
pub fn public_url(flags: &Flags) -> anyhow::Result<PublicUrl> {
    let source = Source::gather(flags, |name| std::env::var_os(name), &working_directory()?)?;
    Ok(source.optional(keys::PUBLIC_URL, PublicUrl::parse)?.unwrap_or_default())
}

fn working_directory() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("there is no working directory")
}

fn group_quotas(source: &Source) -> anyhow::Result<GroupQuotas> {
    let quota = |key| source.read(key, |text| at_least_one(text).map(|most| most as u64));
    Ok(GroupQuotas {
        made: quota(keys::MAX_GROUPS_CREATED_PER_USER)?,
        joined: quota(keys::MAX_GROUPS_PER_USER)?,
        added: quota(keys::MAX_MEMBERS_ADDED_PER_USER)?,
        added_of_one: quota(keys::MAX_GROUPS_ADDED_PER_PAIR)?,
    })
}

fn retention(text: &str) -> Result<Option<Retention>, String> {
    match text {
        "off" => Ok(None),
        days => {
            let days = days.parse().ok().and_then(|days| Retention::of_days(days).ok());
            days.map(Some).ok_or_else(|| format!("must be off or a number of days from 1 to {}", Retention::MAX_DAYS))
        }
    }
}

fn session_lifetime(text: &str) -> Result<SessionLifetime, String> {
    let lifetime = text.parse().ok().and_then(|days| SessionLifetime::of_days(days).ok());
    lifetime.ok_or_else(|| format!("must be a number of days from 1 to {}", SessionLifetime::MAX_DAYS))
}

fn sqlite_in(data_dir: &Path) -> String {
    format!("sqlite://{}", data_dir.join("parlance.db").display())
}

fn database_url(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("sqlite", path)) if path.contains('?') || path == ":memory:" || path.starts_with("file:") => {
            Err("must name a file, and nothing after it: sqlite://PATH".to_owned())
        }
        Some(("sqlite", path)) if Path::new(path).is_dir() => {
            Err("must name a file, and this is a directory".to_owned())
        }
        Some(("sqlite" | "postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("must be sqlite://PATH or postgres://...".to_owned()),
    }
}

/// `HOST:PORT`, or `:PORT` on the loopback address.
fn listen(text: &str) -> Result<String, String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    match text.rsplit_once(':') {
        Some(("", port)) if port.parse::<u16>().is_ok() => Ok(format!("127.0.0.1:{port}")),
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => Ok(text.to_owned()),
        _ => Err("must be ADDRESS:PORT".to_owned()),
    }
}

fn uploads(text: &str) -> Result<Uploads, String> {
    match text.split_once("://") {
        Some(("file", path)) if !path.is_empty() => Ok(Uploads::Directory(path.into())),
        Some(("s3", _)) => Bucket::parse(text).map(Uploads::Bucket).map_err(|reason| reason.to_string()),
        _ => Err("must be file://PATH or s3://BUCKET/PREFIX".to_owned()),
    }
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a number from 1".to_owned())
}

/// Reads each rate, also of limits that are off: a bad value is always an error.
fn rates(source: &Source) -> anyhow::Result<Rates> {
    let mut rates = Rates::off();
    for (limit, key) in [
        (Limit::FailedLoginsOfAccount, keys::RATE_FAILED_LOGINS_ACCOUNT),
        (Limit::FailedLoginsOfAddress, keys::RATE_FAILED_LOGINS_ADDRESS),
        (Limit::LoginsOfAccount, keys::RATE_LOGINS_ACCOUNT),
        (Limit::SignUps, keys::RATE_SIGN_UPS),
        (Limit::Sends, keys::RATE_SENDS),
        (Limit::Uploads, keys::RATE_UPLOADS),
        (Limit::Searches, keys::RATE_SEARCHES),
        (Limit::Requests, keys::RATE_REQUESTS),
        (Limit::Frames, keys::RATE_FRAMES),
        (Limit::Connects, keys::RATE_CONNECTS),
    ] {
        rates = rates.with(limit, source.read(key, Rate::parse)?);
    }
    Ok(if source.read(keys::RATE_LIMITS, on_or_off)? { rates } else { Rates::off() })
}

fn admins(text: &str) -> Result<AdminNames, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    AdminNames::parse(names).map_err(|_| "must be usernames, comma-separated".to_owned())
}

#[cfg(test)]
mod tests;
