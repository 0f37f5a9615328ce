//! The composition root: the only place where adapters meet.

mod use_cases;

pub use use_cases::{Adapters, UseCases};
