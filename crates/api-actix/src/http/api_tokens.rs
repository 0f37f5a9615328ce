//! `/tokens`: tokens of programs.

use super::error::ApiError;
use super::extract::{Authenticated, Json, PathIds, required};
use super::openapi::ErrorResponse;
use crate::use_cases::UseCases;
use actix_web::{HttpResponse, web};
use domain::Scopes;
use domain::api_tokens::{TokenName, TokenWish};
use domain::sessions::TokenService;
use serde::Deserialize;
use utoipa::ToSchema;

/// A wish for a token.
#[derive(Deserialize, ToSchema)]
#[schema(as = TokenWish, examples(json!({ "name": "backups", "scopes": ["read"], "expires_in": 31536000 })))]
pub struct TokenBody {
    /// What the caller calls it.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Option<String>,
    /// Some of `read`, `send` and `manage`; absent: all of them.
    #[schema(min_items = 1)]
    scopes: Option<Vec<String>>,
    /// Seconds; absent: it does not expire.
    #[schema(minimum = 1, maximum = 3153600000_u64)]
    expires_in: Option<u64>,
}

/// Makes a token for a program, which acts as the caller as far as its scopes go.
///
/// `read` is for every GET and for live connections, `send` for messages, receipts, reactions, pins and files, `manage`
/// for everything else; none contains another. No token is good for `/tokens`, `/sessions`, `/logout`, `/admin`, the
/// password, the email or the end of the account. It outlives logouts, and ends by `DELETE`, its `expires_in`, or a
/// change of the password. A user has at most 50.
#[utoipa::path(
    post, path = "/tokens", tag = "tokens",
    request_body = TokenBody,
    responses(
        (status = 201, description = "Made; shown once", body = wire::NewApiToken),
        ErrorResponse<403>, ErrorResponse<409>,
    ),
)]
pub async fn create(
    use_cases: web::Data<UseCases>,
    secrets: web::Data<dyn TokenService>,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<TokenBody>>,
) -> Result<HttpResponse, ApiError> {
    let name = TokenName::parse(&required("name", body.name)?)?;
    let scopes = body.scopes.map(|words| Scopes::parse(words.iter().map(String::as_str))).transpose()?;
    let wish = TokenWish { name, scopes: scopes.unwrap_or(Scopes::ALL), expires_in: body.expires_in };
    let issued = use_cases.api_tokens.create(&caller, wish, &**secrets).await?;
    Ok(HttpResponse::Created().json(wire::NewApiToken::from(issued)))
}

/// Lists the caller's tokens, newest first.
#[utoipa::path(
    get, path = "/tokens", tag = "tokens",
    responses((status = 200, description = "Those that have neither ended nor expired", body = [wire::ApiToken]), ErrorResponse<403>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, .. }: Authenticated,
) -> Result<HttpResponse, ApiError> {
    let tokens = use_cases.api_tokens.list(&caller).await?;
    Ok(HttpResponse::Ok().json(tokens.into_iter().map(wire::ApiToken::from).collect::<Vec<_>>()))
}

/// Ends a token and closes its live connections, on every node.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "tokens",
    responses((status = 204, description = "Ended"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn end(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    use_cases.api_tokens.end(&caller, path.get("id")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
