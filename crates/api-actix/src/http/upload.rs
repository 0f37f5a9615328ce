//! Reading an upload: a `multipart/form-data` body of one file, which goes to the store while it arrives, and texts.

use super::disposition::{Disposition, NotText};
use super::error::ApiError;
use super::pace::{Line, Pace};
use super::part_heads::mended;
use crate::telemetry::METRICS;
use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::mime::{self, Mime};
use actix_web::web::{Bytes, Payload};
use async_trait::async_trait;
use domain::files::{ByteSource, FileName, StageUpload, StagedFile};
use domain::{Caller, Error, Invalid};
use futures_util::future::join;
use futures_util::{Stream, StreamExt};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use tokio::sync::mpsc;

/// The name of the part that is the file.
const FILE: &str = "file";
/// The most bytes of a text.
const TEXT_LIMIT: usize = 64 * 1024;
/// What a body may have beyond the largest file: texts, headers of parts, boundaries.
const OVERHEAD: u64 = 1024 * 1024;
/// An upload that has arrived. Its file has to be kept or discarded.
#[derive(Debug)]
pub struct Upload {
    /// The file.
    pub file: StagedFile,
    /// The texts that came with it.
    pub texts: Texts,
}

/// Texts by the names of their parts.
#[derive(Debug, Default)]
pub struct Texts(Vec<(&'static str, String)>);

impl Texts {
    /// The text of that name, if it was sent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }
}

/// Reads an upload to its end. Parts come in any order; those that are neither the file nor named in `wanted` are ignored.
///
/// # Errors
/// 415 where the body is no form; 413 for a file, text or body too large; 400 for a form that breaks off or has no file
/// or two, and for a text given twice, with a NUL or broken UTF-8; those of [`StageUpload`]. Nothing stays stored.
pub async fn receive(
    request: &HttpRequest,
    payload: Payload,
    stage: &StageUpload,
    caller: &Caller,
    wanted: &[&'static str],
) -> Result<Upload, ApiError> {
    let line = Line::new(Pace::of(request)?);
    let (form, declared) = open(request.headers(), payload, stage.most, line.received())?;
    let mut reader = Reader { stage, caller, wanted, declared, line, file: None, texts: Texts::default() };
    let read = reader.read(form).await;
    match (read, reader.file) {
        (Ok(()), Some(file)) => Ok(Upload { file, texts: reader.texts }),
        (Ok(()), None) => Err(Invalid::missing(FILE).into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(file)) => {
            discard(stage, file).await;
            Err(error)
        }
    }
}

/// Drops a file that came to nothing, for a reason that matters more than whether this succeeds.
pub async fn discard(stage: &StageUpload, file: StagedFile) {
    if let Err(error) = stage.discard(file).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a refused upload left its blob behind");
    }
}

/// The parts of the body and how large it says that it is. It is refused before any of it is read where that is too large.
fn open(
    headers: &HeaderMap,
    payload: Payload,
    most: u64,
    received: Rc<Cell<u64>>,
) -> Result<(Multipart, Option<u64>), ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(ApiError::UnsupportedMediaType { reason: "this route takes multipart/form-data" });
    }
    let limit = most.saturating_add(OVERHEAD);
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Error::FileTooLarge { limit: most }.into());
    }
    let boundary = content_type.parse::<Mime>().ok();
    let boundary = boundary.as_ref().and_then(|form| form.get_param(mime::BOUNDARY)).map_or("", |name| name.as_str());
    let mut parts = HeaderMap::with_capacity(1);
    if let Ok(mixed) = HeaderValue::from_str(&content_type.replacen(essence, "multipart/mixed", 1)) {
        // The parser reads no names in what is not a form, so that we do: it refuses whole forms for names of files as
        // clients write them, and loses backslashes.
        parts.insert(header::CONTENT_TYPE, mixed);
    }
    Ok((Multipart::new(&parts, mended(limited(payload, limit, received), boundary)), declared))
}

/// The body up to `limit` bytes, whatever it is made of: a form of a million small parts has an end, too.
fn limited(payload: Payload, limit: u64, received: Rc<Cell<u64>>) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    payload.map(move |chunk| {
        let chunk = chunk?;
        let seen = received.get() + chunk.len() as u64;
        received.set(seen);
        if seen > limit { Err(PayloadError::Io(io::ErrorKind::FileTooLarge.into())) } else { Ok(chunk) }
    })
}

struct Reader<'a> {
    stage: &'a StageUpload,
    caller: &'a Caller,
    wanted: &'a [&'static str],
    /// The most bytes that the file can have, by what was said of the body.
    declared: Option<u64>,
    line: Line,
    file: Option<StagedFile>,
    texts: Texts,
}

impl Reader<'_> {
    async fn read(&mut self, mut form: Multipart) -> Result<(), ApiError> {
        while let Some(part) = self.line.soon(form.next()).await? {
            let part = part.map_err(|error| self.fault(error))?;
            let said = part.headers().get(header::CONTENT_DISPOSITION).map(HeaderValue::as_bytes);
            let said = said.and_then(Disposition::parse);
            let Disposition { name, file_name } =
                said.ok_or_else(|| ApiError::malformed("a part of the form has no readable name"))?;
            if name == FILE {
                let called =
                    file_name.map_err(|NotText| Invalid::new(FILE, "the file's name is not UTF-8 without NULs"))?;
                self.read_file(FileName::clean(&called.unwrap_or_default()), part).await?;
            } else {
                self.read_text(name, part).await?;
            }
        }
        Ok(())
    }

    /// Hands the file's bytes to the store one by one, so that a slow store slows the client down.
    async fn read_file(&mut self, name: FileName, mut part: Field) -> Result<(), ApiError> {
        if self.file.is_some() {
            return Err(Invalid::new(FILE, "only one file is taken").into());
        }
        let (sender, receiver) = mpsc::channel(1);
        let this = &*self;
        let arriving = async move {
            while let Some(bytes) = this.line.soon(part.next()).await? {
                let bytes = bytes.map_err(|error| this.fault(error))?;
                METRICS.uploaded_bytes.increment(bytes.len() as u64);
                if sender.send(Arriving::Bytes(bytes)).await.is_err() {
                    // The store has given up, and says why.
                    return Ok(());
                }
            }
            let _ = sender.send(Arriving::End).await;
            Ok(())
        };
        let storing = this.stage.execute(this.caller, name, this.declared, Box::new(ArrivingFile(receiver)));
        let (arrived, stored) = join(arriving, storing).await;
        match (arrived, stored) {
            // Where both failed, the store only failed because the bytes did not arrive.
            (Err(error), Err(_)) => Err(error),
            (arrived, stored) => {
                self.file = Some(stored?);
                arrived
            }
        }
    }

    async fn read_text(&mut self, name: String, mut part: Field) -> Result<(), ApiError> {
        let mut text = Vec::new();
        while let Some(bytes) = self.line.soon(part.next()).await? {
            let bytes = bytes.map_err(|error| self.fault(error))?;
            if text.len() + bytes.len() > TEXT_LIMIT {
                return Err(ApiError::FieldTooLarge { field: name, limit: TEXT_LIMIT });
            }
            text.extend_from_slice(&bytes);
        }
        let text = String::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        let Some(text) = text else {
            let reason = format!("{name} is not UTF-8 without NULs");
            return Err(ApiError::malformed_field(name, reason));
        };
        let Some(known) = self.wanted.iter().find(|known| **known == name) else { return Ok(()) };
        if self.texts.get(known).is_some() {
            return Err(Invalid::new(*known, format!("{known} is given twice")).into());
        }
        self.texts.0.push((known, text));
        Ok(())
    }

    fn fault(&self, error: MultipartError) -> ApiError {
        ApiError::malformed(match error {
            MultipartError::Payload(PayloadError::Io(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Error::FileTooLarge { limit: self.stage.most }.into();
            }
            MultipartError::Payload(PayloadError::Overflow) => "the headers of a part of the form are too long",
            MultipartError::BoundaryMissing | MultipartError::ContentTypeParse => "the form does not keep its boundary",
            MultipartError::Nested => "the form has another one in it",
            _ => "the form is malformed or ended early",
        })
    }
}

/// A file on its way from the request's task to the store, which may be read from any thread.
enum Arriving {
    Bytes(Bytes),
    End,
}

/// The store's end.
struct ArrivingFile(mpsc::Receiver<Arriving>);

#[async_trait]
impl ByteSource for ArrivingFile {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        loop {
            match self.0.recv().await {
                Some(Arriving::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Arriving::Bytes(bytes)) => return Ok(Some(bytes.into())),
                Some(Arriving::End) => return Ok(None),
                None => return Err(Error::internal("the upload ended early")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, UuidV7};
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest, ResponseError};
    use domain::{SessionId, UserId};
    use futures_util::stream::{self, LocalBoxStream};
    use infra_files::Blobs;
    use std::sync::Arc;
    use std::time::Duration;
    use tempfile::TempDir;
    use uuid::Uuid;

    const FORM: &str = "multipart/form-data; boundary=b";
    const MOST: u64 = 100_000;

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

    /// What a request was answered with: what is stored and the texts, or status and field.
    type Outcome = Result<(Vec<u8>, Vec<(&'static str, String)>), (u16, Option<String>)>;

    struct Bench {
        root: TempDir,
        stage: StageUpload,
    }

    impl Bench {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let blobs = Arc::new(Blobs::on_disk(root.path()).unwrap());
            let stage = StageUpload { blobs, clock: Arc::new(SystemClock), ids: Arc::new(UuidV7), most: MOST };
            Self { root, stage }
        }

        /// Takes all blobs that lie there.
        fn take_blobs(&self) -> Vec<Vec<u8>> {
            let shelves = std::fs::read_dir(&self.root).unwrap().map(|shelf| shelf.unwrap().path());
            let blobs = shelves.flat_map(|shelf| std::fs::read_dir(shelf).unwrap()).map(|blob| blob.unwrap().path());
            let take = |path| std::fs::read(&path).inspect(|_| std::fs::remove_file(&path).unwrap()).unwrap();
            blobs.map(take).collect()
        }

        /// Receives a body that arrives in pieces of that size, and checks that nothing is stored if it is refused.
        async fn receive(&self, body: &[u8], size: usize, headers: &[(&'static str, &str)]) -> Outcome {
            let pieces: Vec<_> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let pieces: LocalBoxStream<_> = Box::pin(stream::iter(pieces));
            let request =
                TestRequest::default().app_data(Pace { patience: Duration::from_secs(30), least_a_second: 1024 });
            let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
            let request = request.to_http_request();
            let payload = Payload::from_request(&request, &mut pieces.into()).await.unwrap();
            let caller = Caller { user: UserId(Uuid::nil()), session: SessionId(Uuid::nil()), admin: false };
            let upload = receive(&request, payload, &self.stage, &caller, &["content", "receiver_id"]).await;
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
        let bench = Bench::new();
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
        let bench = Bench::new();
        let all: Vec<u8> = (0..=255).cycle().take(50_000).collect();
        for content in [&b""[..], b"\r\n", b"\r\n--", b"--b", b"\r\n--c\r\n--", b"\r\r\n\n--b--", b"\0\xff", &all] {
            assert_eq!(bench.receive_form(&form(&[file(content)])).await.unwrap().0, content, "{content:?}");
        }
        assert_eq!(bench.receive_form(&form(&[part("name=file", b"no name")])).await.unwrap().0, b"no name");
    }

    #[actix_web::test]
    async fn unknown_parts_are_ignored() {
        let bench = Bench::new();
        let parts = [text("other", b"x"), file(b"abc"), text("other", b"y"), part("name=\"z\"; filename=\"z\"", b"z")];
        assert_eq!(bench.receive_form(&form(&parts)).await.unwrap(), (b"abc".to_vec(), vec![]));
    }

    #[actix_web::test]
    async fn a_form_that_does_not_hold_is_refused() {
        let bench = Bench::new();
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
        let bench = Bench::new();
        let whole = form(&[text("content", b"x"), file(b"abc")]);
        for length in 0..whole.len() - 2 {
            let (status, _) = bench.receive_form(&whole[..length]).await.unwrap_err();
            assert_eq!(status, 400, "{length} of {}", whole.len());
        }
        // What is behind the last boundary does not matter.
        assert!(bench.receive_form(&whole[..whole.len() - 2]).await.is_ok());
        assert!(bench.receive_form(&[&whole[..], b"bye"].concat()).await.is_ok());
    }

    #[actix_web::test]
    async fn a_body_without_end_has_a_limit() {
        let bench = Bench::new();
        let endless = text("other", &[b'x'; 1_000]).repeat(2_000);
        assert_eq!(bench.receive(&endless, 10_000, &[("content-type", FORM)]).await.unwrap_err().0, 413);
        let declared = bench.receive(b"", 1, &[("content-type", FORM), ("content-length", "2000000")]).await;
        assert_eq!(declared.unwrap_err().0, 413);
    }

    #[actix_web::test]
    async fn what_is_no_form_is_refused() {
        let bench = Bench::new();
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
}
