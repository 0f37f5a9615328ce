//! Rates: the values of the keys `PARLANCE_RATE_...`.

use super::Limit;
use governor::Quota;
use std::num::NonZeroU32;
use std::time::Duration;

/// The largest number in a rate. A larger one would limit nothing.
const MAX_NUMBER: u32 = 1_000_000;

/// The size and refill rate of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Quota);

impl Rate {
    /// Parses `COUNT/UNIT` or `COUNT/UNIT:BURST`. The unit is `s`, `min` or `h`; each number is from 1 to 1,000,000.
    /// Without a burst, the whole count may come at once. `off` gives `None`: no limit.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "off" {
            return Ok(None);
        }
        let rate = Self::parts(text).map(Some);
        rate.ok_or_else(|| {
            format!("must be off, or like 10/min or 20/s:60 (s, min or h; numbers from 1 to {MAX_NUMBER})")
        })
    }

    fn parts(text: &str) -> Option<Self> {
        let (rate, burst) = text.split_once(':').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (count, unit) = rate.split_once('/')?;
        let unit = Duration::from_secs(match unit {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            _ => return None,
        });
        let count = number(count)?;
        let burst = burst.map_or(Some(count), number)?;
        Some(Self(Quota::with_period(unit / count.get())?.allow_burst(burst)))
    }

    pub(super) fn quota(self) -> Quota {
        self.0
    }
}

/// Parses digits only, without a sign.
fn number(text: &str) -> Option<NonZeroU32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u32>().ok()? } else { return None };
    NonZeroU32::new(number).filter(|number| number.get() <= MAX_NUMBER)
}

/// The rate of each limit; `None` switches a limit off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates([Option<Rate>; Limit::ALL.len()]);

impl Rates {
    /// No limits at all.
    pub fn off() -> Self {
        Self::default()
    }

    /// Replaces the rate of one limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, rate: Option<Rate>) -> Self {
        self.0[limit as usize] = rate;
        self
    }

    /// The rate of a limit.
    pub fn of(&self, limit: Limit) -> Option<Rate> {
        self.0[limit as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_a_unit_and_a_burst() {
        for (text, micros, burst) in [
            ("20/s:60", 50_000, 60),
            ("10/min", 6_000_000, 10),
            ("1/h:1", 3_600_000_000, 1),
            ("1000000/s", 1, 1_000_000),
        ] {
            let quota = Rate::parse(text).unwrap().unwrap().quota();
            assert_eq!((quota.replenish_interval().as_micros(), quota.burst_size().get()), (micros, burst), "{text}");
        }
        assert_eq!(Rate::parse("off"), Ok(None));
        for bad in [
            "",
            "on",
            "20",
            "20/",
            "/s",
            "0/s",
            "20/s:0",
            "20/s:",
            "20/day",
            "20/S",
            "20 / s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1000001/s",
            "1/s:1000001",
            "99999999999/s",
            "20/s:60:1",
            "٣/s",
        ] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }
}
