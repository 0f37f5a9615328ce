//! What an index of messages contains, and what it is asked. Adapters store the terms; they need not understand them.
//!
//! An index only narrows down which messages may match: it knows no places of words, and it keeps the words of content
//! and file name together. [`Search::judge`](super::Search::judge) decides.

use super::model::{Has, Search};
use super::words::{Word, words};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::messages::{Message, Seq};
use crate::{Timestamp, messages::Body};
use std::collections::BTreeSet;

/// Most characters of a term. Of a longer word an index knows the beginning.
const MAX_TERM: usize = 48;

/// A term as an index stores it: letters, digits and marks, lower case; or `_` and lower case ASCII, which no word
/// contains, for what is no word.
pub type Term = String;

/// A message as an index stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The id of the message.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: Seq,
    /// When it was sent.
    pub created_at: Timestamp,
    /// What it is found by, each term once.
    pub terms: BTreeSet<Term>,
}

impl Document {
    /// The document of a message.
    pub fn of(message: &Message) -> Self {
        let file = message.body.file();
        let mut terms = BTreeSet::from([of_conversation(message.conversation), of_sender(message.sender.id)]);
        terms.extend(Has::ALL.into_iter().filter(|has| has.is_in(message)).map(of_has));
        add(&mut terms, message.body.content());
        if let Some(file) = file {
            add(&mut terms, file.name.as_str());
        }
        let Message { id, conversation, seq, created_at, .. } = *message;
        Self { id, conversation, seq, created_at, terms }
    }
}

fn add(terms: &mut BTreeSet<Term>, text: &str) {
    let words = words(text);
    for two in words.windows(2) {
        terms.extend(of_two((&two[0].text, two[0].single), (&two[1].text, two[1].single)));
    }
    terms.extend(words.into_iter().map(|Word { text, .. }| cut(&text).to_owned()));
}

/// Two characters next to each other are a term, because one alone is too frequent.
fn of_two(one: (&str, bool), other: (&str, bool)) -> Option<Term> {
    (one.1 && other.1).then(|| format!("{}{}", one.0, other.0))
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(MAX_TERM).map_or(word, |(end, _)| &word[..end])
}

fn of_conversation(id: ConversationId) -> Term {
    format!("_c{}", id.0.simple())
}

fn of_sender(id: UserId) -> Term {
    format!("_s{}", id.0.simple())
}

fn of_has(has: Has) -> Term {
    format!("_{}", has.as_str())
}

/// What an index is asked: documents that have all of the terms, one that begins with each beginning, and one of the
/// conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexQuery {
    /// Whole terms.
    pub terms: BTreeSet<Term>,
    /// Beginnings of terms.
    pub beginnings: BTreeSet<Term>,
    /// Terms of which one is needed. Empty: none is.
    pub one_of: BTreeSet<Term>,
}

impl IndexQuery {
    /// The query for a search in one of the conversations. Without any, in all.
    pub fn of(search: &Search, conversations: &[ConversationId]) -> Self {
        let mut query = Self::default();
        for phrase in &search.query.wanted {
            for two in phrase.words.windows(2) {
                query.terms.extend(of_two((&two[0].0, two[0].1), (&two[1].0, two[1].1)));
            }
            let last = phrase.words.len() - 1;
            for (n, (word, single)) in phrase.words.iter().enumerate() {
                let cut = cut(word);
                if phrase.open_end && n == last && cut.len() == word.len() && !single {
                    query.beginnings.insert(cut.to_owned());
                } else {
                    query.terms.insert(cut.to_owned());
                }
            }
        }
        query.terms.extend(search.sender.map(of_sender));
        query.terms.extend(search.has.map(of_has));
        query.one_of = conversations.iter().copied().map(of_conversation).collect();
        query
    }
}

/// Whether a text has something that clients show as a link.
pub(super) fn has_link(body: &Body) -> bool {
    let content = body.content().to_ascii_lowercase();
    content.contains("http://") || content.contains("https://")
}
