//! One file for each port of the domain.

mod admin;
mod conversations;
mod endings;
mod export;
mod files;
mod groups;
mod members;
pub mod messages;
pub mod pages;
mod receipts;
pub mod retention;
pub mod sessions;
pub mod unseen;
mod upkeep;
pub mod users;
