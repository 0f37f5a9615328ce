//! Only this module reads the wall clock and generates ids. All other code uses the domain's ports.

use domain::{Clock, IdGenerator, Timestamp};
use uuid::Uuid;

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now().into()
    }
}

/// UUIDs of version 7.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7;

impl IdGenerator for UuidV7 {
    #[expect(clippy::disallowed_methods, reason = "this is the id adapter")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
