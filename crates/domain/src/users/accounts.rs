//! Signing up, and looking users up.

use super::model::{Email, NewUser, Password, User, UserView, Username, UsernamePrefix};
use super::policy::ServerPolicy;
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{NotFound, Result};
use crate::ids::UserId;
use crate::page::{Limit, Page};
use std::sync::Arc;

/// A wish to become a user.
#[derive(Debug, Clone)]
pub struct Registration {
    /// To be unique whatever its case.
    pub username: Username,
    /// To be unique whatever its case.
    pub email: Option<Email>,
    /// Without one the user exists but cannot log in.
    pub password: Option<Password>,
}

/// Makes a user.
pub struct RegisterUser {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Hashes the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
}

impl RegisterUser {
    /// # Errors
    /// [`Conflict`](crate::Conflict) on a taken name or email; [`Unavailable`](crate::Unavailable).
    pub async fn execute(&self, wish: Registration) -> Result<User> {
        let password = match wish.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let new = NewUser {
            id: UserId(self.ids.next()),
            username: wish.username,
            email: wish.email,
            password,
            at: self.clock.now(),
        };
        self.users.create(new).await
    }
}

/// Shows one user, deleted ones under their common name.
pub struct ShowUser {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Who sees what.
    pub policy: Arc<ServerPolicy>,
}

impl ShowUser {
    /// # Errors
    /// [`NotFound::User`].
    pub async fn execute(&self, caller: &Caller, id: UserId) -> Result<UserView> {
        let user = self.users.find(id).await?.ok_or(NotFound::User)?;
        Ok(self.policy.view(caller, &user))
    }

    /// The living user of that name.
    ///
    /// # Errors
    /// [`NotFound::User`], also for a text that can be no username.
    pub async fn by_name(&self, name: &str) -> Result<User> {
        let Ok(name) = Username::parse("user", name) else { return NotFound::User.err() };
        Ok(self.users.find_by_name(&name).await?.ok_or(NotFound::User)?)
    }
}

/// Lists living users by name.
pub struct ListUsers {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Who sees what.
    pub policy: Arc<ServerPolicy>,
}

impl ListUsers {
    /// # Errors
    /// [`NotFound::User`] where `after` names nobody.
    pub async fn execute(
        &self,
        caller: &Caller,
        prefix: Option<&UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserView>> {
        let page = self.users.list(prefix, after, limit).await?;
        Ok(Page { items: page.items.iter().map(|user| self.policy.view(caller, user)).collect(), more: page.more })
    }
}
