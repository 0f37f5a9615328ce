//! The commands of admins, and the entries that record them.

use crate::context::{Caller, Timestamp};
use crate::error::Result;
use crate::groups::GroupName;
use crate::ids::{GroupId, UserId};
use crate::users::{NewUser, PasswordHash, Profile, UserRole};

/// Who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user over the API, who has to be an admin.
    Admin(Caller),
    /// Somebody who can run the program on the server's database.
    CommandLine,
}

impl Actor {
    /// The acting user. `None` for the command line.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Admin(caller) => Some(caller.user),
            Self::CommandLine => None,
        }
    }

    /// Refuses an actor who is no admin, without asking the database.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAdmin`](crate::Forbidden::NotAnAdmin).
    pub fn require_admin(&self) -> Result<()> {
        match self {
            Self::Admin(caller) => caller.require_admin(),
            Self::CommandLine => Ok(()),
        }
    }
}

/// What an admin can do to an account or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Creates a user with a role on the server.
    CreateUser(NewUser, UserRole),
    /// Gives the user another role on the server.
    SetRole(UserId, UserRole),
    /// Gives the user another password, and ends the user's sessions.
    SetPassword(UserId, PasswordHash),
    /// Keeps the user from logging in, and ends the user's sessions.
    Disable(UserId),
    /// Lets the user log in again.
    Enable(UserId),
    /// Ends the user's sessions.
    EndSessions(UserId),
    /// Deletes the group, as its owner would.
    DeleteGroup(GroupId),
}

impl AdminCommand {
    /// The action that the audit log records for the command.
    pub fn action(&self) -> Action {
        match self {
            Self::CreateUser(..) => Action::UserCreated,
            Self::SetRole(_, UserRole::Admin) => Action::UserMadeAdmin,
            Self::SetRole(_, UserRole::Member) => Action::UserMadeMember,
            Self::SetPassword(..) => Action::PasswordSet,
            Self::Disable(_) => Action::UserDisabled,
            Self::Enable(_) => Action::UserEnabled,
            Self::EndSessions(_) => Action::SessionsEnded,
            Self::DeleteGroup(_) => Action::GroupDeleted,
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What an admin did, as the audit log records it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word that the log stores and clients read.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// The action of a word. `None` for other words.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.as_str() == word)
            }
        }
    };
}

actions! {
    /// Somebody created a user.
    UserCreated = "user.created",
    /// A user became an admin of the server.
    UserMadeAdmin = "user.made_admin",
    /// A user is an admin no more, unless the configuration names them.
    UserMadeMember = "user.made_member",
    /// A user got a new password.
    PasswordSet = "user.password_set",
    /// A user cannot log in any more.
    UserDisabled = "user.disabled",
    /// A user can log in again.
    UserEnabled = "user.enabled",
    /// All sessions of a user were ended.
    SessionsEnded = "user.sessions_ended",
    /// A group was deleted.
    GroupDeleted = "group.deleted",
    /// The server put a number behind a username: an older user has the same name in another spelling.
    UserRenamed = "user.renamed",
    /// The server put a number behind a group's name: an older group has the same name in another spelling.
    GroupRenamed = "group.renamed",
}

/// The user or group of an entry in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// A user as shown today. A user who was deleted since is shown as deleted.
    User(Profile),
    /// A group with its last name.
    Group(GroupId, GroupName),
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The number of the entry: from 1, dense, in the order of commits.
    pub number: i64,
    /// The time of the transaction. Nothing is ordered by it.
    pub at: Timestamp,
    /// The admin who did it. `None` for the command line.
    pub actor: Option<Profile>,
    /// What the actor did.
    pub action: Action,
    /// The user or group that the action changed.
    pub target: AuditTarget,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::parse("user.read"), None);
    }
}
