//! `/signup`, `/users` and `/me`.

use super::error::ApiError;
use super::extract::{Anonymous, Authenticated, Json, ListQuery, PathIds, Query, required};
use super::link;
use super::openapi::{ErrorResponse, Page};
use super::rate_limit_gate::RateLimitGate;
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::Invalid;
use domain::users::{
    Change, CurrentPassword, DisplayName, Email, Password, ProfileEdit, Registration, Username, UsernamePrefix,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// The body of a registration.
#[derive(Deserialize, ToSchema)]
#[schema(as = Registration, examples(json!({
    "username": "ada", "email": "ada@example.org", "password": "correct horse battery"
})))]
pub struct RegistrationBody {
    /// Unique, ignoring case.
    #[schema(value_type = String, min_length = 2, max_length = 32, pattern = "^[A-Za-z0-9_.-]*$")]
    username: Option<String>,
    /// Required by `POST /users`. Unique, ignoring case and normal form.
    #[schema(format = Email, max_length = 254)]
    email: Option<String>,
    /// Required by `POST /signup`. At most 71 bytes. The server normalizes it to NFC before it counts.
    #[schema(min_length = 8, max_length = 71)]
    password: Option<String>,
}

impl RegistrationBody {
    fn username(&self) -> Result<Username, Invalid> {
        Username::parse("username", required("username", self.username.as_deref())?)
    }

    fn email(&self) -> Result<Option<Email>, Invalid> {
        self.email.as_deref().map(Email::parse).transpose()
    }

    fn password(&self) -> Result<Option<Password>, Invalid> {
        self.password.as_deref().map(|password| Password::parse("password", password)).transpose()
    }
}

/// The new user.
#[derive(Serialize, ToSchema)]
pub struct SignedUp {
    #[schema(examples("user registered"))]
    message: &'static str,
    user: wire::User,
}

/// Creates a user with a password and, optionally, an email.
#[utoipa::path(
    post, path = "/signup",
    request_body = RegistrationBody,
    responses((status = 201, description = "Signed up", body = SignedUp), ErrorResponse<409>),
    security(()),
)]
pub async fn sign_up(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Anonymous(Json(body)): Anonymous<Json<RegistrationBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = Registration {
        username: body.username()?,
        email: body.email()?,
        password: Some(required("password", body.password()?)?),
    };
    let user = RateLimitGate::of(&request)?.hashed(use_cases.users.register(wish)).await?;
    Ok(HttpResponse::Created()
        .json(SignedUp { message: "user registered", user: use_cases.policy.own_view(&user).user.into() }))
}

/// Creates a user with an email and, optionally, a password.
///
/// Without a password the user exists but cannot log in.
#[utoipa::path(
    post, path = "/users",
    request_body = RegistrationBody,
    responses((status = 201, description = "Created", body = wire::User), ErrorResponse<409>),
    security(()),
)]
pub async fn create(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Anonymous(Json(body)): Anonymous<Json<RegistrationBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = Registration {
        username: body.username()?,
        email: Some(required("email", body.email()?)?),
        password: body.password()?,
    };
    let user = RateLimitGate::of(&request)?.hashed(use_cases.users.register(wish)).await?;
    Ok(HttpResponse::Created().json(wire::User::from(use_cases.policy.own_view(&user).user)))
}

/// Lists users by username.
#[utoipa::path(
    get, path = "/users",
    params(ListQuery),
    responses(Page<wire::User>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<ListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (prefix, after, limit) = query.read(UsernamePrefix::parse)?;
    let page = use_cases.users.list(&caller, prefix.as_ref(), after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.profile.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::User::from), next))
}

/// Shows a user.
///
/// A deleted user appears as `deleted user`.
#[utoipa::path(
    get, path = "/users/{id}",
    responses((status = 200, description = "The user", body = wire::User), ErrorResponse<404>),
)]
pub async fn show(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let user = use_cases.users.show(&caller, path.get("id")?).await?;
    Ok(HttpResponse::Ok().json(wire::User::from(user)))
}

/// Shows the caller.
#[utoipa::path(
    get, path = "/me",
    responses((status = 200, description = "The caller", body = wire::Me)),
)]
pub async fn show_own(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, .. }: Authenticated,
) -> Result<HttpResponse, ApiError> {
    let own = use_cases.users.show_own(&caller).await?;
    Ok(HttpResponse::Ok().json(wire::Me::from(own)))
}

/// The changes of the caller's account.
#[derive(Deserialize, ToSchema)]
#[schema(as = ProfileEdit, examples(json!({ "display_name": "Ada Lovelace" })))]
pub struct EditBody {
    /// Unique, ignoring case. `null` takes it back.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, nullable = true, format = Email, max_length = 254)]
    email: Change<String>,
    /// `null` takes it back: the username is shown again.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, nullable = true, max_length = 64)]
    display_name: Change<String>,
    /// At most 71 bytes. The server normalizes it to NFC before it counts.
    #[schema(min_length = 8, max_length = 71)]
    password: Option<String>,
    /// Required to change the password, if the account has one.
    current_password: Option<String>,
}

/// Reads a field that is there; serde takes the default where it is absent.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Change<T>, D::Error> {
    Ok(Option::deserialize(field)?.map_or(Change::Clear, Change::Set))
}

/// Parses the new value, if there is one.
pub fn parsed<T>(change: Change<String>, parse: impl Fn(&str) -> Result<T, Invalid>) -> Result<Change<T>, Invalid> {
    Ok(match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(text) => Change::Set(parse(&text)?),
    })
}

/// Changes the caller's account. `null` takes the email or the display name back.
///
/// A new password ends the caller's other sessions.
#[utoipa::path(
    patch, path = "/me",
    request_body(content = Option<EditBody>, content_type = "application/json"),
    responses((status = 200, description = "Changed", body = wire::Me), ErrorResponse<403>, ErrorResponse<409>),
)]
pub async fn edit_own(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<EditBody>>,
) -> Result<HttpResponse, ApiError> {
    let edit = ProfileEdit {
        email: parsed(body.email, Email::parse)?,
        display_name: parsed(body.display_name, DisplayName::parse)?,
        password: body.password.as_deref().map(|new| Password::parse("password", new)).transpose()?,
        current_password: body.current_password,
    };
    let (given, new) = (edit.current_password.is_some(), edit.password.is_some());
    let (gate, change) = (RateLimitGate::of(&request)?, use_cases.users.change_profile(&caller, edit));
    let user = match (given, new) {
        (false, true) => gate.hashed(change).await?,
        _ => gate.prove(caller.user, given, change).await?,
    };
    Ok(HttpResponse::Ok().json(wire::Me::from(user)))
}

/// The proof that the caller may end the account.
#[derive(Deserialize, ToSchema)]
#[schema(as = AccountEnd, examples(json!({ "current_password": "correct horse battery" })))]
pub struct DeleteBody {
    /// Required if the account has a password.
    current_password: Option<String>,
}

/// Deletes the caller's account.
///
/// The caller leaves all groups, and all sessions end. Messages stay; their sender appears as `deleted user`.
#[utoipa::path(
    delete, path = "/me",
    request_body(content = Option<DeleteBody>, content_type = "application/json"),
    responses((status = 204, description = "Ended"), ErrorResponse<403>),
)]
pub async fn delete_own(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<DeleteBody>>,
) -> Result<HttpResponse, ApiError> {
    let given = body.current_password.is_some();
    let end = use_cases.users.delete_account(&caller, CurrentPassword(body.current_password));
    RateLimitGate::of(&request)?.prove(caller.user, given, end).await?;
    Ok(HttpResponse::NoContent().finish())
}
