//! JSON for admins.

use crate::{Id, Time, User};
use domain::admin::{self, Action, AuditTarget};
use domain::users::Profile;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A user as an admin sees one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    id: Id,
    #[schema(examples("ada"))]
    username: String,
    #[schema(examples("Ada Lovelace"))]
    display_name: String,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("ada@example.org"))]
    email: Option<String>,
    /// Whether the user is an admin of the server.
    admin: bool,
    /// Whether the account is disabled.
    disabled: bool,
    /// When the user last used a session, to about a minute; null if never.
    #[schema(required)]
    last_seen_at: Option<Time>,
}

impl From<admin::AccountView> for Account {
    fn from(view: admin::AccountView) -> Self {
        let admin::AccountView { user, disabled, last_seen_at } = view;
        let admin = user.admin;
        let User { id, username, display_name, created_at, updated_at, email, .. } = user.into();
        let last_seen_at = last_seen_at.map(Time);
        Self { id, username, display_name, created_at, updated_at, email, admin, disabled, last_seen_at }
    }
}

/// A user in the audit log, as shown today.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditUser {
    id: Id,
    #[schema(examples("ada"))]
    username: String,
}

impl From<Profile> for AuditUser {
    fn from(profile: Profile) -> Self {
        Self { id: Id(profile.id.0), username: profile.username }
    }
}

/// A group in the audit log, by its latest name.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditGroup {
    id: Id,
    #[schema(examples("book club"))]
    name: String,
}

/// An action of an admin or of the command line.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Numbered from 1 without gaps.
    number: i64,
    created_at: Time,
    /// The acting admin; null for the command line.
    #[schema(required)]
    actor: Option<AuditUser>,
    #[schema(schema_with = action_word)]
    action: &'static str,
    /// The affected user, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<AuditUser>,
    /// The affected group, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<AuditGroup>,
}

impl From<admin::AuditEntry> for AuditEntry {
    fn from(entry: admin::AuditEntry) -> Self {
        let (user, group) = match entry.target {
            AuditTarget::User(profile) => (Some(profile.into()), None),
            AuditTarget::Group(id, name) => (None, Some(AuditGroup { id: Id(id.0), name: name.into_string() })),
        };
        Self {
            number: entry.number,
            created_at: Time(entry.at),
            actor: entry.actor.map(Into::into),
            action: entry.action.as_str(),
            user,
            group,
        }
    }
}

fn action_word() -> Object {
    let words = Action::ALL.iter().map(|action| action.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
