//! Running the server: what admins and the command line do to accounts and groups, and the record of it. It reads no
//! message and no conversation.

mod accounts;
mod measures;
mod model;
mod policy;
mod ports;

pub use accounts::{Account, AccountView, ListAccounts};
pub use measures::{Administer, CreateAccount, ListAudit, SetPassword, SwitchAccount};
pub use model::{Action, Actor, AuditEntry, Measure, Target};
pub use policy::may_carry_out;
pub use ports::AdminRepository;
#[cfg(feature = "mocks")]
pub use ports::MockAdminRepository;
