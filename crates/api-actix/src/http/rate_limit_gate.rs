//! Applies the rate limits to a request.

use super::error::ApiError;
use crate::limits::{Attempt, Costs, Key, Limit, Limits, RateLimited};
use crate::proxies::Proxies;
use actix_web::{HttpRequest, web};
use domain::{Error, SessionId, Unavailable, UserId};

/// The rate limits, seen from one request.
#[derive(Clone, Copy)]
pub struct RateLimitGate<'a> {
    limits: &'a Limits,
    proxies: &'a Proxies,
    request: &'a HttpRequest,
}

impl<'a> RateLimitGate<'a> {
    /// The limits of the application that received the request.
    ///
    /// # Errors
    /// [`Error::Internal`] if the application was composed without limits.
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
        self.limits.take(limits, key).map_err(RateLimited::answer)
    }

    fn network(&self) -> Key {
        Key::network(self.proxies.client(self.request))
    }

    /// Admits a request to a route that needs no token. The network pays.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn anonymous(&self) -> Result<(), ApiError> {
        self.take(self.cost(), self.network())
    }

    /// Admits a request without a valid token to a route that needs one. The network pays the price of one request.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn unauthenticated(&self) -> Result<(), ApiError> {
        if self.cost().is_empty() { Ok(()) } else { self.take(&[Limit::Requests], self.network()) }
    }

    /// Admits a request with a token that this server signed. The caller checks later whether the session lives,
    /// perhaps by a query.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn user(&self, user: UserId, session: SessionId) -> Result<(), ApiError> {
        let cost = self.cost();
        if cost.is_empty() {
            return Ok(());
        }
        self.limits.check_ended(session).map_err(RateLimited::answer)?;
        self.take(cost, Key::User(user))
    }

    /// Admits a request with a token of a program, which the user pays. The network gets back what
    /// [`RateLimitGate::unauthenticated`] took.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn program(&self, user: UserId) -> Result<(), ApiError> {
        let cost = self.cost();
        if cost.is_empty() {
            return Ok(());
        }
        self.limits.give_back(&[Limit::Requests], self.network());
        self.take(cost, Key::User(user))
    }

    /// Refunds the user after the session turned out to be revoked. The revoked session then pays from its own bucket:
    /// a thief of a token must not use up what the owner needs.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`].
    pub fn revoked_session(&self, user: UserId, session: SessionId) -> Result<(), ApiError> {
        let cost = self.cost();
        if cost.is_empty() {
            return Ok(());
        }
        self.limits.give_back(cost, Key::User(user));
        self.take(&[Limit::Requests], Key::EndedSession(session))
    }

    /// Verifies a name and a password. It counts a failure, and counts a success before it runs `login`.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`], and the errors of `proof` and `login`.
    pub async fn log_in<P, T>(
        &self,
        account: &str,
        proof: impl Future<Output = domain::Result<P>>,
        login: impl AsyncFnOnce(P) -> domain::Result<T>,
    ) -> Result<T, ApiError> {
        let attempt = self.limits.try_login(account, self.network()).map_err(RateLimited::answer)?;
        match self.hashed(proof).await {
            Ok(proven) => {
                attempt.was_right().map_err(RateLimited::answer)?;
                Ok(login(proven).await?)
            }
            Err(error) => settle(attempt, Err(error)),
        }
    }

    /// Runs `work`, which hashes a password, when it is the network's turn.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] if the network is already hashing too many passwords, and the errors of `work`.
    pub async fn hashed<T>(&self, work: impl Future<Output = domain::Result<T>>) -> domain::Result<T> {
        let Some(_turn) = self.limits.hashing().turn(self.network()).await else {
            return Unavailable::Overloaded.err();
        };
        work.await
    }

    /// Verifies the password of a user with a token, if the request has one, and counts a failure.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`], and the errors of `proof`.
    pub async fn prove<T>(
        &self,
        user: UserId,
        given: bool,
        proof: impl Future<Output = domain::Result<T>>,
    ) -> Result<T, ApiError> {
        if !given {
            return Ok(proof.await?);
        }
        let attempt = self.limits.try_password(user, self.network()).map_err(RateLimited::answer)?;
        settle(attempt, self.hashed(proof).await)
    }
}

/// Counts only a wrong password as a failed login.
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
