//! Who is an admin of the server, and the limits that the operator sets for all users.

use super::lifetime::SessionLifetime;
use super::model::{OwnView, User, UserRole, UserView, Username};
use crate::context::Caller;
use crate::error::{Forbidden, Invalid, Result};
use crate::files::{FileQuota, Reserve, UploadQuota};
use crate::groups::GroupQuotas;
use crate::ids::UserId;
use std::collections::HashSet;

/// The usernames of `PARLANCE_ADMINS`. Case and normal form do not count.
#[derive(Debug, Clone, Default)]
pub struct AdminNames(HashSet<String>);

impl AdminNames {
    /// # Errors
    /// [`Invalid`] if a name is no username.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let keys = names.into_iter().map(|name| Username::looked_up("username", name).map(|name| name.key()));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The keys of the names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Which users may broadcast (`PARLANCE_BROADCAST`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broadcasters {
    /// Every user.
    #[default]
    Everyone,
    /// The server's admins.
    Admins,
}

/// Which users may read what a message said before (`PARLANCE_EDIT_HISTORY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EditHistory {
    /// The sender.
    #[default]
    Author,
    /// Everybody who may read the message.
    Members,
    /// Nobody: the server keeps the present content alone.
    Off,
}

impl EditHistory {
    /// Whether an edit keeps the content that it replaces.
    pub const fn keeps_versions(self) -> bool {
        match self {
            Self::Author | Self::Members => true,
            Self::Off => false,
        }
    }

    /// Whether `reader`, who may read the message of `sender`, may read its versions.
    ///
    /// # Errors
    /// [`Forbidden::VersionsAreTheSenders`].
    pub fn may_read(self, reader: UserId, sender: UserId) -> Result<()> {
        match self {
            Self::Members => Ok(()),
            Self::Author | Self::Off if reader == sender => Ok(()),
            Self::Author | Self::Off => Forbidden::VersionsAreTheSenders.err(),
        }
    }
}

/// The rules that the operator sets.
#[derive(Debug, Clone, Default)]
pub struct ServerPolicy {
    /// The admins that the configuration names.
    pub admins: AdminNames,
    /// Which users may broadcast.
    pub broadcasters: Broadcasters,
    /// Which users may read what a message said before its edits.
    pub edit_history: EditHistory,
    /// How long a session lasts without use.
    pub sessions: SessionLifetime,
    /// How many bytes of files a user may store.
    pub files: FileQuota,
    /// How many uploads a user may have under way.
    pub uploads: UploadQuota,
    /// How many groups users may make, join and be added to.
    pub groups: GroupQuotas,
    /// How many bytes of the disk uploads leave free.
    pub reserve: Reserve,
}

impl ServerPolicy {
    /// Whether the user is an admin of the server: the configuration names them, or the command line appointed them.
    pub fn is_admin(&self, username: &Username, role: UserRole) -> bool {
        role == UserRole::Admin || self.admins.0.contains(&username.key())
    }

    /// # Errors
    /// [`Forbidden::BroadcastIsForAdmins`].
    pub fn may_broadcast(&self, username: &Username, role: UserRole) -> Result<()> {
        match self.broadcasters {
            Broadcasters::Everyone => Ok(()),
            Broadcasters::Admins if self.is_admin(username, role) => Ok(()),
            Broadcasters::Admins => Forbidden::BroadcastIsForAdmins.err(),
        }
    }

    /// What `reader` sees of `user`. The email is shown to the user and to admins, the admin mark to the user alone.
    pub fn view(&self, reader: &Caller, user: &User) -> UserView {
        let oneself = reader.user == user.id;
        UserView {
            profile: user.profile(),
            email: if oneself || reader.admin { user.email.clone() } else { None },
            admin: oneself && self.is_admin(&user.username, user.role),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }

    /// What the user sees of their own account.
    pub fn own_view(&self, user: &User) -> OwnView {
        let own = UserView {
            profile: user.profile(),
            email: user.email.clone(),
            admin: self.is_admin(&user.username, user.role),
            created_at: user.created_at,
            updated_at: user.updated_at,
        };
        OwnView { user: own, may_broadcast: self.may_broadcast(&user.username, user.role).is_ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::user;

    #[test]
    fn the_operator_says_who_reads_versions() {
        for (history, by_sender, by_others) in
            [(EditHistory::Author, true, false), (EditHistory::Members, true, true), (EditHistory::Off, true, false)]
        {
            assert_eq!(history.may_read(user(1), user(1)).is_ok(), by_sender, "{history:?}");
            assert_eq!(history.may_read(user(2), user(1)).is_ok(), by_others, "{history:?}");
        }
    }
}
