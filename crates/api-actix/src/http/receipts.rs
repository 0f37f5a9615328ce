//! What was seen and what was not: `/messages/{id}/seen`, `/messages/unseen/{user_id}`, `/conversations/{id}/read`.

use super::error::ApiError;
use super::extract::{Json, PathIds, Signed, acting, required};
use super::wire;
use crate::app::UseCases;
use actix_web::{HttpResponse, web};
use domain::MessageId;
use serde::Deserialize;
use serde_json::json;

/// The body of `POST /messages/{id}/seen`.
#[derive(Deserialize)]
pub struct SeenBody {
    user_id: Option<String>,
}

/// `POST /messages/{id}/seen`.
pub async fn mark_seen(
    app: web::Data<UseCases>,
    Signed { caller, input: (ids, Json(body)) }: Signed<(PathIds, Json<SeenBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    caller.must_be(acting("user_id", body.user_id.as_deref())?)?;
    app.mark_seen.execute(&caller, id).await?;
    Ok(HttpResponse::Ok().json(json!({ "message": "marked as seen" })))
}

/// `GET /messages/{id}/seen`.
pub async fn list(
    app: web::Data<UseCases>,
    Signed { caller, input: ids }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let receipts = app.list_receipts.execute(&caller, ids.get("id")?).await?;
    Ok(HttpResponse::Ok().json(receipts.into_iter().map(wire::Receipt::from).collect::<Vec<_>>()))
}

/// `GET /messages/unseen/{user_id}`.
pub async fn count_unseen(
    app: web::Data<UseCases>,
    Signed { caller, input: ids }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let unseen = app.count_unseen.execute(&caller, ids.get("user_id")?).await?;
    Ok(HttpResponse::Ok().json(wire::Unseen::from(unseen)))
}

/// The body of `POST /conversations/{id}/read`.
#[derive(Deserialize)]
pub struct ReadBody {
    up_to: Option<String>,
}

/// `POST /conversations/{id}/read`.
pub async fn mark_read(
    app: web::Data<UseCases>,
    Signed { caller, input: (ids, Json(body)) }: Signed<(PathIds, Json<ReadBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let up_to = MessageId::parse("up_to", &required("up_to", body.up_to)?)?;
    app.mark_read.execute(&caller, id, up_to).await?;
    Ok(HttpResponse::NoContent().finish())
}
