//! The contract of the blob port, held to by every store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use domain::files::{BlobPage, BlobStore, ByteRange, ByteSource, FileId};
use domain::{Error, Result, Unavailable, UserId};
use infra_files::{Blobs, Bucket};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_s3::S3;
use tokio::sync::oneshot;
use uuid::Uuid;

mod s3;

const ID: FileId = FileId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ab));
const OWNER: UserId = UserId(Uuid::from_u128(1));
const MAX: u64 = 16 * 1024 * 1024;

/// Gives pieces, then ends or fails.
struct Pieces {
    pieces: std::vec::IntoIter<Vec<u8>>,
    fails: bool,
}

impl Pieces {
    fn of(bytes: &[u8], piece: usize) -> Box<Self> {
        let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect::<Vec<_>>();
        Box::new(Self { pieces: pieces.into_iter(), fails: false })
    }

    fn of_then_failing(bytes: &[u8], piece: usize) -> Box<Self> {
        Box::new(Self { fails: true, ..*Self::of(bytes, piece) })
    }
}

#[async_trait]
impl ByteSource for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self.pieces.next() {
            None if self.fails => Err(Error::internal("the client went away")),
            piece => Ok(piece),
        }
    }
}

async fn read(blobs: &Blobs, range: Option<ByteRange>) -> Option<Vec<u8>> {
    let mut source = blobs.open(ID, range).await.unwrap()?;
    let mut all = Vec::new();
    while let Some(bytes) = source.next().await.unwrap() {
        assert!(!bytes.is_empty());
        all.extend(bytes);
    }
    Some(all)
}

/// Bytes that are no text and do not repeat with any power of two.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// The blobs of a server's bucket.
async fn in_bucket(s3: &S3) -> Blobs {
    let bucket = Bucket::parse(&format!("s3://{}/some/prefix", test_s3::BUCKET)).unwrap();
    Blobs::in_bucket(&bucket, s3.environment(), Duration::from_secs(10)).await.unwrap()
}

/// What is in a bucket, and what is left of unfinished uploads; but for what is written there at the start.
fn blobs_in(s3: &S3) -> Vec<String> {
    s3.kept().into_iter().filter(|name| !name.ends_with("/.parlance")).collect()
}

/// Runs a test of the contract on disk, in S3 and in memory. But in memory it also gets how much lies there.
macro_rules! contract {
    ($(async fn $name:ident($blobs:ident, $left:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn run($blobs: &Blobs, $left: impl Fn() -> usize) $body

            #[tokio::test]
            async fn on_disk() {
                let root = tempfile::tempdir().unwrap();
                run(&Blobs::on_disk(root.path().join("uploads")).unwrap(), || files_below(root.path()).len()).await;
            }

            #[tokio::test]
            async fn in_s3() {
                let s3 = S3::start();
                run(&in_bucket(&s3).await, || blobs_in(&s3).len()).await;
            }

            #[tokio::test]
            async fn in_memory() {
                run(&Blobs::in_memory(), || 0).await;
            }
        }
    )*};
}

contract! {
    async fn what_goes_in_comes_out(blobs, _left) {
        // Around the sizes of parts and reads, in pieces that fit neither.
        let mib = 1024 * 1024;
        for length in [1, 64 * 1024, mib / 4 - 1, mib / 4, mib / 4 + 1, 1_500_000, 5 * mib, 5 * mib + 1, 10 * mib + 7] {
            let bytes = noise(length);
            let stored = blobs.store(ID, OWNER, Pieces::of(&bytes, 100_003), MAX).await.unwrap();
            assert_eq!(stored.size, length as u64);
            assert!(read(blobs, None).await.unwrap() == bytes, "{length} bytes");
        }
    }

    async fn it_is_described_by_its_bytes(blobs, _left) {
        let stored = blobs.store(ID, OWNER, Pieces::of(b"abc", 1), MAX).await.unwrap();
        assert_eq!(stored.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(stored.media_type.as_str(), "text/plain");
        let picture = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &noise(300_000)].concat();
        let stored = blobs.store(ID, OWNER, Pieces::of(&picture, 3), MAX).await.unwrap();
        assert_eq!(stored.media_type.as_str(), "image/png");
    }

    async fn what_is_there_is_listed(blobs, _left) {
        assert_eq!(blobs.inventory().await.unwrap(), infra_files::Inventory::default());
        blobs.store(ID, OWNER, Pieces::of(b"abc", 1), MAX).await.unwrap();
        let inventory = blobs.inventory().await.unwrap();
        assert_eq!((inventory.blobs, inventory.strays), (vec![(ID, 3)], Vec::new()));
    }

    async fn blobs_are_listed_page_by_page(blobs, _left) {
        assert_eq!(blobs.list(None).await.unwrap(), BlobPage { blobs: Vec::new(), next: None });
        let mut stored = BTreeSet::new();
        // More than a page, several of a shelf.
        for n in 0..1_100_u128 {
            let id = FileId(Uuid::from_u128(ID.0.as_u128() - 37 * n));
            blobs.store(id, OWNER, Pieces::of(b"x", 1), MAX).await.unwrap();
            stored.insert(id);
        }
        let (mut listed, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = blobs.list(after).await.unwrap();
            listed.extend(page.blobs);
            (after, pages) = (page.next, pages + 1);
            if after.is_none() {
                break;
            }
        }
        assert!(pages > 1);
        assert_eq!(listed.len(), stored.len());
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), stored);
    }

    async fn it_is_told_which_blobs_are_old(blobs, _left) {
        blobs.store(ID, OWNER, Pieces::of(b"abc", 1), MAX).await.unwrap();
        let absent = FileId(Uuid::from_u128(ID.0.as_u128() + 1));
        let asked = || vec![absent, ID];
        let at = |micros: i64| domain::Timestamp::from_micros(micros).unwrap();
        assert_eq!(blobs.stored_before(asked(), at(1_000_000)).await.unwrap(), []);
        assert_eq!(blobs.stored_before(asked(), at(32_503_680_000_000_000)).await.unwrap(), [ID]);
    }

    async fn an_empty_file_is_one(blobs, _left) {
        let stored = blobs.store(ID, OWNER, Pieces::of(b"", 1), MAX).await.unwrap();
        assert_eq!(stored.size, 0);
        assert_eq!(read(blobs, None).await.unwrap(), b"");
    }

    async fn parts_can_be_read(blobs, _left) {
        let bytes = noise(200_000);
        blobs.store(ID, OWNER, Pieces::of(&bytes, 50_000), MAX).await.unwrap();
        for (start, end) in [(0, 1), (0, 200_000), (199_999, 200_000), (65_535, 65_537), (1_000, 150_000)] {
            let part = read(blobs, Some(ByteRange { start, end })).await.unwrap();
            assert!(part == bytes[start as usize..end as usize], "{start}..{end}");
        }
    }

    async fn at_most_so_much_is_taken(blobs, left) {
        let bytes = noise(600_000);
        assert_eq!(blobs.store(ID, OWNER, Pieces::of(&bytes, 7_001), 600_000).await.unwrap().size, 600_000);
        blobs.remove(ID).await.unwrap();
        for most in [0, 10, 300_000, 599_999] {
            let refused = blobs.store(ID, OWNER, Pieces::of(&bytes, 7_001), most).await;
            assert!(matches!(refused, Err(Error::FileTooLarge { limit }) if limit == most), "{most}");
            assert_eq!(read(blobs, None).await, None);
            assert_eq!(left(), 0);
        }
    }

    async fn a_source_that_fails_leaves_nothing(blobs, left) {
        for length in [0, 1_000, 600_000] {
            let failed = blobs.store(ID, OWNER, Pieces::of_then_failing(&noise(length), 7_001), MAX).await;
            assert!(matches!(failed, Err(Error::Internal(error)) if error.to_string() == "the client went away"));
            assert_eq!(read(blobs, None).await, None);
            assert_eq!(left(), 0);
        }
    }

    async fn what_is_removed_is_gone(blobs, left) {
        blobs.store(ID, OWNER, Pieces::of(b"abc", 3), MAX).await.unwrap();
        for _ in 0..2 {
            blobs.remove(ID).await.unwrap();
            assert_eq!(read(blobs, None).await, None);
            assert_eq!(left(), 0);
        }
    }

    async fn what_is_being_read_outlives_its_removal(blobs, _left) {
        let bytes = noise(200_000);
        blobs.store(ID, OWNER, Pieces::of(&bytes, 50_000), MAX).await.unwrap();
        let mut source = blobs.open(ID, None).await.unwrap().unwrap();
        let mut all = source.next().await.unwrap().unwrap();
        blobs.remove(ID).await.unwrap();
        while let Some(more) = source.next().await.unwrap() {
            all.extend(more);
        }
        assert!(all == bytes);
    }
}

#[tokio::test]
async fn blobs_lie_on_the_shelf_of_their_random_tail_and_stay() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::on_disk(root.path()).unwrap();
    blobs.store(ID, OWNER, Pieces::of(b"abc", 3), MAX).await.unwrap();
    assert_eq!(files_below(root.path()), [root.path().join("ab").join(ID.to_string())]);
    let reopened = Blobs::on_disk(root.path()).unwrap();
    assert_eq!(read(&reopened, None).await.unwrap(), b"abc");
}

#[tokio::test]
async fn what_was_cut_off_before_a_moment_is_cleared() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::on_disk(root.path()).unwrap();
    blobs.store(ID, OWNER, Pieces::of(b"abc", 3), MAX).await.unwrap();
    let at = |seconds: i64| domain::Timestamp::from_micros(seconds * 1_000_000).unwrap();
    let shelf = root.path().join("ab");
    for (name, seconds) in [("#1", 100), ("#12", 200), ("#1x", 100), ("#", 100), ("x#1", 100)] {
        let file = std::fs::File::create(shelf.join(format!("{ID}{name}"))).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    assert_eq!(blobs.clear_unfinished(at(100)).await.unwrap(), 0);
    assert_eq!(blobs.clear_unfinished(at(150)).await.unwrap(), 1);
    assert!(!shelf.join(format!("{ID}#1")).exists());
    assert_eq!(std::fs::read_dir(&shelf).unwrap().count(), 5);
    assert_eq!(blobs.clear_unfinished(at(300)).await.unwrap(), 1);
    assert_eq!(read(&blobs, None).await.unwrap(), b"abc");
    assert_eq!(Blobs::in_memory().clear_unfinished(at(300)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_directory_that_goes_away_is_missed_and_not_made_again() {
    let root = tempfile::tempdir().unwrap();
    let (uploads, away) = (root.path().join("uploads"), root.path().join("away"));
    let blobs = Blobs::on_disk(&uploads).unwrap();
    blobs.store(ID, OWNER, Pieces::of(b"abc", 3), MAX).await.unwrap();
    std::fs::rename(&uploads, &away).unwrap();
    for another_in_its_place in [false, true] {
        if another_in_its_place {
            std::fs::create_dir(&uploads).unwrap();
        }
        let out_of_reach = |error: Option<Error>| {
            assert!(matches!(error, Some(Error::Unavailable(Unavailable::StorageOutOfReach))), "{error:?}");
        };
        assert!(!blobs.is_there().await);
        out_of_reach(blobs.store(ID, OWNER, Pieces::of(b"xyz", 3), MAX).await.err());
        out_of_reach(blobs.open(ID, None).await.err());
        // Its bytes may be there all the same: whoever believed that they were gone would forget the file.
        out_of_reach(blobs.remove(ID).await.err());
        out_of_reach(blobs.list(None).await.err());
        out_of_reach(blobs.stored_before(vec![ID], domain::Timestamp::from_micros(0).unwrap()).await.err());
        out_of_reach(blobs.clear_unfinished(domain::Timestamp::from_micros(0).unwrap()).await.err());
    }
    assert!(files_below(&uploads).is_empty());
    std::fs::remove_dir(&uploads).unwrap();
    std::fs::rename(&away, &uploads).unwrap();
    assert!(blobs.is_there().await);
    assert_eq!(read(&blobs, None).await.unwrap(), b"abc");
}

#[tokio::test]
async fn one_that_goes_away_during_an_upload_takes_it_along() {
    /// Lets the directory go away between two of its bytes.
    struct Leaving(PathBuf, u32);

    #[async_trait]
    impl ByteSource for Leaving {
        async fn next(&mut self) -> Result<Option<Vec<u8>>> {
            self.1 += 1;
            if self.1 == 3 {
                std::fs::rename(&self.0, self.0.with_extension("away")).unwrap();
            }
            Ok((self.1 < 6).then(|| noise(300_000)))
        }
    }

    let root = tempfile::tempdir().unwrap();
    let uploads = root.path().join("uploads");
    let blobs = Blobs::on_disk(&uploads).unwrap();
    let stored = blobs.store(ID, OWNER, Box::new(Leaving(uploads, 0)), MAX).await;
    assert!(matches!(stored, Err(Error::Unavailable(Unavailable::StorageOutOfReach))), "{stored:?}");
}

#[tokio::test]
async fn a_blob_that_was_cut_short_is_a_fault_and_no_end() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::on_disk(root.path()).unwrap();
    blobs.store(ID, OWNER, Pieces::of(&noise(200_000), 50_000), MAX).await.unwrap();
    let mut source = blobs.open(ID, None).await.unwrap().unwrap();
    let path = &files_below(root.path())[0];
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
    assert_eq!(source.next().await.unwrap().unwrap().len(), 10);
    assert!(source.next().await.is_err());
}

#[cfg(unix)]
#[test]
fn uploads_are_for_the_owners_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let uploads = root.path().join("data").join("uploads");
    Blobs::on_disk(&uploads).unwrap();
    assert_eq!(uploads.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_no_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Blobs::on_disk(file.path()).is_err());
}

#[tokio::test]
async fn what_is_no_blob_is_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::on_disk(root.path()).unwrap();
    // One that was cut off, one on the wrong shelf, and somebody's notes.
    for name in [format!("ab/{ID}#1"), format!("00/{ID}"), "notes.txt".to_owned()] {
        std::fs::write(root.path().join(name), "x").unwrap();
    }
    let mut inventory = blobs.inventory().await.unwrap();
    inventory.strays.sort();
    assert_eq!(inventory.strays, [format!("00/{ID}"), format!("ab/{ID}#1"), "notes.txt".to_owned()]);
    assert_eq!(inventory.blobs, []);
    assert_eq!(blobs.list(None).await.unwrap().blobs, []);
}

/// Gives some bytes, says that it stops, and gives the rest when it is told to go on.
struct Paused(Vec<Vec<u8>>, Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>);

#[async_trait]
impl ByteSource for Paused {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.0.len() < 2
            && let Some((stops, goes_on)) = self.1.take()
        {
            stops.send(()).unwrap();
            goes_on.await.unwrap();
        }
        Ok(self.0.pop().filter(|bytes| !bytes.is_empty()))
    }
}

/// There is memory for one of the two uploads, and the first goes on when the second is stored.
#[tokio::test]
async fn on_disk_a_client_that_stops_in_the_middle_holds_no_memory() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Blobs::on_disk(root.path().join("uploads")).unwrap().holding(256 * 1024);
    let (first, bytes) = (noise(200 * 1024), noise(150 * 1024));
    let (other, owner) = (FileId(Uuid::from_u128(77)), UserId(Uuid::from_u128(78)));
    for rest in [noise(100 * 1024), Vec::new()] {
        let whole = [&first[..], &rest].concat();
        let ((stops, stopped), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
        let source = Paused(vec![rest, first.clone()], Some((stops, goes_on)));
        let paused = blobs.store(ID, OWNER, Box::new(source), MAX);
        let stored = async {
            stopped.await.unwrap();
            assert_eq!(blobs.store(other, owner, Pieces::of(&bytes, 100_003), MAX).await.unwrap().size, 150 * 1024);
            go_on.send(()).unwrap();
        };
        let (paused, ()) = tokio::join!(paused, stored);
        assert_eq!(paused.unwrap().size, whole.len() as u64);
        assert!(read(&blobs, None).await.unwrap() == whole, "it is stored byte by byte");
        for id in [ID, other] {
            blobs.remove(id).await.unwrap();
        }
    }
}
