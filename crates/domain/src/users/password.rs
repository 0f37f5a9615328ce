//! Passwords, in one normal form: it does not matter which keyboard types them.

use crate::error::Invalid;
use crate::text::without_nul;
use unicode_normalization::UnicodeNormalization as _;

/// Most bytes. bcrypt reads 72, its terminator included.
const MAX_BYTES: usize = 71;

/// A password that a user may set: in Unicode's normal form NFC, and in that form 8 characters or more, at most 71
/// bytes, without a NUL. bcrypt reads 72 bytes including its terminator and stops at a NUL. The server refuses a longer
/// password and never cuts it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        without_nul(field, text)?;
        let text: String = text.nfc().collect();
        if text.chars().count() < 8 {
            return Err(Invalid::new(field, format!("{field} must have 8 characters or more")));
        }
        if text.len() > MAX_BYTES {
            return Err(Invalid::new(field, format!("{field} must have at most {MAX_BYTES} bytes (in the form NFC)")));
        }
        Ok(Self(text))
    }

    /// The secret itself, for the hasher only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What somebody types as their password. Any text; a text that no user could have set matches no hash.
///
/// Hashes that are older than the rule of the normal form are hashes of the bytes as typed. So the hasher may have to
/// compare two spellings. Their number depends on the typed text alone, and not on the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedPassword {
    normal: Option<String>,
    as_typed: Option<String>,
}

/// The outcome of comparing a typed password with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password does not fit the hash.
    Wrong,
    /// The password fits the hash.
    Right,
    /// The bytes as typed fit the hash; their normal form does not.
    RightAsTyped,
}

impl TypedPassword {
    /// Takes any text.
    pub fn of(text: &str) -> Self {
        let hashable = |text: &String| text.len() <= MAX_BYTES && !text.contains('\0');
        let (normal, as_typed) = (text.nfc().collect::<String>(), text.to_owned());
        let differs = as_typed != normal;
        Self {
            normal: Some(normal).filter(hashable),
            as_typed: Some(as_typed).filter(|typed| differs && hashable(typed)),
        }
    }

    /// The texts that the hasher compares, in this order, each with the verdict if it fits. For the hasher only.
    pub fn spellings(&self) -> impl Iterator<Item = (&str, Verdict)> {
        let normal = self.normal.as_deref().map(|text| (text, Verdict::Right));
        normal.into_iter().chain(self.as_typed.as_deref().map(|text| (text, Verdict::RightAsTyped)))
    }

    /// The password to hash anew. `None` if a user could not set it today.
    pub fn to_set(&self) -> Option<Password> {
        Password::parse("password", self.normal.as_deref()?).ok()
    }
}

impl std::fmt::Debug for TypedPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TypedPassword(..)")
    }
}

/// The stored hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn passwords_are_refused_never_cut() {
        for good in ["12345678", &"x".repeat(71), "  passw0rd  ", "é2345678"] {
            assert_eq!(Password::parse("password", good).unwrap().expose(), good);
        }
        for bad in ["1234567", &"x".repeat(72), &"é".repeat(36), "🙂🙂🙂🙂🙂🙂🙂", "12345678\0"] {
            assert!(Password::parse("password", bad).is_err(), "{bad:?}");
        }
        assert_eq!(format!("{:?}", Password::parse("password", "12345678").unwrap()), "Password(..)");
        assert_eq!(format!("{:?}", TypedPassword::of("12345678")), "TypedPassword(..)");
    }

    #[test]
    fn both_spellings_of_a_letter_are_the_same_password() {
        // Of the letter in one piece and in two, the Korean syllable and its parts, the ångström and the letter.
        for (composed, decomposed) in [
            ("pässwörd", "pa\u{308}sswo\u{308}rd"),
            ("한글한글한글한글", "한글한글한글한글"),
            ("1234567\u{c5}", "1234567\u{212b}"),
        ] {
            let (one, other) = (Password::parse("p", composed).unwrap(), Password::parse("p", decomposed).unwrap());
            assert_eq!((one.expose(), &one), (composed, &other));
        }
        // No compatibility: these differ.
        assert_ne!(Password::parse("p", "1234567ﬁ").unwrap(), Password::parse("p", "1234567fi").unwrap());
    }

    #[test]
    fn length_is_that_of_the_normal_form() {
        // 35 letters of 3 bytes each as typed, of 2 each in the normal form; one more is too long.
        assert!(Password::parse("p", &"e\u{301}".repeat(35)).is_ok());
        assert!(Password::parse("p", &"e\u{301}".repeat(36)).is_err());
        // Eight as typed, four letters.
        assert!(Password::parse("p", &"e\u{301}".repeat(4)).is_err());
        // A letter that the normal form takes apart: 3 bytes as typed, 6 in it.
        assert!(Password::parse("p", &"\u{958}".repeat(11)).is_ok());
        assert!(Password::parse("p", &"\u{958}".repeat(12)).is_err());
    }

    fn spellings(text: &str) -> Vec<(String, Verdict)> {
        TypedPassword::of(text).spellings().map(|(text, verdict)| (text.to_owned(), verdict)).collect()
    }

    #[test]
    fn what_is_typed_is_compared_in_the_normal_form_and_as_it_is_if_that_differs() {
        let plain = |text: &str| (text.to_owned(), Verdict::Right);
        assert_eq!(spellings("pässwörd"), [plain("pässwörd")]);
        let typed = "pa\u{308}sswörd";
        assert_eq!(spellings(typed), [plain("pässwörd"), (typed.to_owned(), Verdict::RightAsTyped)]);
        // What was set before the form was looked at, and could not be today.
        let (long, short) = ("\u{958}".repeat(23), "e\u{301}".repeat(4));
        assert_eq!(spellings(&long), [(long.clone(), Verdict::RightAsTyped)]);
        assert_eq!(spellings(&short).len(), 2);
        assert!(TypedPassword::of(&long).to_set().is_none() && TypedPassword::of(&short).to_set().is_none());
        assert_eq!(TypedPassword::of(typed).to_set(), Password::parse("p", typed).ok());
        // Too long and with a NUL: nobody's. Too short: compared, and nobody's either.
        assert_eq!(spellings(&"x".repeat(72)), []);
        assert_eq!(spellings("12345678\0"), []);
        assert_eq!(spellings("e\u{301}2345678\0"), []);
        assert_eq!(spellings(""), [plain("")]);
    }

    proptest! {
        #[test]
        fn what_was_set_is_right_whichever_way_it_is_typed(text in "\\PC{8,20}") {
            if let Ok(password) = Password::parse("password", &text) {
                for typed in [&text, &text.nfd().collect(), &text.nfc().collect()] {
                    let typed = TypedPassword::of(typed);
                    prop_assert_eq!(typed.spellings().next(), Some((password.expose(), Verdict::Right)));
                }
            }
        }
    }
}
