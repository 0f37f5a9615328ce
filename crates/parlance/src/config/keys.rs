//! The table of all configuration keys. The help, the reading of environment and file, and the defaults follow from it.

/// A key of the configuration, the same in the environment and in `parlance.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name of the key.
    pub name: &'static str,
    /// The default; in angle brackets or words if it depends on others.
    pub default: &'static str,
    /// The purpose of the key.
    pub help: &'static str,
    /// Whether the value is a secret or may contain one. A file may then hold it.
    pub secret: bool,
}

impl Key {
    /// The key that names a file with the value, if the value is a secret.
    pub fn file_name(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }
}

macro_rules! keys {
    ($($id:ident = $name:literal, $default:literal, $help:literal $(, $secret:ident)?;)*) => {
        $(pub(super) const $id: Key =
            Key { name: $name, default: $default, help: $help, secret: keys!(@is $($secret)?) };)*
        /// All keys.
        pub const KEYS: &[Key] = &[$($id),*];
    };
    (@is secret) => { true };
    (@is) => { false };
}

keys! {
    DATABASE_URL = "DATABASE_URL", "sqlite://<data dir>/parlance.db", "sqlite://PATH or postgres://...", secret;
    ALLOW_UNSAFE_DURABILITY = "PARLANCE_ALLOW_UNSAFE_DURABILITY", "off", "on: takes a Postgres with fsync or synchronous_commit off, which may lose messages that the server has acknowledged";
    LISTEN = "PARLANCE_LISTEN", "127.0.0.1:8080", "ADDRESS:PORT; port 0 picks a free one";
    DATA_DIR = "PARLANCE_DATA_DIR", "./data", "database, uploads, generated secret";
    JWT_SECRET = "PARLANCE_JWT_SECRET", "made at first start, kept in the data dir", "32 bytes or more", secret;
    FILES = "PARLANCE_FILES", "file://<data dir>/uploads", "file://PATH, or s3://BUCKET/PREFIX (region, endpoint and credentials by the usual AWS_... variables)";
    NATS_URL = "PARLANCE_NATS_URL", "none", "nats://[user:password@]host or tls://host, several separated by commas: many nodes over one Postgres", secret;
    NATS_CREDENTIALS = "PARLANCE_NATS_CREDENTIALS", "none", "a .creds file: a NATS user's JWT and seed";
    NATS_CA = "PARLANCE_NATS_CA", "those the system trusts", "a PEM file: the authorities that vouch for the NATS server";
    NATS_CERT = "PARLANCE_NATS_CERT", "none", "a PEM file: the certificate to show to the NATS server";
    NATS_KEY = "PARLANCE_NATS_KEY", "none", "a PEM file: the certificate's key";
    MAX_FILE_BYTES = "PARLANCE_MAX_FILE_BYTES", "52428800", "the largest upload";
    MAX_FILE_BYTES_PER_USER = "PARLANCE_MAX_FILE_BYTES_PER_USER", "10737418240", "all files of one user together; the server deletes files that no message carries after a day";
    STRIP_METADATA = "PARLANCE_STRIP_METADATA", "on", "off: uploaded png, jpeg and webp keep their metadata, such as where a photo was taken";
    DISK_RESERVE = "PARLANCE_DISK_RESERVE", "auto", "bytes that uploads leave free for messages on the disks of uploads and database; messages leave a quarter of it free (SQLite); auto: 5 % of the disk, at most 1 GiB";
    RETENTION_DAYS = "PARLANCE_RETENTION_DAYS", "off", "delete messages and files after so many days, from 1 on";
    ADMINS = "PARLANCE_ADMINS", "none", "usernames, comma-separated";
    SESSION_DAYS = "PARLANCE_SESSION_DAYS", "30", "a session that nobody has used for so many days ends; from 1 on";
    RATE_LIMITS = "PARLANCE_RATE_LIMITS", "on", "off: no rate limits, for load tests";
    RATE_FAILED_LOGINS_ACCOUNT = "PARLANCE_RATE_FAILED_LOGINS_ACCOUNT", "10/min", "wrong passwords, for an account; every RATE: COUNT/UNIT or COUNT/UNIT:BURST (s, min or h), or off";
    RATE_FAILED_LOGINS_ADDRESS = "PARLANCE_RATE_FAILED_LOGINS_ADDRESS", "120/min", "wrong passwords, for an address";
    RATE_LOGINS_ACCOUNT = "PARLANCE_RATE_LOGINS_ACCOUNT", "60/min", "logins with the right password, for an account";
    RATE_SIGN_UPS = "PARLANCE_RATE_SIGN_UPS", "60/min", "new users, for an address";
    RATE_SENDS = "PARLANCE_RATE_SENDS", "20/s:60", "messages sent, for a user";
    RATE_UPLOADS = "PARLANCE_RATE_UPLOADS", "30/min", "files sent, for a user";
    RATE_SEARCHES = "PARLANCE_RATE_SEARCHES", "5/s:20", "searches, for a user";
    RATE_REQUESTS = "PARLANCE_RATE_REQUESTS", "50/s:200", "all other requests, for a user, or for an address without a valid token";
    RATE_FRAMES = "PARLANCE_RATE_FRAMES", "200/s:2000", "WebSocket frames of every kind, for a user; the server closes a connection that sends more with 1008";
    RATE_CONNECTS = "PARLANCE_RATE_CONNECTS", "10/s:100", "live connections opened, for a user; one counts several times if the user is in very many groups";
    MAX_GROUPS_CREATED_PER_USER = "PARLANCE_MAX_GROUPS_CREATED_PER_USER", "1000", "groups that a user has made and still owns";
    MAX_GROUPS_PER_USER = "PARLANCE_MAX_GROUPS_PER_USER", "5000", "groups that a user has joined or made; and, counted apart, that others have added the user to";
    MAX_MEMBERS_ADDED_PER_USER = "PARLANCE_MAX_MEMBERS_ADDED_PER_USER", "20000", "members that a user has added and who are still in their groups";
    MAX_GROUPS_ADDED_PER_PAIR = "PARLANCE_MAX_GROUPS_ADDED_PER_PAIR", "200", "the same, for one and the same member";
    MAX_CONNECTIONS = "PARLANCE_MAX_CONNECTIONS", "25000", "connections at once; more wait until one ends";
    MAX_CONNECTIONS_PER_ADDRESS = "PARLANCE_MAX_CONNECTIONS_PER_ADDRESS", "two fifths of PARLANCE_MAX_CONNECTIONS", "the same, from one IPv4 address or IPv6 /64 that is no trusted proxy's; more get 503";
    MAX_SOCKETS = "PARLANCE_MAX_SOCKETS", "20000", "WebSockets and event streams at once";
    MAX_SOCKETS_PER_USER = "PARLANCE_MAX_SOCKETS_PER_USER", "50", "the same, of one user";
    MAX_UPLOADS_PER_USER = "PARLANCE_MAX_UPLOADS_PER_USER", "8", "uploads that one user may have under way at once; more get 429";
    MIN_UPLOAD_SPEED = "PARLANCE_MIN_UPLOAD_SPEED", "1024", "bytes a second; the server gives up a slower upload after 30 s";
    BROADCAST = "PARLANCE_BROADCAST", "everyone", "who may broadcast: everyone or admins";
    EDIT_HISTORY = "PARLANCE_EDIT_HISTORY", "author", "who may read what a message said before: author, members or off";
    BCRYPT_COST = "PARLANCE_BCRYPT_COST", "10", "4 to 15";
    PUBLIC_URL = "PARLANCE_PUBLIC_URL", "none", "the URL under which clients reach the server, like https://example.org/chat; every URL that the server sends begins with its path";
    ALLOWED_ORIGINS = "PARLANCE_ALLOWED_ORIGINS", "same origin", "CORS and WebSocket origins, comma-separated";
    TRUSTED_PROXIES = "PARLANCE_TRUSTED_PROXIES", "none", "networks like 10.0.0.0/8 whose X-Forwarded-For the server trusts, comma-separated";
    LOG = "PARLANCE_LOG", "info", "error, warn, info, debug, trace, or directives like info,api_actix=debug";
    LOG_FORMAT = "PARLANCE_LOG_FORMAT", "text", "text or json";
}

/// The keys as `--help` lists them.
pub fn help() -> String {
    let mut text = String::from(
        "Configuration: environment variables, or the same keys in parlance.toml (--config, else the working directory's, \
         else the data directory's). Flags win over the environment, the environment over the file.\n",
    );
    for key in KEYS {
        let Key { name, default, help, .. } = key;
        text.push_str(&format!("\n  {name} [default: {default}]\n      {help}\n"));
        if let Some(file_name) = key.file_name() {
            text.push_str(&format!("      or {file_name}: a file that holds it\n"));
        }
    }
    text
}
