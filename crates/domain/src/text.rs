//! Building blocks for values that are text.

use crate::error::Invalid;

/// No text with a NUL is taken anywhere: Postgres cannot store it and C libraries cut at it.
pub(crate) fn without_nul(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains('\0') { Err(Invalid::new(field, format!("{field} contains a NUL"))) } else { Ok(()) }
}

/// At most `most` Unicode scalar values.
pub(crate) fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), Invalid> {
    // Bytes are never fewer than characters, so that the common short text is not walked.
    if text.len() > most && text.chars().count() > most {
        return Err(Invalid::new(field, format!("{field} is longer than {most} characters")));
    }
    Ok(())
}

/// The form under which names are compared, whatever their case: that of its capitals in small letters, so that `straße` is
/// `STRASSE` and a sigma the same at the end of a word. Folded character by character, so that the key of a prefix is a prefix
/// of the key (`str::to_lowercase` looks at the end of words).
pub(crate) fn case_folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for small in text.chars().flat_map(char::to_lowercase) {
        match small {
            // Its capital is that of the other i, and it is another letter all the same (as in Unicode's own folding).
            'ı' => folded.push(small),
            _ => folded.extend(small.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded
}

/// Common parts of the newtypes over a valid text.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// A value that was valid when it was stored. For adapters that read their own rows; everything that
            /// comes from outside is parsed.
            pub fn restored(stored: String) -> Self {
                Self(stored)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_one_key_whatever_the_case() {
        for spellings in [
            &["Tea", "TEA", "tea"][..],
            &["ΛΟΓΟΣ", "λογος", "λογοσ"],
            &["straße", "STRASSE", "STRAẞE", "Strasse"],
            &["ЧАЙ", "чай"],
            &["ﬀ", "FF"],
            &["ısı"],
            &["isi", "ISI"],
            &["茶"],
        ] {
            for spelling in spellings {
                assert_eq!(case_folded(spelling), case_folded(spellings[0]), "{spelling}");
            }
        }
        assert_ne!(case_folded("ısı"), case_folded("isi"));
    }

    proptest! {
        #[test]
        fn a_key_is_that_of_its_capitals_and_of_itself(text in "\\PC{0,20}") {
            let key = case_folded(&text);
            prop_assert_eq!(&case_folded(&key), &key);
            if !text.contains('ı') {
                prop_assert_eq!(case_folded(&text.to_uppercase()), key);
            }
        }

        #[test]
        fn the_key_of_a_prefix_is_a_prefix_of_the_key(text in "\\PC{0,20}", cut in 0usize..20) {
            let prefix: String = text.chars().take(cut).collect();
            prop_assert!(case_folded(&text).starts_with(&case_folded(&prefix)));
        }
    }
}
