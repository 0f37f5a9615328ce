//! The errors of the domain. They know no transport.
//!
//! Clients read the sentences; those that `docs/api.md` quotes are part of its contract. The outermost layer turns a
//! variant into a status and a code, and adds nothing else.

use std::borrow::Cow;

/// The domain's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case refused or failed. A client may see the `Display` of every variant.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the request has the wrong form.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The server does not know the caller.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The caller may know that the thing exists, but not do this to it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such thing, or the caller may not know that there is: both answer alike.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The stored state does not allow it.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The request is right, but the server cannot serve it now. The client tries again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The upload is larger than the server takes.
    #[error("the file is larger than {limit} bytes")]
    FileTooLarge {
        /// Most bytes of one file.
        limit: u64,
    },
    /// The upload would exceed the user's quota for files.
    #[error("your files may take up {limit} bytes in all: delete some first")]
    QuotaUsedUp {
        /// Most bytes of all of the user's files.
        limit: u64,
    },
    /// The user has as many uploads under way as a user may.
    #[error("you may have {limit} uploads under way: wait for one to end")]
    TooManyUploads {
        /// Most uploads under way for a user.
        limit: usize,
    },
    /// The disk of the files or of the database is full, except for the room that the server reserves for messages.
    #[error("the server's storage is full")]
    StorageFull,
    /// The server, its database or its storage failed. The source is for the log; the `Display` does not contain it.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps a failure that no client can mend.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The field of the request that is at fault, if it is one field.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => Some(&invalid.field),
            Self::Forbidden(Forbidden::WrongCurrentPassword) => Some("current_password"),
            Self::Forbidden(Forbidden::MentionOfAll) => Some("mentions"),
            Self::Forbidden(Forbidden::NotOneself { field }) => Some(field),
            Self::Conflict(Conflict::UsernameTaken) => Some("username"),
            Self::Conflict(Conflict::EmailTaken) => Some("email"),
            Self::Conflict(Conflict::GroupNameTaken) => Some("name"),
            _ => None,
        }
    }
}

/// A field of the request has a value of the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// The field's name as the client wrote it.
    pub field: Cow<'static, str>,
    /// What is wrong with it, as a sentence for people.
    pub reason: Cow<'static, str>,
}

impl Invalid {
    /// `reason` says what is wrong with `field`.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// The request lacks `field`.
    pub fn missing(field: &'static str) -> Self {
        Self::new(field, format!("missing {field}"))
    }
}

/// The server does not know the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// The request carries no token.
    #[error("missing token")]
    MissingToken,
    /// The token is forged or expired, its session ended, or its user is deleted or disabled.
    #[error("invalid token")]
    InvalidToken,
    /// Unknown user or wrong password. The answer never says which.
    #[error("invalid credentials")]
    InvalidCredentials,
}

/// The caller may see the thing, but not do this to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The request names another user than the token's as the acting one.
    #[error("a token acts only as its own user")]
    NotOneself {
        /// The field that names the other user.
        field: &'static str,
    },
    /// `current_password` is not the caller's password.
    #[error("current_password is wrong")]
    WrongCurrentPassword,
    /// The caller did not send the message.
    #[error("only the sender may change a message")]
    NotTheSender,
    /// The caller did not send the message, and the operator shows versions to senders alone.
    #[error("only the sender may read what a message said before")]
    VersionsAreTheSenders,
    /// The caller is a plain member, or the conversation has nobody who may.
    #[error("only an owner or admin of the group, or whoever may broadcast, may mention all")]
    MentionOfAll,
    /// The caller neither sent the message nor is an owner or admin of its group.
    #[error("only the sender, or an owner or admin of the group, may delete a message")]
    NotTheSenderNorModerator,
    /// The caller is a plain member or a reader of the group.
    #[error("only the group's owner or an admin may do this")]
    NotAModerator,
    /// The caller does not own the group.
    #[error("only the group's owner may do this")]
    NotTheOwner,
    /// The caller reads the public group without being in it.
    #[error("only a member of the group may do this")]
    NotAMember,
    /// `PARLANCE_BROADCAST` lets only the server's admins broadcast, and the caller is none.
    #[error("only admins may broadcast")]
    BroadcastIsForAdmins,
    /// The caller is no admin of the server.
    #[error("only admins may do this")]
    NotAnAdmin,
    /// The token was made for something else.
    #[error("this token may not do this: it does not have the scope {scope}")]
    NotInScope {
        /// The scope that the request needs.
        scope: &'static str,
    },
    /// The caller came with a token of a program, and only who has logged in may do this.
    #[error("a token of a program may not do this: log in")]
    NeedsLogin,
}

/// There is no such thing, or the caller may not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// No user has this id or name.
    #[error("user does not exist")]
    User,
    /// No group has this id or name.
    #[error("group does not exist")]
    Group,
    /// The user is not in the group.
    #[error("member does not exist")]
    Member,
    /// No conversation has this id.
    #[error("conversation does not exist")]
    Conversation,
    /// No message has this id.
    #[error("message does not exist")]
    Message,
    /// No file has this id.
    #[error("file does not exist")]
    File,
    /// The file is no image that the server could read.
    #[error("the file has no thumbnail")]
    Thumbnail,
    /// No session has this id.
    #[error("session does not exist")]
    Session,
    /// No token has this id.
    #[error("token does not exist")]
    Token,
}

/// The stored state does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another user, existing or deleted, has the name. Case does not count.
    #[error("username already exists")]
    UsernameTaken,
    /// Another user has the address. Case does not count.
    #[error("email already exists")]
    EmailTaken,
    /// Another group that is not deleted has the name. Case does not count.
    #[error("group already exists")]
    GroupNameTaken,
    /// The client stands at the conversation's counter and has not what the server has.
    #[error("what you have of the conversation differs from what the server has")]
    DigestDiffers,
    /// The owner wants to leave a group that has other members.
    #[error("the owner must hand the group over first")]
    OwnerMustHandOver,
    /// The caller owns as many groups of their own making as a user may.
    #[error("you have as many groups as you may make: delete one or hand one over first")]
    TooManyGroupsMade,
    /// The caller is in as many groups as a user may join or make.
    #[error("you are in as many groups as you may join: leave one first")]
    TooManyGroupsJoined,
    /// The caller added as many members as a user may who are still in their groups.
    #[error("you cannot add more members: too many that you added are still in their groups")]
    TooManyAdded,
    /// Other users added this user to as many groups as they may, or the caller alone did.
    #[error("you cannot add this user to more groups")]
    AddedTooOften,
    /// The owner's own role changes only when the owner hands the group over.
    #[error("you cannot change your own role")]
    OwnRole,
    /// An admin named their own account. A disabled admin could not undo it.
    #[error("you cannot disable your own account")]
    OwnAccount,
    /// The sender used the idempotency key for another message, or for one that is deleted.
    #[error("the idempotency key was used for another message")]
    KeyReused,
    /// The message has as many different reactions, or as many of the user, as it may have.
    #[error("this message has as many reactions as it may have: take one back first")]
    TooManyReactions,
    /// The conversation has as many pins as it may have.
    #[error("this conversation has as many pins as it may have: unpin a message first")]
    TooManyPins,
    /// The caller has as many tokens as a user may have.
    #[error("you have as many tokens as you may have: delete one first")]
    TooManyTokens,
    /// The message forwards what somebody else said.
    #[error("a forwarded message cannot be edited")]
    Forwarded,
}

/// Nothing is wrong with the request; the server cannot serve it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// A bounded queue is full.
    #[error("the server is busy, try again")]
    Overloaded,
    /// The server does not reach the database or the storage of files. A write may have happened: the client repeats it
    /// with the same idempotency key.
    #[error("the server's storage is out of reach, try again")]
    StorageOutOfReach,
    /// The server is stopping.
    #[error("the server is stopping, try again")]
    Stopping,
    /// There is no index for the search yet.
    #[error("the search index is being made: {percent} % of the messages are in it, try again")]
    Indexing {
        /// How much of it there is.
        percent: u8,
    },
}

macro_rules! from_rule {
    ($($rule:ident),*) => {$(
        impl $rule {
            /// The `Err` of any result of the domain.
            pub fn err<T>(self) -> Result<T> {
                Err(Error::from(self))
            }
        }
    )*};
}
from_rule!(Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Unavailable);
