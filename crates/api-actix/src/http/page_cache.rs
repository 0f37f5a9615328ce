//! Pages of messages as they were answered, kept for whoever reads them next.
//!
//! Nearly every message shows the same to everybody who may read it, so that the readers of a conversation share its
//! pages. A page with one that does not has no version, and the cache does not keep it. The cache decides nothing: a
//! handler asks the domain for the page of a version, and the query that authorizes the caller says whether the kept
//! page still has it. So a kept page is never stale, on however many nodes messages change.

use actix_web::HttpResponse;
use actix_web::http::header::{self, EntityTag, HeaderMap};
use bytes::Bytes;
use domain::UserId;
use domain::messages::{Listing, PageVersion, Recipient};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::mem::{size_of, take};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes the cache keeps at most.
pub const MAX_BYTES: usize = 32 << 20;

/// A window of a conversation, whichever of its members asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    of: Recipient,
    /// The other user of a direct conversation.
    with: Option<UserId>,
    listing: Listing,
}

impl PageKey {
    /// The page that `viewer` asks for.
    pub fn new(viewer: UserId, of: Recipient, listing: Listing) -> Self {
        match of {
            Recipient::User(other) => {
                let (first, second) = (viewer.min(other), viewer.max(other));
                Self { of: Recipient::User(first), with: Some(second), listing }
            }
            Recipient::Group(_) | Recipient::Everybody => Self { of, with: None, listing },
        }
    }
}

/// A page as it is answered.
#[derive(Debug)]
pub struct AnsweredPage {
    /// The JSON.
    pub body: Bytes,
    /// Of the bytes, so that nodes agree about it.
    pub tag: String,
    /// The query parameter for the following page, if there is one.
    pub next: Option<(&'static str, String)>,
}

impl AnsweredPage {
    /// A page with these bytes.
    pub fn new(body: Bytes, next: Option<(&'static str, String)>) -> Self {
        let digest = Sha256::digest(&body);
        let tag = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { body, tag, next }
    }

    /// Answers with the page, or 304 where the client has it.
    pub fn respond(&self, asked: &HeaderMap, link: Option<String>) -> HttpResponse {
        let tag = EntityTag::new_strong(self.tag.clone());
        let has_it = asked.contains_key(header::IF_NONE_MATCH) && knows(asked, &tag);
        let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header(header::ETag(tag));
        if let Some(link) = link {
            response.insert_header((header::LINK, link));
        }
        if has_it {
            return response.finish();
        }
        response.content_type(header::ContentType::json()).body(self.body.clone())
    }

    /// What keeping it takes, roughly.
    fn bytes(&self) -> usize {
        self.body.len() + size_of::<Self>() + size_of::<(PageKey, PageVersion)>() + 128
    }
}

/// Whether a client's `If-None-Match` names the tag (RFC 9110, 13.1.2).
fn knows(asked: &HeaderMap, tag: &EntityTag) -> bool {
    asked.get_all(header::IF_NONE_MATCH).any(|value| {
        value.to_str().is_ok_and(|value| {
            let named =
                |item: &str| item.trim() == "*" || item.trim().parse().is_ok_and(|it: EntityTag| it.weak_eq(tag));
            value.split(',').any(named)
        })
    })
}

type Kept = HashMap<PageKey, (PageVersion, Arc<AnsweredPage>)>;

/// Two generations: what is asked for moves into the young one, and when that is full, the old one is dropped.
#[derive(Debug, Default)]
struct Generations {
    young: Kept,
    young_bytes: usize,
    old: Kept,
}

impl Generations {
    fn keep(&mut self, most: usize, key: PageKey, kept: (PageVersion, Arc<AnsweredPage>)) {
        self.young_bytes += kept.1.bytes();
        if let Some((_, before)) = self.young.insert(key, kept) {
            self.young_bytes -= before.bytes();
        }
        if self.young_bytes > most {
            self.old = take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

/// The cache of all conversations.
#[derive(Debug)]
pub struct PageCache {
    /// How many bytes a generation may have.
    most: usize,
    generations: Mutex<Generations>,
}

impl PageCache {
    /// Keeps at most so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { most: bytes / 2, generations: Mutex::default() }
    }

    /// The page that was kept, and its version.
    pub fn get(&self, key: &PageKey) -> Option<(PageVersion, Arc<AnsweredPage>)> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = generations.young.get(key) {
            return Some(kept.clone());
        }
        let (key, kept) = generations.old.remove_entry(key)?;
        generations.keep(self.most, key, kept.clone());
        Some(kept)
    }

    /// Keeps a page. One that would take a great part of the cache is not kept.
    pub fn keep(&self, key: PageKey, version: PageVersion, page: Arc<AnsweredPage>) {
        if page.bytes() <= self.most / 8 {
            let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            generations.keep(self.most, key, (version, page));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::StatusCode;
    use domain::messages::{Cursor, ProfilesVersion, Update, Window};
    use domain::{GroupId, Limit};
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));
    const VERSION: PageVersion = PageVersion { update: Update(1), profiles: ProfilesVersion(0) };

    fn key(n: u128) -> PageKey {
        PageKey::new(ADA, Recipient::Group(GroupId(Uuid::from_u128(n))), newest())
    }

    fn newest() -> Listing {
        Window::Before { cursor: Cursor::Latest, limit: Limit::of_list(None).unwrap() }.into()
    }

    fn page(bytes: usize) -> Arc<AnsweredPage> {
        Arc::new(AnsweredPage::new(vec![b'x'; bytes].into(), None))
    }

    #[test]
    fn both_users_of_a_direct_conversation_ask_for_the_same_pages() {
        assert_eq!(
            PageKey::new(ADA, Recipient::User(BOB), newest()),
            PageKey::new(BOB, Recipient::User(ADA), newest())
        );
        assert_ne!(
            PageKey::new(ADA, Recipient::User(ADA), newest()),
            PageKey::new(BOB, Recipient::User(ADA), newest())
        );
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn what_nobody_asks_for_goes_first_and_there_is_never_more_than_the_bound() {
        let cache = PageCache::new(100_000);
        cache.keep(key(0), VERSION, page(1_000));
        for n in 1..1_000 {
            cache.keep(key(n), VERSION, page(1_000));
            assert!(cache.get(&key(0)).is_some(), "after {n}");
            let generations = cache.generations.lock().unwrap();
            let bytes = |kept: &Kept| kept.values().map(|(_, page)| page.bytes()).sum::<usize>();
            assert_eq!(bytes(&generations.young), generations.young_bytes);
            assert!(generations.young_bytes + bytes(&generations.old) <= 102_000);
        }
        assert!(cache.get(&key(1)).is_none());
        cache.keep(key(1), VERSION, page(60_000));
        assert!(cache.get(&key(1)).is_none());
    }

    #[test]
    fn a_client_that_has_the_page_is_not_sent_it_again() {
        let page = AnsweredPage::new(Bytes::from_static(b"[]"), None);
        for (asked, status) in [
            (None, StatusCode::OK),
            (Some(format!("\"{}\"", page.tag)), StatusCode::NOT_MODIFIED),
            (Some(format!("\"x\", W/\"{}\"", page.tag)), StatusCode::NOT_MODIFIED),
            (Some("*".to_owned()), StatusCode::NOT_MODIFIED),
            (Some("\"x\"".to_owned()), StatusCode::OK),
            (Some(page.tag.clone()), StatusCode::OK),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(asked) = &asked {
                headers.insert(header::IF_NONE_MATCH, asked.parse().unwrap());
            }
            let response = page.respond(&headers, None);
            assert_eq!(response.status(), status, "{asked:?}");
            assert!(response.headers().contains_key(header::ETAG));
        }
    }
}
