//! The server under test, and users on it.

use crate::cpu;
use anyhow::{Context as _, bail, ensure};
use reqwest::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// How many requests at once while things are set up.
const AT_ONCE: usize = 64;

/// A server process, killed when dropped.
pub struct Server {
    child: Child,
    address: String,
    directory: Option<Arc<TempDir>>,
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub token: String,
}

impl Server {
    /// The `parlance` at this path, or beside this binary, on a fresh directory.
    pub async fn parlance(binary: Option<&Path>) -> anyhow::Result<Self> {
        Self::node(binary, &[]).await
    }

    /// The same, with these variables besides those of every server here.
    pub async fn node(binary: Option<&Path>, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::parlance_in(binary, Arc::new(tempfile::tempdir()?), environment).await
    }

    /// Another process on the same directory, once this one has ended.
    pub async fn restarted(mut self, binary: Option<&Path>) -> anyhow::Result<Self> {
        let directory = self.directory.take().context("it has no directory")?;
        self.child.kill().await?;
        Self::parlance_in(binary, directory, &[]).await
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, as an operator does, and waits until all is written and it is gone.
    pub async fn terminate(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended")?;
        let sent = std::process::Command::new("kill").args(["-TERM", &id.to_string()]).status()?;
        ensure!(sent.success(), "kill failed");
        let ended = self.child.wait().await?;
        ensure!(ended.success(), "it ended with {ended}");
        Ok(())
    }

    async fn parlance_in(
        binary: Option<&Path>,
        directory: Arc<TempDir>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let binary = program(binary)?;
        let mut command = Command::new(&binary);
        command.current_dir(directory.path());
        for (key, value) in [
            ("PARLANCE_LISTEN", "127.0.0.1:0"),
            ("PARLANCE_BCRYPT_COST", "4"),
            ("PARLANCE_RATE_LIMITS", "off"),
            ("PARLANCE_LOG", "error"),
        ] {
            command.env(key, value);
        }
        command.envs(environment.iter().copied());
        let started = Self::start(command, Some(directory)).await;
        started.with_context(|| format!("{} did not start: build it first", binary.display()))
    }

    /// The bare echo server.
    pub async fn echo() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo");
        Self::start(command, None).await
    }

    async fn start(mut command: Command, directory: Option<Arc<TempDir>>) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = line.strip_prefix("listening on http://") {
                return Ok(Self { child, address: address.to_owned(), directory });
            }
        }
        bail!("it ended without listening")
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process's resident memory, in bytes.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let id = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024)
    }

    /// How long the process has had a core so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::of_process(&self.child.id().context("it has ended")?.to_string())
    }

    /// Something to read that must be there.
    pub async fn get(&self, http: &Client, token: &str, path: &str) -> anyhow::Result<Value> {
        let answer = http.get(format!("http://{}{path}", self.address)).bearer_auth(token).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.json().await?)
    }

    /// A request that must succeed.
    pub async fn post(&self, http: &Client, token: Option<&str>, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = http.post(format!("http://{}{path}", self.address)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.json().await?)
    }

    /// Signs up and logs in `count` users.
    pub async fn users(self: &Arc<Self>, http: &Client, count: usize) -> anyhow::Result<Vec<User>> {
        let (mut tasks, mut users) = (JoinSet::new(), Vec::with_capacity(count));
        for n in 0..count {
            if tasks.len() >= AT_ONCE {
                users.extend(tasks.join_next().await.transpose()?.transpose()?);
            }
            let (server, http) = (Arc::clone(self), http.clone());
            tasks.spawn(async move { server.user(&http, n).await });
        }
        while let Some(user) = tasks.join_next().await {
            users.push(user??);
        }
        Ok(users)
    }

    async fn user(&self, http: &Client, n: usize) -> anyhow::Result<User> {
        let name = json!({ "username": format!("user{n}"), "password": "password" });
        self.post(http, None, "/signup", &name).await?;
        let login = self.post(http, None, "/login", &name).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        Ok(User { id: text(&login["user"]["id"])?, token: text(&login["token"])? })
    }

    /// A group of all these users, owned by the first.
    pub async fn group(self: &Arc<Self>, http: &Client, name: &str, users: &[User]) -> anyhow::Result<String> {
        let owner = users.first().context("nobody")?;
        let group = self.post(http, Some(&owner.token), "/groups", &json!({ "name": name })).await?;
        let id = group["id"].as_str().context("no id")?.to_owned();
        let mut tasks = JoinSet::new();
        for user in &users[1..] {
            if tasks.len() >= AT_ONCE {
                tasks.join_next().await.transpose()?.transpose()?;
            }
            let (server, http, token) = (Arc::clone(self), http.clone(), owner.token.clone());
            let (path, body) = (format!("/groups/{id}/members"), json!({ "user_id": user.id }));
            tasks.spawn(async move { server.post(&http, Some(&token), &path, &body).await });
        }
        while let Some(added) = tasks.join_next().await {
            added??;
        }
        Ok(id)
    }
}

/// The `parlance` at this path, or beside this binary.
pub fn program(binary: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("parlance");
    // It runs elsewhere.
    Ok(std::path::absolute(binary.map_or(beside, PathBuf::from))?)
}

/// Lets this process, and what it starts, open so many files if it may; returns how many it may open.
pub fn raise_descriptors(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // No limit is none to raise.
    let (soft, hard) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let wanted = wanted as u64;
    if soft < wanted {
        // Whoever is root may raise the hard one, too.
        let higher = Rlimit { current: Some(wanted), maximum: Some(hard.max(wanted)) };
        let up_to_hard = Rlimit { current: Some(hard.min(wanted)), maximum: limit.maximum };
        if setrlimit(Resource::Nofile, higher).is_err() {
            // What is asked for is between what there is and the hard limit. If it fails, it stays as it was.
            let _ = setrlimit(Resource::Nofile, up_to_hard);
        }
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// How many files this process may open.
pub fn descriptor_limit() -> String {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or("unknown");
    line.split_whitespace().rev().nth(2).unwrap_or("unknown").to_owned()
}
