//! Rules of Unicode for names and texts: which names are equal, and which texts show anything.

use crate::error::Invalid;
use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, Emoji, Ideographic};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// The version of our own rules for the keys of names. Databases store keys: whoever changes a rule must increase it.
const RULES: i64 = 1;

/// The version of the form of keys. An adapter that has stored keys in another form computes them anew: after a change
/// of our rules, and with a newer Unicode, which has more letters.
pub const NAME_FORM: i64 =
    RULES * 1_000_000 + char::UNICODE_VERSION.0 as i64 * 1000 + unicode_normalization::UNICODE_VERSION.0 as i64;

/// The text without case: first all capitals, then the small letters of those, so that `straße` equals `STRASSE` and a
/// sigma is the same at the end of a word. Folds character by character, because `str::to_lowercase` treats the end of
/// a word differently.
fn case_folded(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    text.flat_map(char::to_lowercase).flat_map(|small| {
        // The dotless i has the same capital as i, but it is another letter (as in Unicode's own folding).
        let dotless = (small == 'ı').then_some(small);
        let capital = dotless.is_none().then(|| small.to_uppercase()).into_iter().flatten();
        dotless.into_iter().chain(capital.flat_map(char::to_lowercase))
    })
}

/// The form in which names are compared: case folded, in NFKC. Unicode calls it "compatibility caseless match" (Core
/// Specification, D146), where one round of both is not enough for some letters.
pub(crate) fn comparable(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let once = case_folded(text.nfkd()).nfkc();
    case_folded(once).nfkc().collect()
}

/// Characters that join or vary their neighbours. Some scripts and emoji need them.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}') || is_variation_selector(c)
}

fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// [`comparable`] without joiners, for names that may contain some. A user can type the name without them, and nobody
/// can take another name that looks the same.
pub(crate) fn comparable_without_joiners(text: &str) -> String {
    if text.contains(is_joiner) { comparable(&text.replace(is_joiner, "")) } else { comparable(text) }
}

/// Whether a reader sees anything of the character. Blanks, controls, fillers, joiners and selectors do not show.
fn shows(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    // Blank by their pictures, though not by their properties: a Braille pattern without dots, a note without a head,
    // the filler of the Khitan script, places of objects and annotations, controls between hieroglyphs.
    let blank_picture = matches!(
        c,
        '\u{2800}' | '\u{1d159}' | '\u{16fe4}' | '\u{fff9}'..='\u{fffc}' | '\u{13430}'..='\u{1343f}'
    );
    let no_character = matches!(c, '\u{fdd0}'..='\u{fdef}') || c as u32 & 0xfffe == 0xfffe;
    !(c.is_whitespace() || c.is_control() || blank_picture || no_character || ignorable.contains(c))
}

/// Whether a reader would see nothing of the text.
pub(crate) fn is_blank(text: &str) -> bool {
    !text.chars().any(shows)
}

/// Whether a selector behind the character can choose a variant of it.
fn varies(c: char) -> bool {
    let is = |set: icu_properties::CodePointSetDataBorrowed<'static>| set.contains(c);
    let mongolian = matches!(c, '\u{1820}'..='\u{18aa}');
    !c.is_ascii() && (is(CodePointSetData::new::<Emoji>()) || is(CodePointSetData::new::<Ideographic>()) || mongolian)
}

/// The `key` of a prefix of names. Leaves a prefix that is longer than any name as it is: no name begins with it.
pub(crate) fn prefix_key(prefix: &str, key: impl FnOnce(&str) -> String) -> String {
    if prefix.len() > 8 * 1024 { prefix.to_owned() } else { key(prefix) }
}

/// The longest beginning of `text` that `fits`, in whole graphemes: it never cuts what people read as one character.
pub(crate) fn shortened(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    if fits(text) {
        return text;
    }
    let ends = text.grapheme_indices(true).map(|(at, _)| at).collect::<Vec<_>>();
    let fitting = ends.partition_point(|&end| fits(&text[..end]));
    &text[..fitting.checked_sub(1).map_or(0, |last| ends[last])]
}

/// What precedes a character of a name.
enum Before {
    /// Nothing, or a blank.
    Nothing,
    /// A visible character.
    Visible(char),
    /// A visible character and the selector of its variant.
    Varied,
    /// A joiner that needs a visible character next.
    Joining,
}

/// Whether a name contains something that readers do not see and that makes it a different name: controls, characters
/// that reorder others or show nothing. Joiners and variation selectors are allowed between visible characters, and a
/// selector also behind a character that has variants.
pub(crate) fn hides_something(name: &str) -> bool {
    let mut before = Before::Nothing;
    for c in name.chars() {
        before = match before {
            _ if shows(c) => Before::Visible(c),
            Before::Joining => return true,
            _ if is_plain_blank(c) => Before::Nothing,
            Before::Visible(base) if is_variation_selector(c) && varies(base) => Before::Varied,
            Before::Visible(_) if is_joiner(c) => Before::Joining,
            Before::Varied if is_joiner(c) && !is_variation_selector(c) => Before::Joining,
            _ => return true,
        };
    }
    matches!(before, Before::Joining)
}

/// A blank that breaks no line.
fn is_plain_blank(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether the character changes the order in which others are shown.
pub(crate) fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Parses a name that users see: trimmed, 1 to `most` characters, none of them hidden.
///
/// # Errors
/// [`Invalid`] naming `field`.
pub(crate) fn shown_name<'a>(field: &'static str, text: &'a str, most: usize) -> Result<&'a str, Invalid> {
    let name = text.trim();
    crate::text::at_most(field, name, most)?;
    if name.chars().any(char::is_control) {
        return Err(Invalid::new(field, format!("{field} must not contain control characters")));
    }
    if is_blank(name) {
        return Err(Invalid::new(field, format!("{field} must not be blank")));
    }
    if hides_something(name) {
        return Err(Invalid::new(field, format!("{field} must not contain invisible characters")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_one_key_whatever_its_spelling() {
        for spellings in [
            &["Tea", "TEA", "tea", "Ｔｅａ", "ＴＥＡ", "𝐓𝐞𝐚", "ⓉⒺⒶ"][..],
            &["ΛΟΓΟΣ", "λογος", "λογοσ"],
            &["straße", "STRASSE", "STRAẞE", "Strasse"],
            &["ЧАЙ", "чай"],
            &["ﬀ", "FF"],
            &["ısı"],
            &["isi", "ISI"],
            &["茶"],
            &["Café", "Cafe\u{301}", "CAFÉ", "CAFE\u{301}"],
            &["가", "\u{1100}\u{1161}"],
            &["ᾳ", "ΑΙ", "αι", "\u{1fbc}", "α\u{345}"],
            &["K", "\u{212a}", "k"],
            &["Å", "\u{212b}", "A\u{30a}"],
            &["a b", "a\u{a0}b", "a\u{3000}b"],
            &["1", "①", "１", "¹"],
            &["a\u{323}\u{307}", "a\u{307}\u{323}", "ạ\u{307}"],
        ] {
            for spelling in spellings {
                assert_eq!(comparable(spelling), comparable(spellings[0]), "{spelling}");
            }
        }
        assert_ne!(comparable("ısı"), comparable("isi"));
        assert_ne!(comparable("e"), comparable("é"));
        let joined = ["👩\u{200d}💻", "👩💻"].map(comparable_without_joiners);
        assert_eq!(joined[0], joined[1]);
        assert_eq!(comparable_without_joiners("می\u{200c}خواهم"), comparable("میخواهم"));
    }

    #[test]
    fn every_character_has_a_key_that_is_its_own_key() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let key = comparable(c.encode_utf8(&mut [0; 4]));
            assert_eq!(comparable(&key), key, "U+{:X}", c as u32);
        }
    }

    #[test]
    fn what_shows_nothing_is_blank() {
        for blank in [
            "\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{1680}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{2000}\u{200b}\u{200d}",
            "\u{2028}\u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\u{2063}\u{2066}\u{206f}\u{2800}\u{3000}\u{3164}\u{fe0f}",
            "\u{feff}\u{ffa0}\u{fff9}\u{fffc}\u{16fe4}\u{1d159}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{fffe}",
            " \t\r\n\u{b}\u{c}\u{1}\u{7f}\u{85}",
            "",
        ] {
            assert!(is_blank(blank), "{}", blank.escape_unicode());
        }
        for shown in
            ["a", "\u{200b}.", "🙂", "\u{301}", "茶", "\u{2801}", "\u{e000}", "\u{600}", "❤\u{fe0f}", "\u{10ffff}x"]
        {
            assert!(!is_blank(shown), "{}", shown.escape_unicode());
        }
    }

    #[test]
    fn names_hide_nothing() {
        for fine in [
            "a b",
            "a\u{3000}b",
            "👩\u{200d}💻 at work",
            "I ❤\u{fe0f} tea",
            "Family ❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "👁\u{fe0f}\u{200d}🗨\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "葛\u{e0100}飾区",
            "葛\u{e0100}",
            "שלום",
            "e\u{301}",
        ] {
            assert!(!hides_something(fine), "{}", fine.escape_unicode());
        }
        for hidden in [
            "a\u{200b}b",
            "a\u{200d}",
            "\u{200d}a",
            "a\u{200d} b",
            "a \u{200c}b",
            "a\u{200d}\u{200d}b",
            "a\u{fe0f}",
            "a\u{fe0f}\u{fe0f}b",
            "❤\u{fe0f}\u{fe0f}",
            "a\u{202e}b",
            "a\u{2066}b\u{2069}",
            "\u{feff}a",
            "a\u{2028}b",
            "a\u{ad}b",
            "a\u{2800}b",
            "a\u{3164}b",
            "a\u{e0041}b",
            "a\u{34f}b",
            "a\u{200e}b",
            "a\u{1}b",
        ] {
            assert!(hides_something(hidden), "{}", hidden.escape_unicode());
        }
    }

    /// Texts of characters that meet each other: marks, jamo, joiners, letters of many scripts and cases.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,20}",
            "[a-zA-Zéßıſ\u{1e9e}\u{301}\u{307}\u{323}\u{345}\u{1100}-\u{11ff}\u{3131}-\u{318e}α-ωΑ-Ωᾀ-ᾯｦ-ﾟ\u{200d}]{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_that_of_all_its_spellings_and_of_itself(text in texts()) {
            let key = comparable(&text);
            prop_assert_eq!(&comparable(&key), &key);
            for form in [text.nfc().collect(), text.nfd().collect(), text.nfkc().collect(), text.nfkd().collect::<String>()] {
                prop_assert_eq!(&comparable(&form), &key, "{}", form);
            }
            if !text.nfkd().any(|c| c == 'ı') {
                // Decomposed, since a capital may have a letter more, behind which marks would stand.
                prop_assert_eq!(comparable(&text.nfkd().collect::<String>().to_uppercase()), key);
            }
        }

        #[test]
        fn the_key_of_a_prefix_is_a_prefix_of_the_key(text in "[ -~а-яА-Яぁ-んçéßΑ-Ω茶🙂]{0,20}", cut in 0usize..20) {
            let prefix: String = text.chars().take(cut).collect();
            prop_assert!(comparable(&text).starts_with(&comparable(&prefix)));
        }

        #[test]
        fn a_name_shows_and_is_what_it_is(text in texts()) {
            if let Ok(name) = shown_name("name", &text, 64) {
                prop_assert!(!is_blank(name));
                prop_assert_eq!(shown_name("name", name, 64), Ok(name));
            }
        }
    }
}
