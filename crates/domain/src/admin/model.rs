//! The commands of admins, and the entries that record them.

use crate::context::{Caller, Timestamp};
use crate::error::Result;
use crate::groups::GroupName;
use crate::ids::{GroupId, UserId};
use crate::users::{NewUser, PasswordHash, Profile, UserRole};

/// On whose behalf a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user over the API, who has to be an admin.
    Admin(Caller),
    /// Whoever may run the program on the server's database.
    CommandLine,
}

impl Actor {
    /// The user who acts, if it is one.
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
    /// Makes a user, with a role on the server.
    CreateUser(NewUser, UserRole),
    /// Gives the user another role on the server.
    SetRole(UserId, UserRole),
    /// Gives the user another password, and ends the user's sessions.
    SetPassword(UserId, PasswordHash),
    /// Lets the user log in no more, and ends the user's sessions.
    Disable(UserId),
    /// Lets the user log in again.
    Enable(UserId),
    /// Ends the user's sessions.
    EndSessions(UserId),
    /// Deletes the group, as its owner would.
    DeleteGroup(GroupId),
}

impl AdminCommand {
    /// What the record says was done.
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
        /// What was done, as recorded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// Every action there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word it is stored and shown as.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// Of a word, if it is one of ours.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.as_str() == word)
            }
        }
    };
}

actions! {
    /// A user was made.
    UserCreated = "user.created",
    /// A user became an admin of the server.
    UserMadeAdmin = "user.made_admin",
    /// A user is no admin of the server any more, unless named in the configuration.
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
    /// A user got a number behind the name, since an older one has the same in another spelling.
    UserRenamed = "user.renamed",
    /// A group got a number behind its name, since an older one has the same in another spelling.
    GroupRenamed = "group.renamed",
}

/// The user or group of an entry in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// To a user, as shown today: one deleted since is shown as such.
    User(Profile),
    /// To a group, as it was last called.
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
    /// The user or group that it was done to.
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
