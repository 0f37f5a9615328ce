//! What a user is.

use super::password::PasswordHash;
use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::UserId;
use crate::text::{at_most, case_folded, text_type, without_nul};

/// How a deleted user is shown, as `username` and `display_name` alike. No username: it has a blank.
pub const DELETED_USER: &str = "deleted user";

text_type!(
    /// A name to log in and to be addressed with: 2 to 32 of `A-Z a-z 0-9 _ . -`, unique whatever the case.
    Username
);

impl Username {
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let fits = (2..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if !fits {
            return Err(Invalid::new(field, format!("{field} must be 2 to 32 of A-Z a-z 0-9 _ . -")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The form that is unique and that lookups compare.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// The beginning of usernames to list, whatever the case; no wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsernamePrefix(String);

impl UsernamePrefix {
    /// Any text without a NUL: one that no username can begin with just finds nothing.
    ///
    /// # Errors
    /// [`Invalid`] naming `q`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        without_nul("q", text)?;
        Ok(Self(case_folded(text)))
    }

    /// The folded prefix.
    pub fn key(&self) -> &str {
        &self.0
    }
}

text_type!(
    /// An address, checked for form only: one `@` with something on both sides, a domain of labels, no blanks or
    /// controls, at most 254 characters (RFC 5321's limit of a path less its brackets).
    Email
);

impl Email {
    /// # Errors
    /// [`Invalid`] naming `email`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const FIELD: &str = "email";
        at_most(FIELD, text, 254)?;
        let malformed = || Invalid::new(FIELD, "email is not an address");
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let plain = |c: char| {
            !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '"')
        };
        let local_fits = !local.is_empty()
            && local.len() <= 64
            && local.chars().all(|c| plain(c) && c != '@')
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if local_fits && domain.split('.').all(label_fits) { Ok(Self(text.to_owned())) } else { Err(malformed()) }
    }

    /// The form that is unique.
    pub fn key(&self) -> String {
        case_folded(&self.0)
    }
}

text_type!(
    /// What a user likes to be called: 1 to 64 characters after trimming, no control characters.
    DisplayName
);

impl DisplayName {
    /// # Errors
    /// [`Invalid`] naming `display_name`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const FIELD: &str = "display_name";
        without_nul(FIELD, text)?;
        let text = text.trim();
        at_most(FIELD, text, 64)?;
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(Invalid::new(FIELD, "display_name must not be blank or contain control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What one is on this server, apart from `PARLANCE_ADMINS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserRole {
    /// Everybody.
    Member,
    /// Made an admin by the command line.
    Admin,
}

/// A user, living or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Stays taken after deletion; shown only by [`User::profile`].
    pub username: Username,
    /// `None` until set.
    pub display_name: Option<DisplayName>,
    /// Shown to the user and to admins only.
    pub email: Option<Email>,
    /// See [`ServerPolicy::is_admin`](super::ServerPolicy::is_admin).
    pub role: UserRole,
    /// When signed up.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
    /// When deleted, if so.
    pub deleted_at: Option<Timestamp>,
    /// Since when the user cannot log in, if so. Others see no difference.
    pub disabled_at: Option<Timestamp>,
}

impl User {
    /// How others see the user.
    pub fn profile(&self) -> Profile {
        Profile::of(self.id, &self.username, self.display_name.as_ref(), self.deleted_at.is_some())
    }
}

/// How a user is shown beside messages, members and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub id: UserId,
    /// The name, or [`DELETED_USER`].
    pub username: String,
    /// The display name, the username if never set, or [`DELETED_USER`].
    pub display_name: String,
}

impl Profile {
    /// The one place that decides what is shown of whom.
    pub fn of(id: UserId, username: &Username, display_name: Option<&DisplayName>, deleted: bool) -> Self {
        if deleted {
            return Self { id, username: DELETED_USER.to_owned(), display_name: DELETED_USER.to_owned() };
        }
        Self {
            id,
            username: username.to_string(),
            display_name: display_name.map_or_else(|| username.to_string(), ToString::to_string),
        }
    }
}

/// A user as one particular reader may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// Names as shown.
    pub profile: Profile,
    /// Only where the reader may see it.
    pub email: Option<Email>,
    /// `true` only in an admin's view of oneself.
    pub admin: bool,
    /// When signed up.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// A user to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Fresh.
    pub id: UserId,
    /// To be unique whatever its case, also among deleted users.
    pub username: Username,
    /// To be unique whatever its case.
    pub email: Option<Email>,
    /// Without one nobody can log in.
    pub password: Option<PasswordHash>,
    /// Now.
    pub at: Timestamp,
}

/// Changes of one's own account; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// To be unique whatever its case.
    pub email: Option<Email>,
    /// New name to be called.
    pub display_name: Option<DisplayName>,
    /// Ends all other sessions.
    pub password: Option<PasswordHash>,
    /// With a new password: the hash that the current one was proven by, where there was one.
    pub proven: Option<PasswordHash>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usernames_are_two_to_thirty_two_plain_characters() {
        for good in ["ab", "A.b-c_9", &"x".repeat(32)] {
            assert_eq!(Username::parse("username", good).unwrap().as_str(), good);
        }
        for bad in ["", "a", &"x".repeat(33), "a b", "a/b", "jürgen", "ab\n", "a\0b", "deleted user"] {
            assert_eq!(Username::parse("to", bad).unwrap_err().field, "to", "{bad:?}");
        }
    }

    #[test]
    fn emails_are_checked_for_form() {
        let longest = format!("{}@{}.org", "l".repeat(64), vec!["d".repeat(60); 3].join("."));
        for good in
            ["a@b.org", "x.first+tag@example.org", "x-x_y@sub.example.co.uk", "ü@exämple.org", "a@localhost", &longest]
        {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let too_long = format!("{}@example.org", "a".repeat(243));
        for bad in [
            "abc",
            "@example.org",
            "abc@",
            "a b@example.org",
            "a@example.org\nBcc: x@y.z",
            "a@b c.org",
            "a@@b.org",
            "a@.org",
            "a@b..org",
            &too_long,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_username_that_exists_is_valid_and_its_key_has_no_case(text in "\\PC{0,40}|[A-Za-z0-9_.-]{1,34}") {
            if let Ok(name) = Username::parse("username", &text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert_eq!(name.key(), Username::parse("username", &text.to_ascii_uppercase()).unwrap().key());
            }
        }
    }
}
