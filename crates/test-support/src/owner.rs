//! Whom a Postgres cluster runs as: its programs refuse to run as root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user that Postgres may run as.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// `None`: whoever runs the tests.
    other: Option<(u32, u32)>,
}

impl Owner {
    /// Oneself, or for root the user `postgres`, else `nobody`. `ours` is a directory that the process has just made.
    pub fn beside(ours: &Path) -> Self {
        if std::fs::metadata(ours).unwrap().uid() != 0 {
            return Self { other: None };
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let other = ["postgres", "nobody"].iter().find_map(|name| ids_of(&passwd, name));
        Self { other: Some(other.expect("Postgres does not run as root, and there is no user postgres or nobody")) }
    }

    /// Gives the directory to the owner.
    pub fn take(self, directory: &Path) {
        if let Some((user, group)) = self.other {
            std::os::unix::fs::chown(directory, Some(user), Some(group)).unwrap();
        }
    }

    /// Lets the command run as the owner.
    pub fn run(self, command: &mut Command) -> &mut Command {
        match self.other {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }
}

/// User and group of a line `name:password:user:group:...`.
fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = passwd.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
