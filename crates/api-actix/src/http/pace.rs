//! Ends uploads that arrive too slowly.

use super::error::ApiError;
use actix_web::HttpRequest;
use domain::Error;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The speed that an upload has to keep. Its total time is not limited: a slow network is no reason to refuse an
/// upload, but a client that sends a byte now and then only occupies a slot.
#[derive(Debug, Clone, Copy)]
pub struct MinUploadRate {
    /// How long the server waits for the next bytes of an upload, and how far an upload may fall behind its minimum
    /// speed. Other bodies have to arrive within this time as a whole.
    pub timeout: Duration,
    /// Bytes per second, counted while the server waits for the client; 0 allows any speed. Fast bytes make up for
    /// slowness before them, but not after them: a client that has sent many bytes fast may not keep the server holding
    /// them for an hour.
    pub bytes_per_second: u64,
}

impl MinUploadRate {
    /// The rate that the application was composed with.
    ///
    /// # Errors
    /// [`Error::Internal`] if it was composed without one.
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let pace = request.app_data::<Self>().copied();
        pace.ok_or_else(|| Error::internal("the application was not composed").into())
    }

    /// How far an upload is behind, given how far it was behind before, how long the server waited since, and how many
    /// bytes arrived meanwhile.
    fn late(self, before: Duration, waited: Duration, brought: u64) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let millis = u128::from(brought).saturating_mul(1000) / u128::from(self.bytes_per_second);
        let earned = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        before.saturating_add(waited).saturating_sub(earned)
    }
}

/// Measures one upload: the bytes that arrived, and how long the server waited for them.
pub struct UploadMeter {
    pace: MinUploadRate,
    received: Rc<Cell<u64>>,
    /// The bytes that [`Self::pay`] has counted.
    counted: Cell<u64>,
    late: Cell<Duration>,
}

impl UploadMeter {
    /// A meter for an upload that begins.
    pub fn new(pace: MinUploadRate) -> Self {
        Self { pace, received: Rc::default(), counted: Cell::default(), late: Cell::default() }
    }

    /// The counter to which the caller adds the bytes that arrive.
    pub fn received(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.received)
    }

    /// Awaits `arriving` for as long as the upload may still be late.
    ///
    /// # Errors
    /// 400 if the upload is too slow.
    pub async fn within_deadline<T>(&self, arriving: impl Future<Output = T>) -> Result<T, ApiError> {
        let begun = Instant::now();
        let timeout = self.pace.timeout.saturating_sub(self.late.get());
        let arrived = tokio::time::timeout(timeout, arriving).await;
        self.pay(begun.elapsed());
        arrived.map_err(|_| ApiError::malformed("the body came too slowly"))
    }
}

impl UploadMeter {
    /// Records how long the server waited, and the bytes that arrived meanwhile.
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
        const TIMEOUT: Duration = Duration::from_secs(30);
        let pace = MinUploadRate { timeout: TIMEOUT, bytes_per_second: 1024 };
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
        assert_eq!(MinUploadRate { timeout: TIMEOUT, bytes_per_second: 0 }.late(TIMEOUT, TIMEOUT, 0), Duration::ZERO);

        let meter = UploadMeter::new(pace);
        meter.pay(TIMEOUT);
        assert!(meter.within_deadline(future::pending::<()>()).await.is_err());
        meter.received.set(2048);
        meter.pay(Duration::ZERO);
        assert_eq!(meter.within_deadline(future::ready(5)).await.unwrap(), 5);
        // Fast bytes do not pay for a later minute of slow ones.
        meter.received.set(10 << 20);
        for _ in 0..31 {
            meter.received.set(meter.received.get() + 1);
            meter.pay(Duration::from_secs(1));
        }
        assert!(meter.within_deadline(future::pending::<()>()).await.is_err());
    }
}
