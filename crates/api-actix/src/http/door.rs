//! Where a request is let in, or not.

use super::error::ApiError;
use crate::limits::{Attempt, Costs, Key, Limit, Limits, Refusal};
use crate::proxies::Proxies;
use actix_web::{HttpRequest, web};
use domain::{Error, SessionId, Unavailable, UserId};

/// The limits as one request meets them.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    limits: &'a Limits,
    proxies: &'a Proxies,
    request: &'a HttpRequest,
}

impl<'a> Door<'a> {
    /// Of the application that the request came to.
    ///
    /// # Errors
    /// [`Error::Internal`] where it was not composed.
    pub fn of(request: &'a HttpRequest) -> Result<Self, ApiError> {
        let composed = || Error::internal("the application was not composed");
        let limits: &web::Data<Limits> = request.app_data().ok_or_else(composed)?;
        let proxies: &web::Data<Proxies> = request.app_data().ok_or_else(composed)?;
        Ok(Self { limits, proxies, request })
    }

    fn cost(&self) -> &'static [Limit] {
        let costs = self.request.app_data::<Costs>().copied();
        costs.unwrap_or_else(|| Costs::of_path("")).of_method(self.request.method())
    }

    fn take(&self, limits: &[Limit], key: Key) -> Result<(), ApiError> {
        self.limits.take(limits, key).map_err(Refusal::answer)
    }

    fn network(&self) -> Key {
        Key::network(self.proxies.client(self.request))
    }

    /// Somebody who needs no token: the network pays.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn anybody(&self) -> Result<(), ApiError> {
        self.take(self.cost(), self.network())
    }

    /// Somebody who needs a token and has none that is good: the network pays, for a request like any other.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn stranger(&self) -> Result<(), ApiError> {
        if self.cost().is_empty() { Ok(()) } else { self.take(&[Limit::Requests], self.network()) }
    }

    /// Somebody with a token of ours; whether its session lives is asked later, by a query perhaps.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn user(&self, user: UserId, session: SessionId) -> Result<(), ApiError> {
        let cost = self.cost();
        if cost.is_empty() {
            return Ok(());
        }
        self.limits.check_ended(session).map_err(Refusal::answer)?;
        self.take(cost, Key::User(user))
    }

    /// The session of that token turned out to have ended. Who was logged out pays for itself, and not the user: a
    /// thief must not use up what the owner needs.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn ended(&self, user: UserId, session: SessionId) -> Result<(), ApiError> {
        let cost = self.cost();
        if cost.is_empty() {
            return Ok(());
        }
        self.limits.give_back(cost, Key::User(user));
        self.take(&[Limit::Requests], Key::EndedSession(session))
    }

    /// Tries a name and a password, and counts what fails, and what is right before anything comes of it.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`], and what `proof` and `login` fail with.
    pub async fn log_in<P, T>(
        &self,
        account: &str,
        proof: impl Future<Output = domain::Result<P>>,
        login: impl AsyncFnOnce(P) -> domain::Result<T>,
    ) -> Result<T, ApiError> {
        let attempt = self.limits.try_login(account, self.network()).map_err(Refusal::answer)?;
        match self.hashed(proof).await {
            Ok(proven) => {
                attempt.was_right().map_err(Refusal::answer)?;
                Ok(login(proven).await?)
            }
            Err(error) => settle(attempt, Err(error)),
        }
    }

    /// Does what hashes a password, when it is the network's turn.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] where the network has too many passwords hashed at once, and what `work` fails with.
    pub async fn hashed<T>(&self, work: impl Future<Output = domain::Result<T>>) -> domain::Result<T> {
        let Some(_turn) = self.limits.hashing().turn(self.network()).await else {
            return Unavailable::Overloaded.err();
        };
        work.await
    }

    /// Tries the password of somebody with a token, where one is given, and counts what fails.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`], and what `proof` fails with.
    pub async fn prove<T>(
        &self,
        user: UserId,
        given: bool,
        proof: impl Future<Output = domain::Result<T>>,
    ) -> Result<T, ApiError> {
        if !given {
            return Ok(proof.await?);
        }
        let attempt = self.limits.try_password(user, self.network()).map_err(Refusal::answer)?;
        settle(attempt, self.hashed(proof).await)
    }
}

/// Only a wrong password is a failed login.
fn settle<T>(attempt: Attempt<'_>, outcome: domain::Result<T>) -> Result<T, ApiError> {
    use domain::{Forbidden, Unauthenticated};
    let failed = matches!(
        outcome,
        Err(Error::Unauthenticated(Unauthenticated::InvalidCredentials)
            | Error::Forbidden(Forbidden::WrongCurrentPassword))
    );
    if !failed {
        attempt.did_not_fail();
    }
    Ok(outcome?)
}
