//! Search: finding messages by their words.
//!
//! A search sees the messages that its caller may read at that moment, each as it is at that moment. An index narrows
//! down where to look; the rules here decide what matches.

mod index;
mod model;
mod ports;
mod query;
mod service;
mod words;

pub use index::{Document, IndexQuery, Term};
pub use model::{Found, FoundIn, Has, Search, SearchCursor};
#[cfg(feature = "mocks")]
pub use ports::MockSearchReader;
pub use ports::SearchReader;
pub use query::{Highlight, SearchQuery};
pub use service::SearchService;
