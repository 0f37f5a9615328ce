//! Gives every image a turn and a thread.

use crate::decode::{Frame, decode};
use crate::{Refusal, render};
use async_trait::async_trait;
use domain::files::{
    BlobStore, IMAGES_AT_ONCE, Image, ImageFile, ImageReader, MAX_IMAGE_MEMORY, MAX_IMAGE_WORK, Thumbnail,
    ThumbnailWidth,
};
use domain::{Error, Result, Unavailable, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// How long an image waits for its turn. The rest of an upload waits meanwhile.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How many users the table holds before the workshop removes those who wait for nothing.
const REMEMBERED: usize = 64;

/// Decodes the images of a store of blobs. One user has at most one turn at a time, and all users have
/// [`IMAGES_AT_ONCE`] together, in the order in which they asked.
pub struct Workshop {
    blobs: Arc<dyn BlobStore>,
    turns: Arc<Semaphore>,
    users: Mutex<HashMap<UserId, Weak<Semaphore>>>,
    work: Duration,
}

/// A turn: dropping it gives it to the next.
struct Turn {
    _of_user: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Workshop {
    /// A workshop for the images of this store.
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs, turns: Arc::new(Semaphore::new(IMAGES_AT_ONCE)), users: Mutex::default(), work: MAX_IMAGE_WORK }
    }

    /// The turns of one user: one.
    fn turns_of(&self, user: UserId) -> Arc<Semaphore> {
        // A thread that panics while it holds the lock leaves a consistent table.
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = users.get(&user).and_then(Weak::upgrade) {
            return turns;
        }
        if users.len() >= REMEMBERED {
            users.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(1));
        users.insert(user, Arc::downgrade(&turns));
        turns
    }

    /// # Errors
    /// [`Unavailable::Overloaded`] after a while.
    async fn turn(&self, user: UserId) -> Result<Turn> {
        let waiting = async {
            let of_user = self.turns_of(user).acquire_owned().await.map_err(Error::internal)?;
            let of_all = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::internal)?;
            Ok(Turn { _of_user: of_user, _of_all: of_all })
        };
        timeout(TURN_TIMEOUT, waiting).await.map_err(|_| Unavailable::Overloaded)?
    }

    /// The whole file. `None` if it is gone or too large.
    async fn bytes(&self, file: ImageFile) -> Result<Option<Vec<u8>>> {
        if file.size > MAX_IMAGE_MEMORY {
            return Ok(None);
        }
        let Some(mut source) = self.blobs.open(file.id, None).await? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
        while let Some(piece) = source.next().await? {
            if bytes.len() + piece.len() > bytes.capacity() {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// Runs `work` on the first frame of the image, on a thread of its own. `None` if there is no such image.
    async fn work<T: Send + 'static>(
        &self,
        file: ImageFile,
        work: impl FnOnce(Frame) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Option<T>> {
        let turn = self.turn(file.for_user).await?;
        let Some(bytes) = self.bytes(file).await? else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + self.work;
        let run = move || {
            let done = decode(&bytes, until).and_then(|frame| {
                drop(bytes);
                work(frame)
            });
            // Before the caller goes on: it may ask for the next turn at once.
            drop(turn);
            // The caller may have given up.
            let _ = answer.send(done);
        };
        std::thread::Builder::new().name("image".to_owned()).spawn(run).map_err(Error::internal)?;
        let why = match timeout(self.work, answered).await {
            Ok(Ok(Ok(done))) => return Ok(Some(done)),
            Ok(Ok(Err(refusal))) => refusal.to_string(),
            // Its message is in the log already.
            Ok(Err(_)) => "the decoder panicked".to_owned(),
            // The thread keeps the turn until it ends, which it does when it wants more of the file.
            Err(_) => Refusal::Time.to_string(),
        };
        tracing::info!(file = %file.id, why, "an image cannot be read");
        Ok(None)
    }
}

#[async_trait]
impl ImageReader for Workshop {
    async fn describe(&self, file: ImageFile) -> Result<Option<Image>> {
        self.work(file, render::describe).await.inspect_err(|error| {
            tracing::warn!(file = %file.id, error = error as &dyn std::error::Error, "an image was not read");
        })
    }

    async fn thumbnail(&self, file: ImageFile, width: ThumbnailWidth) -> Result<Option<Thumbnail>> {
        self.work(file, move |frame| render::thumbnail(frame, width)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::FileId;
    use domain::files::{MockBlobStore, MockByteSource};
    use image::{GrayImage, ImageFormat};
    use uuid::Uuid;

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_and_gives_its_turn_back() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        GrayImage::from_fn(3_000, 3_000, |x, y| image::Luma([(x * y) as u8]))
            .write_to(&mut bytes, ImageFormat::Png)
            .unwrap();
        let bytes = bytes.into_inner();
        let file = ImageFile { id: FileId(Uuid::nil()), size: bytes.len() as u64, for_user: UserId(Uuid::nil()) };
        let mut blobs = MockBlobStore::new();
        blobs.expect_open().returning(move |_, _| {
            let mut whole = Some(bytes.clone());
            let mut source = MockByteSource::new();
            source.expect_next().returning(move || Ok(whole.take()));
            Ok(Some(Box::new(source)))
        });
        let workshop = Workshop { work: Duration::from_millis(1), ..Workshop::new(Arc::new(blobs)) };
        for _ in 0..=IMAGES_AT_ONCE {
            assert_eq!(workshop.describe(file).await.unwrap(), None);
            assert_eq!(workshop.thumbnail(file, ThumbnailWidth::Small).await.unwrap(), None);
        }
        // The threads end, for the decoder gets no more of the file.
        let all = Arc::clone(&workshop.turns).acquire_many_owned(IMAGES_AT_ONCE as u32);
        drop(timeout(Duration::from_secs(60), all).await.unwrap().unwrap());
    }
}
