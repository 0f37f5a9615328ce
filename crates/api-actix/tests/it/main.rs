//! The whole program over HTTP, on a free port. The modules mirror the URLs.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it is surprised")]

mod harness;

mod accounts;
mod acting;
mod admin;
mod attachments;
mod backup;
mod bad_input;
mod browser;
mod buckets;
mod canary;
mod cluster;
mod command_line;
mod command_line_users;
mod connections;
mod conversations;
mod crash;
mod cut_off;
mod demo;
mod disk;
mod doctor;
mod documents;
mod export;
mod files;
mod gochat;
mod groups;
mod healthcheck;
mod idempotency;
mod limits;
mod live;
mod members;
mod messages;
mod metrics;
mod openapi;
mod operations;
mod order;
mod passwords;
mod places;
mod postgres;
mod postman;
mod receipts;
mod retention;
mod sessions;
mod web;
