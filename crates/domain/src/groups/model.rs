//! The types of groups and members.

use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::{GroupId, UserId};
use crate::text::{at_most, text_type, without_nul};
use crate::unicode::{comparable_without_joiners, prefix_key, shortened, shown_name};

/// Most characters of a group's name.
const MAX: usize = 64;

text_type!(
    /// A group's name: 1 to 64 characters after trimming, without control or hidden characters. Unique among groups
    /// that are not deleted; case and normal form do not count.
    GroupName
);

impl GroupName {
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        Ok(Self(shown_name(field, text, MAX)?.to_owned()))
    }

    /// The form that is unique and that lookups compare.
    pub fn key(&self) -> GroupNameKey {
        GroupNameKey(comparable_without_joiners(&self.0))
    }

    /// The name with a number behind it. The server gives it to the younger of two groups whose names became equal.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let number = format!(" ({number})");
        let stem = shortened(&self.0, |stem| stem.chars().count() + number.len() <= MAX);
        Self(format!("{}{number}", stem.trim_end()))
    }
}

/// The form in which the names of groups are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupNameKey(String);

impl GroupNameKey {
    /// Most bytes of a name to look up: more than any name has in any spelling.
    const MAX_BYTES: usize = 8 * 1024;

    /// The key of the name that somebody means who types `text`. Case and normal form do not count. `None` if no group
    /// can have this name.
    pub fn looked_up(text: &str) -> Option<Self> {
        let name = text.trim();
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES && !name.contains(char::is_control);
        fits.then(|| Self(comparable_without_joiners(name)))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The beginning of group names to list. Case and normal form do not count; there are no wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNamePrefix(String);

impl GroupNamePrefix {
    /// # Errors
    /// [`Invalid`] naming `q`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        without_nul("q", text)?;
        Ok(Self(prefix_key(text, comparable_without_joiners)))
    }

    /// The key of the prefix.
    pub fn key(&self) -> &str {
        &self.0
    }
}

text_type!(
    /// A group's description: at most 1024 characters, possibly none.
    Description
);

impl Description {
    /// # Errors
    /// [`Invalid`] naming `description`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        without_nul("description", text)?;
        at_most("description", text, 1024)?;
        Ok(Self(text.to_owned()))
    }

    /// No description.
    pub fn none() -> Self {
        Self(String::new())
    }
}

/// Who can see a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Visibility {
    /// Only its members see it. For others it does not exist.
    Private,
    /// All users may read it and join.
    Public,
}

impl Visibility {
    /// Parses the word that clients write.
    ///
    /// # Errors
    /// [`Invalid`] naming `visibility`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            _ => Err(Invalid::new("visibility", "visibility must be private or public")),
        }
    }

    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// A member's role in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also adds and removes plain members, changes the group, deletes messages.
    Admin,
    /// Every group has exactly one. Also appoints admins, hands the group over, deletes it.
    Owner,
}

impl Role {
    /// Parses the word that clients write.
    ///
    /// # Errors
    /// [`Invalid`] naming `role`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            "owner" => Ok(Self::Owner),
            _ => Err(Invalid::new("role", "role must be member, admin or owner")),
        }
    }

    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// A group that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Group {
    /// Also the id of its conversation.
    pub id: GroupId,
    /// Unique among groups that are not deleted.
    pub name: GroupName,
    /// The description.
    pub description: Description,
    /// Who can see it.
    pub visibility: Visibility,
    /// How many members it has, the owner included.
    pub member_count: u64,
    /// When the owner created it.
    pub created_at: Timestamp,
    /// When name, description or visibility last changed.
    pub updated_at: Timestamp,
}

/// A group as one particular user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The group.
    pub group: Group,
    /// The viewer's role; `None` for a reader of a public group.
    pub role: Option<Role>,
}

/// A group to be stored, with its owner as the first member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// An id that nothing else has.
    pub id: GroupId,
    /// Unique among groups that are not deleted.
    pub name: GroupName,
    /// The description.
    pub description: Description,
    /// Who can see it.
    pub visibility: Visibility,
    /// The user who creates it.
    pub owner: UserId,
    /// The time of the transaction. Nothing is ordered by it.
    pub at: Timestamp,
}

/// A change of a group. `None` leaves a value as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChange {
    /// Unique among groups that are not deleted.
    pub name: Option<GroupName>,
    /// The description.
    pub description: Option<Description>,
    /// Who can see it.
    pub visibility: Option<Visibility>,
}

impl GroupChange {
    /// The part of the change that would change the group. A value that the group has already is no change.
    #[must_use]
    pub fn of(self, group: &Group) -> Self {
        Self {
            name: self.name.filter(|name| *name != group.name),
            description: self.description.filter(|description| *description != group.description),
            visibility: self.visibility.filter(|visibility| *visibility != group.visibility),
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Member {
    /// The id of the group.
    pub group: GroupId,
    /// The id of the user.
    pub user: UserId,
    /// The user's name as shown.
    pub username: String,
    /// The member's role.
    pub role: Role,
    /// When the member joined.
    pub created_at: Timestamp,
    /// When the role last changed.
    pub updated_at: Timestamp,
}

/// A user to be added to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMember {
    /// The id of the group.
    pub group: GroupId,
    /// The id of the user.
    pub user: UserId,
    /// Never [`Role::Owner`], see [`NewMember::new`].
    role: Role,
}

impl NewMember {
    /// # Errors
    /// [`Invalid`] naming `role` for an owner. A group gets another owner by a change of roles.
    pub fn new(group: GroupId, user: UserId, role: Role) -> Result<Self, Invalid> {
        if role == Role::Owner {
            return Err(Invalid::new(
                "role",
                "a new member cannot be the owner: add them first, then hand the group over",
            ));
        }
        Ok(Self { group, user, role })
    }

    /// Member or admin.
    pub fn role(&self) -> Role {
        self.role
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_trimmed_and_free_of_controls() {
        assert_eq!(GroupName::parse("name", " \tab  c ").unwrap().as_str(), "ab  c");
        assert!(GroupName::parse("name", &"🙂".repeat(64)).is_ok());
        for bad in [
            "",
            " \t ",
            &"n".repeat(65),
            "a\nb",
            "a\u{1b}b",
            "a\u{7f}b",
            "a\u{90}b",
            "a\0",
            "\u{1}a",
            "\u{200b}",
            "a\u{202e}b",
        ] {
            assert_eq!(GroupName::parse("group", bad).unwrap_err().field, "group", "{bad:?}");
        }
    }

    #[test]
    fn a_group_is_looked_up_whatever_its_spelling() {
        let key = |name: &str| GroupName::parse("name", name).unwrap().key();
        for (name, typed) in [
            ("Café", "cafe\u{301}"),
            ("Cafe\u{301}", " CAFÉ "),
            ("ﷺ".repeat(64).as_str(), &"صلى الله عليه وسلم".repeat(64)),
            (&"ǖ".repeat(64), &"u\u{308}\u{304}".repeat(64)),
            ("Team 👩\u{200d}💻", "team 👩💻"),
            ("Ｔｅａ", "tea"),
        ] {
            assert_eq!(GroupNameKey::looked_up(typed), Some(key(name)), "{name}");
        }
        assert_ne!(GroupNameKey::looked_up("Te\u{200b}a"), Some(key("Tea")));
        for nobody in ["", " ", "a\nb", "a\0", &"é".repeat(32 * 1024)] {
            assert_eq!(GroupNameKey::looked_up(nobody), None);
        }
    }

    #[test]
    fn a_number_finds_room_behind_a_name() {
        let numbered = |name: &str, number| GroupName::parse("name", name).unwrap().numbered(number);
        assert_eq!(numbered("Tea", 2).as_str(), "Tea (2)");
        assert_eq!(numbered(&"n".repeat(64), 10).as_str(), format!("{} (10)", "n".repeat(59)));
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(numbered(&family.repeat(12), 2).as_str(), format!("{} (2)", family.repeat(12)));
        assert_eq!(numbered(&format!("{}abcd", family.repeat(12)), 2).as_str(), format!("{} (2)", family.repeat(12)));
    }

    #[test]
    fn what_a_group_has_already_is_no_change() {
        let at = Timestamp::from_micros(0).unwrap();
        let group = Group {
            id: GroupId(uuid::Uuid::nil()),
            name: GroupName::parse("name", "Tea").unwrap(),
            description: Description::none(),
            visibility: Visibility::Public,
            member_count: 1,
            created_at: at,
            updated_at: at,
        };
        let same = GroupChange {
            name: Some(group.name.clone()),
            description: Some(Description::none()),
            visibility: Some(Visibility::Public),
        };
        assert_eq!(same.clone().of(&group), GroupChange::default());
        // The same to look it up by, but not as it is shown.
        let name = Some(GroupName::parse("name", "tea").unwrap());
        let other_case = GroupChange { name: name.clone(), ..same };
        assert_eq!(other_case.of(&group), GroupChange { name, ..GroupChange::default() });
    }

    proptest! {
        #[test]
        fn a_name_that_exists_parses_to_itself(text in "\\PC{0,70}|[ \\t\\n]{0,3}[a-z]{0,70}") {
            if let Ok(name) = GroupName::parse("name", &text) {
                prop_assert_eq!(&GroupName::parse("name", name.as_str()).unwrap(), &name);
                prop_assert!(name.as_str().chars().count() <= 64);
            }
        }
    }
}
