//! What of an upload is held in memory before it is written.

use domain::{Result, Unavailable};
use object_store::{PutPayload, PutPayloadMut};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Memory is counted and had in blocks of so many bytes.
const BLOCK_BYTES: usize = 64 * 1024;
/// How long an upload waits for others to let go of theirs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory that all uploads hold together, which has an end.
#[derive(Debug)]
pub(crate) struct Memory {
    blocks: Semaphore,
}

impl Memory {
    /// So many bytes, rounded up to blocks.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { blocks: Semaphore::new(bytes.div_ceil(BLOCK_BYTES)) }
    }

    /// # Errors
    /// [`Unavailable::Overloaded`] where the others hold on to theirs. Waiting longer would help nobody: each of them may
    /// wait for more, too.
    async fn have(&self, blocks: usize) -> Result<SemaphorePermit<'_>> {
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        match tokio::time::timeout(PATIENCE, self.blocks.acquire_many(blocks)).await {
            Ok(Ok(had)) => Ok(had),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Unavailable::Overloaded.err(),
        }
    }
}

/// The part of a blob that is being gathered. Exactly `size` bytes when full: some stores want all parts to be of one size.
pub(crate) struct Part<'a> {
    memory: &'a Memory,
    size: usize,
    payload: PutPayloadMut,
    held: Option<SemaphorePermit<'a>>,
}

impl<'a> Part<'a> {
    /// Empty.
    pub(crate) fn new(memory: &'a Memory, size: usize) -> Self {
        Self { memory, size, payload: gather(), held: None }
    }

    /// Whether it takes no more.
    pub(crate) fn is_full(&self) -> bool {
        self.payload.content_length() >= self.size
    }

    /// Takes what fits, and gives back the rest.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] where there is no memory for it.
    pub(crate) async fn fill<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let length = self.payload.content_length();
        let (fits, rest) = bytes.split_at(bytes.len().min(self.size - length));
        let holds = self.held.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = (length + fits.len()).div_ceil(BLOCK_BYTES).saturating_sub(holds);
        if more > 0 {
            let had = self.memory.have(more).await?;
            match &mut self.held {
                Some(held) => held.merge(had),
                held => *held = Some(had),
            }
        }
        self.payload.extend_from_slice(fits);
        Ok(rest)
    }

    /// What was gathered, and what holds its memory: to be dropped when it is written.
    pub(crate) fn take(&mut self) -> (PutPayload, Option<SemaphorePermit<'a>>) {
        (std::mem::replace(&mut self.payload, gather()).freeze(), self.held.take())
    }
}

fn gather() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK_BYTES)
}
