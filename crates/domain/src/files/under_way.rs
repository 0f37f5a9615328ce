//! Uploads under way: how many a user has, and how many of their bytes have arrived that no stored file counts yet.

use super::ports::{ByteSource, FileRepository};
use super::room::FileQuota;
use crate::error::{Error, Result};
use crate::ids::UserId;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most uploads of one user under way in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadQuota(pub usize);

impl Default for UploadQuota {
    fn default() -> Self {
        Self(8)
    }
}

impl UploadQuota {
    /// Whether a user with `under_way` uploads may begin another.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`].
    pub fn admits(self, under_way: usize) -> Result<()> {
        if under_way < self.0 { Ok(()) } else { Err(Error::TooManyUploads { limit: self.0 }) }
    }
}

/// What the request says of the size of a file before the file arrives, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The file has at least as many bytes.
    pub least: u64,
    /// The file has at most as many bytes.
    pub most: u64,
}

/// The uploads under way in this process, by user.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<HashMap<UserId, Taken>>);

/// What all uploads of one user take.
#[derive(Debug, Default)]
struct Taken {
    uploads: usize,
    /// Bytes that have arrived.
    bytes: u64,
}

impl UnderWay {
    fn taken(&self) -> MutexGuard<'_, HashMap<UserId, Taken>> {
        // A thread that panics while it holds the lock leaves consistent numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a place for one more upload.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`].
    pub(super) fn begin(self: &Arc<Self>, user: UserId, quota: UploadQuota) -> Result<UploadPlace> {
        let mut taken = self.taken();
        // A refused upload leaves no entry.
        quota.admits(taken.get(&user).map_or(0, |taken| taken.uploads))?;
        taken.entry(user).or_default().uploads += 1;
        Ok(UploadPlace { under_way: Arc::clone(self), user, bytes: 0 })
    }
}

/// The place of one upload of a user. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct UploadPlace {
    under_way: Arc<UnderWay>,
    user: UserId,
    bytes: u64,
}

impl UploadPlace {
    /// Whether the user may upload `more` bytes, given `used` bytes of stored files and the bytes of all the user's
    /// uploads.
    ///
    /// # Errors
    /// [`Error::QuotaUsedUp`].
    pub(super) fn admits(&self, quota: FileQuota, used: u64, more: u64) -> Result<()> {
        let brought = self.under_way.taken().get(&self.user).map_or(0, |taken| taken.bytes);
        quota.admits(used.saturating_add(brought), more)
    }

    /// Counts bytes that have arrived.
    ///
    /// # Errors
    /// Those of [`UploadPlace::admits`]; it does not count the bytes then.
    fn take(&mut self, quota: FileQuota, used: u64, bytes: u64) -> Result<()> {
        let mut taken = self.under_way.taken();
        let taken = taken.entry(self.user).or_default();
        quota.admits(used.saturating_add(taken.bytes), bytes)?;
        taken.bytes = taken.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Stops counting the bytes of this upload: it failed, or a transaction is about to count its file.
    pub(super) fn give_back(&mut self) {
        if let Some(taken) = self.under_way.taken().get_mut(&self.user) {
            taken.bytes = taken.bytes.saturating_sub(self.bytes);
        }
        self.bytes = 0;
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.give_back();
        let mut taken = self.under_way.taken();
        if let Some(of_user) = taken.get_mut(&self.user) {
            of_user.uploads = of_user.uploads.saturating_sub(1);
            if of_user.uploads == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

/// A source that counts the bytes of an upload against the user's quota as they pass.
pub(super) struct Counted<'a> {
    pub(super) source: Box<dyn ByteSource + 'a>,
    pub(super) place: &'a mut UploadPlace,
    pub(super) files: &'a dyn FileRepository,
    pub(super) quota: FileQuota,
    /// Bytes of the user's files at the last look-up.
    pub(super) used: u64,
    /// Bytes that have passed since then.
    pub(super) passed: u64,
}

impl Counted<'_> {
    /// Bytes between two look-ups of the usage. Other uploads, on this or another node, may have stored or deleted
    /// files.
    const LOOK_AFTER: u64 = 8 << 20;

    async fn look(&mut self) -> Result<()> {
        self.used = self.files.usage(self.place.user).await?;
        self.passed = 0;
        Ok(())
    }

    async fn count(&mut self, bytes: u64) -> Result<()> {
        self.passed = self.passed.saturating_add(bytes);
        if self.passed >= Self::LOOK_AFTER {
            self.look().await?;
        } else if self.place.take(self.quota, self.used, bytes).is_ok() {
            return Ok(());
        } else {
            self.look().await?;
        }
        self.place.take(self.quota, self.used, bytes)
    }
}

#[async_trait]
impl ByteSource for Counted<'_> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.source.next().await? else { return Ok(None) };
        let counted = self.count(bytes.len() as u64).await;
        // Before the store cleans up, so that the user's other uploads can use the room now.
        counted.inspect_err(|_| self.place.give_back())?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{MockByteSource, MockFileRepository};
    use crate::testing::{outcome, user};

    const QUOTA: FileQuota = FileQuota(100);

    #[test]
    fn a_user_has_so_many_uploads_and_others_their_own() {
        let under_way = Arc::new(UnderWay::default());
        let begin = |n| under_way.begin(user(n), UploadQuota(2));
        let (one, two) = (begin(1).unwrap(), begin(1).unwrap());
        assert!(matches!(begin(1), Err(Error::TooManyUploads { limit: 2 })));
        let other = begin(2).unwrap();
        drop(one);
        let three = begin(1).unwrap();
        assert!(begin(1).is_err());
        drop((two, three, other));
        assert!(under_way.taken().is_empty(), "nothing is left of who is gone");
    }

    #[test]
    fn the_uploads_of_a_user_share_the_quota() {
        let under_way = Arc::new(UnderWay::default());
        let begin = |n| under_way.begin(user(n), UploadQuota(8)).unwrap();
        let (mut one, mut two, mut other) = (begin(1), begin(1), begin(2));
        one.take(QUOTA, 10, 50).unwrap();
        assert!(matches!(two.take(QUOTA, 10, 41), Err(Error::QuotaUsedUp { limit: 100 })));
        two.take(QUOTA, 10, 40).unwrap();
        assert!(one.admits(QUOTA, 10, 1).is_err() && one.admits(QUOTA, 9, 1).is_ok());
        other.take(QUOTA, 0, 100).unwrap();
        drop(one);
        two.take(QUOTA, 10, 50).unwrap();
        two.give_back();
        assert!(two.admits(QUOTA, 0, 100).is_ok());
    }

    /// An upload of pieces of so many bytes, with what the usage is found to be, one time after the other.
    fn pass(pieces: Vec<usize>, quota: u64, used: u64, found: Vec<u64>) -> Result<usize> {
        let under_way = Arc::new(UnderWay::default());
        let mut place = under_way.begin(user(1), UploadQuota(1)).unwrap();
        let (mut source, mut files) = (MockByteSource::new(), MockFileRepository::new());
        let mut pieces = pieces.into_iter();
        source.expect_next().returning(move || Ok(pieces.next().map(|length| vec![0; length])));
        let (times, mut found) = (found.len(), found.into_iter());
        files.expect_usage().times(times).returning(move |_| Ok(found.next().unwrap()));
        let mut counted = Counted {
            source: Box::new(source),
            place: &mut place,
            files: &files,
            quota: FileQuota(quota),
            used,
            passed: 0,
        };
        let mut passed = 0;
        let ended = loop {
            match outcome(counted.next()) {
                Ok(Some(bytes)) => passed += bytes.len(),
                Ok(None) => break Ok(passed),
                Err(error) => break Err(error),
            }
        };
        let kept = under_way.taken()[&user(1)].bytes;
        assert_eq!(kept, if ended.is_ok() { passed as u64 } else { 0 });
        ended
    }

    #[test]
    fn an_upload_ends_where_it_grows_beyond_the_quota() {
        assert_eq!(pass(vec![40, 40], 100, 20, Vec::new()).unwrap(), 80);
        assert!(matches!(pass(vec![40, 41, 1], 100, 20, vec![20]), Err(Error::QuotaUsedUp { limit: 100 })));
        // Something was forgotten meanwhile.
        assert_eq!(pass(vec![40, 41], 100, 20, vec![19]).unwrap(), 81);
        // Something was stored meanwhile, elsewhere.
        let piece = 3 << 20;
        assert!(pass(vec![piece; 9], 30 << 20, 0, vec![20 << 20, 28 << 20]).is_err());
        assert_eq!(pass(vec![piece; 9], 30 << 20, 0, vec![0, 0, 0]).unwrap(), 9 * piece);
    }
}
