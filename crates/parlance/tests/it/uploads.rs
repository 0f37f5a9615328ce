//! Running uploads: how many there may be, how much they may take, and when the server refuses them.

use crate::connections::raw::{Answered, Raw};
use crate::disk::{full, on_small_disk, sign_up, upload};
use crate::harness::{Process, Server, User};
use crate::live::client::soon;
use domain::files::FileQuota;
use futures_util::FutureExt as _;
use std::path::Path;
use std::time::Duration;

const MIB: usize = 1 << 20;
const UNLIMITED: (&str, &str) = ("PARLANCE_RATE_LIMITS", "off");

/// An upload whose file has begun: its length is announced, or else it comes in chunks.
struct Slow(Raw, bool);

impl Slow {
    async fn begin(user: &User, path: &str, announced: Option<usize>) -> Self {
        let mut connection = Raw::to(user).await;
        let token = user.token().unwrap();
        let length = announced
            .map_or_else(|| "transfer-encoding: chunked".to_owned(), |length| format!("content-length: {length}"));
        let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
        let head = if announced.is_some() { head.to_owned() } else { format!("{:x}\r\n{head}\r\n", head.len()) };
        connection
            .send(&format!(
                "POST {path} HTTP/1.1\nhost: x\nauthorization: Bearer {token}\n\
                 content-type: multipart/form-data; boundary=b\n{length}\n\n"
            ))
            .await;
        let mut slow = Self(connection, announced.is_none());
        slow.write(head.as_bytes()).await;
        slow
    }

    /// Writes as they are; the server may have refused it meanwhile.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut self.0.stream, bytes).await;
    }

    /// More of the file.
    async fn brings(&mut self, bytes: usize) {
        let bytes = vec![7; bytes];
        if self.1 {
            self.write(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
        }
        self.write(&bytes).await;
        if self.1 {
            self.write(b"\r\n").await;
        }
    }

    async fn answer(&mut self) -> Answered {
        soon("an answer", self.0.answer()).await
    }

    async fn is_full(&mut self) {
        let answer = self.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (507, "storage_full"), "{answer:?}");
    }

    /// Nothing has come of it yet, however long it was left alone by the server.
    async fn waits(&mut self) {
        let mut one = [0];
        let read = self.0.stream.try_read(&mut one);
        assert!(read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was answered");
    }
}

/// How many bytes of files have come to a server; the parser holds the last few of each back.
async fn arrived(server: &Process) -> f64 {
    let metrics = String::from_utf8(server.client.get("/metrics").await.body).unwrap();
    let bytes = metrics.lines().find_map(|line| line.strip_prefix("parlance_upload_bytes_total "));
    bytes.map_or(0.0, |bytes| bytes.parse().unwrap())
}

/// How many bytes lie below a directory.
fn bytes_below(directory: &Path) -> u64 {
    let below = std::fs::read_dir(directory).unwrap().flatten();
    let sizes = below.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[actix_web::test]
async fn what_slow_uploads_announce_takes_no_room_from_others() {
    let directory = tempfile::tempdir().unwrap();
    let Some((_mount, server)) = on_small_disk(directory.path(), 32, &[UNLIMITED]) else { return };
    let (ada, bob) = (sign_up(&server, "ada").await, sign_up(&server, "bob").await);
    let mut slow = Vec::new();
    for announced in [Some(16 * MIB), Some(16 * MIB), None] {
        let mut one = Slow::begin(&ada, "/upload", announced).await;
        one.brings(1000).await;
        slow.push(one);
    }
    upload(&bob, 10 * MIB).await.expect(201);
    for one in &mut slow {
        one.waits().await;
    }
    // What cannot fit is refused before it comes.
    Slow::begin(&bob, "/upload", Some(40 * MIB)).await.is_full().await;
    // The disk is asked again while bytes come, whatever was announced.
    let mut endless = Slow::begin(&bob, "/upload", None).await;
    endless.brings(25 * MIB).await;
    endless.is_full().await;
}

#[actix_web::test]
async fn a_user_has_so_many_uploads_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[UNLIMITED, ("PARLANCE_MAX_UPLOADS_PER_USER", "2")]);
    let (ada, bob) = (sign_up(&server, "ada").await, sign_up(&server, "bob").await);
    let mut slow = Vec::new();
    for path in ["/upload", "/messages/upload"] {
        let mut one = Slow::begin(&ada, path, Some(2000)).await;
        one.brings(1000).await;
        slow.push(one);
    }
    soon("both to be under way", async { while arrived(&server).await < 1800.0 {} }).await;
    for path in ["/upload", "/messages/upload"] {
        let refused = Slow::begin(&ada, path, Some(2000)).await.answer().await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{refused:?}");
        assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 0));
    }
    for one in &mut slow {
        one.waits().await;
    }
    upload(&bob, 10).await.expect(201);
    ada.send(&bob.id, "words are no uploads").await;
    // A place is free again once an upload has ended, one way or the other.
    drop(slow);
    soon("a place", async { while upload(&ada, 10).await.status != 201 {} }).await;
    for _ in 0..4 {
        upload(&ada, 10).await.expect(201);
    }
}

#[actix_web::test]
async fn the_quota_of_a_user_binds_bytes_that_are_under_way() {
    const QUOTA: usize = 3 * MIB;
    let server = Server::with(|config| {
        config.policy.files = FileQuota(QUOTA as u64);
        config.http.max_file_bytes = 20 * MIB as u64;
        config.http.deadlines.body = Duration::from_secs(3600);
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    upload(&ada, MIB).await.expect(201);
    // What is announced is refused before it comes.
    for path in ["/upload", "/messages/upload"] {
        Slow::begin(&ada, path, Some(8 * MIB)).await.is_full().await;
    }
    // One alone that grows beyond it.
    let mut one = Slow::begin(&ada, "/upload", None).await;
    one.brings(2 * MIB + 1000).await;
    one.is_full().await;
    // Several that do together.
    let mut several = Vec::new();
    for _ in 0..4 {
        let mut one = Slow::begin(&ada, "/upload", None).await;
        one.brings(MIB).await;
        several.push(one);
    }
    let mut refused = 0;
    soon("refusals", async {
        while refused < 2 {
            refused = 0;
            for one in &several {
                refused += usize::from(one.0.stream.peek(&mut [0]).now_or_never().is_some());
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(refused, 2);
    assert!(bytes_below(&server.directory().join("uploads")) <= QUOTA as u64);
    // Everybody has one's own, and what was given up is had again.
    upload(&bob, QUOTA).await.expect(201);
    drop(several);
    soon("room", async { while upload(&ada, 2 * MIB).await.status != 201 {} }).await;
    full(upload(&ada, 1).await);
}

#[actix_web::test]
async fn a_refusal_of_the_store_is_told_while_the_client_is_silent() {
    let server = Server::with(|config| {
        config.http.max_file_bytes = 1000;
        config.http.deadlines.body = Duration::from_secs(3600);
    })
    .await;
    let ada = server.user("ada").await;
    let mut one = Slow::begin(&ada, "/upload", None).await;
    one.brings(2000).await;
    let answer = one.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload_too_large"), "{answer:?}");
}

#[actix_web::test]
async fn a_blob_that_no_file_knows_goes_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let ada = sign_up(&server, "ada").await;
    let stored = upload(&ada, 100).await.expect(201);
    let url = stored["url"].as_str().unwrap();
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let uploads = directory.path().join("data/uploads");
    let (old, young) = ("01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8157");
    let (old, young) = (uploads.join("57").join(old), uploads.join("57").join(young));
    let id = stored["id"].as_str().unwrap();
    let known = uploads.join(&id[34..]).join(id);
    std::fs::write(&old, "lost").unwrap();
    std::fs::write(&young, "its row may still come").unwrap();
    let long_ago = std::fs::metadata(&young).unwrap().modified().unwrap() - Duration::from_secs(90_000);
    for path in [&old, &known] {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let server = Process::start(directory.path(), &[], &[]);
    soon("the lost blob to go", async {
        while old.exists() {
            server.client.get("/health").await.expect(200);
        }
    })
    .await;
    assert!(young.exists() && known.exists());
    assert_eq!(ada.at(&server.client).get(url).await.status, 200);
}
