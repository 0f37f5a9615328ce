//! Signing up, and users.

use super::error::ApiError;
use super::extract::{Json, PathIds, Query, Signed, number, required};
use super::{link, wire};
use crate::app::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::users::{
    CurrentPassword, DisplayName, Email, Password, ProfileEdit, Registration, Username, UsernamePrefix,
};
use domain::{Invalid, Limit, UserId};
use serde::{Deserialize, Serialize};

/// Who wants to become a user.
#[derive(Deserialize)]
pub struct RegistrationBody {
    username: Option<String>,
    email: Option<String>,
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

/// `POST /signup`: with a password, possibly without an email.
pub async fn sign_up(app: web::Data<UseCases>, Json(body): Json<RegistrationBody>) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct SignedUp {
        message: &'static str,
        user: wire::User,
    }
    let wish = Registration {
        username: body.username()?,
        email: body.email()?,
        password: Some(required("password", body.password()?)?),
    };
    let user = app.register_user.execute(wish).await?;
    Ok(HttpResponse::Created().json(SignedUp { message: "user registered", user: app.policy.own_view(&user).into() }))
}

/// `POST /users`: with an email, possibly without a password.
pub async fn create(app: web::Data<UseCases>, Json(body): Json<RegistrationBody>) -> Result<HttpResponse, ApiError> {
    let wish = Registration {
        username: body.username()?,
        email: Some(required("email", body.email()?)?),
        password: body.password()?,
    };
    let user = app.register_user.execute(wish).await?;
    Ok(HttpResponse::Created().json(wire::User::from(app.policy.own_view(&user))))
}

/// Which users to list.
#[derive(Deserialize)]
pub struct ListQuery {
    q: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /users`
pub async fn list(
    app: web::Data<UseCases>,
    request: HttpRequest,
    Signed { caller, input: Query(query) }: Signed<Query<ListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let prefix = query.q.as_deref().map(UsernamePrefix::parse).transpose()?;
    let after = query.after.as_deref().map(|id| UserId::parse("after", id)).transpose()?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let page = app.list_users.execute(&caller, prefix.as_ref(), after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.profile.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::User::from), next))
}

/// `GET /users/{id}`
pub async fn show(
    app: web::Data<UseCases>,
    Signed { caller, input: path }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let user = app.show_user.execute(&caller, path.get("id")?).await?;
    Ok(HttpResponse::Ok().json(wire::User::from(user)))
}

/// `GET /me`
pub async fn show_own(app: web::Data<UseCases>, Signed { caller, .. }: Signed) -> Result<HttpResponse, ApiError> {
    let user = app.show_user.execute(&caller, caller.user).await?;
    Ok(HttpResponse::Ok().json(wire::User::from(user)))
}

/// What to change of one's own account.
#[derive(Deserialize)]
pub struct EditBody {
    email: Option<String>,
    display_name: Option<String>,
    password: Option<String>,
    current_password: Option<String>,
}

/// `PATCH /me`
pub async fn edit_own(
    app: web::Data<UseCases>,
    Signed { caller, input: Json(body) }: Signed<Json<EditBody>>,
) -> Result<HttpResponse, ApiError> {
    let edit = ProfileEdit {
        email: body.email.as_deref().map(Email::parse).transpose()?,
        display_name: body.display_name.as_deref().map(DisplayName::parse).transpose()?,
        password: body.password.as_deref().map(|new| Password::parse("password", new)).transpose()?,
        current_password: body.current_password,
    };
    let user = app.change_profile.execute(&caller, edit).await?;
    Ok(HttpResponse::Ok().json(wire::User::from(user)))
}

/// How one proves to be the one whose account is to end.
#[derive(Deserialize)]
pub struct DeleteBody {
    current_password: Option<String>,
}

/// `DELETE /me`
pub async fn delete_own(
    app: web::Data<UseCases>,
    Signed { caller, input: Json(body) }: Signed<Json<DeleteBody>>,
) -> Result<HttpResponse, ApiError> {
    app.delete_account.execute(&caller, CurrentPassword(body.current_password)).await?;
    Ok(HttpResponse::NoContent().finish())
}
