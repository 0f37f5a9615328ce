//! Accounts: who there is, how one proves to be one of them, and how one leaves.

mod accounts;
mod model;
mod password;
mod policy;
mod ports;
mod profile;

pub use accounts::{ListUsers, RegisterUser, Registration, ShowUser};
pub use model::{
    DELETED_USER, DisplayName, Email, NewUser, Profile, ProfileChange, User, UserRole, UserView, Username,
    UsernamePrefix,
};
pub use password::{Password, PasswordHash, TypedPassword, Verdict};
pub use policy::{AdminNames, Broadcasters, ServerPolicy};
pub use ports::{Credentials, PasswordHasher, UserRepository};
#[cfg(feature = "mocks")]
pub use ports::{MockPasswordHasher, MockUserRepository};
pub use profile::{ChangeProfile, CurrentPassword, DeleteAccount, ProfileEdit};
