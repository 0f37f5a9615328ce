//! Users, the groups that they are in, and how many messages each group has to hold.

use crate::server::{Server, User};
use anyhow::{Context as _, ensure};
use reqwest::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every user is in one of so many groups.
const EVERY: usize = 5;

/// Who may send what.
pub struct Crowd {
    users: Vec<User>,
    groups: Vec<Group>,
}

/// A group, and what was stored in it.
pub struct Group {
    pub id: String,
    /// The first of its members, by their numbers.
    first: usize,
    stored: AtomicU64,
}

impl Group {
    /// Counts a message that the server has said to be stored.
    pub fn count(&self) {
        self.stored.fetch_add(1, Ordering::Relaxed);
    }
}

impl Crowd {
    /// Signs up users and puts every one into every fifth group.
    pub async fn gather(server: &Arc<Server>, users: usize, groups: usize) -> anyhow::Result<Self> {
        ensure!(users >= 2 * EVERY, "at least {} users: a group has two", 2 * EVERY);
        ensure!(groups >= EVERY, "at least {EVERY} groups: a user is in one");
        let http = Client::new();
        let mut crowd = Self { users: server.users(&http, users).await?, groups: Vec::with_capacity(groups) };
        for n in 0..groups {
            let first = n % EVERY;
            let members: Vec<User> = crowd.users.iter().skip(first).step_by(EVERY).cloned().collect();
            let id = server.group(&http, &format!("group{n}"), &members).await?;
            crowd.groups.push(Group { id, first, stored: AtomicU64::new(0) });
        }
        Ok(crowd)
    }

    /// Who sends over a connection, by the connection's number.
    pub fn user(&self, connection: usize) -> &User {
        &self.users[connection % self.users.len()]
    }

    /// Where the same sends its message of this number: to all its groups in turn, and each connection begins with
    /// another.
    pub fn group(&self, connection: usize, message: usize) -> &Group {
        let first = connection % self.users.len() % EVERY;
        let own = (self.groups.len() - first).div_ceil(EVERY);
        &self.groups[first + (connection + message) % own * EVERY]
    }

    /// A group, who sends to it, and who listens.
    pub fn pair(&self) -> (&Group, &User, &User) {
        (&self.groups[0], &self.users[0], &self.users[EVERY])
    }

    /// How many messages were counted.
    pub fn stored(&self) -> u64 {
        self.groups.iter().map(|group| group.stored.load(Ordering::Relaxed)).sum()
    }

    /// Fails unless every group holds as many messages as were counted: by its counter, and by what
    /// changed last.
    pub async fn check(&self, server: &Server) -> anyhow::Result<()> {
        let http = Client::new();
        for group in &self.groups {
            let stored = group.stored.load(Ordering::Relaxed);
            // The last, and what would be one too many: no number is left out, and nothing was changed after it was
            // sent.
            let path = format!("/conversations/{}/changes?after={}&limit=2", group.id, stored.saturating_sub(1));
            let page = server.get(&http, &self.users[group.first].token, &path).await?;
            let last = page["update"].as_u64().context("no counter")?;
            let rest = page["messages"].as_array().context("no list")?.len() as u64;
            ensure!(
                rest == stored.min(1) && last == stored,
                "{stored} were stored in {}: its counter is at {last}, and from the last of them on it lists {rest}",
                group.id
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sends_to_all_its_groups_and_to_no_others() {
        let users = (0..12).map(|n| User { id: n.to_string(), token: String::new() }).collect();
        let group = |n: usize| Group { id: n.to_string(), first: n % EVERY, stored: AtomicU64::new(0) };
        let crowd = Crowd { users, groups: (0..18).map(group).collect() };
        for connection in 0..30 {
            let user: usize = crowd.user(connection).id.parse().unwrap();
            let mut sent: Vec<usize> = (0..4).map(|n| crowd.group(connection, n).id.parse().unwrap()).collect();
            sent.sort_unstable();
            sent.dedup();
            let own: Vec<usize> = (0..18).filter(|group| group % EVERY == user % EVERY).collect();
            assert_eq!(sent, own, "{connection}");
        }
    }
}
