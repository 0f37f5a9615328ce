//! Logging in and out, and one's logins.

use super::error::ApiError;
use super::extract::{Json, PathIds, Signed, required};
use super::wire;
use crate::app::UseCases;
use crate::tokens::Tokens;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::sessions::{Session, UserAgent};
use serde::{Deserialize, Serialize};

/// Who one claims to be.
#[derive(Deserialize)]
pub struct LogInBody {
    username: Option<String>,
    password: Option<String>,
}

/// `POST /login`
pub async fn log_in(
    app: web::Data<UseCases>,
    tokens: web::Data<Tokens>,
    request: HttpRequest,
    Json(body): Json<LogInBody>,
) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct LoggedIn {
        token: String,
        token_type: &'static str,
        expires_in: i64,
        user: wire::User,
    }
    let username = required("username", body.username)?;
    let password = required("password", body.password)?;
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.map(|agent| UserAgent::clean(&String::from_utf8_lossy(agent.as_bytes())));
    let login = app.log_in.execute(&username, &password, agent).await?;
    Ok(HttpResponse::Ok().json(LoggedIn {
        token: tokens.issue(&login.session, &login.user.username)?,
        token_type: "Bearer",
        expires_in: Session::LIFETIME_SECONDS,
        user: app.policy.own_view(&login.user).into(),
    }))
}

/// `POST /logout`
pub async fn log_out(app: web::Data<UseCases>, Signed { caller, .. }: Signed) -> Result<HttpResponse, ApiError> {
    app.end_session.execute(&caller, caller.session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /sessions`
pub async fn list(app: web::Data<UseCases>, Signed { caller, .. }: Signed) -> Result<HttpResponse, ApiError> {
    let sessions = app.list_sessions.execute(&caller).await?;
    let listed = sessions.into_iter().map(|session| wire::Session::listed(session, caller.session));
    Ok(HttpResponse::Ok().json(listed.collect::<Vec<_>>()))
}

/// `DELETE /sessions/{id}`
pub async fn end(
    app: web::Data<UseCases>,
    Signed { caller, input: path }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    app.end_session.execute(&caller, path.get("id")?).await?;
    Ok(HttpResponse::NoContent().finish())
}
