//! The service of users. `accounts` and `profile` contain its methods.

use super::policy::ServerPolicy;
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Clock, IdGenerator};
use crate::endings::EndingService;
use std::sync::Arc;

/// Creates users, shows them, and changes or deletes the caller's account.
pub struct UserService {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Hashes and compares passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Says who sees what.
    pub policy: Arc<ServerPolicy>,
    /// Removes a deleted account from its groups.
    pub endings: EndingService,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of users.
    pub ids: Arc<dyn IdGenerator>,
}
