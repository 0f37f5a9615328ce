//! Who runs the server and what that allows.

use super::model::{User, UserRole, UserView, Username};
use crate::context::Caller;
use crate::error::{Forbidden, Invalid, Result};
use crate::files::{FileQuota, Reserve, UploadQuota};
use crate::groups::GroupQuotas;
use std::collections::HashSet;

/// The usernames of `PARLANCE_ADMINS`, whatever their case and their normal form.
#[derive(Debug, Clone, Default)]
pub struct AdminNames(HashSet<String>);

impl AdminNames {
    /// # Errors
    /// [`Invalid`] where one is no username.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let keys = names.into_iter().map(|name| Username::looked_up("username", name).map(|name| name.key()));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The names' keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Who may broadcast (`PARLANCE_BROADCAST`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broadcasters {
    /// Every user.
    #[default]
    Everyone,
    /// The server's admins.
    Admins,
}

/// The rules an operator sets.
#[derive(Debug, Clone, Default)]
pub struct ServerPolicy {
    /// Admins by configuration.
    pub admins: AdminNames,
    /// Who may broadcast.
    pub broadcasters: Broadcasters,
    /// How much the files of one user may take.
    pub files: FileQuota,
    /// How many uploads one user may have under way.
    pub uploads: UploadQuota,
    /// How many groups users may make and be in.
    pub groups: GroupQuotas,
    /// How much of the disk stays free.
    pub reserve: Reserve,
}

impl ServerPolicy {
    /// An admin of the server: named in the configuration, or made one by the command line.
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

    /// What `reader` may see of `user`: an email only of oneself or as an admin, the admin mark only one's own.
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

    /// What one sees of oneself, before there is a session to ask by.
    pub fn own_view(&self, user: &User) -> UserView {
        UserView {
            profile: user.profile(),
            email: user.email.clone(),
            admin: self.is_admin(&user.username, user.role),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
