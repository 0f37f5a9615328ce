//! Where values come from: flags, the environment, one file; in this order.

use super::keys::{ALLOW_UNSAFE_DURABILITY, DATA_DIR, DATABASE_URL, KEYS, Key, LISTEN};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The file's name in the working and in the data directory.
const FILE_NAME: &str = "parlance.toml";

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
    /// Take a Postgres that may lose what was answered (PARLANCE_ALLOW_UNSAFE_DURABILITY)
    #[arg(long, global = true)]
    pub allow_unsafe_durability: bool,
}

/// Values as they were written, and where each was found.
#[derive(Debug, Default)]
pub(super) struct Source {
    values: HashMap<&'static str, (String, String)>,
}

impl Source {
    /// Looks everywhere. `environment` answers for one variable, `here` is the working directory.
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
            // A variable that a script has not set: to go on with another database would be worse.
            if value.as_deref() == Some("") {
                bail!("{}: is empty ({flag})", key.name);
            }
            source.offer(key, value.clone(), || flag.to_owned());
        }
        for key in KEYS {
            let Some(value) = environment(key.name) else { continue };
            let value = value.into_string().map_err(|_| anyhow!("{}: is not UTF-8 (environment)", key.name))?;
            source.offer(*key, Some(value), || "environment".to_owned());
        }
        source.read_file(flags.config.as_deref(), here)?;
        Ok(source)
    }

    /// Takes a value unless a stronger source gave one. An empty one is none.
    fn offer(&mut self, key: Key, value: Option<String>, origin: impl FnOnce() -> String) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.values.entry(key.name).or_insert_with(|| (value, origin()));
        }
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
            self.offer(*key, found.get(key.name).cloned(), || shown.to_string());
        }
        Ok(())
    }

    /// The value as written, if there is one.
    pub fn get(&self, key: Key) -> Option<&str> {
        self.values.get(key.name).map(|(value, _)| value.as_str())
    }

    /// The value, read by `parse`, which says in words what it must be. Never shows the value: it may be a secret.
    pub fn optional<T>(&self, key: Key, parse: impl FnOnce(&str) -> Result<T, String>) -> anyhow::Result<Option<T>> {
        let Some((value, origin)) = self.values.get(key.name) else { return Ok(None) };
        parse(value).map(Some).map_err(|reason| anyhow!("{}: {reason} ({origin})", key.name))
    }

    /// The value or the key's default, read by `parse`.
    pub fn read<T>(&self, key: Key, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
        match self.optional(key, &parse)? {
            Some(value) => Ok(value),
            None => parse(key.default).map_err(|reason| anyhow!("{}: {reason} (default)", key.name)),
        }
    }
}

/// The keys of a file, as text. Tells faults without quoting the file: it may hold a secret.
fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        format!("line {line}: {}", error.message())
    })?;
    let mut found = HashMap::new();
    for (name, value) in table {
        if !KEYS.iter().any(|key| key.name == name) {
            return Err(format!("unknown key {name}"));
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
