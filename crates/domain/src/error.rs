//! What can go wrong, told without reference to any transport.
//!
//! The sentences are part of the contract with clients where `docs/api.md` quotes them; the outermost layer turns the
//! variant into a status and a code and nothing else.

use std::borrow::Cow;

/// The domain's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case refused or failed. The `Display` of every variant but [`Error::Internal`] is fit for a client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that is not of the form it must have.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Who asks is not known.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The caller may know that the thing exists, but not do this to it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such thing, or the caller may not know that there is: both answer alike.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The state of things does not allow it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Try again later: nothing is wrong with the request.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// An upload larger than the server takes, in bytes.
    #[error("the file is larger than {limit} bytes")]
    FileTooLarge {
        /// The most that is taken, in bytes.
        limit: u64,
    },
    /// The user's files have as many bytes together as they may.
    #[error("your files may have {limit} bytes together: delete some first")]
    QuotaUsedUp {
        /// The most that is taken, in bytes.
        limit: u64,
    },
    /// The user has as many uploads under way as one may.
    #[error("you may have {limit} uploads under way: wait for one to end")]
    TooManyUploads {
        /// How many one may have.
        limit: usize,
    },
    /// The disk (or the database's disk) is full, but for what is kept free for messages.
    #[error("the server's storage is full")]
    StorageFull,
    /// A fault of ours or of what we stand on. The source is for the log, never for the client.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps a fault that no client can do anything about.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The one field of the request that is at fault, where there is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => Some(&invalid.field),
            Self::Forbidden(Forbidden::WrongCurrentPassword) => Some("current_password"),
            Self::Forbidden(Forbidden::NotOneself { field }) => Some(field),
            Self::Conflict(Conflict::UsernameTaken) => Some("username"),
            Self::Conflict(Conflict::EmailTaken) => Some("email"),
            Self::Conflict(Conflict::GroupNameTaken) => Some("name"),
            _ => None,
        }
    }
}

/// A field whose value is not of the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// The field's name as the client wrote it.
    pub field: Cow<'static, str>,
    /// A sentence that says what is wrong.
    pub reason: Cow<'static, str>,
}

impl Invalid {
    /// A fault of `field`, told by `reason`.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// A field that must be there and is not.
    pub fn missing(field: &'static str) -> Self {
        Self::new(field, format!("missing {field}"))
    }
}

/// The caller is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No token came with the request.
    #[error("missing token")]
    MissingToken,
    /// A token that is forged, expired, of an ended session or of a deleted user.
    #[error("invalid token")]
    InvalidToken,
    /// Unknown user or wrong password: told apart by nobody.
    #[error("invalid credentials")]
    InvalidCredentials,
}

/// The caller may see it, but not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// A request names another user as the acting one.
    #[error("one can act only as oneself")]
    NotOneself {
        /// The field of the request that names the other user.
        field: &'static str,
    },
    /// The password given as the current one is not.
    #[error("current_password is wrong")]
    WrongCurrentPassword,
    /// Only the sender may do this to a message.
    #[error("only the sender may change a message")]
    NotTheSender,
    /// Only the sender, or who runs the group, may delete a message.
    #[error("only the sender, or an owner or admin of the group, may delete a message")]
    NotTheSenderNorModerator,
    /// Needs to be the group's owner or one of its admins.
    #[error("only the group's owner or an admin may do this")]
    NotAModerator,
    /// Needs to be the group's owner.
    #[error("only the group's owner may do this")]
    NotTheOwner,
    /// A reader of a public group who is not in it.
    #[error("only a member of the group may do this")]
    NotAMember,
    /// Broadcasts are kept to the server's admins by `PARLANCE_BROADCAST`.
    #[error("only admins may broadcast")]
    BroadcastIsForAdmins,
    /// Kept to the server's admins.
    #[error("only admins may do this")]
    NotAnAdmin,
}

/// No such thing, as far as the caller may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// No user of this id or name.
    #[error("user does not exist")]
    User,
    /// No group of this id or name.
    #[error("group does not exist")]
    Group,
    /// The user is not in the group.
    #[error("member does not exist")]
    Member,
    /// No conversation of this id.
    #[error("conversation does not exist")]
    Conversation,
    /// No message of this id.
    #[error("message does not exist")]
    Message,
    /// No file of this id.
    #[error("file does not exist")]
    File,
    /// No session of this id.
    #[error("session does not exist")]
    Session,
}

/// The state of things does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another user, living or deleted, has the name, whatever its case.
    #[error("username already exists")]
    UsernameTaken,
    /// Another user has the address, whatever its case.
    #[error("email already exists")]
    EmailTaken,
    /// Another live group has the name, whatever its case.
    #[error("group already exists")]
    GroupNameTaken,
    /// The owner of a group that has others in it cannot go.
    #[error("the owner has to hand the group over first")]
    OwnerMustHandOver,
    /// One owns as many groups that one made as are allowed.
    #[error("no more groups can be made: delete one or hand one over first")]
    TooManyGroupsMade,
    /// One is in as many groups of one's own accord as are allowed.
    #[error("no more groups can be joined: leave one first")]
    TooManyGroupsJoined,
    /// As many as are allowed are in groups because one added them.
    #[error("no more members can be added: too many that one has added are still in their groups")]
    TooManyAdded,
    /// Others have added the user to as many groups as are allowed, or the caller has to as many as one may.
    #[error("this user cannot be added to more groups by others")]
    AddedTooOften,
    /// The owner's own role changes only by handing the group over.
    #[error("one's own role cannot be changed")]
    OwnRole,
    /// An admin who is disabled could not undo it.
    #[error("one cannot disable oneself")]
    OwnAccount,
    /// The idempotency key was used for another message, or for one deleted since.
    #[error("the idempotency key was used for another message")]
    KeyReused,
}

/// Nothing is wrong with the request; the server cannot take it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// A bounded queue is full.
    #[error("the server is busy, try again")]
    Overloaded,
    /// The database, or where files are kept, is out of reach; a write may or may not have happened (its idempotency
    /// key settles it).
    #[error("the server's storage is out of reach, try again")]
    StorageOutOfReach,
    /// The server is stopping.
    #[error("the server is stopping, try again")]
    Stopping,
}

macro_rules! from_rule {
    ($($rule:ident),*) => {$(
        impl $rule {
            /// As the `Err` of any domain result.
            pub fn err<T>(self) -> Result<T> {
                Err(Error::from(self))
            }
        }
    )*};
}
from_rule!(Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Unavailable);
