//! Rate limits of the edge. No rule of the domain depends on them (`docs/api.md`, `PARLANCE_RATE_LIMITS`).
//!
//! Each process keeps token buckets in memory. A client with a valid token pays from its user's bucket, whatever its
//! address. A client without one pays from its network's bucket. A refused request costs one table look-up, no query
//! and no hash.
//!
//! A failed login counts against the account *and* against the network. An attacker can therefore block new logins to
//! an account, but existing sessions keep working. The answer is the same for names that no account has.
//!
//! A login with the right password counts against the account only after the password was verified. A client that does
//! not know the password therefore takes nothing from the account's owner.

mod buckets;
mod costs;
mod hashing;
mod operation;
mod rate;

pub use costs::{Costs, FRAME};
pub use operation::Op;
pub use rate::{Rate, Rates};

use buckets::{Buckets, ReadOnlyBuckets};
use domain::users::Username;
use domain::{SessionId, UserId};
use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::{NotUntil, RateLimiter};
use hashing::Hashing;
use metrics::{Counter, counter};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// The number of keys that each limit remembers; about 4 MiB at most.
const MAX_KEYS: usize = 65_536;

/// Refusals per limit, in the order of [`Limit::ALL`]. Created on first use, when the metrics recorder is installed.
static REFUSED: LazyLock<[Counter; Limit::ALL.len()]> =
    LazyLock::new(|| Limit::ALL.map(|limit| counter!("parlance_rate_limited_total", "limit" => limit.name())));

/// A limit, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Wrong passwords, per account that they were tried on.
    FailedLoginsOfAccount,
    /// Wrong passwords, per network that they came from.
    FailedLoginsOfAddress,
    /// Logins with the right password, per account.
    LoginsOfAccount,
    /// New users, per network.
    SignUps,
    /// Messages sent over any route or operation, per user.
    Sends,
    /// Files sent, per user.
    Uploads,
    /// Searches, per user.
    Searches,
    /// All other requests, per user or network.
    Requests,
    /// WebSocket frames of every kind, per user.
    Frames,
    /// Live connections opened, per user.
    Connects,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 10] = [
        Self::FailedLoginsOfAccount,
        Self::FailedLoginsOfAddress,
        Self::LoginsOfAccount,
        Self::SignUps,
        Self::Sends,
        Self::Uploads,
        Self::Searches,
        Self::Requests,
        Self::Frames,
        Self::Connects,
    ];

    /// The label of the limit in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::FailedLoginsOfAccount => "failed_logins_account",
            Self::FailedLoginsOfAddress => "failed_logins_address",
            Self::LoginsOfAccount => "logins_account",
            Self::SignUps => "sign_ups",
            Self::Sends => "sends",
            Self::Uploads => "uploads",
            Self::Searches => "searches",
            Self::Requests => "requests",
            Self::Frames => "frames",
            Self::Connects => "connects",
        }
    }

    /// The noun for the error message. It does not tell whether the account's or the network's limit was hit.
    fn what(self) -> &'static str {
        match self {
            Self::FailedLoginsOfAccount | Self::FailedLoginsOfAddress => "failed logins",
            Self::LoginsOfAccount => "logins",
            Self::SignUps => "sign-ups",
            Self::Sends => "messages",
            Self::Uploads => "uploads",
            Self::Searches => "searches",
            Self::Requests => "requests",
            Self::Frames => "frames",
            Self::Connects => "connections",
        }
    }
}

/// The owner of a bucket. Its size does not depend on what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A user with a valid token.
    User(UserId),
    /// A revoked session whose token still has a valid signature.
    EndedSession(SessionId),
    /// The network of a client without a token.
    Network(IpAddr),
    /// An account name, whether or not the account exists: a hash that no client can compute.
    Account(u64),
}

impl Key {
    /// The network of an address: the address itself for IPv4, the /64 for IPv6, which is what one subscriber gets.
    pub fn network(address: Option<IpAddr>) -> Self {
        Self::Network(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            Some(address) => address,
            None => Ipv4Addr::UNSPECIFIED.into(),
        })
    }
}

/// A refusal, and when the client may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    /// The limit that was hit.
    pub limit: Limit,
    /// Seconds until the client may try again; at least 1.
    pub seconds: u32,
}

impl std::fmt::Display for RateLimited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too many {}: try again in {} s", self.limit.what(), self.seconds)
    }
}

struct Limiter<C: Clock> {
    governor: RateLimiter<Key, Buckets, C, NoOpMiddleware<C::Instant>>,
    /// The same buckets, read without taking a token.
    looking: RateLimiter<Key, ReadOnlyBuckets, C, NoOpMiddleware<C::Instant>>,
    buckets: Buckets,
    /// Nanoseconds until one token comes back.
    nanos_a_token: u64,
}

impl<C: Clock + Clone> Limiter<C> {
    fn new(rate: Rate, clock: C, max_keys: usize) -> Self {
        let (quota, buckets) = (rate.quota(), Buckets::new(max_keys));
        let nanos_a_token = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        let looking = RateLimiter::new(quota, ReadOnlyBuckets(buckets.clone()), clock.clone());
        Self { governor: RateLimiter::new(quota, buckets.clone(), clock), looking, buckets, nanos_a_token }
    }
}

impl<C: Clock> Limiter<C> {
    /// Takes a token, or returns the seconds until there is one.
    fn take(&self, key: Key) -> Result<(), u32> {
        self.governor.check_key(&key).map_err(|until| self.seconds(until))
    }

    /// Checks for a token without taking it, or returns the seconds until there is one.
    fn look(&self, key: Key) -> Result<(), u32> {
        self.looking.check_key(&key).map_err(|until| self.seconds(until))
    }

    fn seconds(&self, until: NotUntil<C::Instant>) -> u32 {
        let wait = until.earliest_possible().duration_since(self.governor.clock().now()).as_u64();
        u32::try_from(wait.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1)
    }

    fn give_back(&self, key: Key) {
        self.buckets.give_back(&key, self.nanos_a_token);
    }
}

/// The active limits with their buckets.
pub struct Limits<C: Clock = DefaultClock> {
    limiters: [Option<Limiter<C>>; Limit::ALL.len()],
    names: RandomState,
    hashing: Hashing,
}

impl Limits {
    /// Limits that use the machine's clock.
    pub fn new(rates: &Rates) -> Self {
        Self::with_clock(rates, &DefaultClock::default(), MAX_KEYS)
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// Limits that use the given clock, with tables of about `max_keys` keys each.
    pub fn with_clock(rates: &Rates, clock: &C, max_keys: usize) -> Self {
        LazyLock::force(&REFUSED);
        let limiter = |limit| rates.of(limit).map(|rate| Limiter::new(rate, clock.clone(), max_keys));
        Self { limiters: Limit::ALL.map(limiter), names: RandomState::new(), hashing: Hashing::default() }
    }
}

impl<C: Clock> Limits<C> {
    fn limiter(&self, limit: Limit) -> Option<&Limiter<C>> {
        self.limiters[limit as usize].as_ref()
    }

    /// Schedules password hashing between networks.
    pub fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Takes one token of each limit, or none at all.
    ///
    /// # Errors
    /// [`RateLimited`] from the first limit without a token.
    pub fn take(&self, limits: &[Limit], key: Key) -> Result<(), RateLimited> {
        for (taken, &limit) in limits.iter().enumerate() {
            let Some(limiter) = self.limiter(limit) else { continue };
            if let Err(seconds) = limiter.take(key) {
                self.give_back(&limits[..taken], key);
                REFUSED[limit as usize].increment(1);
                return Err(RateLimited { limit, seconds });
            }
        }
        Ok(())
    }

    /// Takes up to `tokens` tokens for work that has already begun. If the bucket has fewer, it is emptied, and later
    /// requests pay.
    pub fn charge(&self, limit: Limit, key: Key, tokens: usize) {
        let Some(limiter) = self.limiter(limit) else { return };
        for _ in 0..tokens {
            if limiter.take(key).is_err() {
                return;
            }
        }
    }

    /// Undoes [`Limits::take`].
    pub fn give_back(&self, limits: &[Limit], key: Key) {
        limits.iter().filter_map(|&limit| self.limiter(limit)).for_each(|limiter| limiter.give_back(key));
    }

    /// Checks whether a revoked session sends too often. It takes no token; live sessions are not in the table.
    ///
    /// # Errors
    /// [`RateLimited`] from [`Limit::Requests`].
    pub fn check_ended(&self, session: SessionId) -> Result<(), RateLimited> {
        let (key, limits) = (Key::EndedSession(session), [Limit::Requests]);
        if self.limiter(Limit::Requests).is_some_and(|limiter| limiter.buckets.knows(&key)) {
            self.take(&limits, key)?;
            self.give_back(&limits, key);
        }
        Ok(())
    }

    /// Begins a login. The attempt is paid in advance, so that parallel attempts cannot exceed the limit. `account` is
    /// the name as the client sent it.
    ///
    /// # Errors
    /// [`RateLimited`] after too many failed logins on the account or from the network, whether or not the account
    /// exists; or after too many logins to the account.
    pub fn try_login(&self, account: &str, network: Key) -> Result<Attempt<'_, C>, RateLimited> {
        let account =
            Username::looked_up("username", account).map_or_else(|_| account.to_ascii_lowercase(), |name| name.key());
        let account = Key::Account(self.names.hash_one(account));
        let limit = Limit::LoginsOfAccount;
        if let Some(Err(seconds)) = self.limiter(limit).map(|limiter| limiter.look(account)) {
            REFUSED[limit as usize].increment(1);
            return Err(RateLimited { limit, seconds });
        }
        self.begin([(Limit::FailedLoginsOfAddress, network), (Limit::FailedLoginsOfAccount, account)])
    }

    /// Begins a password check for a user with a token. A thief of the token would try passwords here.
    ///
    /// # Errors
    /// [`RateLimited`] after too many failed attempts.
    pub fn try_password(&self, user: UserId, network: Key) -> Result<Attempt<'_, C>, RateLimited> {
        self.begin([(Limit::FailedLoginsOfAddress, network), (Limit::FailedLoginsOfAccount, Key::User(user))])
    }

    fn begin(&self, paid: [(Limit, Key); 2]) -> Result<Attempt<'_, C>, RateLimited> {
        let [(first, payer), (second, other)] = paid;
        self.take(&[first], payer)?;
        self.take(&[second], other).inspect_err(|_| self.give_back(&[first], payer))?;
        Ok(Attempt { limits: self, paid })
    }
}

/// A password check in progress. It counts as failed unless the caller settles it, also when the client disconnects.
#[must_use = "a try that nobody settles counts as failed"]
pub struct Attempt<'a, C: Clock = DefaultClock> {
    limits: &'a Limits<C>,
    paid: [(Limit, Key); 2],
}

impl<C: Clock> Attempt<'_, C> {
    /// Reports that the password was right, or was not checked.
    pub fn did_not_fail(self) {
        for (limit, key) in self.paid {
            self.limits.give_back(&[limit], key);
        }
    }

    /// Reports that the password was right and counts the login.
    ///
    /// # Errors
    /// [`RateLimited`] from [`Limit::LoginsOfAccount`].
    pub fn was_right(self) -> Result<(), RateLimited> {
        let (limits, [_, (_, account)]) = (self.limits, self.paid);
        self.did_not_fail();
        limits.take(&[Limit::LoginsOfAccount], account)
    }
}

#[cfg(test)]
mod tests;
