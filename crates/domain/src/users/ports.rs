//! The ports that store accounts and check passwords.

use super::model::{NewUser, ProfileChange, User, Username, UsernamePrefix};
use super::password::{Password, PasswordHash, TypedPassword, Verdict};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::page::{Limit, Page};
use async_trait::async_trait;

/// A user and the hash of the user's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// An existing user.
    pub user: User,
    /// `None`: the user cannot log in.
    pub password: Option<PasswordHash>,
}

/// Stores users.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores a user and returns it.
    ///
    /// # Errors
    /// MUST answer [`Conflict::UsernameTaken`](crate::Conflict::UsernameTaken) if an existing or deleted user has the
    /// name in any case, else [`Conflict::EmailTaken`](crate::Conflict::EmailTaken) if an existing one has the email in
    /// any case. Of several concurrent calls for one name or email exactly one MUST succeed.
    async fn create(&self, user: NewUser) -> Result<User>;

    /// The user of that id. A deleted one has no email any more, and [`User::profile`] hides its names.
    async fn find(&self, id: UserId) -> Result<Option<User>>;

    /// The existing user of that name. Case and normal form do not count.
    async fn find_by_name(&self, name: &Username) -> Result<Option<User>>;

    /// As [`UserRepository::find_by_name`], with the password's hash.
    async fn credentials_by_name(&self, name: &Username) -> Result<Option<Credentials>>;

    /// The existing user of that id, with the password's hash.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>>;

    /// Existing users by username key, after the user `after` (existing or deleted).
    ///
    /// # Errors
    /// MUST answer [`NotFound::User`](crate::NotFound::User) if `after` is the id of no user.
    async fn list<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User>>;

    /// Changes the existing user. With a new password the same transaction MUST end all sessions of the user but
    /// `keep`.
    ///
    /// # Errors
    /// [`Conflict::EmailTaken`](crate::Conflict::EmailTaken); [`NotFound::User`](crate::NotFound::User) if there is no
    /// such existing user. If the user's password is not the one that the caller proved any more, MUST answer
    /// [`Forbidden::WrongCurrentPassword`](crate::Forbidden::WrongCurrentPassword) to a new one.
    async fn change(&self, id: UserId, change: ProfileChange, keep: SessionId, at: Timestamp) -> Result<User>;

    /// Replaces the stored hash `old` by another hash of the same password. Does nothing if the stored hash is not
    /// `old` any more. Ends no session and changes nothing that a client sees.
    async fn rehash(&self, id: UserId, old: PasswordHash, new: PasswordHash) -> Result<()>;

    /// Ends the account in one transaction: ends its sessions, frees the email, forgets password and display name. The
    /// username stays taken, and messages stay. The work MUST NOT grow with the number of the user's groups. From then
    /// on no client sees the user in a group;
    /// [`EndingRepository::unfinished`](crate::endings::EndingRepository::unfinished) MUST name the account until its
    /// memberships are removed.
    ///
    /// # Errors
    /// [`NotFound::User`](crate::NotFound::User) if there is no such existing user. MUST answer
    /// [`Forbidden::WrongCurrentPassword`](crate::Forbidden::WrongCurrentPassword) if `proven` is not the hash of the
    /// user's password any more.
    async fn delete(&self, id: UserId, proven: Option<PasswordHash>, at: Timestamp) -> Result<()>;
}

/// Computes and compares slow hashes, on threads where they delay nothing else.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes the password with a new salt.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if the queue is full.
    async fn hash(&self, password: Password) -> Result<PasswordHash>;

    /// Compares the [spellings](TypedPassword::spellings) of a typed password with the hash until one fits. Without a
    /// hash it MUST take the time of comparing every spelling and answer [`Verdict::Wrong`]. Without a spelling it MUST
    /// take the time of one comparison and answer the same.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if the queue is full.
    async fn verify(&self, typed: TypedPassword, hash: Option<PasswordHash>) -> Result<Verdict>;
}
