//! How much of the disk uploads may take: a part of it stays free for messages, logins and deletions, and no user takes all.

use crate::error::{Error, Result};

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// How large it is, in bytes.
    pub whole: u64,
    /// How much room is left on it.
    pub free: u64,
}

/// How much of a disk uploads leave free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// A share of the disk: [`Reserve::SHARE`] of it and at least [`Reserve::LEAST`], at most [`Reserve::MOST`], and of a small
    /// disk a quarter.
    #[default]
    Share,
    /// So many bytes.
    Bytes(u64),
}

impl Reserve {
    /// One part in so many.
    pub const SHARE: u64 = 20;
    /// What a database needs for some time, in bytes.
    pub const LEAST: u64 = 64 << 20;
    /// More is of no use to anybody, in bytes.
    pub const MOST: u64 = 1 << 30;

    /// How many bytes of a disk of that size.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Share => (whole / Self::SHARE).max(Self::LEAST.min(whole / 4)).min(Self::MOST),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Whether so many bytes may still be written to the disk, where others are about to write what they were promised.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub fn admits(self, disk: Space, promised: u64, more: u64) -> Result<()> {
        let needed = self.of(disk.whole).saturating_add(promised).saturating_add(more);
        if disk.free >= needed { Ok(()) } else { Err(Error::StorageFull) }
    }
}

/// How many bytes the files of one user may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota(pub u64);

impl Default for FileQuota {
    fn default() -> Self {
        Self(10 << 30)
    }
}

impl FileQuota {
    /// Whether a user whose files have `used` bytes may store `more`.
    ///
    /// # Errors
    /// [`Error::QuotaUsedUp`].
    pub fn admits(self, used: u64, more: u64) -> Result<()> {
        if used.saturating_add(more) <= self.0 { Ok(()) } else { Err(Error::QuotaUsedUp { limit: self.0 }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn the_reserve_fits_the_disk() {
        for (whole, reserve) in [
            (0, 0),
            (32 * MIB, 8 * MIB),
            (256 * MIB, 64 * MIB),
            (GIB, 64 * MIB),
            (10 * GIB, 512 * MIB),
            (20 * GIB, GIB),
            (10_000 * GIB, GIB),
        ] {
            assert_eq!(Reserve::Share.of(whole), reserve, "{whole}");
        }
        assert_eq!((Reserve::Bytes(0).of(GIB), Reserve::Bytes(5).of(0)), (0, 5));
    }

    #[test]
    fn what_others_were_promised_counts() {
        let disk = Space { whole: 100, free: 50 };
        for (reserve, promised, more, taken) in [
            (25, 0, 25, true),
            (25, 0, 26, false),
            (25, 10, 15, true),
            (25, 10, 16, false),
            (0, 0, 50, true),
            (0, u64::MAX, 1, false),
        ] {
            let admitted = Reserve::Bytes(reserve).admits(disk, promised, more);
            assert_eq!(admitted.is_ok(), taken, "{reserve} {promised} {more}");
        }
    }

    #[test]
    fn a_quota_is_used_up_to_its_last_byte() {
        for (used, more, taken) in [(0, 10, true), (10, 0, true), (9, 1, true), (9, 2, false), (11, 0, false)] {
            assert_eq!(FileQuota(10).admits(used, more).is_ok(), taken, "{used} {more}");
        }
        assert!(matches!(FileQuota(10).admits(u64::MAX, 1), Err(Error::QuotaUsedUp { limit: 10 })));
    }
}
