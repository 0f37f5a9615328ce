//! HTTP: routes, extractors, handlers and presenters. Each handler parses a request into the domain's types, calls one
//! use case and presents what comes of it.

pub mod accounts;
pub mod admin;
pub mod bodies;
pub mod conversations;
pub mod cors;
mod disposition;
pub mod docs;
pub mod door;
pub mod error;
pub mod export;
pub mod extract;
pub mod files;
pub mod gochat;
pub mod groups;
pub mod health;
pub mod link;
pub mod members;
pub mod messages;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod origin;
pub mod pace;
mod part_heads;
mod ranges;
pub mod receipts;
pub(crate) mod sending;
pub mod sessions;
mod upload;
pub mod web;
