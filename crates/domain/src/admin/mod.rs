//! Running the server: what admins and the command line do to accounts and groups, and the audit log. Nothing here
//! reads messages or conversations.

mod accounts;
mod credentials;
mod model;
mod policy;
mod ports;
mod service;

pub use accounts::{Account, AccountView};
pub use credentials::CredentialService;
pub use model::{Action, Actor, AdminCommand, AuditEntry, AuditTarget};
pub use policy::may_execute;
pub use ports::AdminRepository;
#[cfg(feature = "mocks")]
pub use ports::MockAdminRepository;
pub use service::AdminService;
