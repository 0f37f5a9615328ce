//! How much of the disk uploads and messages may take, and no user takes all. A part of it stays free for messages; of
//! that, a part for what must go on however full the disk is: logins, logouts, deletions.

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
    /// A share of the disk: [`Reserve::SHARE`] of it and at least [`Reserve::LEAST`], at most [`Reserve::MAX`], and of
    /// a small disk a quarter.
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
    pub const MAX: u64 = 1 << 30;

    /// How many bytes of a disk of that size.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Share => (whole / Self::SHARE).max(Self::LEAST.min(whole / 4)).min(Self::MAX),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// How many bytes of a disk of that size what grows ([`Growth`]) leaves free for everything else: a quarter of what
    /// uploads do. Who lets uploads leave more than a share of the disk wants it for messages.
    pub fn of_growth(self, whole: u64) -> u64 {
        self.of(whole).min(Self::Share.of(whole)) / 4
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

/// What lets a database grow, and is refused where a disk is nearly full. What is not named here goes on: logins,
/// logouts, the ends of sessions and accounts, deletions, changed passwords and roles, marks of what was read,
/// retention. It needs little room, or gives some back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// A message is sent, of so many bytes.
    Message(usize),
    /// A message is edited, and has so many bytes then.
    Edit(usize),
    /// An account is made.
    Account,
    /// A name or an address of a profile is set.
    Profile,
    /// A group is made, or described otherwise.
    Group,
    /// Somebody comes to be in a group.
    Membership,
    /// A file is stored: what is known of it.
    File,
}

impl Growth {
    /// What the rows and their indexes take, in bytes.
    const ROWS: u64 = 8 << 10;

    /// How many bytes of the disk it takes at the most: what it brings goes to the log of the database and to the
    /// database.
    pub fn bytes(self) -> u64 {
        let brings = match self {
            Self::Message(bytes) | Self::Edit(bytes) => bytes as u64,
            Self::Account | Self::Profile | Self::Group | Self::Membership | Self::File => 0,
        };
        Self::ROWS.saturating_add(brings.saturating_mul(2))
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
    fn messages_leave_a_quarter_of_what_uploads_do_and_no_more_where_those_leave_much() {
        assert_eq!(Reserve::Share.of_growth(32 * MIB), 2 * MIB);
        assert_eq!(Reserve::Share.of_growth(10_000 * GIB), GIB / 4);
        assert_eq!(Reserve::Bytes(0).of_growth(GIB), 0);
        assert_eq!(Reserve::Bytes(4 * MIB).of_growth(GIB), MIB);
        assert_eq!(Reserve::Bytes(u64::MAX).of_growth(GIB), 16 * MIB);
        assert_eq!(Growth::Message(1_000).bytes() - Growth::Account.bytes(), 2_000);
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
