//! The use case.

use super::model::{Found, Search};
use super::ports::SearchReader;
use crate::context::Caller;
use crate::error::Result;
use crate::page::Page;
use std::sync::Arc;

/// Searches messages.
pub struct SearchService {
    /// Searches the database.
    pub reader: Arc<dyn SearchReader>,
}

impl SearchService {
    /// Finds messages that the caller may read.
    ///
    /// # Errors
    /// Those of [`SearchReader::search`].
    pub async fn search(&self, caller: &Caller, search: Search) -> Result<Page<Found>> {
        self.reader.search(caller.user, search).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Invalid;
    use crate::messages::{Body, Text};
    use crate::search::{Document, FoundIn, Has, IndexQuery, MockSearchReader, SearchCursor, SearchQuery};
    use crate::testing::{at, caller, conversation, message, outcome, user};

    fn search(q: &str) -> Search {
        Search {
            query: SearchQuery::parse(q).unwrap(),
            within: None,
            sender: None,
            has: None,
            since: None,
            until: None,
            before: None,
            limit: Search::limit(None).unwrap(),
        }
    }

    fn saying(n: u128, words: &str) -> crate::messages::Message {
        crate::messages::Message { body: Body::Text(Text::parse(words).unwrap()), ..message(n) }
    }

    #[test]
    fn one_searches_as_the_caller() {
        let mut reader = MockSearchReader::new();
        reader
            .expect_search()
            .once()
            .withf(|viewer, _| *viewer == user(1))
            .returning(|_, _| Ok(Page { items: Vec::new(), more: false }));
        let service = SearchService { reader: Arc::new(reader) };
        assert!(outcome(service.search(&caller(1), search("a"))).unwrap().items.is_empty());
    }

    #[test]
    fn every_filter_must_hold() {
        let said = saying(1, "see https://example.org");
        let created = said.created_at.as_micros();
        let search = || search("see");
        let found = search().judge(said.clone()).unwrap();
        assert_eq!((found.place, found.highlights.len()), (FoundIn::Content, 1));
        let behind = SearchCursor { created_at: at(created + 1), id: said.id };
        for (holds, search) in [
            (true, Search { sender: Some(said.sender.id), ..search() }),
            (false, Search { sender: Some(user(99)), ..search() }),
            (true, Search { since: Some(at(created)), until: Some(at(created)), ..search() }),
            (false, Search { since: Some(at(created + 1)), ..search() }),
            (false, Search { until: Some(at(created - 1)), ..search() }),
            (true, Search { has: Some(Has::Link), ..search() }),
            (false, Search { has: Some(Has::File), ..search() }),
            (true, Search { before: Some(behind), ..search() }),
            (false, Search { before: Some(SearchCursor::at(&said)), ..search() }),
        ] {
            assert_eq!(search.judge(said.clone()).is_some(), holds, "{search:?}");
        }
    }

    #[test]
    fn what_matches_is_among_what_an_index_gives() {
        for (q, words) in [
            ("cafe", "Café"),
            ("手机", "iphone手机"),
            ("iphone手", "iPhone 手机"),
            ("\"a b\" c", "c a b"),
            (&"x".repeat(60), &"x".repeat(70)),
            (&"y".repeat(40), &"y".repeat(70)),
        ] {
            let (search, said) = (search(q), saying(1, words));
            assert!(search.judge(said.clone()).is_some(), "{q}");
            let (query, document) = (IndexQuery::of(&search, &[said.conversation]), Document::of(&said));
            assert!(query.terms.is_subset(&document.terms), "{query:?} {document:?}");
            assert!(query.beginnings.iter().all(|begins| document.terms.iter().any(|term| term.starts_with(begins))));
            assert!(!query.one_of.is_disjoint(&document.terms));
            let elsewhere = IndexQuery::of(&search, &[conversation(77)]);
            assert!(elsewhere.one_of.is_disjoint(&document.terms));
        }
    }

    #[test]
    fn a_cursor_reads_what_it_writes() {
        let cursor = SearchCursor::at(&message(3));
        assert_eq!(SearchCursor::parse(&cursor.to_string()), Ok(cursor));
        for other in ["", "1", "x.y", "1.x", "99999999999999999999.01890a5d-ac96-774b-bcce-b302099a8057"] {
            assert!(matches!(SearchCursor::parse(other), Err(Invalid { field, .. }) if field == "before"), "{other}");
        }
    }

    #[test]
    fn a_page_has_at_most_fifty() {
        for (asked, limit) in
            [(None, Some(20)), (Some(1), Some(1)), (Some(50), Some(50)), (Some(51), None), (Some(0), None)]
        {
            assert_eq!(Search::limit(asked).ok().map(|limit| limit.get()), limit);
        }
    }
}
