//! How slowly an upload may arrive.

use super::error::ApiError;
use actix_web::HttpRequest;
use domain::Error;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How fast an upload has to be. Not how long it may take: a slow line is no reason to be refused, but who sends a byte
/// now and then only holds a place.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long the next bytes of an upload may be waited for, and how long its line may be slower than it should be;
    /// and how long other bodies may take in all.
    pub patience: Duration,
    /// Bytes a second, while the client is waited for; 0 for any speed. Fast bytes pay for the slowness before them,
    /// and not for any that follows: what has come fast may be held in memory, and is not to be held there for an hour.
    pub least_a_second: u64,
}

impl Pace {
    /// Of the application that the request came to.
    ///
    /// # Errors
    /// [`Error::Internal`] where it was not composed.
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let pace = request.app_data::<Self>().copied();
        pace.ok_or_else(|| Error::internal("the application was not composed").into())
    }

    /// How much a line is late that was so late, was waited for so long more, and has then brought so many bytes.
    fn late(self, before: Duration, waited: Duration, brought: u64) -> Duration {
        if self.least_a_second == 0 {
            return Duration::ZERO;
        }
        let millis = u128::from(brought).saturating_mul(1000) / u128::from(self.least_a_second);
        let earned = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        before.saturating_add(waited).saturating_sub(earned)
    }
}

/// What has arrived, and how long it was waited for.
pub struct Line {
    pace: Pace,
    received: Rc<Cell<u64>>,
    /// How much of it is paid for.
    counted: Cell<u64>,
    late: Cell<Duration>,
}

impl Line {
    /// Of an upload that begins.
    pub fn new(pace: Pace) -> Self {
        Self { pace, received: Rc::default(), counted: Cell::default(), late: Cell::default() }
    }

    /// Where the bytes that arrive are to be counted.
    pub fn received(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.received)
    }

    /// What arrives, unless it takes too long.
    ///
    /// # Errors
    /// 400.
    pub async fn soon<T>(&self, arriving: impl Future<Output = T>) -> Result<T, ApiError> {
        let begun = Instant::now();
        let patience = self.pace.patience.saturating_sub(self.late.get());
        let arrived = tokio::time::timeout(patience, arriving).await;
        self.pay(begun.elapsed());
        arrived.map_err(|_| ApiError::malformed("the body came too slowly"))
    }
}

impl Line {
    /// Takes note of a time of waiting, and of what has come in it.
    fn pay(&self, waited: Duration) {
        let received = self.received.get();
        let brought = received.saturating_sub(self.counted.replace(received));
        self.late.set(self.pace.late(self.late.get(), waited, brought));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future;

    #[actix_web::test]
    async fn who_sends_a_byte_now_and_then_is_given_up() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let pace = Pace { patience: PATIENCE, least_a_second: 1024 };
        let late = |before, waited, brought| {
            pace.late(Duration::from_secs(before), Duration::from_secs(waited), brought).as_secs()
        };
        for (before, waited, brought, after) in [
            (0, 0, 0, 0),
            (0, 25, 0, 25),
            (25, 4, 1024, 28),
            (29, 1, 40 * 1024, 0),
            (0, 10, 1 << 30, 0),
            (5, 1, u64::MAX, 0),
        ] {
            assert_eq!(late(before, waited, brought), after, "{before} {waited} {brought}");
        }
        assert_eq!(Pace { patience: PATIENCE, least_a_second: 0 }.late(PATIENCE, PATIENCE, 0), Duration::ZERO);

        let line = Line::new(pace);
        line.pay(PATIENCE);
        assert!(line.soon(future::pending::<()>()).await.is_err());
        line.received.set(2048);
        line.pay(Duration::ZERO);
        assert_eq!(line.soon(future::ready(5)).await.unwrap(), 5);
        // What came fast does not pay for a minute of bytes that come now and then.
        line.received.set(10 << 20);
        for _ in 0..31 {
            line.received.set(line.received.get() + 1);
            line.pay(Duration::from_secs(1));
        }
        assert!(line.soon(future::pending::<()>()).await.is_err());
    }
}
