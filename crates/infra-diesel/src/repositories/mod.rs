//! One file for each port of the domain, and what several of them share inside a transaction.

mod admin;
mod conversations;
pub mod endings;
mod export;
pub mod files;
mod groups;
pub mod members;
pub mod messages;
mod receipts;
pub mod retention;
pub mod sessions;
pub mod unseen;
mod upkeep;
pub mod users;
