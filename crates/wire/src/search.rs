//! What a search found.

use crate::{Message, PublicUrl};
use domain::search::{Found as DomainFound, FoundIn, Highlight};
use serde::Serialize;
use utoipa::ToSchema;

/// A message that a search found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    /// The message.
    pub message: Message,
    /// The text that matched.
    #[serde(rename = "in")]
    #[schema(value_type = String, examples("content", "file_name"))]
    pub place: &'static str,
    /// What matched there: `[start, length]` in code points, in order, not overlapping.
    pub highlights: Vec<[usize; 2]>,
}

impl Found {
    /// What was found, for clients that reach the server at `public`.
    pub fn at(public: &PublicUrl, found: DomainFound) -> Self {
        let DomainFound { message, place, highlights } = found;
        let place: FoundIn = place;
        let highlights = highlights.into_iter().map(|Highlight { start, length }| [start, length]).collect();
        Self { message: Message::at(public, message), place: place.as_str(), highlights }
    }
}
