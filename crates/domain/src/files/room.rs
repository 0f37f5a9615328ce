//! How much of the disk uploads and messages may take. A part of the disk stays free for messages. A part of that stays
//! free for operations that must succeed on a full disk: logins, logouts, deletions. No user takes all of it.

use crate::error::{Error, Result};

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes.
    pub whole: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// How many bytes of a disk uploads leave free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// One part in [`Reserve::SHARE`] of the disk, at least [`Reserve::LEAST`] (but at most a quarter of the disk), at
    /// most [`Reserve::MAX`].
    #[default]
    Share,
    /// A number of bytes.
    Bytes(u64),
}

impl Reserve {
    /// One part in so many.
    pub const SHARE: u64 = 20;
    /// Bytes that a database needs for some time.
    pub const LEAST: u64 = 64 << 20;
    /// More bytes help nothing.
    pub const MAX: u64 = 1 << 30;

    /// Bytes that uploads leave free on a disk of `whole` bytes.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Share => (whole / Self::SHARE).max(Self::LEAST.min(whole / 4)).min(Self::MAX),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Bytes that [`Growth`] leaves free on a disk of `whole` bytes: a quarter of what uploads leave. An operator who
    /// sets a larger reserve than the share wants it for messages, so it does not count here.
    pub fn of_growth(self, whole: u64) -> u64 {
        self.of(whole).min(Self::Share.of(whole)) / 4
    }

    /// Whether an upload may write `more` bytes to the disk, besides the `promised` bytes that other uploads are about
    /// to write.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub fn admits(self, disk: Space, promised: u64, more: u64) -> Result<()> {
        let needed = self.of(disk.whole).saturating_add(promised).saturating_add(more);
        if disk.free >= needed { Ok(()) } else { Err(Error::StorageFull) }
    }
}

/// Operations that let the database grow. The server refuses them if a disk is nearly full. All other operations go on:
/// logins, logouts, the end of sessions and accounts, deletions, changes of passwords and roles, read marks, retention.
/// They need little room or give some back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// A user sends a message of so many bytes.
    Message(usize),
    /// A user edits a message, which has so many bytes afterwards.
    Edit(usize),
    /// A user reacts to a message.
    Reaction,
    /// A user writes a draft of so many bytes.
    Draft(usize),
    /// A user opens a direct conversation.
    Conversation,
    /// Somebody creates an account.
    Account,
    /// A user makes a token for a program.
    Token,
    /// A user sets a name or an address.
    Profile,
    /// A user creates a group or changes its description.
    Group,
    /// A user joins a group or is added.
    Membership,
    /// The server stores what it knows of a file. Its bytes count elsewhere.
    File,
}

impl Growth {
    /// Bytes of the rows and their indexes.
    const ROWS: u64 = 8 << 10;

    /// Most bytes of the disk that the operation takes: the database writes its content once to its log and once to
    /// itself.
    pub fn bytes(self) -> u64 {
        let brings = match self {
            Self::Message(bytes) | Self::Edit(bytes) | Self::Draft(bytes) => bytes as u64,
            Self::Reaction
            | Self::Conversation
            | Self::Account
            | Self::Token
            | Self::Profile
            | Self::Group
            | Self::Membership
            | Self::File => 0,
        };
        Self::ROWS.saturating_add(brings.saturating_mul(2))
    }
}

/// Most bytes of all files of one user.
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
