//! Reads an upload: a `multipart/form-data` body with text fields and one file. The handler streams the file into the
//! store while it arrives.

use super::disposition::{Disposition, NotText};
use super::error::ApiError;
use super::pace::{MinUploadRate, UploadMeter};
use super::part_heads::mended;
use crate::telemetry::METRICS;
use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::mime::{self, Mime};
use actix_web::web::{Bytes, Payload};
use async_trait::async_trait;
use domain::files::{Announced, BegunUpload, ByteSource, FileName, FileService, StagedFile};
use domain::{Caller, Error, Invalid};
use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt};
use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The name of the file's part.
const FILE: &str = "file";
/// The largest text field in bytes.
const TEXT_LIMIT: usize = 64 * 1024;
/// How many bytes a body may have beyond the largest file: text fields, heads of parts, boundaries.
const OVERHEAD: u64 = 1024 * 1024;
/// How long the parts behind the file may take. Meanwhile no row refers to the blob, and the server removes such blobs
/// after a day ([`domain::upkeep::LOOSE_FOR`]).
const AFTER_FILE: Duration = Duration::from_secs(3600);

/// A complete upload. The caller has to keep or discard its file.
#[derive(Debug)]
pub struct Upload {
    /// The file.
    pub file: StagedFile,
    /// The text fields.
    pub texts: Texts,
}

/// Text fields by the names of their parts.
#[derive(Debug, Default)]
pub struct Texts(Vec<(&'static str, String)>);

impl Texts {
    /// The text with this name, if the client sent it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }
}

/// Reads an upload to its end. Parts may come in any order. The reader ignores parts that are neither the file nor
/// named in `wanted`.
///
/// # Errors
/// 415 if the body is no form; 413 if a file, a text or the body is too large; 400 if the form is incomplete or has no
/// file or two, or a text occurs twice or has a NUL or invalid UTF-8; and the errors of [`FileService`]. After an
/// error, nothing stays stored.
pub async fn receive(
    request: &HttpRequest,
    payload: Payload,
    files: &FileService,
    caller: &Caller,
    wanted: &[&'static str],
) -> Result<Upload, ApiError> {
    let meter = UploadMeter::new(MinUploadRate::of(request)?);
    let (form, declared) = open(request.headers(), payload, files.max_file_bytes, meter.received())?;
    let announced = declared.map(|most| Announced { least: most.saturating_sub(OVERHEAD), most });
    let begun = files.begin_upload(caller, announced).await.inspect_err(count)?;
    let mut reader =
        FormReader { files, caller, wanted, begun: Some(begun), meter, file: None, texts: Texts::default() };
    let read = reader.read(form).await;
    match (read, reader.file) {
        (Ok(()), Some(file)) => Ok(Upload { file, texts: reader.texts }),
        (Ok(()), None) => Err(Invalid::missing(FILE).into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(file)) => {
            discard(files, file).await;
            Err(error)
        }
    }
}

/// Counts an upload refused because the user has too many.
fn count(refused: &Error) {
    if matches!(refused, Error::TooManyUploads { .. }) {
        METRICS.refused_uploads.increment(1);
    }
}

/// Discards the file of a failed upload. The caller reports the first error, so this function ignores its own.
pub async fn discard(files: &FileService, file: StagedFile) {
    if let Err(error) = files.discard(file).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a refused upload left its blob behind");
    }
}

/// Opens the form and returns its declared length. It refuses a body that declares too many bytes before it reads any.
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
        // The module parses names itself, by declaring the form as another multipart type: the parser would refuse
        // forms with file names as clients write them, and would lose backslashes.
        parts.insert(header::CONTENT_TYPE, mixed);
    }
    Ok((Multipart::new(&parts, mended(limited(payload, limit, received), boundary)), declared))
}

/// Limits the body to `limit` bytes, also for a form of a million small parts.
fn limited(payload: Payload, limit: u64, received: Rc<Cell<u64>>) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    payload.map(move |chunk| {
        let chunk = chunk?;
        let seen = received.get() + chunk.len() as u64;
        received.set(seen);
        if seen > limit { Err(PayloadError::Io(io::ErrorKind::FileTooLarge.into())) } else { Ok(chunk) }
    })
}

struct FormReader<'a> {
    files: &'a FileService,
    caller: &'a Caller,
    wanted: &'a [&'static str],
    /// `Some` until the file's part begins.
    begun: Option<BegunUpload>,
    meter: UploadMeter,
    file: Option<StagedFile>,
    texts: Texts,
}

impl FormReader<'_> {
    async fn read(&mut self, mut form: Multipart) -> Result<(), ApiError> {
        self.read_parts(&mut form).await?;
        if self.file.is_none() {
            return Ok(());
        }
        let rest = tokio::time::timeout(AFTER_FILE, self.read_parts(&mut form)).await;
        rest.map_err(|_| ApiError::malformed("the body came too slowly"))?
    }

    /// Reads to the end of the file, or to the end of the form if there is no file.
    async fn read_parts(&mut self, form: &mut Multipart) -> Result<(), ApiError> {
        while let Some(part) = self.meter.within_deadline(form.next()).await? {
            let part = part.map_err(|error| self.fault(error))?;
            let said = part.headers().get(header::CONTENT_DISPOSITION).map(HeaderValue::as_bytes);
            let said = said.and_then(Disposition::parse);
            let Disposition { name, file_name } =
                said.ok_or_else(|| ApiError::malformed("a part of the form has no readable name"))?;
            if name == FILE {
                let called =
                    file_name.map_err(|NotText| Invalid::new(FILE, "the file's name is not UTF-8 without NULs"))?;
                return self.read_file(FileName::clean(&called.unwrap_or_default()), part).await;
            } else {
                self.read_text(name, part).await?;
            }
        }
        Ok(())
    }

    /// Passes the file's bytes to the store piece by piece, so that a slow store slows the client down.
    async fn read_file(&mut self, name: FileName, mut part: Field) -> Result<(), ApiError> {
        let Some(begun) = self.begun.take() else {
            return Err(Invalid::new(FILE, "the form may carry only one file").into());
        };
        let (sender, receiver) = mpsc::channel(1);
        let this = &*self;
        let arriving = async move {
            while let Some(bytes) = this.meter.within_deadline(part.next()).await? {
                let bytes = bytes.map_err(|error| this.fault(error))?;
                METRICS.uploaded_bytes.increment(bytes.len() as u64);
                if sender.send(UploadChunk::Bytes(bytes)).await.is_err() {
                    // The store has failed and returns the reason.
                    return Ok(());
                }
            }
            let _ = sender.send(UploadChunk::End).await;
            Ok(())
        };
        let storing = this.files.stage(this.caller, begun, name, Box::new(IncomingFile(receiver)));
        let (arrived, stored) = match select(pin!(arriving), pin!(storing)).await {
            Either::Left((arrived, storing)) => (arrived, storing.await),
            // Reports the error at once, without waiting for more input.
            Either::Right((Err(refused), _)) => (Ok(()), Err(refused)),
            Either::Right((stored, arriving)) => (arriving.await, stored),
        };
        match (arrived, stored) {
            // If both failed, the store failed only because the bytes did not arrive.
            (Err(error), Err(_)) => Err(error),
            (arrived, stored) => {
                self.file = Some(stored?);
                arrived
            }
        }
    }

    async fn read_text(&mut self, name: String, mut part: Field) -> Result<(), ApiError> {
        let mut text = Vec::new();
        while let Some(bytes) = self.meter.within_deadline(part.next()).await? {
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
                return Error::FileTooLarge { limit: self.files.max_file_bytes }.into();
            }
            MultipartError::Payload(PayloadError::Overflow) => "the headers of a part of the form are too long",
            MultipartError::BoundaryMissing | MultipartError::ContentTypeParse => {
                "the boundary of the form is missing or malformed"
            }
            MultipartError::Nested => "the form contains another form",
            _ => "the form is malformed or ended early",
        })
    }
}

/// Carries a file from the request's task to the store, which may read on any thread.
enum UploadChunk {
    Bytes(Bytes),
    End,
}

/// The store's end of the channel.
struct IncomingFile(mpsc::Receiver<UploadChunk>);

#[async_trait]
impl ByteSource for IncomingFile {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        loop {
            match self.0.recv().await {
                Some(UploadChunk::Bytes(bytes)) if bytes.is_empty() => {}
                Some(UploadChunk::Bytes(bytes)) => return Ok(Some(bytes.into())),
                Some(UploadChunk::End) => return Ok(None),
                None => return Err(Error::internal("the upload ended early")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
