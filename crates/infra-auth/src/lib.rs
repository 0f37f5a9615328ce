//! Authentication: passwords by bcrypt ([`BcryptPool`]), tokens by JWT ([`JwtTokens`]).

mod passwords;
mod telemetry;
mod tokens;

pub use passwords::{BcryptPool, StartError};
pub use telemetry::describe;
pub use tokens::JwtTokens;
