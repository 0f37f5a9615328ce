//! What acts inside a transaction.

pub mod quotas;
pub mod revisions;
pub mod room;
