//! Parts of transactions, for the writer and for repositories: accounts, membership, quotas, and the order of
//! transactions ([`revisions`]).

pub mod accounts;
pub mod change;
pub mod directs;
pub mod file_usage;
pub mod membership;
pub mod mentions;
pub mod numbering;
pub mod pending_endings;
pub mod quotas;
pub mod revisions;
pub mod room;
pub mod tx;
pub mod views;
