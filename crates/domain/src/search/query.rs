//! The query language: words, phrases, and what must not be there.

use super::words::{Word, words};
use crate::error::Invalid;
use crate::text::at_most;

/// Most characters of a query (`docs/api.md`, Search).
const MAX_QUERY: usize = 256;

/// Words next to each other. A single word is a phrase, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase {
    /// The words as they are compared; at least one.
    pub words: Vec<(String, bool)>,
    /// Whether the last word may be the beginning of one.
    pub open_end: bool,
}

impl Phrase {
    fn of(text: &str) -> Option<Self> {
        let words: Vec<_> = words(text).into_iter().map(|word| (word.text, word.single)).collect();
        (!words.is_empty()).then_some(Self { words, open_end: false })
    }

    /// Whether the phrase stands at this place.
    fn is_at(&self, text: &[Word], place: usize) -> bool {
        let Some(there) = text.get(place..place + self.words.len()) else { return false };
        let last = self.words.len() - 1;
        self.words.iter().zip(there).enumerate().all(|(n, ((asked, _), word))| {
            word.text == *asked || (self.open_end && n == last && word.text.starts_with(asked.as_str()))
        })
    }

    fn places(&self, text: &[Word]) -> impl Iterator<Item = usize> {
        (0..text.len()).filter(|place| self.is_at(text, *place))
    }
}

/// Characters of a text to show as found: from `start`, in code points, `length` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Highlight {
    /// The place of the first one.
    pub start: usize,
    /// How many.
    pub length: usize,
}

/// What a user looks for: at most 256 characters with at least one word that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    pub(super) wanted: Vec<Phrase>,
    unwanted: Vec<Phrase>,
}

/// A part of the query, as it was typed.
enum Piece {
    /// What stands between blanks.
    Plain(String),
    /// What stands in quotes.
    Quoted(String),
}

/// Cuts the query at blanks and quotes. `true` marks a part that must not be there.
fn pieces(text: &str) -> Vec<(bool, Piece)> {
    let mut pieces = Vec::new();
    let mut parts = text.split('"');
    let mut excluded = false;
    if let Some(plain) = parts.next() {
        excluded = plain_pieces(plain, &mut pieces);
    }
    // An open quote goes to the end.
    while let Some(quoted) = parts.next() {
        pieces.push((std::mem::take(&mut excluded), Piece::Quoted(quoted.to_owned())));
        if let Some(plain) = parts.next() {
            excluded = plain_pieces(plain, &mut pieces);
        }
    }
    pieces
}

/// Cuts at blanks. Returns whether a `-` stands alone at the end, before a quote.
fn plain_pieces(plain: &str, pieces: &mut Vec<(bool, Piece)>) -> bool {
    for piece in plain.split_whitespace() {
        let (excluded, rest) = piece.strip_prefix('-').map_or((false, piece), |rest| (true, rest));
        pieces.push((excluded, Piece::Plain(rest.to_owned())));
    }
    plain.strip_suffix('-').is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
}

impl SearchQuery {
    /// Parses a query. Nothing in it is an error of form: what is no operator is text.
    ///
    /// # Errors
    /// [`Invalid`] naming `q` if it is longer than 256 characters, or if there is no letter or digit to look for.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        at_most("q", text, MAX_QUERY)?;
        let (mut wanted, mut unwanted, mut last) = (Vec::new(), Vec::new(), None);
        for (excluded, piece) in pieces(text) {
            let (plain, phrase) = match &piece {
                Piece::Plain(text) => (true, Phrase::of(text)),
                Piece::Quoted(text) => (false, Phrase::of(text)),
            };
            let Some(phrase) = phrase else { continue };
            if excluded {
                unwanted.push(phrase);
            } else {
                if plain {
                    last = Some(wanted.len());
                }
                wanted.push(phrase);
            }
        }
        if let Some(last) = last.and_then(|last| wanted.get_mut(last)) {
            last.open_end = true;
        }
        if wanted.is_empty() {
            return Err(Invalid::new("q", "q must have a letter or a digit to look for"));
        }
        Ok(Self { wanted, unwanted })
    }

    /// Where the text says what is looked for: in order, not overlapping, each a whole word or several characters of a
    /// script that has no blanks. `None` if the text does not match.
    pub fn highlights(&self, text: &str) -> Option<Vec<Highlight>> {
        let text = words(text);
        if self.unwanted.iter().any(|phrase| phrase.places(&text).next().is_some()) {
            return None;
        }
        let mut found = vec![false; text.len()];
        for phrase in &self.wanted {
            let mut is_there = false;
            for place in phrase.places(&text) {
                is_there = true;
                found[place..place + phrase.words.len()].fill(true);
            }
            if !is_there {
                return None;
            }
        }
        let mut highlights: Vec<Highlight> = Vec::new();
        for (word, _) in text.iter().zip(found).filter(|(_, found)| *found) {
            match highlights.last_mut() {
                // Several words may come from one character.
                Some(last) if word.start < last.start + last.length => {
                    last.length = last.length.max(word.end - last.start);
                }
                _ => highlights.push(Highlight { start: word.start, length: word.end - word.start }),
            }
        }
        Some(highlights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(query: &str, text: &str) -> bool {
        SearchQuery::parse(query).unwrap().highlights(text).is_some()
    }

    #[test]
    fn what_is_found() {
        for (query, text) in [
            ("cafe", "ein Café"),
            ("Café", "ein cafe"),
            ("CAFÉ", "Cafe\u{301}"),
            ("ﾊﾟ", "パン"),
            ("パ", "ﾊﾟﾝ"),
            ("report.pdf", "my report (pdf)"),
            ("report.p", "report.pdf"),
            ("iphone手机", "an iPhone 手机"),
            ("手", "買手机"),
            ("机", "手机"),
            ("한", "대한민국"),
            ("שלום", "שָׁלוֹם"),
            ("שָׁלוֹם", "שלום"),
            ("محمد", "مُحَمَّد"),
            ("held wor", "word held"),
            ("world he", "hello world"),
            ("he \"big world\"", "hello, big world"),
            ("\"big world", "a big, World"),
            ("foo\"bar baz\"", "bar baz foo"),
            ("a -b", "a c"),
            ("a --b", "a"),
            ("a-b", "a b"),
            ("hello -\"big world\"", "hello world, big"),
            ("हिन्दी", "हिन्दी में"),
            ("ท", "ที่นี่"),
            ("! hello ?", "hello"),
            ("hello \"...\"", "hello"),
        ] {
            assert!(finds(query, text), "{query} in {text}");
        }
    }

    #[test]
    fn what_is_not_found() {
        for (query, text) in [
            ("ハ", "パン"),
            ("か", "が"),
            ("हिन्द", "हन्दी"),
            ("wor hello", "world he"),
            ("\"hel\"", "hello"),
            ("hel wor", "help"),
            ("report.pdf", "pdf report"),
            ("手机", "机手"),
            ("手机", "手的机"),
            ("iphone手机", "手机 iphone"),
            ("\"big world\"", "big blue world"),
            ("a -b", "a b"),
            ("a -b", "A, B!"),
            ("hello -\"big world\"", "hello big world"),
            ("pdf -report.p", "report.p pdf"),
            ("cafe", "caf"),
        ] {
            assert!(!finds(query, text), "{query} in {text}");
        }
    }

    #[test]
    fn nothing_to_look_for_and_too_much_of_it_are_refused() {
        let long = "a ".repeat(128) + "b";
        for query in ["", " ", "-word", "-a -b", "🙂", "\"\"", "- -", "!?", "1\u{fe0f}\u{20e3}", "-\"a b\"", &long] {
            assert_eq!(SearchQuery::parse(query).unwrap_err().field, "q", "{query}");
        }
        assert!(SearchQuery::parse(&"語".repeat(256)).is_ok());
    }

    #[test]
    fn highlights_are_characters_of_the_text() {
        for (query, text, expected) in [
            ("cafe", "🙂 Cafe\u{301}s, café", &[(2, 6), (10, 4)][..]),
            ("report.pdf", "report.pdf pdf", &[(0, 6), (7, 3)]),
            ("手机", "iphone手机", &[(6, 1), (7, 1)]),
            ("he", "hello", &[(0, 5)]),
            ("a a", "a b a", &[(0, 1), (4, 1)]),
            ("株式", "㍿", &[(0, 1)]),
        ] {
            let found = SearchQuery::parse(query).unwrap().highlights(text).unwrap();
            let found: Vec<_> = found.into_iter().map(|found| (found.start, found.length)).collect();
            assert_eq!(found, expected, "{query} in {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_found_by_itself_and_by_its_words(text in "[a-zé手机パ가ทह ]{1,40}") {
            let query = text.replace(['"', '-'], " ");
            if let Ok(query) = SearchQuery::parse(&query) {
                let found = query.highlights(&text);
                prop_assert!(found.is_some());
                let found = found.unwrap();
                prop_assert!(found.windows(2).all(|two| two[0].start + two[0].length <= two[1].start));
                let count = text.chars().count();
                prop_assert!(found.iter().all(|found| found.length > 0 && found.start + found.length <= count));
            }
        }

        #[test]
        fn any_query_parses_or_names_q(text in "\\PC{0,40}|[a-c\" -]{0,20}") {
            if let Err(refused) = SearchQuery::parse(&text) {
                prop_assert_eq!(refused.field, "q");
            }
        }
    }
}
