//! JSON of tokens of programs.

use crate::{Id, Time};
use domain::{Scope, api_tokens};
use serde::Serialize;
use utoipa::ToSchema;

/// A token of a program.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiToken {
    id: Id,
    #[schema(examples("backups"))]
    name: String,
    /// What it is good for: some of `read`, `send` and `manage`.
    #[schema(examples(json!(["read", "send"])))]
    scopes: Vec<&'static str>,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Absent if it does not expire.
    #[schema(nullable = false)]
    expires_at: Option<Time>,
    /// To about a minute, or null.
    #[schema(required)]
    last_used_at: Option<Time>,
}

impl From<api_tokens::ApiToken> for ApiToken {
    fn from(token: api_tokens::ApiToken) -> Self {
        Self {
            id: Id(token.id.0),
            name: token.name.into_string(),
            scopes: token.scopes.iter().map(Scope::as_str).collect(),
            created_at: Time(token.created_at),
            expires_at: token.expires_at.map(Time),
            last_used_at: token.last_used_at.map(Time),
        }
    }
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiToken {
    #[serde(flatten)]
    known: ApiToken,
    /// What a program sends. The server does not show it again.
    #[schema(examples(
        "plt_01890a5dac96774bbcceb302099a80575f4dcc3b5aa765d61d8327deb882cf995f4dcc3b5aa765d61d8327deb882cf99"
    ))]
    token: String,
}

impl From<api_tokens::Issued> for NewApiToken {
    fn from(issued: api_tokens::Issued) -> Self {
        Self { known: issued.token.into(), token: issued.text }
    }
}
