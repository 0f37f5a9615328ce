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
    /// How long the next bytes of an upload may be waited for, and how long its line may be slower than it should be; and how
    /// long other bodies may take in all.
    pub patience: Duration,
    /// Bytes a second, on the average of the time that is spent waiting for the client; 0 for any speed.
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

    /// How long the next bytes may be waited for by who waited so long for so many.
    fn may_wait(self, waited: Duration, received: u64) -> Duration {
        let Some(earned) = received.checked_div(self.least_a_second) else { return self.patience };
        let due = self.patience.saturating_add(Duration::from_secs(earned));
        due.saturating_sub(waited).min(self.patience)
    }
}

/// What has arrived, and how long it was waited for.
pub struct Line {
    pace: Pace,
    received: Rc<Cell<u64>>,
    waited: Cell<Duration>,
}

impl Line {
    /// Of an upload that begins.
    pub fn new(pace: Pace) -> Self {
        Self { pace, received: Rc::default(), waited: Cell::default() }
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
        let (begun, waited) = (Instant::now(), self.waited.get());
        let patience = self.pace.may_wait(waited, self.received.get());
        let arrived = tokio::time::timeout(patience, arriving).await;
        self.waited.set(waited.saturating_add(begun.elapsed()));
        arrived.map_err(|_| ApiError::malformed("the body came too slowly"))
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
        for (waited, received, patience) in [
            (0, 0, 30),
            (25, 0, 5),
            (29, 1, 1),
            (31, 1024, 0),
            (60, 40 * 1024, 10),
            (3600, 1 << 30, 30),
            (1, u64::MAX, 30),
        ] {
            let found = pace.may_wait(Duration::from_secs(waited), received);
            assert_eq!(found, Duration::from_secs(patience), "{waited} {received}");
        }
        assert_eq!(Pace { patience: PATIENCE, least_a_second: 0 }.may_wait(Duration::MAX, 0), PATIENCE);

        let line = Line { pace, received: Rc::default(), waited: Cell::new(PATIENCE) };
        assert!(line.soon(future::pending::<()>()).await.is_err());
        line.received.set(2048);
        assert_eq!(line.soon(future::ready(5)).await.unwrap(), 5);
    }
}
