//! What is on this machine: the secret, the disks, the port.

use super::Finding;
use crate::app::descriptors::{Room, raise};
use crate::backup::folder_of;
use crate::config::{Config, Secret, Uploads};
use crate::probe;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Fewer different characters make no secret, however many there are.
const LEAST_DIFFERENT: usize = 8;
/// Below this a server will soon have to refuse messages.
const LITTLE_SPACE: u64 = 1 << 30;
/// Below this it does.
const NO_SPACE: u64 = 64 << 20;
/// No disk that keeps what it says it has written is faster than this.
const FASTEST_SYNC: Duration = Duration::from_micros(8);
/// From here on every message waits noticeably.
const SLOW_SYNC: Duration = Duration::from_millis(50);
/// How often syncing is tried.
const SYNCS: usize = 20;

/// Whether tokens are signed with something that nobody can guess or read.
pub fn secret(config: &Config) -> Finding {
    const CHECK: &str = "secret";
    let (secret, from) = match &config.jwt_secret {
        Some(secret) => (secret.clone(), "configured"),
        None => match Secret::found_in(&config.data_dir) {
            Ok(Some(secret)) => (secret, "kept in the data directory"),
            Ok(None) => return Finding::ok(CHECK, "none yet: the first start makes one"),
            Err(error) => return Finding::wrong(CHECK, format!("{error:#}")),
        },
    };
    let different: std::collections::HashSet<_> = secret.expose().iter().collect();
    if different.len() < LEAST_DIFFERENT {
        return Finding::wrong(CHECK, "PARLANCE_JWT_SECRET can be guessed: make one with `openssl rand -hex 32`");
    }
    #[cfg(unix)]
    if config.jwt_secret.is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = Secret::path_in(&config.data_dir);
        let mode = std::fs::metadata(&path).map_or(0, |found| found.permissions().mode());
        if mode & 0o077 != 0 {
            return Finding::wrong(CHECK, format!("others can read it: chmod 600 {}", path.display()));
        }
    }
    Finding::ok(CHECK, format!("{from}, {} bytes", secret.expose().len()))
}

/// Whether the data directory, and the folders of database and uploads where they are elsewhere, can be written to, have
/// room, and keep what they are told to.
pub fn disks(config: &Config) -> Vec<Finding> {
    let mut places = vec![("data directory", config.data_dir.clone())];
    let database = config.database_url.strip_prefix("sqlite://");
    if let Some(database) = database {
        places.push(("database folder", folder_of(Path::new(database)).to_owned()));
    }
    if let Uploads::Directory(uploads) = &config.uploads {
        places.push(("uploads folder", uploads.clone()));
    }
    // What is below the data directory is on its disk.
    let home = real(&config.data_dir);
    places
        .into_iter()
        .enumerate()
        .filter(|(n, (_, place))| *n == 0 || !real(place).starts_with(&home))
        .flat_map(|(_, (check, place))| disk(check, &place))
        .collect()
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    match there {
        Some((there, real)) => absolute.strip_prefix(there).map_or(real.clone(), |rest| real.join(rest)),
        None => absolute,
    }
}

fn disk(check: &'static str, directory: &Path) -> Vec<Finding> {
    let shown = directory.display();
    if !directory.exists() {
        return vec![Finding::ok(check, format!("{shown} is not there yet: the first start makes it"))];
    }
    let syncs = match time_syncs(directory) {
        Ok(syncs) => syncs,
        Err(error) => return vec![Finding::wrong(check, format!("{shown} cannot be written to ({error})"))],
    };
    let mut findings = vec![Finding::ok(check, format!("{shown} can be written to"))];
    match free_space(directory) {
        Some(free) => findings.push(judge_space(free)),
        None => findings.push(Finding::warning("disk space", "this system does not tell how much room there is")),
    }
    findings.push(judge_syncs(syncs));
    findings
}

/// Writes a block and syncs it, again and again; gives the times, shortest first.
fn time_syncs(directory: &Path) -> std::io::Result<Vec<Duration>> {
    let path = directory.join(format!(".doctor-{}", std::process::id()));
    let timed = || -> std::io::Result<Vec<Duration>> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            let begun = Instant::now();
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort();
        Ok(times)
    };
    let times = timed();
    let removed = std::fs::remove_file(&path);
    let times = times?;
    removed.map(|()| times)
}

fn judge_syncs(times: Vec<Duration>) -> Finding {
    const CHECK: &str = "fsync";
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let shown = format!("{:.3} ms in the middle of {}", median.as_secs_f64() * 1e3, times.len());
    if median < FASTEST_SYNC {
        return Finding::warning(
            CHECK,
            format!("{shown}: no disk is that fast; this is memory, or a disk that lies, and loses what was answered"),
        );
    }
    if median > SLOW_SYNC {
        return Finding::warning(CHECK, format!("{shown}: whatever is stored there waits for it; take a faster disk"));
    }
    Finding::ok(CHECK, shown)
}

#[cfg(unix)]
fn free_space(directory: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(directory).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_directory: &Path) -> Option<u64> {
    None
}

fn judge_space(free: u64) -> Finding {
    const CHECK: &str = "disk space";
    let shown = format!("{} MiB free", free >> 20);
    match free {
        ..NO_SPACE => Finding::wrong(CHECK, format!("{shown}: messages are refused soon, make room")),
        NO_SPACE..LITTLE_SPACE => Finding::warning(CHECK, format!("{shown}: make room before it is full")),
        _ => Finding::ok(CHECK, shown),
    }
}

/// Whether as many files may be open as there may be connections, beside the database's and the uploads'.
pub fn descriptors(config: &Config) -> Finding {
    const CHECK: &str = "open files";
    let Some(Room { files, connections }) = raise(config.max_connections) else {
        return Finding::ok(CHECK, "this system sets no limit, or does not tell");
    };
    if connections < config.max_connections {
        return Finding::warning(
            CHECK,
            format!(
                "{files} may be open here, so {connections} connections are taken and not {}: raise it (ulimit -n, LimitNOFILE)",
                config.max_connections
            ),
        );
    }
    Finding::ok(CHECK, format!("{files} may be open: enough for {} connections", config.max_connections))
}

/// Whether the port is to be had, or a server of ours has it.
pub fn port(config: &Config) -> Finding {
    const CHECK: &str = "port";
    let listen = &config.listen;
    match TcpListener::bind(listen) {
        Ok(_) => return Finding::ok(CHECK, format!("{listen} is free: no server runs there")),
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            return Finding::wrong(CHECK, format!("PARLANCE_LISTEN: cannot listen on {listen} ({error})"));
        }
        Err(_) => {}
    }
    match probe::ask(listen) {
        Some(said) if said.status == Some(200) && said.text.contains("\"ready\"") => {
            Finding::ok(CHECK, format!("a server runs on {listen} and is ready"))
        }
        Some(said) if said.text.contains("x-request-id") => {
            Finding::wrong(CHECK, format!("the server on {listen} is not ready: see its log"))
        }
        _ => Finding::wrong(CHECK, format!("another program has {listen}: stop it or set PARLANCE_LISTEN")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict::{Ok as Fine, Warning, Wrong};
    use super::*;

    #[test]
    fn space_runs_out_by_degrees() {
        for (free, verdict) in [(0, Wrong), (NO_SPACE, Warning), (LITTLE_SPACE, Fine), (u64::MAX, Fine)] {
            assert_eq!(judge_space(free).verdict, verdict, "{free}");
        }
        assert!(free_space(&std::env::temp_dir()).is_none_or(|free| free > 0));
    }

    #[test]
    fn a_sync_that_is_too_fast_or_too_slow_is_told() {
        for (micros, verdict) in [(1, Warning), (300, Fine), (9_000, Fine), (80_000, Warning)] {
            assert_eq!(judge_syncs(vec![Duration::from_micros(micros); 3]).verdict, verdict, "{micros}");
        }
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(time_syncs(directory.path()).unwrap().len(), SYNCS);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(time_syncs(&directory.path().join("nowhere")).is_err());
    }
}
