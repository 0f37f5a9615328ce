//! The memory that uploads hold before the store writes their bytes.

use domain::{Result, Unavailable, UserId};
use object_store::{PutPayload, PutPayloadMut};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes of a block, in which uploads get memory.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// How long an upload waits for memory.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(5);
/// An owner's share is one part in this many of the memory, and at least the part of one upload. Of 128 MiB it is one
/// and a half parts for S3.
const SHARES: usize = 16;

/// The memory of all uploads. It is bounded.
///
/// Half of it is reserved for owners who hold no more than their share. An owner who wants more takes it from the other
/// half. So an owner with many uploads is refused while there is still memory for owners with one.
#[derive(Debug)]
pub(crate) struct Memory {
    blocks: usize,
    held: Mutex<Held>,
    let_go: Notify,
}

#[derive(Debug, Default)]
struct Held {
    blocks: usize,
    by_owner: HashMap<UserId, usize>,
}

impl Memory {
    /// So many bytes, rounded up to blocks.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { blocks: bytes.div_ceil(BLOCK_BYTES), held: Mutex::default(), let_go: Notify::new() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A thread that panics while it holds the lock leaves consistent numbers.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an owner who holds `own` of the `held` blocks may get `more`, for an upload whose parts have `part`
    /// blocks.
    fn admits(&self, held: usize, own: usize, more: usize, part: usize) -> bool {
        let share = (self.blocks / SHARES).max(part);
        held + more <= if own + more <= share { self.blocks } else { self.blocks / 2 }
    }

    fn try_have(&self, owner: UserId, more: usize, part: usize) -> Option<Blocks<'_>> {
        let mut held = self.held();
        let own = held.by_owner.get(&owner).copied().unwrap_or(0);
        self.admits(held.blocks, own, more, part).then(|| {
            held.blocks += more;
            held.by_owner.insert(owner, own + more);
            Blocks { memory: self, owner, blocks: more }
        })
    }

    /// # Errors
    /// [`Unavailable::Overloaded`] if the other uploads keep their memory. Waiting longer would not help, because each
    /// of them may be waiting for more, too.
    pub(crate) async fn have(&self, owner: UserId, more: usize, part: usize) -> Result<Blocks<'_>> {
        let having = async {
            loop {
                // Registered before the look, so that memory freed in between wakes it.
                let mut let_go = std::pin::pin!(self.let_go.notified());
                let_go.as_mut().enable();
                if let Some(had) = self.try_have(owner, more, part) {
                    return had;
                }
                let_go.await;
            }
        };
        tokio::time::timeout(MEMORY_TIMEOUT, having).await.map_err(|_| Unavailable::Overloaded.into())
    }
}

/// Memory that an upload holds. Dropping it frees the memory.
#[derive(Debug)]
pub(crate) struct Blocks<'a> {
    memory: &'a Memory,
    owner: UserId,
    blocks: usize,
}

impl Drop for Blocks<'_> {
    fn drop(&mut self) {
        let mut held = self.memory.held();
        held.blocks = held.blocks.saturating_sub(self.blocks);
        if let Some(own) = held.by_owner.get_mut(&self.owner) {
            *own = own.saturating_sub(self.blocks);
            if *own == 0 {
                held.by_owner.remove(&self.owner);
            }
        }
        drop(held);
        self.memory.let_go.notify_waiters();
    }
}

/// The part of a blob that is being gathered: exactly `size` bytes when full, because some stores want all parts to be
/// of one size.
pub(crate) struct Part<'a> {
    memory: &'a Memory,
    owner: UserId,
    size: usize,
    payload: PutPayloadMut,
    held: Vec<Blocks<'a>>,
}

impl<'a> Part<'a> {
    /// An empty part.
    pub(crate) fn new(memory: &'a Memory, owner: UserId, size: usize) -> Self {
        Self { memory, owner, size, payload: gather(), held: Vec::new() }
    }

    /// Whether it is full.
    pub(crate) fn is_full(&self) -> bool {
        self.payload.content_length() >= self.size
    }

    /// Whether it is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.payload.content_length() == 0
    }

    /// Takes what fits, and returns the rest.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] if there is no memory.
    pub(crate) async fn fill<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let length = self.payload.content_length();
        let (fits, rest) = bytes.split_at(bytes.len().min(self.size - length));
        let holds: usize = self.held.iter().map(|held| held.blocks).sum();
        let more = (length + fits.len()).div_ceil(BLOCK_BYTES).saturating_sub(holds);
        if more > 0 {
            self.held.push(self.memory.have(self.owner, more, self.size.div_ceil(BLOCK_BYTES)).await?);
        }
        self.payload.extend_from_slice(fits);
        Ok(rest)
    }

    /// The gathered bytes, and the guard of their memory. The caller drops the guard after writing them.
    pub(crate) fn take(&mut self) -> (PutPayload, Vec<Blocks<'a>>) {
        (std::mem::replace(&mut self.payload, gather()).freeze(), std::mem::take(&mut self.held))
    }
}

fn gather() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn owner(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    #[test]
    fn who_has_many_uploads_leaves_memory_to_who_has_one() {
        let memory = Memory::of(32 * BLOCK_BYTES);
        let mut held = Vec::new();
        for n in [1, 2, 3] {
            while let Some(had) = memory.try_have(owner(n), 1, 1) {
                held.push(had);
            }
        }
        // One takes half; the others have their shares of two blocks all the same.
        assert_eq!(held.len(), 16 + 2 + 2);
        let mut small: Vec<_> = (4..9).map(|n| memory.try_have(owner(n), 2, 1).unwrap()).collect();
        // One whole part is anybody's.
        assert!(memory.try_have(owner(9), 3, 2).is_none());
        small.push(memory.try_have(owner(9), 2, 3).unwrap());
        assert!(memory.try_have(owner(10), 1, 1).is_none());
        drop(held);
        assert!(memory.try_have(owner(10), 5, 1).is_none() && memory.try_have(owner(10), 4, 1).is_some());
        drop(small);
        assert!(memory.try_have(owner(10), 32, 32).is_some());
        assert!(memory.held().by_owner.is_empty() && memory.held().blocks == 0);
    }

    #[tokio::test]
    async fn what_is_let_go_of_goes_to_who_waits() {
        let memory = Memory::of(BLOCK_BYTES);
        let held = memory.try_have(owner(1), 1, 1).unwrap();
        let (had, ()) = tokio::join!(memory.have(owner(2), 1, 1), async {
            tokio::task::yield_now().await;
            drop(held);
        });
        assert_eq!(had.unwrap().blocks, 1);
    }
}
