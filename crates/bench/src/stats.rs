//! Delays, counted in buckets that many tasks add to; and numbers as people read them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of 2^(1/16): within 5% of the truth, from 1 µs to hours.
const BUCKETS: usize = 512;
const AN_OCTAVE: f64 = 16.0;

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
        let micros = (delay.as_nanos() as f64 / 1000.0).max(1.0);
        let bucket = (micros.log2() * AN_OCTAVE) as usize;
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
                return 2f64.powf((bucket + 1) as f64 / AN_OCTAVE) / 1000.0;
            }
        }
        0.0
    }
}

/// Rounded, with a comma before every three digits.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
        assert!((50.0..53.0).contains(&delays.quantile(0.5)));
        assert!((99.0..105.0).contains(&delays.quantile(0.99)));
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.8, "1,234,568")] {
            assert_eq!(thousands(number), text);
        }
    }
}
