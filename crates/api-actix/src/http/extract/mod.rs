//! Extractors of the handlers. The contract fixes the order of checks (`docs/api.md`, Conventions): the token first,
//! then the form of the request. A handler that needs a token therefore takes [`Authenticated`] with all other
//! extractors inside. The rate limits come between the two, so a handler that needs no token takes [`Anonymous`].

mod acting;
mod json;
mod list;
mod needs;
mod query;
mod texts;

pub use acting::{Acting, ActingField};
pub use json::{Json, LIMIT as JSON_LIMIT, parse_object};
pub use list::{ListQuery, PageQuery};
pub use needs::Needs;
pub use query::{Query, flag, number, pairs};
pub use texts::{check_texts, check_texts_of};

use super::error::ApiError;
use super::rate_limit_gate::RateLimitGate;
use crate::use_cases::UseCases;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpRequest, web};
use domain::sessions::{PresentedToken, TokenService};
use domain::{
    Caller, ConversationId, FileId, GroupId, Invalid, MessageId, SessionId, Timestamp, Unauthenticated, UserId,
};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::future::{Ready, ready};

/// A request that needs no token. The extractor checks the network's rate limit before `T` reads path, query or body.
#[derive(Debug)]
pub struct Anonymous<T = ()>(pub T);

impl<T: FromRequest + 'static> FromRequest for Anonymous<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            RateLimitGate::of(&request).and_then(|gate| gate.anonymous())?;
            refuse_encoded_body(request.headers())?;
            Ok(Self(T::from_request(&request, &mut payload).await.map_err(Into::into)?))
        })
    }
}

/// A request with a valid token. The extractor authenticates the caller before `T` reads path, query or body.
#[derive(Debug)]
pub struct Authenticated<T = ()> {
    /// The authenticated caller.
    pub caller: Caller,
    /// The other extractors; a tuple if there are several.
    pub input: T,
}

impl<T: FromRequest + 'static> FromRequest for Authenticated<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = authenticate(&request).await?;
            refuse_encoded_body(request.headers())?;
            let input = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { caller, input })
        })
    }
}

/// Refuses encoded bodies, because no route decodes them.
///
/// # Errors
/// [`ApiError::UnsupportedEncoding`] if the body has a coding other than `identity`.
fn refuse_encoded_body(headers: &HeaderMap) -> Result<(), ApiError> {
    let has_length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    let has_body = has_length || headers.contains_key(header::TRANSFER_ENCODING);
    let is_plain = |list: &HeaderValue| {
        let mut codings = list.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    };
    let fit = !has_body || headers.get_all(header::CONTENT_ENCODING).all(is_plain);
    if fit { Ok(()) } else { Err(ApiError::UnsupportedEncoding) }
}

/// Authenticates the sender of the request by its `Authorization` header.
async fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    Ok(authenticate_token(request, bearer(request)).await?.0)
}

/// Verifies the token, which has to suffice for the route, and returns whose it is and when it expires, if it does. The
/// rate limit is checked before any query.
///
/// # Errors
/// [`Unauthenticated`], [`ApiError::RateLimited`], [`domain::Forbidden`], and storage errors.
pub(crate) async fn authenticate_token(
    request: &HttpRequest,
    token: Result<&str, Unauthenticated>,
) -> Result<(Caller, Option<Timestamp>), ApiError> {
    let composed = || domain::Error::internal("the application was not composed");
    let tokens = request.app_data::<web::Data<dyn TokenService>>().ok_or_else(composed)?;
    let use_cases = request.app_data::<web::Data<UseCases>>().ok_or_else(composed)?;
    let needs = request.app_data::<Needs>().ok_or_else(composed)?;
    let gate = RateLimitGate::of(request)?;
    let (caller, expires_at) = match token.map(|token| (token, tokens.read_api_token(token))) {
        Ok((_, Some(presented))) => identify_program(use_cases, gate, presented).await?,
        token => identify(tokens, use_cases, gate, token.map(|(token, _)| token)).await?,
    };
    caller.access.require(needs.of_method(request.method()))?;
    Ok((caller, expires_at))
}

/// Whose token of a program it is. Nobody has signed it: the network pays for the look-up of one that is none.
async fn identify_program(
    use_cases: &UseCases,
    gate: RateLimitGate<'_>,
    presented: PresentedToken,
) -> Result<(Caller, Option<Timestamp>), ApiError> {
    gate.unauthenticated()?;
    let (caller, expires_at) = use_cases.sessions.authenticate_token(presented).await?;
    gate.program(caller.user)?;
    Ok((caller, expires_at))
}

/// Whose login it is.
async fn identify(
    tokens: &web::Data<dyn TokenService>,
    use_cases: &UseCases,
    gate: RateLimitGate<'_>,
    token: Result<&str, Unauthenticated>,
) -> Result<(Caller, Option<Timestamp>), ApiError> {
    let claims = match token.and_then(|token| tokens.verify(token)) {
        Ok(claims) => claims,
        Err(refused) => {
            gate.unauthenticated()?;
            return Err(refused.into());
        }
    };
    gate.user(claims.user, claims.session)?;
    match use_cases.sessions.authenticate(claims.session, claims.user).await {
        Ok(caller) => Ok((caller, Some(claims.expires_at))),
        Err(refused @ domain::Error::Unauthenticated(_)) => {
            gate.revoked_session(claims.user, claims.session)?;
            Err(refused.into())
        }
        Err(fault) => Err(fault.into()),
    }
}

/// The token of the one `Authorization: Bearer` header.
pub(crate) fn bearer(request: &HttpRequest) -> Result<&str, Unauthenticated> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let value = headers.next().ok_or(Unauthenticated::MissingToken)?;
    let text = value.to_str().map_err(|_| Unauthenticated::InvalidToken)?;
    match (text.split_once(' '), headers.next()) {
        (Some((scheme, token)), None) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Unauthenticated::InvalidToken),
    }
}

/// The ids in the path.
#[derive(Debug)]
pub struct PathIds(HttpRequest);

impl PathIds {
    /// The id in the placeholder `name` of the route's pattern.
    ///
    /// # Errors
    /// [`Invalid`] naming `name`.
    pub fn get<T: PathId>(&self, name: &'static str) -> Result<T, Invalid> {
        T::parse(name, self.0.match_info().query(name))
    }
}

impl PathIds {
    /// The text in the placeholder `name` of the route's pattern, decoded.
    ///
    /// # Errors
    /// [`Invalid`] naming `name` if it is no UTF-8.
    pub fn text(&self, name: &'static str) -> Result<Cow<'_, str>, Invalid> {
        let text = percent_decode_str(self.0.match_info().query(name)).decode_utf8();
        text.map_err(|_| Invalid::new(name, format!("{name} is not UTF-8")))
    }
}

impl FromRequest for PathIds {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

/// An id type that a path may contain.
pub trait PathId: Sized {
    /// # Errors
    /// [`Invalid`] naming `field`.
    fn parse(field: &'static str, text: &str) -> Result<Self, Invalid>;
}

macro_rules! path_id {
    ($($id:ident),*) => {$(
        impl PathId for $id {
            fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
                Self::parse(field, text)
            }
        }
    )*};
}
path_id!(ConversationId, FileId, GroupId, MessageId, SessionId, UserId);

/// Returns the value of a required field.
///
/// # Errors
/// [`Invalid`] naming `field`.
pub fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::missing(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_bearer_token_is_taken_from_one_well_formed_header() {
        let request = |values: &[&str]| {
            let mut request = TestRequest::default();
            for value in values {
                request = request.append_header((header::AUTHORIZATION, *value));
            }
            request.to_http_request()
        };
        assert_eq!(bearer(&request(&[])), Err(Unauthenticated::MissingToken));
        assert_eq!(bearer(&request(&["Bearer a.b.c"])), Ok("a.b.c"));
        assert_eq!(bearer(&request(&["bearer  a.b.c "])), Ok("a.b.c"));
        for bad in [&["Basic YTpi"][..], &["a.b.c"], &["Bearer"], &[""], &["Bearer a", "Bearer b"], &["Bearerx y"]] {
            assert_eq!(bearer(&request(bad)), Err(Unauthenticated::InvalidToken), "{bad:?}");
        }
    }
}
