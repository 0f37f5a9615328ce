//! Delays, counted in buckets that many tasks add to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of 2^(1/8): within 9% of the truth, from 1 µs to hours.
const BUCKETS: usize = 256;

/// How long things took.
pub struct Delays(Vec<AtomicU64>);

impl Default for Delays {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Delays {
    /// Counts one.
    pub fn add(&self, delay: Duration) {
        let micros = delay.as_micros().max(1) as f64;
        let bucket = (micros.log2() * 8.0) as usize;
        self.0[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// What this share of all stays below, in milliseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (bucket, count) in counts.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return 2f64.powf((bucket + 1) as f64 / 8.0) / 1000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_about_right() {
        let delays = Delays::default();
        for millis in 1..=100 {
            delays.add(Duration::from_millis(millis));
        }
        assert!((50.0..56.0).contains(&delays.quantile(0.5)));
        assert!((99.0..110.0).contains(&delays.quantile(0.99)));
    }
}
