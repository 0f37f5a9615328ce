//! One file for each port of the domain.

mod admin;
pub mod api_tokens;
mod conversations;
mod digests;
mod endings;
mod export;
mod files;
pub mod followers;
mod groups;
mod members;
mod mentioning;
pub mod messages;
pub mod pages;
mod pins;
mod reactions;
mod receipts;
pub mod retention;
pub mod search;
pub mod sessions;
mod threads;
mod unread;
pub mod unseen;
mod upkeep;
pub mod users;
mod versions;
mod views;
