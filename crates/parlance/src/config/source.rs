//! The sources of values, in order of precedence: flags, the environment, one file.

use super::keys::{ALLOW_UNSAFE_DURABILITY, DATA_DIR, DATABASE_URL, KEYS, Key, LISTEN};
use super::unknown;
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The file's name in the working and in the data directory.
const FILE_NAME: &str = "parlance.toml";
/// The largest file with one value, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The flags that win over environment and file.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Configuration file [default: ./parlance.toml, else <data dir>/parlance.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on (PARLANCE_LISTEN)
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Directory of database, uploads and secret (PARLANCE_DATA_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Database (DATABASE_URL)
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Accept a Postgres that may lose messages that the server has acknowledged (PARLANCE_ALLOW_UNSAFE_DURABILITY)
    #[arg(long, global = true)]
    pub allow_unsafe_durability: bool,
}

/// A wrong command line. The program exits with the code for wrong usage.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A value as written, and its source.
#[derive(Debug)]
struct Found {
    text: String,
    origin: String,
    by_flag: bool,
}

/// All values as written, with their sources.
#[derive(Debug, Default)]
pub(super) struct Source {
    values: HashMap<&'static str, Found>,
}

impl Source {
    /// Reads all sources. `environment` returns a variable; `here` is the working directory.
    pub fn gather(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<std::ffi::OsString>,
        here: &Path,
    ) -> anyhow::Result<Self> {
        let mut source = Self::default();
        let unsafe_durability = flags.allow_unsafe_durability.then(|| "on".to_owned());
        for (key, flag, value) in [
            (LISTEN, "--listen", &flags.listen),
            (DATA_DIR, "--data-dir", &flags.data_dir),
            (DATABASE_URL, "--database-url", &flags.database_url),
            (ALLOW_UNSAFE_DURABILITY, "--allow-unsafe-durability", &unsafe_durability),
        ] {
            // A script may have left the variable empty; using another database would be worse than an error.
            if value.as_deref() == Some("") {
                return Err(UsageError(format!("{}: is empty ({flag})", key.name)).into());
            }
            if let Some(text) = value.clone() {
                source.values.insert(key.name, Found { text, origin: flag.to_owned(), by_flag: true });
            }
        }
        let variable = |name: &str| {
            let text = environment(name).map(std::ffi::OsString::into_string).transpose();
            text.map_err(|_| anyhow!("{name}: is not UTF-8 (environment)"))
        };
        for key in KEYS {
            source.offer(*key, "environment", variable, here)?;
        }
        source.read_file(flags.config.as_deref(), here)?;
        Ok(source)
    }

    /// Takes a key's value from one source, directly or from a file that it names, unless a stronger source has set it.
    /// An empty value counts as unset.
    fn offer(
        &mut self,
        key: Key,
        place: &str,
        told: impl Fn(&str) -> anyhow::Result<Option<String>>,
        here: &Path,
    ) -> anyhow::Result<()> {
        if self.values.contains_key(key.name) {
            return Ok(());
        }
        let told = |name: &str| Ok::<_, anyhow::Error>(told(name)?.filter(|value| !value.is_empty()));
        let held = match key.file_name() {
            Some(name) => told(&name)?.map(|path| (name, path)),
            None => None,
        };
        let (text, origin) = match (told(key.name)?, held) {
            (None, None) => return Ok(()),
            (Some(text), None) => (text, place.to_owned()),
            (None, Some((name, path))) => (held_in(&name, &here.join(path))?, format!("{name}, {place}")),
            (Some(_), Some((name, _))) => bail!("{} and {name} are both given: use one of them ({place})", key.name),
        };
        self.values.insert(key.name, Found { text, origin, by_flag: false });
        Ok(())
    }

    fn read_file(&mut self, named: Option<&Path>, here: &Path) -> anyhow::Result<()> {
        let data_dir = self.get(DATA_DIR).unwrap_or(DATA_DIR.default);
        let in_data_dir = here.join(data_dir).join(FILE_NAME);
        let path = match named {
            Some(path) => here.join(path),
            None => match [here.join(FILE_NAME), in_data_dir.clone()].into_iter().find(|path| path.is_file()) {
                Some(path) => path,
                None => return Ok(()),
            },
        };
        let shown = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let found = parse(&text).map_err(|reason| anyhow!("{shown}: {reason}"))?;
        if path == in_data_dir && found.contains_key(DATA_DIR.name) {
            bail!("{}: cannot be set by the file in the data directory ({shown})", DATA_DIR.name);
        }
        for key in KEYS {
            self.offer(*key, &shown.to_string(), |name| Ok(found.get(name).cloned()), here)?;
        }
        Ok(())
    }

    /// The value as written, if there is one.
    pub fn get(&self, key: Key) -> Option<&str> {
        self.values.get(key.name).map(|found| found.text.as_str())
    }

    /// Parses the value with `parse`, whose error says what the value must be. The error never shows the value: it may
    /// be a secret.
    ///
    /// # Errors
    /// A message that begins with the key's name; a [`UsageError`] if a flag gave the value.
    pub fn optional<T>(&self, key: Key, parse: impl FnOnce(&str) -> Result<T, String>) -> anyhow::Result<Option<T>> {
        let Some(Found { text, origin, by_flag }) = self.values.get(key.name) else { return Ok(None) };
        parse(text).map(Some).map_err(|reason| {
            let refusal = format!("{}: {reason} ({origin})", key.name);
            if *by_flag { UsageError(refusal).into() } else { anyhow!(refusal) }
        })
    }

    /// Parses the value or the key's default with `parse`.
    pub fn read<T>(&self, key: Key, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
        match self.optional(key, &parse)? {
            Some(value) => Ok(value),
            None => parse(key.default).map_err(|reason| anyhow!("{}: {reason} (default)", key.name)),
        }
    }
}

/// Reads a file without the final line end that editors add. `name` is the key that names the file.
///
/// # Errors
/// An error if the file cannot be read, is empty, or is larger than any value.
pub(super) fn held_in(name: &str, path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    let length = read.with_context(|| format!("{name}: cannot read {shown}"))?;
    ensure!(length as u64 <= MAX_BYTES, "{name}: {shown} has more than {MAX_BYTES} bytes");
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    ensure!(!text.is_empty(), "{name}: {shown} is empty");
    Ok(text)
}

/// Reads the keys of a configuration file. Errors do not quote the file: it may contain a secret.
fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        format!("line {line}: {}", error.message())
    })?;
    let mut found = HashMap::new();
    for (name, value) in table {
        if !unknown::is_known(&name) {
            return Err(format!("unknown key {name} (the nearest is {})", unknown::nearest(&name)));
        }
        let value = plain(&value).ok_or_else(|| format!("{name} must be a string, a number or a list of strings"))?;
        found.insert(name, value);
    }
    Ok(found)
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
