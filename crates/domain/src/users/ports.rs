//! What accounts need of the outside.

use super::model::{NewUser, ProfileChange, User, Username, UsernamePrefix};
use super::password::{Password, PasswordHash, TypedPassword, Verdict};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::page::{Limit, Page};
use async_trait::async_trait;

/// A user and what proves to be that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// A living user.
    pub user: User,
    /// `None`: nobody can log in.
    pub password: Option<PasswordHash>,
}

/// Stores users.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores a user and returns it.
    ///
    /// # Errors
    /// MUST answer [`Conflict::UsernameTaken`](crate::Conflict::UsernameTaken) where a living or deleted user has the
    /// name in any case, else [`Conflict::EmailTaken`](crate::Conflict::EmailTaken) where a living one has the email in
    /// any case; of several at once exactly one MUST succeed.
    async fn create(&self, user: NewUser) -> Result<User>;

    /// The user, also a deleted one (its email gone, its names to be hidden by [`User::profile`]).
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// The living user of that name, whatever the case and the normal form.
    async fn find_by_name(&self, name: &Username) -> Result<Option<User>>;

    /// As [`UserRepository::find_by_name`], with the password's hash.
    async fn credentials_by_name(&self, name: &Username) -> Result<Option<Credentials>>;

    /// The living user of that id, with the password's hash.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// Living users by username key, from after the user `after` (living or deleted) on.
    ///
    /// # Errors
    /// MUST answer [`NotFound::User`](crate::NotFound::User) where `after` names nobody.
    async fn list<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User>>;

    /// Changes the living user; a new password MUST end, in the same transaction, all sessions of the user but `keep`.
    ///
    /// # Errors
    /// [`Conflict::EmailTaken`](crate::Conflict::EmailTaken); [`NotFound::User`](crate::NotFound::User) where there is
    /// no such living user. MUST answer [`Forbidden::WrongCurrentPassword`](crate::Forbidden::WrongCurrentPassword) to
    /// a new password where the one that was proven is not the user's any more.
    async fn change(&self, id: UserId, change: ProfileChange, keep: SessionId, at: Timestamp) -> Result<User>;

    /// Keeps another hash of the password that the user has, unless the user has another password than that of `old` by
    /// now. Ends no session and changes nothing that anybody is shown.
    async fn rehash(&self, id: UserId, old: PasswordHash, new: PasswordHash) -> Result<()>;

    /// Ends the account in one transaction whose work MUST NOT grow with its groups: ends its sessions, frees the
    /// email, forgets password and display name, keeps the username taken. From then on the user is in no group for
    /// anybody; what is left of its memberships MUST be among
    /// [`EndingRepository::unfinished`](crate::endings::EndingRepository::unfinished). Messages stay.
    ///
    /// # Errors
    /// [`NotFound::User`](crate::NotFound::User) where there is no such living user. MUST answer
    /// [`Forbidden::WrongCurrentPassword`](crate::Forbidden::WrongCurrentPassword) where the password that was
    /// `proven`, by its hash, is not the user's any more.
    async fn delete(&self, id: UserId, proven: Option<PasswordHash>, at: Timestamp) -> Result<()>;
}

/// Slow hashes, computed where they stall nobody.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A salted hash.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) when it would have to wait too long.
    async fn hash(&self, password: Password) -> Result<PasswordHash>;

    /// Whether the hash is that of the password, in one of its [spellings](TypedPassword::spellings), which are
    /// compared until one fits. With `None` for the hash MUST take the time of comparing all of them with a hash, and
    /// answer [`Verdict::Wrong`]; so it MUST, with the time of one, where there is no spelling.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) when it would have to wait too long.
    async fn verify(&self, typed: TypedPassword, hash: Option<PasswordHash>) -> Result<Verdict>;
}
