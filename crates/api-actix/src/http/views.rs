//! `/conversations/{id}/settings` and `/conversations/{id}/draft`: what a conversation is to the caller.

use super::accounts::{nullable, parsed};
use super::error::ApiError;
use super::extract::{Authenticated, Json, PathIds, required};
use super::openapi::ErrorResponse;
use crate::use_cases::UseCases;
use actix_web::{HttpResponse, web};
use domain::users::Change;
use domain::views::{DraftContent, Mute, NewDraft, Notify, SettingsChange};
use domain::{Invalid, MessageId};
use serde::Deserialize;
use utoipa::ToSchema;
use wire::PublicUrl;

/// The changes of the caller's settings.
#[derive(Deserialize, ToSchema)]
#[schema(as = SettingsEdit, examples(json!({ "muted_until": "forever", "archived": true })))]
pub struct SettingsBody {
    /// A time, or `forever`. `null`, or a time that is past, ends the mute.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, nullable = true)]
    muted_until: Change<String>,
    /// `all`, `mentions` or `none`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, nullable = false, pattern = "^(all|mentions|none)$")]
    notify: Change<String>,
    /// A message brings an archived conversation back, unless it is muted then.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<bool>, nullable = false)]
    archived: Change<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<bool>, nullable = false)]
    favourite: Change<bool>,
}

/// The new value, if there is one.
///
/// # Errors
/// [`Invalid`] naming `field` for `null`: such a setting has no value to take back.
fn never_null<T>(field: &'static str, change: Change<T>) -> Result<Option<T>, Invalid> {
    match change {
        Change::Keep => Ok(None),
        Change::Clear => Err(Invalid::new(field, format!("{field} can't be null"))),
        Change::Set(value) => Ok(Some(value)),
    }
}

impl SettingsBody {
    fn parse(self) -> Result<SettingsChange, Invalid> {
        let notify = never_null("notify", self.notify)?;
        Ok(SettingsChange {
            muted: parsed(self.muted_until, Mute::parse)?,
            notify: notify.as_deref().map(Notify::parse).transpose()?,
            archived: never_null("archived", self.archived)?,
            favourite: never_null("favourite", self.favourite)?,
        })
    }
}

/// Changes the caller's settings of a conversation: mute, notifications, archive, favourite.
///
/// Others see nothing of it.
#[utoipa::path(
    patch, path = "/conversations/{id}/settings",
    request_body(content = Option<SettingsBody>, content_type = "application/json"),
    responses(
        (status = 200, description = "Changed", body = wire::Conversation),
        ErrorResponse<403>, ErrorResponse<404>,
    ),
)]
pub async fn change_settings(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, input: (ids, Json(body)) }: Authenticated<(PathIds, Json<SettingsBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let changed = use_cases.conversations.change_settings(&caller, id, body.parse()?).await?;
    let view = |user: &_| use_cases.policy.view(&caller, user);
    Ok(HttpResponse::Ok().json(wire::Conversation::listed(&public, changed, view)))
}

/// What the caller has begun to write.
#[derive(Deserialize, ToSchema)]
#[schema(as = DraftEdit, examples(json!({ "content": "Dear all," })))]
pub struct DraftBody {
    /// The server stores and returns it exactly as written. A blank one drops the draft.
    #[schema(value_type = String, max_length = 4096)]
    content: Option<String>,
    /// A message of the conversation that it is to answer.
    #[schema(value_type = Option<wire::Id>)]
    reply_to: Option<String>,
    /// The first message of the thread that it is to be a reply in.
    #[schema(value_type = Option<wire::Id>)]
    thread_id: Option<String>,
}

/// Keeps a draft for all devices of the caller, instead of the one before.
#[utoipa::path(
    put, path = "/conversations/{id}/draft",
    request_body = DraftBody,
    responses((status = 204, description = "Kept"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn set_draft(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (ids, Json(body)) }: Authenticated<(PathIds, Json<DraftBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let content = DraftContent::parse(&required("content", body.content)?)?;
    let message = |field, id: Option<&str>| id.map(|id| MessageId::parse(field, id)).transpose();
    let reply_to = message("reply_to", body.reply_to.as_deref())?;
    let thread_id = message("thread_id", body.thread_id.as_deref())?;
    let draft = content.map(|content| NewDraft { content, reply_to, thread_id });
    use_cases.conversations.set_draft(&caller, id, draft).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Drops the caller's draft, if there is one.
#[utoipa::path(
    delete, path = "/conversations/{id}/draft",
    responses((status = 204, description = "There is none"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn drop_draft(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: ids }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    use_cases.conversations.set_draft(&caller, ids.get("id")?, None).await?;
    Ok(HttpResponse::NoContent().finish())
}
