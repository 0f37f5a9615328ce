//! Tokens of programs. A user makes one for a program, with scopes and perhaps an end; it acts as its user.
//!
//! A token is a session of its own, which no login began: the server knows it from memory, and its end closes live
//! connections on every node, as for every session. The database holds the hash of its secret.

mod model;
mod ports;
mod service;

pub use model::{ApiToken, TokenName};
pub use ports::ApiTokenRepository;
#[cfg(feature = "mocks")]
pub use ports::MockApiTokenRepository;
pub use service::{ApiTokenService, Issued, TokenWish};
