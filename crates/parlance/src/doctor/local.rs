//! Checks this machine: the secret, the disks, the port.

use super::Finding;
use crate::app::descriptors::{Room, raise};
use crate::backup;
use crate::config::{Config, Secret, Uploads};
use crate::private_files::folder_of;
use crate::probe;
use domain::files::{Reserve, Space};
use infra_files::space_of;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A secret with fewer distinct characters is weak, however long it is.
const MIN_DISTINCT: usize = 8;
/// Below this, the disk will soon be full.
const LITTLE_SPACE: u64 = 1 << 30;
/// Below this, a server will soon have to refuse messages.
const NO_SPACE: u64 = 64 << 20;
/// No disk with durable writes is faster than this.
const FASTEST_SYNC: Duration = Duration::from_micros(8);
/// Above this, every message is noticeably delayed.
const SLOW_SYNC: Duration = Duration::from_millis(50);
/// The number of test syncs.
const SYNCS: usize = 20;

/// Checks that the secret can be neither guessed nor read by others.
pub fn secret(config: &Config) -> Finding {
    const CHECK: &str = "secret";
    let (secret, from) = match &config.jwt_secret {
        Some(secret) => (secret.clone(), "configured"),
        None => match Secret::found_in(&config.data_dir) {
            Ok(Some(secret)) => (secret, "kept in the data directory"),
            Ok(None) => return Finding::ok(CHECK, "none yet: the first start generates one"),
            Err(error) => return Finding::wrong(CHECK, format!("{error:#}")),
        },
    };
    let different: std::collections::HashSet<_> = secret.expose().iter().collect();
    if different.len() < MIN_DISTINCT {
        return Finding::wrong(CHECK, "PARLANCE_JWT_SECRET is easy to guess: generate one with `openssl rand -hex 32`");
    }
    #[cfg(unix)]
    if config.jwt_secret.is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = Secret::path_in(&config.data_dir);
        let mode = std::fs::metadata(&path).map_or(0, |found| found.permissions().mode());
        if mode & 0o077 != 0 {
            return Finding::wrong(
                CHECK,
                format!("other users of this machine can read it: chmod 600 {}", path.display()),
            );
        }
    }
    Finding::ok(CHECK, format!("{from}, {} bytes", secret.expose().len()))
}

/// Reports a running or interrupted restore.
pub fn half_restored(config: &Config) -> Option<Finding> {
    backup::half_restored(config).map(|shown| {
        let advice = "no server starts: wait for the restore that is under way, or run `parlance restore` again";
        Finding::wrong("restore", format!("{shown} is an unfinished restore, {advice}"))
    })
}

/// Checks that the data directory, and the folders of database and uploads elsewhere, are writable, have room and sync
/// durably.
pub fn disks(config: &Config) -> Vec<Finding> {
    let mut places = vec![("data directory", config.data_dir.clone())];
    let database = config.database_url.strip_prefix("sqlite://");
    if let Some(database) = database {
        places.push(("database folder", folder_of(Path::new(database)).to_owned()));
    }
    if let Uploads::Directory(uploads) = &config.uploads {
        places.push(("uploads folder", uploads.clone()));
    }
    // Everything below the data directory is on its disk.
    let home = real(&config.data_dir);
    places
        .into_iter()
        .enumerate()
        .filter(|(n, (_, place))| *n == 0 || !real(place).starts_with(&home))
        .flat_map(|(_, (check, place))| disk(check, &place, config.disk_reserve))
        .collect()
}

/// Resolves the links of the existing part of a path.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    match there {
        Some((there, real)) => absolute.strip_prefix(there).map_or(real.clone(), |rest| real.join(rest)),
        None => absolute,
    }
}

fn disk(check: &'static str, directory: &Path, reserve: Reserve) -> Vec<Finding> {
    let shown = directory.display();
    if !directory.exists() {
        return vec![Finding::ok(check, format!("{shown} is not there yet: the first start makes it"))];
    }
    let syncs = match time_syncs(directory) {
        Ok(syncs) => syncs,
        Err(error) => return vec![Finding::wrong(check, format!("{shown} cannot be written to ({error})"))],
    };
    let mut findings = vec![Finding::ok(check, format!("{shown} can be written to"))];
    match space_of(directory) {
        Some(space) => findings.push(judge_space(space, reserve)),
        None => findings.push(Finding::warning("disk space", "this system does not report the free space")),
    }
    findings.push(judge_syncs(syncs));
    findings
}

/// Writes and syncs a block repeatedly. Returns the durations, shortest first.
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
    let shown = format!("{:.3} ms, the median of {}", median.as_secs_f64() * 1e3, times.len());
    if median < FASTEST_SYNC {
        return Finding::warning(
            CHECK,
            format!(
                "{shown}: no disk is that fast; this is memory, or a disk that reports writes too early and loses messages"
            ),
        );
    }
    if median > SLOW_SYNC {
        return Finding::warning(CHECK, format!("{shown}: every message waits for it; use a faster disk"));
    }
    Finding::ok(CHECK, shown)
}

fn judge_space(space: Space, reserve: Reserve) -> Finding {
    const CHECK: &str = "disk space";
    let kept = reserve.of(space.whole);
    let shown = format!("{} MiB free", space.free >> 20);
    match space.free {
        free if free < NO_SPACE.min(kept / 2) => {
            Finding::wrong(CHECK, format!("{shown}: the server refuses messages, and soon logins; make room"))
        }
        free if free < reserve.of_growth(space.whole) => Finding::warning(
            CHECK,
            format!("{shown}: the server refuses files, and messages if the database is on this disk; make room"),
        ),
        free if free < kept => Finding::warning(
            CHECK,
            format!("{shown}: the server refuses files, because it keeps {} MiB for messages; make room", kept >> 20),
        ),
        free if free < LITTLE_SPACE && free < space.whole / 2 => {
            Finding::warning(CHECK, format!("{shown}: make room before it is full"))
        }
        _ => Finding::ok(CHECK, format!("{shown}, of which uploads leave {}", kept >> 20)),
    }
}

/// Checks that the process may open enough files for all connections, the database and the uploads.
pub fn descriptors(config: &Config) -> Finding {
    const CHECK: &str = "open files";
    let Some(Room { files, connections }) = raise(config.http.max_connections) else {
        return Finding::ok(CHECK, "this system sets no limit, or does not report it");
    };
    if connections < config.http.max_connections {
        return Finding::warning(
            CHECK,
            format!(
                "the limit is {files}: enough for {connections} connections and not for {}; raise it (ulimit -n, LimitNOFILE)",
                config.http.max_connections
            ),
        );
    }
    Finding::ok(CHECK, format!("the limit is {files}: enough for {} connections", config.http.max_connections))
}

/// Checks that the port is free, or that a parlance server has it.
pub fn port(config: &Config) -> Finding {
    const CHECK: &str = "port";
    let listen = &config.http.listen;
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
        let whole = 100 << 30;
        for (free, verdict) in [
            (0, Wrong),
            (NO_SPACE - 1, Wrong),
            (NO_SPACE, Warning),
            (LITTLE_SPACE - 1, Warning),
            (LITTLE_SPACE, Fine),
            (whole, Fine),
        ] {
            assert_eq!(judge_space(Space { whole, free }, Reserve::Share).verdict, verdict, "{free}");
        }
        // A small disk has little room; that is no problem if it is empty.
        for (free, verdict) in [(3, Wrong), (7, Warning), (9, Warning), (20, Fine)] {
            let space = Space { whole: 32 << 20, free: free << 20 };
            assert_eq!(judge_space(space, Reserve::Share).verdict, verdict, "{free} MiB of 32");
        }
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
