//! Words: how a text is taken apart for the search, once for both databases.
//!
//! A word is a run of letters, digits and their marks. Case and width do not count (NFKC, case folded), nor do marks,
//! except in scripts where they are letters. In scripts that put no blanks between words each character is a word.

use crate::unicode::comparable;
use icu_properties::props::{
    DefaultIgnorableCodePoint, EmojiPresentation, GeneralCategory, GeneralCategoryGroup, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A word of a text, and the characters of the text that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word as it is compared.
    pub text: String,
    /// Whether the word is one character of a script that has no blanks between words.
    pub single: bool,
    /// The place of its first character, in code points.
    pub start: usize,
    /// The place behind its last character.
    pub end: usize,
}

/// How the characters of a script form words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Each character is a word, marks too.
    Singles,
    /// Marks are letters of words.
    MarksAreLetters,
    /// Marks do not count.
    MarksDoNotCount,
}

impl Writing {
    fn of(c: char) -> Self {
        if c.is_ascii() {
            return Self::MarksDoNotCount;
        }
        // Signs that several scripts of East Asia share: repetition, closing, number, and the long vowel of kana.
        if matches!(c, '\u{3005}'..='\u{3007}' | '\u{3031}'..='\u{3035}' | '\u{303b}' | '\u{303c}' | '\u{30fc}') {
            return Self::Singles;
        }
        let script = CodePointMapData::<Script>::new().get(c);
        const SINGLES: [Script; 9] = [
            Script::Han,
            Script::Hiragana,
            Script::Katakana,
            Script::Bopomofo,
            Script::Hangul,
            Script::Thai,
            Script::Lao,
            Script::Khmer,
            Script::Myanmar,
        ];
        const MARKS_ARE_LETTERS: [Script; 28] = [
            Script::Devanagari,
            Script::Bengali,
            Script::Gurmukhi,
            Script::Gujarati,
            Script::Oriya,
            Script::Tamil,
            Script::Telugu,
            Script::Kannada,
            Script::Malayalam,
            Script::Sinhala,
            Script::Tibetan,
            Script::Balinese,
            Script::Javanese,
            Script::Sundanese,
            Script::Buginese,
            Script::Batak,
            Script::Rejang,
            Script::Cham,
            Script::Limbu,
            Script::Lepcha,
            Script::MeeteiMayek,
            Script::Saurashtra,
            Script::SylotiNagri,
            Script::Chakma,
            Script::Grantha,
            Script::Newa,
            Script::Tirhuta,
            Script::Sharada,
        ];
        if SINGLES.contains(&script) {
            Self::Singles
        } else if MARKS_ARE_LETTERS.contains(&script) {
            Self::MarksAreLetters
        } else {
            Self::MarksDoNotCount
        }
    }
}

fn is_in(c: char, group: GeneralCategoryGroup) -> bool {
    group.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

fn is_letter_or_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    is_in(c, GeneralCategoryGroup::Letter) || is_in(c, GeneralCategoryGroup::Number)
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_in(c, GeneralCategoryGroup::Mark)
}

fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether the cluster is a picture, though some are made of letters and digits (a keycap, a framed letter).
fn is_emoji(cluster: &str) -> bool {
    cluster.chars().any(|c| matches!(c, '\u{fe0f}' | '\u{20e3}'))
        || cluster.chars().next().is_some_and(|c| {
            !c.is_ascii() && CodePointSetData::new::<EmojiPresentation>().contains(c) && !is_letter_or_digit(c)
        })
}

/// Collects words character by character.
#[derive(Default)]
struct Words {
    done: Vec<Word>,
    open: Option<Word>,
    /// How the last letter is written, for marks that all scripts share.
    writing: Option<Writing>,
}

impl Words {
    /// A character that separates.
    fn separate(&mut self) {
        self.done.extend(self.open.take());
        self.writing = None;
    }

    /// A character that shows nothing: it belongs to the word that it stands in.
    fn skip(&mut self, end: usize) {
        if let Some(word) = &mut self.open {
            word.end = end;
        } else if self.writing == Some(Writing::Singles)
            && let Some(word) = self.done.last_mut()
        {
            word.end = word.end.max(end);
        }
    }

    fn letter(&mut self, c: char, writing: Writing, start: usize, end: usize) {
        self.writing = Some(writing);
        if writing == Writing::Singles {
            self.done.extend(self.open.take());
            self.done.push(Word { text: c.to_string(), single: true, start, end });
            return;
        }
        let word = self.open.get_or_insert_with(|| Word { text: String::new(), single: false, start, end });
        word.text.push(c);
        word.end = end;
    }

    /// A character in its comparable form.
    fn push(&mut self, c: char, start: usize, end: usize) {
        if is_letter_or_digit(c) {
            let writing = Writing::of(c);
            if writing == Writing::MarksDoNotCount && !c.is_ascii() {
                for part in std::iter::once(c).nfd().filter(|part| !is_mark(*part)) {
                    self.letter(part, writing, start, end);
                }
            } else {
                self.letter(c, writing, start, end);
            }
        } else if is_ignorable(c) {
            self.skip(end);
        } else if is_mark(c) {
            // A mark that all scripts share is written like the letter before it.
            let writing = match Writing::of(c) {
                Writing::MarksDoNotCount => self.writing,
                own => Some(own),
            };
            match writing {
                Some(writing @ (Writing::Singles | Writing::MarksAreLetters)) => self.letter(c, writing, start, end),
                Some(Writing::MarksDoNotCount) => self.skip(end),
                None => {}
            }
        } else {
            self.separate();
        }
    }
}

/// The words of a text, in order.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Words::default();
    let mut at = 0;
    for cluster in text.graphemes(true) {
        let count = cluster.chars().count();
        if is_emoji(cluster) {
            words.separate();
        } else if cluster.is_ascii() {
            for (n, byte) in cluster.bytes().enumerate() {
                words.push(byte.to_ascii_lowercase().into(), at + n, at + n + 1);
            }
        } else {
            let whole = comparable(cluster);
            let parts: Vec<String> = cluster.chars().map(|c| comparable(c.encode_utf8(&mut [0; 4]))).collect();
            if count > 1 && parts.concat() == whole {
                for (n, part) in parts.iter().enumerate() {
                    for c in part.chars() {
                        words.push(c, at + n, at + n + 1);
                    }
                }
            } else {
                // The characters of the cluster form other ones together.
                for c in whole.chars() {
                    words.push(c, at, at + count);
                }
            }
        }
        at += count;
    }
    words.separate();
    words.done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_corpus_of_scripts() {
        for (text, expected) in [
            ("Café au lait", &["cafe", "au", "lait"][..]),
            ("Cafe\u{301}", &["cafe"]),
            ("report.pdf, v2_final", &["report", "pdf", "v2", "final"]),
            ("iphone手机", &["iphone", "手", "机"]),
            ("ﾊﾟ", &["パ"]),
            ("パ", &["パ"]),
            ("ハ\u{309a}", &["パ"]),
            ("コーヒー", &["コ", "ー", "ヒ", "ー"]),
            ("ＦＵＬＬ width１", &["full", "width1"]),
            ("straße STRASSE", &["strasse", "strasse"]),
            ("שָׁלוֹם", &["שלום"]),
            ("مُحَمَّد", &["محمد"]),
            ("हिन्दी में", &["हिन्दी", "में"]),
            ("தமிழ்", &["தமிழ்"]),
            ("안녕하세요", &["안", "녕", "하", "세", "요"]),
            ("\u{1112}\u{1161}\u{11ab}", &["한"]),
            ("ที่", &["ท", "ี", "\u{e48}"]),
            ("ລາວ", &["ລ", "າ", "ວ"]),
            ("e\u{ad}mail", &["email"]),
            ("می\u{200c}خواهم", &["میخواهم"]),
            ("Ёж й", &["еж", "и"]),
            ("İstanbul ısı", &["istanbul", "ısı"]),
            ("\u{301} a", &["a"]),
            ("🙂 1\u{fe0f}\u{20e3} ❤\u{fe0f} 🇩🇪 ℹ\u{fe0f}", &[]),
            ("① ２", &["1", "2"]),
            ("𝐁old", &["bold"]),
            ("葛\u{e0100}", &["葛"]),
            ("", &[]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_knows_its_characters() {
        for (text, expected) in [
            ("a Cafe\u{301}!", &[(0, 1), (2, 7)][..]),
            ("🙂手机", &[(1, 2), (2, 3)]),
            ("xﾊﾟy", &[(0, 1), (1, 3), (3, 4)]),
            ("שָׁלוֹם x", &[(0, 7), (8, 9)]),
            ("👩\u{200d}💻 ok", &[(4, 6)]),
        ] {
            let found: Vec<_> = words(text).iter().map(|word| (word.start, word.end)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,30}",
            "[a-zA-Zéß \u{301}\u{309a}ﾊﾟパ手机가각ㅋ\u{1100}\u{1161}\u{11a8}हि\u{94d}ที\u{e48}שָم\u{64f}\u{200d}🙂.-]{0,30}",
        ]
    }

    proptest! {
        #[test]
        fn words_are_in_order_inside_the_text_and_never_empty(text in any_text()) {
            let count = text.chars().count();
            let found = words(&text);
            for pair in found.windows(2) {
                prop_assert!(pair[0].start <= pair[1].start && pair[0].end <= pair[1].end);
            }
            for word in &found {
                prop_assert!(word.start < word.end && word.end <= count && !word.text.is_empty());
                prop_assert!(!word.text.chars().any(|c| c.is_whitespace() || c == '\'' || c == '"' || c == '_'));
            }
        }

        #[test]
        fn the_form_of_a_text_does_not_count(text in any_text()) {
            let plain: Vec<String> = texts(&text.nfc().collect::<String>());
            prop_assert_eq!(texts(&text.nfd().collect::<String>()), plain);
        }

        #[test]
        fn anything_beside_separators_changes_no_word(text in "[a-z手机パ가ทह]{1,8}") {
            let alone = texts(&text);
            let framed = texts(&format!("  -{text}! 🙂"));
            prop_assert_eq!(alone, framed);
        }
    }
}
