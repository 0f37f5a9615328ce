//! The tables, and rows and queries that several repositories use.

pub mod columns;
pub mod contacts;
pub mod digests;
pub mod parts;
pub mod prepared;
pub mod queries;
pub mod rows;
pub mod schema;
pub mod sql_types;
pub mod text_range;
pub mod unseen;
pub mod views;
