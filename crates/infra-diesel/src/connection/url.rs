//! The URL of the database.

use std::path::PathBuf;
use std::time::Duration;

/// The URL of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// A URL for libpq, with a timeout for every wait that the operator's URL does not limit.
    Postgres(String),
}

/// How long a caller waits for Postgres after the time for connecting has passed.
const EXTRA_TIMEOUT: Duration = Duration::from_millis(500);
/// How long connecting may take, unless the URL's `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read of a SQLite file may take, including its time in the queue. As long as a client waits for an answer
/// from Postgres.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Parameters for libpq, unless the URL sets them. libpq gives up a connection after two seconds without an answer to
/// the first packet, after two and a half with unacknowledged data, and after about four without a sign of a machine
/// that is gone.
const PARAMETERS: [(&str, &str); 6] = [
    ("application_name", "parlance"),
    ("connect_timeout", "2"),
    ("tcp_user_timeout", "2500"),
    ("keepalives_idle", "2"),
    ("keepalives_interval", "1"),
    ("keepalives_count", "2"),
];

impl DatabaseUrl {
    /// Parses `sqlite://PATH`, `postgres://…` or `postgresql://…`.
    pub fn parse(url: &str) -> Option<Self> {
        Self::parse_as("parlance", url)
    }

    /// Like [`DatabaseUrl::parse`], for a program that is no server. Its connections to Postgres have that application
    /// name.
    pub fn parse_as(application: &str, url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            // SQLite has URLs of its own, with parameters that turn locks off.
            let is_path = !path.is_empty() && !path.starts_with("file:");
            return is_path.then(|| Self::Sqlite(path.into()));
        }
        let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        postgres.then(|| Self::Postgres(with_parameters(url, application)))
    }

    /// How long callers wait for Postgres; `None` for a file, which answers or fails. After that the caller gets
    /// [`Unavailable::StorageOutOfReach`](domain::Unavailable::StorageOutOfReach): a client has its answer within three
    /// seconds, whatever the database, its machine or the network do. An operator whose database is far away or slow
    /// sets a larger `connect_timeout`.
    pub fn answer_timeout(&self) -> Option<Duration> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(url) => Some(connect_timeout(url).unwrap_or(CONNECT_TIMEOUT) + EXTRA_TIMEOUT),
        }
    }

    /// How long callers wait for a read. Reads of a SQLite file have a limit, too, so that no client waits for another
    /// client's expensive reads.
    pub fn read_timeout(&self) -> Duration {
        self.answer_timeout().unwrap_or(READ_TIMEOUT)
    }

    /// The URL without the password and the connection parameters, for messages and for storing.
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let (place, query) = url.split_at(query_start(url).unwrap_or(url.len()));
                let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
                let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                // A host in the query belongs to the address as much as one before it.
                let named =
                    |pair: &&str| ["host", "port", "dbname"].contains(&pair.split('=').next().unwrap_or_default());
                let query: Vec<_> = query.trim_start_matches('?').split('&').filter(named).collect();
                let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
                format!("{scheme}://{rest}{query}")
            }
        }
    }
}

/// Where the query begins. A `?` in a password is none.
fn query_start(url: &str) -> Option<usize> {
    let authority = url.find("://")? + 3;
    let path = match url[authority..].find(['@', '/']) {
        Some(end) if url[authority + end..].starts_with('@') => authority + end,
        _ => authority,
    };
    url[path..].find('?').map(|at| path + at)
}

fn connect_timeout(url: &str) -> Option<Duration> {
    let query = &url[query_start(url)? + 1..];
    let seconds = query.split('&').find_map(|pair| pair.strip_prefix("connect_timeout="))?;
    seconds.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn with_parameters(url: &str, application: &str) -> String {
    let query = query_start(url).map_or("", |at| &url[at + 1..]);
    let is_set = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let mut whole = url.to_owned();
    let mut separator = if query_start(url).is_none() { '?' } else { '&' };
    for (name, value) in PARAMETERS.into_iter().filter(|(name, _)| !is_set(name)) {
        let value = if name == "application_name" { application } else { value };
        whole.push(separator);
        whole.push_str(name);
        whole.push('=');
        whole.push_str(value);
        separator = '&';
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(url: &str) -> String {
        match DatabaseUrl::parse(url) {
            Some(DatabaseUrl::Postgres(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_lets_a_connection_take_longer_waits_longer() {
        let timeout = |url: &str| DatabaseUrl::parse(url).unwrap().answer_timeout();
        assert_eq!(timeout("sqlite://x"), None);
        for (url, millis) in [
            ("postgres://h/db", 2_500),
            ("postgres://h/db?connect_timeout=60", 60_500),
            ("postgres://h/db?sslmode=require&connect_timeout=5", 5_500),
            ("postgres://h/db?connect_timeout=0", 2_500),
            ("postgres://h/db?connect_timeout=soon", 2_500),
        ] {
            assert_eq!(timeout(url), Some(Duration::from_millis(millis)), "{url}");
        }
    }

    const ADDED: &str = "application_name=parlance&connect_timeout=2&tcp_user_timeout=2500&keepalives_idle=2&\
                         keepalives_interval=1&keepalives_count=2";

    #[test]
    fn how_long_to_wait_is_added_where_it_is_not_said() {
        for (url, begins) in [
            ("postgres://h/db", "postgres://h/db?"),
            ("postgres://h", "postgres://h?"),
            ("postgresql://u:p@h:1/db?sslmode=require", "postgresql://u:p@h:1/db?sslmode=require&"),
            ("postgres://u:p?w@h/db", "postgres://u:p?w@h/db?"),
            ("postgres:///db?host=/tmp", "postgres:///db?host=/tmp&"),
        ] {
            assert_eq!(postgres(url), format!("{begins}{ADDED}"), "{url}");
        }
        let said = postgres("postgres://h/db?connect_timeout=10&application_name=x");
        assert_eq!(said.matches("connect_timeout").count(), 1);
        assert!(said.contains("connect_timeout=10&application_name=x&tcp_user_timeout="), "{said}");
    }

    #[test]
    fn what_is_shown_holds_no_password() {
        for (url, shown) in [
            ("postgres://u:secret@h:1/db?sslmode=require", "postgres://h:1/db"),
            ("postgres://u:se?cret@h/db", "postgres://h/db"),
            ("postgres:///db?host=/tmp&password=secret", "postgres:///db?host=/tmp"),
            ("sqlite://a/b.db", "sqlite://a/b.db"),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().redacted(), shown);
        }
    }

    #[test]
    fn other_urls_are_none() {
        for url in ["", "sqlite://", "sqlite://file:x.db", "mysql://h/db", "postgres:h"] {
            assert_eq!(DatabaseUrl::parse(url), None, "{url}");
        }
    }
}
