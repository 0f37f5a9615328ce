//! Accounts: signing up, logging in, changing and deleting an account.

mod accounts;
mod lifetime;
mod model;
mod password;
mod policy;
mod ports;
mod profile;
mod service;

pub use accounts::Registration;
pub use lifetime::SessionLifetime;
pub(crate) use lifetime::earlier;
pub use model::{
    Change, DELETED_USER, DisplayName, Email, NewUser, OwnView, Profile, ProfileChange, User, UserRole, UserView,
    Username, UsernamePrefix,
};
pub use password::{Password, PasswordHash, TypedPassword, Verdict};
pub use policy::{AdminNames, Broadcasters, EditHistory, ServerPolicy};
pub use ports::{Credentials, PasswordHasher, UserRepository};
#[cfg(feature = "mocks")]
pub use ports::{MockPasswordHasher, MockUserRepository};
pub use profile::{CurrentPassword, ProfileEdit};
pub use service::UserService;
