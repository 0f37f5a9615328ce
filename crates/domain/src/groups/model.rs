//! What a group and a member are.

use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::{GroupId, UserId};
use crate::text::{at_most, case_folded, text_type, without_nul};

text_type!(
    /// A group's name: 1 to 64 characters after trimming, no control characters, unique among live groups whatever
    /// the case.
    GroupName
);

impl GroupName {
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return Err(Invalid::new(field, format!("{field} must not contain control characters")));
        }
        let text = text.trim();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(Invalid::new(field, format!("{field} must not be blank or contain control characters")));
        }
        at_most(field, text, 64)?;
        Ok(Self(text.to_owned()))
    }

    /// The form that is unique and that lookups compare.
    pub fn key(&self) -> String {
        case_folded(&self.0)
    }
}

/// The beginning of group names to list, whatever the case; no wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNamePrefix(String);

impl GroupNamePrefix {
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
    /// What a group is about: at most 1024 characters, possibly none.
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
pub enum Visibility {
    /// Its members only; to others it does not exist.
    Private,
    /// Everybody may read it and join.
    Public,
}

impl Visibility {
    /// As clients write it.
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

    /// As clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// What one is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also adds and removes plain members, changes the group, deletes messages.
    Admin,
    /// Exactly one a group: also makes admins, hands over, deletes the group.
    Owner,
}

impl Role {
    /// As clients write it.
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

    /// As clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// A live group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Also the id of its conversation.
    pub id: GroupId,
    /// Unique among live groups.
    pub name: GroupName,
    /// What it is about.
    pub description: Description,
    /// Who can see it.
    pub visibility: Visibility,
    /// How many are in it, the owner included.
    pub member_count: u64,
    /// When made.
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

/// A group to be stored, with its owner as first member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Fresh.
    pub id: GroupId,
    /// To be unique among live groups.
    pub name: GroupName,
    /// What it is about.
    pub description: Description,
    /// Who can see it.
    pub visibility: Visibility,
    /// The creator.
    pub owner: UserId,
    /// Now.
    pub at: Timestamp,
}

/// A change of a group; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChange {
    /// To be unique among live groups.
    pub name: Option<GroupName>,
    /// What it is about.
    pub description: Option<Description>,
    /// Who can see it.
    pub visibility: Option<Visibility>,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which group.
    pub group: GroupId,
    /// Who.
    pub user: UserId,
    /// The user's name as shown.
    pub username: String,
    /// What the user is in the group.
    pub role: Role,
    /// When joined.
    pub created_at: Timestamp,
    /// When the role last changed.
    pub updated_at: Timestamp,
}

/// Somebody to be taken into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMember {
    /// Which group.
    pub group: GroupId,
    /// Who.
    pub user: UserId,
    /// As what: never owner, see [`NewMember::new`].
    role: Role,
}

impl NewMember {
    /// # Errors
    /// [`Invalid`] naming `role` for an owner: groups change hands by changing roles.
    pub fn new(group: GroupId, user: UserId, role: Role) -> Result<Self, Invalid> {
        if role == Role::Owner {
            return Err(Invalid::new("role", "one becomes owner only by being handed the group"));
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
        for bad in ["", " \t ", &"n".repeat(65), "a\nb", "a\u{1b}b", "a\u{7f}b", "a\u{90}b", "a\0", "\u{1}a"] {
            assert_eq!(GroupName::parse("group", bad).unwrap_err().field, "group", "{bad:?}");
        }
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
