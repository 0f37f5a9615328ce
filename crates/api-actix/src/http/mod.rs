//! HTTP: extractors, handlers and presenters. A handler parses a request into the domain's types, calls one use case
//! and presents the result.

pub mod accounts;
pub mod admin;
pub mod bodies;
pub mod conversations;
pub mod cors;
mod disposition;
pub mod docs;
pub mod error;
pub mod export;
pub mod extract;
pub mod files;
pub mod gochat;
pub mod groups;
pub mod health;
pub mod link;
pub mod members;
pub mod mentions;
pub mod messages;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod origin;
pub mod pace;
pub mod page_cache;
mod part_heads;
pub mod pins;
mod ranges;
pub mod rate_limit_gate;
pub mod reactions;
pub mod receipts;
pub mod search;
pub(crate) mod sending;
pub mod sessions;
pub mod threads;
mod upload;
pub mod web;
