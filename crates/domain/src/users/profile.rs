//! Changing and deleting one's own account.

use super::model::{DisplayName, Email, Password, ProfileChange, UserView};
use super::policy::ServerPolicy;
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Caller, Clock};
use crate::error::{Forbidden, Invalid, NotFound, Result};
use std::sync::Arc;

/// What a client gives as its current password.
#[derive(Clone)]
pub struct CurrentPassword(pub Option<String>);

impl CurrentPassword {
    /// Whoever has a password proves to know it before the account is taken over or ended.
    async fn prove(self, users: &dyn UserRepository, hasher: &dyn PasswordHasher, caller: &Caller) -> Result<()> {
        let credentials = users.credentials(caller.user).await?.ok_or(NotFound::User)?;
        let Some(hash) = credentials.password else { return Ok(()) };
        let given = self.0.ok_or_else(|| Invalid::missing("current_password"))?;
        let proven = match Password::parse("current_password", &given) {
            Ok(given) => hasher.verify(given, Some(hash)).await?,
            Err(_) => false,
        };
        if proven { Ok(()) } else { Forbidden::WrongCurrentPassword.err() }
    }
}

/// A wish to change one's own account; what is `None` stays as it is.
#[derive(Clone, Default)]
pub struct ProfileEdit {
    /// New address.
    pub email: Option<Email>,
    /// New name to be called.
    pub display_name: Option<DisplayName>,
    /// New password, with the one it replaces.
    pub password: Option<Password>,
    /// Needed with a new password.
    pub current_password: Option<String>,
}

/// Changes one's own account.
pub struct ChangeProfile {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Compares and hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// Who sees what.
    pub policy: Arc<ServerPolicy>,
}

impl ChangeProfile {
    /// # Errors
    /// [`Forbidden::WrongCurrentPassword`], [`Invalid`] where it is missing, [`Conflict::EmailTaken`](crate::Conflict).
    pub async fn execute(&self, caller: &Caller, edit: ProfileEdit) -> Result<UserView> {
        let password = match edit.password {
            None => None,
            Some(new) => {
                CurrentPassword(edit.current_password).prove(&*self.users, &*self.hasher, caller).await?;
                Some(self.hasher.hash(new).await?)
            }
        };
        let change = ProfileChange { email: edit.email, display_name: edit.display_name, password };
        let user = self.users.change(caller.user, change, caller.session, self.clock.now()).await?;
        Ok(self.policy.view(caller, &user))
    }
}

/// Ends one's own account.
pub struct DeleteAccount {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Compares the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl DeleteAccount {
    /// # Errors
    /// [`Forbidden::WrongCurrentPassword`], [`Invalid`] where it is missing and one is set.
    pub async fn execute(&self, caller: &Caller, current: CurrentPassword) -> Result<()> {
        current.prove(&*self.users, &*self.hasher, caller).await?;
        self.users.delete(caller.user, self.clock.now()).await
    }
}
