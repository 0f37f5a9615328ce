//! How often a client may ask: policy of the edge, which no rule of the domain knows of (`docs/api.md`,
//! `PARLANCE_RATE_LIMITS`).
//!
//! Token buckets, kept in memory by each process. Whoever has a good token pays for oneself, wherever one connects
//! from; whoever has none pays for the network. What is refused has cost a look-up in a table, and neither a query nor
//! a hash.
//!
//! Failed logins are counted for the account *and* for the network. A stranger who guesses can so keep an account from
//! being logged into, but not its owner from going on: sessions that are there are not touched. The answer is the same
//! for names that nobody has.
//!
//! Logins with the right password are counted for the account once the password has been found right, and not before:
//! nobody who does not know it takes anything from its owner.

mod buckets;
mod costs;
mod hashing;
mod rate;

pub use costs::{Costs, FRAME, OPERATIONS};
pub use rate::{Rate, Rates};

use buckets::{Buckets, LookedAt};
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

/// How many keys each limit remembers; some 4 MiB at most.
const MOST_KEYS: usize = 65_536;

/// What each limit refused, in the order of [`Limit::ALL`]; made when first used, of the recorder that is there by
/// then.
static REFUSED: LazyLock<[Counter; Limit::ALL.len()]> =
    LazyLock::new(|| Limit::ALL.map(|limit| counter!("parlance_rate_limited_total", "limit" => limit.name())));

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Passwords that were wrong, for the account that they were tried on.
    FailedLoginsOfAccount,
    /// Passwords that were wrong, for the network that they came from.
    FailedLoginsOfAddress,
    /// Logins with the right password, for the account.
    LoginsOfAccount,
    /// New users, for the network.
    SignUps,
    /// Messages sent, by whatever door, for the user.
    Sends,
    /// Files sent, for the user.
    Uploads,
    /// Everything else, for the user or the network.
    Requests,
    /// Frames of WebSockets, of whatever kind, for the user.
    Frames,
    /// Live connections begun, for the user.
    Connects,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::FailedLoginsOfAccount,
        Self::FailedLoginsOfAddress,
        Self::LoginsOfAccount,
        Self::SignUps,
        Self::Sends,
        Self::Uploads,
        Self::Requests,
        Self::Frames,
        Self::Connects,
    ];

    /// Its name among the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::FailedLoginsOfAccount => "failed_logins_account",
            Self::FailedLoginsOfAddress => "failed_logins_address",
            Self::LoginsOfAccount => "logins_account",
            Self::SignUps => "sign_ups",
            Self::Sends => "sends",
            Self::Uploads => "uploads",
            Self::Requests => "requests",
            Self::Frames => "frames",
            Self::Connects => "connects",
        }
    }

    /// What there is too much of, for people. Whether it is the account's or the network's is not told.
    fn what(self) -> &'static str {
        match self {
            Self::FailedLoginsOfAccount | Self::FailedLoginsOfAddress => "failed logins",
            Self::LoginsOfAccount => "logins",
            Self::SignUps => "sign-ups",
            Self::Sends => "messages",
            Self::Uploads => "uploads",
            Self::Requests => "requests",
            Self::Frames => "frames",
            Self::Connects => "connections",
        }
    }
}

/// Who pays. Small whatever a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// Somebody with a good token.
    User(UserId),
    /// A session that has ended, whose token is still signed.
    EndedSession(SessionId),
    /// Where somebody without a token is.
    Network(IpAddr),
    /// The name of an account, be there one or not: a hash that nobody outside can compute.
    Account(u64),
}

impl Key {
    /// The network of an address: the address itself for IPv4, the /64 for IPv6, which is what one subscriber has.
    pub fn network(address: Option<IpAddr>) -> Self {
        Self::Network(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            Some(address) => address,
            None => Ipv4Addr::UNSPECIFIED.into(),
        })
    }
}

/// A no, and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What there was too much of.
    pub limit: Limit,
    /// In how many seconds it may go on; at least 1.
    pub seconds: u32,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too many {}: try again in {} s", self.limit.what(), self.seconds)
    }
}

struct Limiter<C: Clock> {
    governor: RateLimiter<Key, Buckets, C, NoOpMiddleware<C::Instant>>,
    /// The same, and takes nothing.
    looking: RateLimiter<Key, LookedAt, C, NoOpMiddleware<C::Instant>>,
    buckets: Buckets,
    /// How long one token takes to come back.
    nanos_a_token: u64,
}

impl<C: Clock + Clone> Limiter<C> {
    fn new(rate: Rate, clock: C, most_keys: usize) -> Self {
        let (quota, buckets) = (rate.quota(), Buckets::new(most_keys));
        let nanos_a_token = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        let looking = RateLimiter::new(quota, LookedAt(buckets.clone()), clock.clone());
        Self { governor: RateLimiter::new(quota, buckets.clone(), clock), looking, buckets, nanos_a_token }
    }
}

impl<C: Clock> Limiter<C> {
    /// Takes a token, or says in how many seconds there is one.
    fn take(&self, key: Key) -> Result<(), u32> {
        self.governor.check_key(&key).map_err(|until| self.seconds(until))
    }

    /// Whether there is a token; says in how many seconds if there is none.
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

/// Every limit that holds, with its buckets.
pub struct Limits<C: Clock = DefaultClock> {
    limiters: [Option<Limiter<C>>; Limit::ALL.len()],
    names: RandomState,
    hashing: Hashing,
}

impl Limits {
    /// By the machine's clock.
    pub fn new(rates: &Rates) -> Self {
        Self::with_clock(rates, &DefaultClock::default(), MOST_KEYS)
    }
}

impl<C: Clock + Clone> Limits<C> {
    /// By any clock, with tables of about so many keys each.
    pub fn with_clock(rates: &Rates, clock: &C, most_keys: usize) -> Self {
        LazyLock::force(&REFUSED);
        let limiter = |limit| rates.of(limit).map(|rate| Limiter::new(rate, clock.clone(), most_keys));
        Self { limiters: Limit::ALL.map(limiter), names: RandomState::new(), hashing: Hashing::default() }
    }
}

impl<C: Clock> Limits<C> {
    fn limiter(&self, limit: Limit) -> Option<&Limiter<C>> {
        self.limiters[limit as usize].as_ref()
    }

    /// Whose turn it is to have a password hashed.
    pub fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Takes one token of each limit: of all, or of none.
    ///
    /// # Errors
    /// [`Refusal`] by the first limit that has none left.
    pub fn take(&self, limits: &[Limit], key: Key) -> Result<(), Refusal> {
        for (taken, &limit) in limits.iter().enumerate() {
            let Some(limiter) = self.limiter(limit) else { continue };
            if let Err(seconds) = limiter.take(key) {
                self.give_back(&limits[..taken], key);
                REFUSED[limit as usize].increment(1);
                return Err(Refusal { limit, seconds });
            }
        }
        Ok(())
    }

    /// Takes up to so many tokens of a limit, for what is under way already: who has not as many pays with what comes
    /// later.
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

    /// Whether a session that has ended comes too often. Takes nothing; one that lives is not in the table.
    ///
    /// # Errors
    /// [`Refusal`] by [`Limit::Requests`].
    pub fn check_ended(&self, session: SessionId) -> Result<(), Refusal> {
        let (key, limits) = (Key::EndedSession(session), [Limit::Requests]);
        if self.limiter(Limit::Requests).is_some_and(|limiter| limiter.buckets.knows(&key)) {
            self.take(&limits, key)?;
            self.give_back(&limits, key);
        }
        Ok(())
    }

    /// Begins to try a password: paid for beforehand, so that many tries at once are not more than one after the other.
    /// `account` is the name as it was typed.
    ///
    /// # Errors
    /// [`Refusal`] where too many failed, by the account or from the network, the same whether there is such an
    /// account; or where somebody logged in to the account too often.
    pub fn try_login(&self, account: &str, network: Key) -> Result<Attempt<'_, C>, Refusal> {
        let account =
            Username::looked_up("username", account).map_or_else(|_| account.to_ascii_lowercase(), |name| name.key());
        let account = Key::Account(self.names.hash_one(account));
        let limit = Limit::LoginsOfAccount;
        if let Some(Err(seconds)) = self.limiter(limit).map(|limiter| limiter.look(account)) {
            REFUSED[limit as usize].increment(1);
            return Err(Refusal { limit, seconds });
        }
        self.begin([(Limit::FailedLoginsOfAddress, network), (Limit::FailedLoginsOfAccount, account)])
    }

    /// Begins to try the password of somebody who has a token: what a thief of the token would do.
    ///
    /// # Errors
    /// [`Refusal`] where too many failed.
    pub fn try_password(&self, user: UserId, network: Key) -> Result<Attempt<'_, C>, Refusal> {
        self.begin([(Limit::FailedLoginsOfAddress, network), (Limit::FailedLoginsOfAccount, Key::User(user))])
    }

    fn begin(&self, paid: [(Limit, Key); 2]) -> Result<Attempt<'_, C>, Refusal> {
        let [(first, payer), (second, other)] = paid;
        self.take(&[first], payer)?;
        self.take(&[second], other).inspect_err(|_| self.give_back(&[first], payer))?;
        Ok(Attempt { limits: self, paid })
    }
}

/// A password that is being tried. Counts as failed unless it is said not to have; also where the client goes away.
#[must_use = "a try that nobody settles counts as failed"]
pub struct Attempt<'a, C: Clock = DefaultClock> {
    limits: &'a Limits<C>,
    paid: [(Limit, Key); 2],
}

impl<C: Clock> Attempt<'_, C> {
    /// The password was right, or was not looked at.
    pub fn did_not_fail(self) {
        for (limit, key) in self.paid {
            self.limits.give_back(&[limit], key);
        }
    }

    /// The password was right: whoever typed it logs in by it, unless that was done too often.
    ///
    /// # Errors
    /// [`Refusal`] by [`Limit::LoginsOfAccount`].
    pub fn was_right(self) -> Result<(), Refusal> {
        let (limits, [_, (_, account)]) = (self.limits, self.paid);
        self.did_not_fail();
        limits.take(&[Limit::LoginsOfAccount], account)
    }
}

#[cfg(test)]
mod tests;
