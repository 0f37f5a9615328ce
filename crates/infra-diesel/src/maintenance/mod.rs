//! What operators do with a whole database.

pub mod background_check;
pub mod backup;
pub mod catalog;
pub mod check;
pub mod copy;
pub mod digests;
pub mod images;
pub mod inspect;
pub mod keeper;
pub mod migrations;
pub mod names;
