//! JSON of users, sessions, groups and members.

use crate::{Id, Time};
use domain::{SessionId, groups, sessions, users};
use serde::Serialize;
use utoipa::ToSchema;

/// A user, with the fields that the reader may see.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    pub(super) id: Id,
    #[schema(examples("ada"))]
    pub(super) username: String,
    #[schema(examples("Ada Lovelace"))]
    pub(super) display_name: String,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Only for the user and for admins.
    #[schema(nullable = false, examples("ada@example.org"))]
    pub(super) email: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    /// Only in an admin's own account.
    admin: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    /// Only for a deleted user.
    #[schema(required = false)]
    deleted: bool,
}

impl From<users::UserView> for User {
    fn from(view: users::UserView) -> Self {
        Self {
            id: Id(view.profile.id.0),
            deleted: view.profile.is_deleted(),
            username: view.profile.username,
            display_name: view.profile.display_name,
            created_at: Time(view.created_at),
            updated_at: Time(view.updated_at),
            email: view.email.map(users::Email::into_string),
            admin: view.admin,
        }
    }
}

/// What the server allows the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct May {
    /// Whether the caller may broadcast.
    broadcast: bool,
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    user: User,
    may: May,
}

impl From<users::OwnView> for Me {
    fn from(view: users::OwnView) -> Self {
        Self { user: view.user.into(), may: May { broadcast: view.may_broadcast } }
    }
}

/// A session of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    id: Id,
    created_at: Time,
    last_seen_at: Time,
    #[schema(required)]
    user_agent: Option<String>,
    current: bool,
}

impl Session {
    /// The session as listed to a caller who uses the session `current`.
    pub fn listed(session: sessions::Session, current: SessionId) -> Self {
        Self {
            id: Id(session.id.0),
            created_at: Time(session.created_at),
            last_seen_at: Time(session.last_seen_at),
            user_agent: session.user_agent.map(|agent| agent.as_str().to_owned()),
            current: session.id == current,
        }
    }
}

/// A group as one user sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Group {
    pub(super) id: Id,
    #[schema(examples("book club"))]
    pub(super) name: String,
    pub(super) description: String,
    #[schema(schema_with = super::visibility_word)]
    pub(super) visibility: &'static str,
    pub(super) member_count: u64,
    /// The caller's role, or null.
    #[schema(required, schema_with = super::words::role_or_null)]
    pub(super) role: Option<&'static str>,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

impl From<groups::GroupView> for Group {
    fn from(view: groups::GroupView) -> Self {
        let groups::GroupView { group, role } = view;
        Self {
            id: Id(group.id.0),
            name: group.name.into_string(),
            description: group.description.into_string(),
            visibility: group.visibility.as_str(),
            member_count: group.member_count,
            role: role.map(groups::Role::as_str),
            created_at: Time(group.created_at),
            updated_at: Time(group.updated_at),
        }
    }
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    group_id: Id,
    user_id: Id,
    #[schema(examples("ada"))]
    username: String,
    #[schema(schema_with = super::role_word)]
    role: &'static str,
    created_at: Time,
    updated_at: Time,
}

impl From<groups::Member> for Member {
    fn from(member: groups::Member) -> Self {
        Self {
            group_id: Id(member.group.0),
            user_id: Id(member.user.0),
            username: member.username,
            role: member.role.as_str(),
            created_at: Time(member.created_at),
            updated_at: Time(member.updated_at),
        }
    }
}

/// A user as messages show their senders.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sender {
    id: Id,
    #[schema(examples("ada"))]
    username: String,
    #[schema(examples("Ada Lovelace"))]
    display_name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    /// Only for a deleted user.
    #[schema(required = false)]
    deleted: bool,
}

impl From<users::Profile> for Sender {
    fn from(profile: users::Profile) -> Self {
        let deleted = profile.is_deleted();
        Self { id: Id(profile.id.0), username: profile.username, display_name: profile.display_name, deleted }
    }
}
