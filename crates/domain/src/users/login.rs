//! Logging in.

use super::model::{Password, User, Username};
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Clock, IdGenerator};
use crate::error::{Result, Unauthenticated};
use crate::ids::SessionId;
use crate::sessions::{Session, SessionRepository, UserAgent};
use std::sync::Arc;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// What a token is to stand for.
    pub session: Session,
}

/// Proves to be a user and begins a session.
pub struct LogIn {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// Compares the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// The session's id.
    pub ids: Arc<dyn IdGenerator>,
}

impl LogIn {
    /// An unknown user costs the same as a wrong password: a hash is compared in any case.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidCredentials`] for whatever does not fit; [`Unavailable`](crate::Unavailable).
    pub async fn execute(&self, username: &str, password: &str, user_agent: Option<UserAgent>) -> Result<LoggedIn> {
        let credentials = match Username::parse("username", username) {
            Ok(name) => self.users.credentials_by_name(&name).await?,
            Err(_) => None,
        };
        let (user, hash) = credentials.map(|c| (c.user, c.password)).unzip();
        let hash = hash.flatten();
        // What could never have been set as a password proves nothing, but must not be faster to refuse.
        let (password, hash) = match Password::parse("password", password) {
            Ok(password) => (password, hash),
            Err(_) => (Password::parse("password", "a stand-in").map_err(crate::Error::from)?, None),
        };
        let (true, Some(user)) = (self.hasher.verify(password, hash).await?, user) else {
            return Unauthenticated::InvalidCredentials.err();
        };
        let session = Session::begin(SessionId(self.ids.next()), user.id, user_agent, self.clock.now());
        self.sessions.create(session.clone()).await?;
        Ok(LoggedIn { user, session })
    }
}
