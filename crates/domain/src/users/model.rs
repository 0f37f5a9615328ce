//! The types of users, their names and their addresses.

use super::password::PasswordHash;
use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::UserId;
use crate::text::{at_most, text_type, without_nul};
use crate::unicode::{comparable, hides_something, prefix_key, shown_name};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// What clients see as `username` and `display_name` of a deleted user. It contains a blank, so it is no username.
pub const DELETED_USER: &str = "deleted user";

text_type!(
    /// A name for logging in and for addressing a user: 2 to 32 of `A-Z a-z 0-9 _ . -`. Unique; case does not count.
    Username
);

impl Username {
    /// The most characters.
    const MAX: usize = 32;
    /// Names that mean something else behind an `@`, or beside a message. Accounts that had one before stay.
    const RESERVED: [&'static str; 5] = ["all", "here", "everyone", "channel", "hook"];

    /// A name for a new account.
    ///
    /// # Errors
    /// [`Invalid`] naming `field`, also for a name that is reserved, whatever its case.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let name = Self::well_formed(field, text)?;
        if Self::RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(text)) {
            return Err(Invalid::new(field, format!("{field} must not be {}", Self::RESERVED.join(", "))));
        }
        Ok(name)
    }

    fn well_formed(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let fits = (2..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if !fits {
            return Err(Invalid::new(field, format!("{field} must be 2 to 32 of A-Z a-z 0-9 _ . -")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The username that somebody means who types `text`. Case and normal form do not count (`ａｄａ` is `ada`).
    ///
    /// # Errors
    /// [`Invalid`] naming `field` if no user can have this name.
    pub fn looked_up(field: &'static str, text: &str) -> Result<Self, Invalid> {
        // A longer text is no name, whatever its characters; normalizing it would be wasted work.
        if text.len() > 4 * Self::MAX {
            return Self::well_formed(field, text);
        }
        Self::well_formed(field, text).or_else(|_| Self::well_formed(field, &comparable(text)))
    }

    /// The form that is unique and that lookups compare.
    pub fn key(&self) -> String {
        comparable(&self.0)
    }

    /// The name with a number behind it. The server gives it to the younger of two users whose names became equal.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let number = format!("-{number}");
        let stem: String = self.0.chars().take(Self::MAX.saturating_sub(number.len())).collect();
        Self(stem + &number)
    }
}

/// The beginning of usernames to list. Case and normal form do not count; there are no wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsernamePrefix(String);

impl UsernamePrefix {
    /// Takes any text without a NUL. A text that begins no username finds nothing.
    ///
    /// # Errors
    /// [`Invalid`] naming `q`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        without_nul("q", text)?;
        Ok(Self(prefix_key(text, comparable)))
    }

    /// The key of the prefix.
    pub fn key(&self) -> &str {
        &self.0
    }
}

text_type!(
    /// An email address. The server checks its form only: one `@` with text on both sides, a domain that DNS can have
    /// (in letters of any language, by IDNA), nothing blank or hidden, at most 254 characters (RFC 5321's limit of a
    /// path less its brackets).
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
        let fits = local_fits && !hides_something(text) && ascii_domain(domain).is_some();
        if fits { Ok(Self(text.to_owned())) } else { Err(malformed()) }
    }

    /// The form that is unique: the local part in the form in which names are compared, the domain in the form of DNS.
    pub fn key(&self) -> String {
        let Some((local, domain)) = self.0.rsplit_once('@') else { return comparable(&self.0) };
        // Older versions took addresses without checking the domain.
        let domain = ascii_domain(domain).unwrap_or_else(|| comparable(domain));
        format!("{}@{domain}", comparable(local))
    }

    /// A key that no address has. The server gives it to the younger of two users whose addresses became equal.
    pub fn numbered_key(&self, number: u32) -> String {
        format!("{}#{number}", self.key())
    }
}

/// The domain in lower-case ASCII letters, by IDNA; `None` if DNS cannot have it.
fn ascii_domain(domain: &str) -> Option<String> {
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify);
    ascii.ok().map(std::borrow::Cow::into_owned)
}

text_type!(
    /// The name that a user wants to be shown by: 1 to 64 characters after trimming, without control or hidden
    /// characters.
    DisplayName
);

impl DisplayName {
    /// # Errors
    /// [`Invalid`] naming `display_name`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(Self(shown_name("display_name", text, 64)?.to_owned()))
    }
}

/// A user's role on this server, apart from `PARLANCE_ADMINS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserRole {
    /// A user who is no admin.
    Member,
    /// An admin whom the command line appointed.
    Admin,
}

/// A user, existing or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id of the user.
    pub id: UserId,
    /// Stays taken after deletion. Only [`User::profile`] shows it.
    pub username: Username,
    /// `None` until the user sets one.
    pub display_name: Option<DisplayName>,
    /// Only the user and admins see it.
    pub email: Option<Email>,
    /// See [`ServerPolicy::is_admin`](super::ServerPolicy::is_admin).
    pub role: UserRole,
    /// When the user signed up.
    pub created_at: Timestamp,
    /// When the account last changed.
    pub updated_at: Timestamp,
    /// When the user deleted the account. `None` for an existing user.
    pub deleted_at: Option<Timestamp>,
    /// Since when an admin keeps the user from logging in. Other users see no difference.
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
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Profile {
    /// The id of the user.
    pub id: UserId,
    /// The username, or [`DELETED_USER`].
    pub username: String,
    /// The display name, else the username, or [`DELETED_USER`].
    pub display_name: String,
}

impl Profile {
    /// Whether the user is deleted.
    pub fn is_deleted(&self) -> bool {
        // No username has a blank.
        self.username == DELETED_USER
    }

    /// The one function that decides which names others see.
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
    /// The names that others see.
    pub profile: Profile,
    /// `None` if the reader may not see it.
    pub email: Option<Email>,
    /// `true` only if an admin looks at their own account.
    pub admin: bool,
    /// When the user signed up.
    pub created_at: Timestamp,
    /// When the account last changed.
    pub updated_at: Timestamp,
}

/// A user as the user sees the own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnView {
    /// All that the user may see of it.
    pub user: UserView,
    /// Whether the user may broadcast.
    pub may_broadcast: bool,
}

/// A user to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// An id that nothing else has.
    pub id: UserId,
    /// Unique among existing and deleted users. Case does not count.
    pub username: Username,
    /// Unique among existing users. Case does not count.
    pub email: Option<Email>,
    /// `None`: the user cannot log in.
    pub password: Option<PasswordHash>,
    /// The time of the transaction. Nothing is ordered by it.
    pub at: Timestamp,
}

/// A change of a value that may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The value stays as it is.
    #[default]
    Keep,
    /// The value is taken back.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the value may become another one.
    pub fn is_change(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}

/// Changes that a user makes to their own account. A password of `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// Unique among existing users. Case does not count.
    pub email: Change<Email>,
    /// The new display name.
    pub display_name: Change<DisplayName>,
    /// The hash of the new password. It ends the user's other sessions.
    pub password: Option<PasswordHash>,
    /// With a new password: the hash that the caller's current password fits, if the user has one.
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
    fn reserved_names_are_for_no_new_account_and_can_be_looked_up() {
        for name in ["all", "here", "everyone", "channel", "hook", "ALL", "Hook"] {
            let refused = Username::parse("username", name).unwrap_err();
            assert_eq!(refused.field, "username", "{name}");
            assert_eq!(refused.reason, "username must not be all, here, everyone, channel, hook");
            assert_eq!(Username::looked_up("to", name).unwrap().key(), name.to_lowercase());
        }
        for name in ["al", "all-", "hooks", "every.one"] {
            Username::parse("username", name).unwrap();
        }
    }

    #[test]
    fn only_a_deleted_user_is_shown_as_one() {
        let name = Username::parse("username", "ada").unwrap();
        let display = DisplayName::parse(DELETED_USER).unwrap();
        let profile = |deleted| Profile::of(UserId(uuid::Uuid::nil()), &name, Some(&display), deleted);
        assert!(profile(true).is_deleted() && !profile(false).is_deleted());
    }

    #[test]
    fn a_name_is_looked_up_whatever_its_spelling() {
        for (typed, key) in
            [("Ada", "ada"), ("ａｄａ", "ada"), ("Ａ.Ｄ＿1", "a.d_1"), ("\u{212a}ai", "kai"), ("straße", "strasse")]
        {
            assert_eq!(Username::looked_up("to", typed).unwrap().key(), key);
        }
        assert!(Username::parse("to", "ａｄａ").is_err());
        let long = "ａ".repeat(20_000);
        for nobody in ["", "a", "a\u{200b}da", "ａ", "ada ", "é", "ısı", "a\0da", &"ａ".repeat(33), &long] {
            assert_eq!(Username::looked_up("to", nobody).unwrap_err().field, "to", "{nobody:?}");
        }
        let name = Username::parse("username", &"x".repeat(32)).unwrap();
        let numbered = name.numbered(12);
        assert_eq!(Username::parse("username", numbered.as_str()).unwrap().as_str(), format!("{}-12", "x".repeat(29)));
    }

    #[test]
    fn an_address_has_one_key_whatever_its_spelling() {
        for spellings in [
            &[
                "a@exämple.org",
                "A@EXÄMPLE.org",
                "a@exa\u{308}mple.org",
                "a@xn--exmple-cua.org",
                "ａ@XN--EXMPLE-CUA.ORG",
            ][..],
            &["ü@b.org", "u\u{308}@b.org", "Ü@ｂ.org", "ü@b。org"],
            &["a@straße.de", "a@xn--strae-oqa.de"],
            &["a@strasse.de", "a@STRASSE.de"],
        ] {
            for spelling in spellings {
                let key = |text: &str| Email::parse(text).unwrap().key();
                assert_eq!(key(spelling), key(spellings[0]), "{spelling}");
            }
        }
        let key = Email::from_stored("a@b.org".to_owned()).numbered_key(2);
        assert!(Email::parse(&key).is_err(), "nobody else can have it");
    }

    #[test]
    fn display_names_hide_nothing() {
        assert_eq!(DisplayName::parse(" Ada 👩\u{200d}💻 ").unwrap().as_str(), "Ada 👩\u{200d}💻");
        let long = "a".repeat(64 * 1024);
        for bad in ["", " ", "\u{3164}", "\u{200b}", "a\u{202e}b", "a\u{200b}", "\u{feff}a", "a\nb", "a\0", &long] {
            assert_eq!(DisplayName::parse(bad).unwrap_err().field, "display_name", "{bad:?}");
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
            "a@b.org.",
            "a@-b.org",
            "a@b_c.org",
            "a@xn--a.org",
            "a\u{200b}b@b.org",
            "a@b\u{ad}c.org",
            "a@b\u{200b}.org",
            "\u{202e}a@b.org",
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
