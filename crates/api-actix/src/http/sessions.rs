//! `/login`, `/token`, `/logout` and `/sessions`.

use super::error::ApiError;
use super::extract::{Anonymous, Authenticated, Json, PageQuery, PathIds, Query, required};
use super::link;
use super::openapi::{ErrorResponse, Page};
use super::rate_limit_gate::RateLimitGate;
use crate::use_cases::UseCases;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::sessions::{Generation, RefreshClaims, Session, TokenService, UserAgent};
use domain::users::{ServerPolicy, Username};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The credentials of a login.
#[derive(Deserialize, ToSchema)]
#[schema(as = LogIn, examples(json!({ "username": "ada", "password": "correct horse battery" })))]
pub struct LogInBody {
    #[schema(value_type = String)]
    username: Option<String>,
    #[schema(value_type = String)]
    password: Option<String>,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// A JWT.
    token: String,
    #[schema(examples("Bearer"))]
    token_type: &'static str,
    /// Seconds.
    #[schema(examples(86400))]
    expires_in: i64,
    /// Opaque. Good once, for `POST /token`.
    #[schema(examples("plr_01890a5d-ac96-774b-bcce-b302099a805700000000000000019f86d081884c7d65"))]
    refresh_token: String,
    /// Seconds without a use of the session.
    #[schema(examples(2592000))]
    refresh_expires_in: i64,
}

impl Tokens {
    fn of(
        session: &Session,
        username: &Username,
        generation: Generation,
        (tokens, policy): (&dyn TokenService, &ServerPolicy),
    ) -> Result<Self, ApiError> {
        Ok(Self {
            token: tokens.issue(session, username)?,
            token_type: "Bearer",
            expires_in: Session::TOKEN_SECONDS,
            refresh_token: tokens.issue_refresh(RefreshClaims { session: session.id, generation }),
            refresh_expires_in: policy.sessions.seconds(),
        })
    }
}

/// The result of a login.
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    #[serde(flatten)]
    tokens: Tokens,
    user: wire::User,
}

/// Begins a session and returns its tokens: one for requests, valid for 24 hours, and one that renews it.
///
/// An unknown user and a wrong password get the same answer. The server limits wrong passwords per name and per
/// address, and right ones per account. A user has at most 100 sessions: a further login ends the one unused for
/// longest.
#[utoipa::path(
    post, path = "/login",
    request_body = LogInBody,
    responses((status = 200, description = "Logged in", body = LoggedIn), ErrorResponse<401>),
    security(()),
)]
pub async fn log_in(
    use_cases: web::Data<UseCases>,
    tokens: web::Data<dyn TokenService>,
    request: HttpRequest,
    Anonymous(Json(body)): Anonymous<Json<LogInBody>>,
) -> Result<HttpResponse, ApiError> {
    let username = required("username", body.username)?;
    let password = required("password", body.password)?;
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.map(|agent| UserAgent::clean(&String::from_utf8_lossy(agent.as_bytes())));
    let proof = use_cases.sessions.verify_password(&username, &password);
    let begin = async |proven| use_cases.sessions.log_in(proven, agent).await;
    let login = RateLimitGate::of(&request)?.log_in(&username, proof, begin).await?;
    let with = (&**tokens, &*use_cases.policy);
    Ok(HttpResponse::Ok().json(LoggedIn {
        tokens: Tokens::of(&login.session, &login.user.username, Generation::FIRST, with)?,
        user: use_cases.policy.own_view(&login.user).user.into(),
    }))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[schema(as = Renewal, examples(json!({
    "refresh_token": "plr_01890a5d-ac96-774b-bcce-b302099a805700000000000000019f86d081884c7d65"
})))]
pub struct RenewBody {
    #[schema(value_type = String)]
    refresh_token: Option<String>,
}

/// Renews the session of a refresh token, which is spent by it, and returns the session's next tokens.
///
/// The one spent last is answered again for 60 seconds, while its successor is unspent: an answer may be lost. Any
/// other spent one ends the session. Earlier tokens stay valid until they expire.
#[utoipa::path(
    post, path = "/token",
    request_body = RenewBody,
    responses((status = 200, description = "Renewed", body = Tokens), ErrorResponse<401>),
    security(()),
)]
pub async fn renew(
    use_cases: web::Data<UseCases>,
    tokens: web::Data<dyn TokenService>,
    Anonymous(Json(body)): Anonymous<Json<RenewBody>>,
) -> Result<HttpResponse, ApiError> {
    let spent = tokens.verify_refresh(&required("refresh_token", body.refresh_token)?).map_err(domain::Error::from)?;
    let renewed = use_cases.sessions.renew(spent).await?;
    let with = (&**tokens, &*use_cases.policy);
    Ok(HttpResponse::Ok().json(Tokens::of(&renewed.session, &renewed.username, renewed.successor, with)?))
}

/// Ends the session of the token.
#[utoipa::path(
    post, path = "/logout",
    responses((status = 204, description = "Ended; the token is refused from now on")),
)]
pub async fn log_out(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, .. }: Authenticated,
) -> Result<HttpResponse, ApiError> {
    use_cases.sessions.end(&caller, caller.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the caller's sessions, newest first.
#[utoipa::path(
    get, path = "/sessions",
    params(PageQuery),
    responses(Page<wire::Session>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.read()?;
    let page = use_cases.sessions.list(&caller, after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.id.to_string()));
    let listed = page.items.into_iter().map(|session| wire::Session::listed(session, caller.session));
    Ok(link::page(&request, listed, next))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/sessions/{id}",
    responses((status = 204, description = "Ended"), ErrorResponse<404>),
)]
pub async fn end(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    use_cases.sessions.end(&caller, path.get("id")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
