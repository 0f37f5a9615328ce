//! Tests with complete and malformed forms.

use super::*;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, ResponseError};
use domain::events::NoListeners;
use domain::files::{FileQuota, FileService, UploadQuota};
use domain::{Access, SessionId, UserId};
use futures_util::stream::{self, LocalBoxStream};
use infra_diesel::{Store, StoreOptions};
use infra_files::Blobs;
use infra_images::Workshop;
use std::sync::Arc;
use tempfile::TempDir;
use test_support::{SystemClock, UuidV7};
use uuid::Uuid;

const FORM: &str = "multipart/form-data; boundary=b";
const MAX_FILE_BYTES: u64 = 100_000;

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    [format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
}

/// A part that says something in another encoding.
fn latin(before: &str, after: &str) -> Vec<u8> {
    let said = [before.as_bytes(), b"na\xefve", after.as_bytes()].concat();
    [b"--b\r\nContent-Disposition: form-data; ", &said[..], b"\r\n\r\nx\r\n"].concat()
}

fn file(content: &[u8]) -> Vec<u8> {
    part("name=\"file\"; filename=\"a.txt\"", content)
}

fn text(name: &str, content: &[u8]) -> Vec<u8> {
    part(&format!("name=\"{name}\""), content)
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat(), &b"--b--\r\n"[..]].concat()
}

/// The outcome of a request: the stored bytes and the texts, or status and field.
type Outcome = Result<(Vec<u8>, Vec<(&'static str, String)>), (u16, Option<String>)>;

struct Bench {
    root: TempDir,
    files: FileService,
}

impl Bench {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::on_disk(root.path().join("uploads")).unwrap());
        let options = StoreOptions {
            policy: Arc::default(),
            events: Arc::new(NoListeners),
            fatal: Arc::new(|reason| panic!("{reason}")),
            pool_size: Some(1),
            allow_unsafe_durability: false,
        };
        let url = format!("sqlite://{}", root.path().join("parlance.db").display());
        let files = Arc::new(Store::open(&url, options).await.unwrap());
        let files = FileService {
            files,
            images: Arc::new(Workshop::new(blobs.clone())),
            blobs,
            quota: FileQuota(MAX_FILE_BYTES * 1000),
            at_once: UploadQuota(8),
            under_way: Arc::default(),
            max_file_bytes: MAX_FILE_BYTES,
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7),
        };
        Self { root, files }
    }

    /// Takes all blobs that lie there.
    fn take_blobs(&self) -> Vec<Vec<u8>> {
        let shelves = std::fs::read_dir(self.root.path().join("uploads")).unwrap().map(|shelf| shelf.unwrap().path());
        let blobs = shelves.flat_map(|shelf| std::fs::read_dir(shelf).unwrap()).map(|blob| blob.unwrap().path());
        let take = |path| std::fs::read(&path).inspect(|_| std::fs::remove_file(&path).unwrap()).unwrap();
        blobs.map(take).collect()
    }

    /// Receives a body that arrives in pieces of that size, and checks that nothing is stored if it is refused.
    async fn receive(&self, body: &[u8], size: usize, headers: &[(&'static str, &str)]) -> Outcome {
        let pieces: Vec<_> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let pieces: LocalBoxStream<_> = Box::pin(stream::iter(pieces));
        let request =
            TestRequest::default().app_data(MinUploadRate { timeout: Duration::from_secs(30), bytes_per_second: 1024 });
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        let request = request.to_http_request();
        let payload = Payload::from_request(&request, &mut pieces.into()).await.unwrap();
        let caller =
            Caller { user: UserId(Uuid::nil()), session: SessionId(Uuid::nil()), admin: false, access: Access::Login };
        let upload = receive(&request, payload, &self.files, &caller, &["content", "receiver_id"]).await;
        let mut blobs = self.take_blobs();
        match upload {
            Ok(upload) => {
                assert_eq!(blobs.len(), 1);
                Ok((blobs.remove(0), upload.texts.0))
            }
            Err(error) => {
                assert!(blobs.is_empty());
                let body: serde_json::Value = serde_json::from_str(&error.body()).unwrap();
                Err((error.status_code().as_u16(), body["field"].as_str().map(str::to_owned)))
            }
        }
    }

    /// The outcome, which must not depend on how the body is cut.
    async fn receive_form(&self, body: &[u8]) -> Outcome {
        let whole = self.receive(body, body.len().max(1), &[("content-type", FORM)]).await;
        for size in [1, 7, 1_000] {
            if body.len() / size < 5_000 {
                let cut = self.receive(body, size, &[("content-type", FORM)]).await;
                assert_eq!(cut, whole, "pieces of {size}");
            }
        }
        whole
    }
}

#[actix_web::test]
async fn parts_come_in_any_order() {
    let bench = Bench::new().await;
    let parts = [text("content", "see\r\n🙂 | \"".as_bytes()), file(b"abc"), text("receiver_id", b"")];
    for order in [[0, 1, 2], [1, 0, 2], [2, 0, 1]] {
        let (stored, mut texts) = bench.receive_form(&form(&order.map(|i: usize| parts[i].clone()))).await.unwrap();
        texts.sort();
        assert_eq!(stored, b"abc");
        assert_eq!(texts, [("content", "see\r\n🙂 | \"".to_owned()), ("receiver_id", String::new())]);
    }
}

#[actix_web::test]
async fn a_file_is_stored_byte_by_byte() {
    let bench = Bench::new().await;
    let all: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    for content in [&b""[..], b"\r\n", b"\r\n--", b"--b", b"\r\n--c\r\n--", b"\r\r\n\n--b--", b"\0\xff", &all] {
        assert_eq!(bench.receive_form(&form(&[file(content)])).await.unwrap().0, content, "{content:?}");
    }
    assert_eq!(bench.receive_form(&form(&[part("name=file", b"no name")])).await.unwrap().0, b"no name");
}

#[actix_web::test]
async fn unknown_parts_are_ignored() {
    let bench = Bench::new().await;
    let parts = [text("other", b"x"), file(b"abc"), text("other", b"y"), part("name=\"z\"; filename=\"z\"", b"z")];
    assert_eq!(bench.receive_form(&form(&parts)).await.unwrap(), (b"abc".to_vec(), vec![]));
}

#[actix_web::test]
async fn a_form_that_does_not_hold_is_refused() {
    let bench = Bench::new().await;
    let long = vec![b'x'; TEXT_LIMIT + 1];
    for (parts, status, field) in [
        (vec![], 400, Some("file")),
        (vec![text("content", b"x")], 400, Some("file")),
        (vec![file(b"a"), file(b"b")], 400, Some("file")),
        (vec![file(b"a"), text("content", b"x"), text("content", b"x")], 400, Some("content")),
        (vec![file(b"a"), text("content", b"\xff")], 400, Some("content")),
        (vec![text("receiver_id", b"a\0"), file(b"a")], 400, Some("receiver_id")),
        (vec![file(b"a"), text("other", b"\xc3")], 400, Some("other")),
        (vec![file(b"a"), text("content", &long)], 413, Some("content")),
        (vec![file(&vec![b'x'; 100_001])], 413, None),
        (vec![file(b"a"), part("x=y", b"")], 400, None),
        (vec![file(b"a"), b"--b\r\n\r\nx\r\n".to_vec()], 400, None),
        (vec![file(b"a"), b"--b\r\nContent-Disposition: attachment; name=\"x\"\r\n\r\nx\r\n".to_vec()], 400, None),
        (vec![part("name=\"file\"; filename=\"\0\"", b"a")], 400, Some("file")),
        (vec![latin("name=\"file\"; filename=\"", "\"")], 400, Some("file")),
        (vec![file(b"a"), latin("name=\"", "\"")], 400, None),
        (vec![part("name=\"file\"\r\nContent-Type: multipart/mixed; boundary=c", b"a")], 400, None),
        (vec![part("name=\"file\"\r\nContent-Length: 99999", b"a")], 400, None),
        (vec![part("name=\"file\"\r\nContent-Length: x", b"a")], 400, None),
    ] {
        let refused = bench.receive_form(&form(&parts)).await.unwrap_err();
        assert_eq!(refused, (status, field.map(str::to_owned)), "{}", String::from_utf8_lossy(&parts.concat()));
    }
    assert_eq!(bench.receive_form(&form(&[file(&vec![b'x'; 100_000])])).await.unwrap().0.len(), 100_000);
}

#[actix_web::test]
async fn a_form_that_breaks_off_is_refused() {
    let bench = Bench::new().await;
    let whole = form(&[text("content", b"x"), file(b"abc")]);
    for length in 0..whole.len() - 2 {
        let (status, _) = bench.receive_form(&whole[..length]).await.unwrap_err();
        assert_eq!(status, 400, "{length} of {}", whole.len());
    }
    // Bytes behind the last boundary do not matter.
    assert!(bench.receive_form(&whole[..whole.len() - 2]).await.is_ok());
    assert!(bench.receive_form(&[&whole[..], b"bye"].concat()).await.is_ok());
}

#[actix_web::test]
async fn a_body_without_end_has_a_limit() {
    let bench = Bench::new().await;
    let endless = text("other", &[b'x'; 1_000]).repeat(2_000);
    assert_eq!(bench.receive(&endless, 10_000, &[("content-type", FORM)]).await.unwrap_err().0, 413);
    let declared = bench.receive(b"", 1, &[("content-type", FORM), ("content-length", "2000000")]).await;
    assert_eq!(declared.unwrap_err().0, 413);
}

#[actix_web::test]
async fn what_is_no_form_is_refused() {
    let bench = Bench::new().await;
    let body = form(&[file(b"abc")]);
    for (content_type, status) in [
        ("application/json", 415),
        ("multipart/mixed; boundary=b", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=c", 400),
    ] {
        let refused = bench.receive(&body, 1_000, &[("content-type", content_type)]).await.unwrap_err();
        assert_eq!(refused.0, status, "{content_type}");
    }
    assert_eq!(bench.receive(&body, 1_000, &[]).await.unwrap_err().0, 415);
    let quoted = [("content-type", "Multipart/Form-Data; charset=utf-8; boundary=\"b\"")];
    assert!(bench.receive(&body, 1_000, &quoted).await.is_ok());
}
