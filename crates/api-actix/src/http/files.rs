//! `/upload`, `/messages/upload` and `/uploads/{id}/{name}`: files in and out.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, PathIds, Query, flag};
use super::openapi::{ErrorResponse, IdempotencyKeyHeader};
use super::ranges::RangeOutcome;
use super::sending::{MentionsBody, idempotency_key, recipient, sent};
use super::upload::{self, Texts, Upload};
use wire::PublicUrl;

use crate::use_cases::UseCases;
use actix_web::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::header::{self, EntityTag, HeaderMap, HeaderValue};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, rt};
use domain::acting::ReferencedEntity;
use domain::files::{ByteRange, ByteSource, File, FileName, MediaType, Thumbnail, ThumbnailWidth};
use domain::messages::{Caption, SaidMentions, UploadCommand};
use domain::{Caller, Error, FileId, Invalid, MessageId};
use futures_util::{Stream, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// The form of an upload.
#[derive(ToSchema)]
#[schema(as = Upload)]
#[expect(dead_code, reason = "the form is read part by part; this is what the document says of it")]
pub struct UploadForm {
    /// The file; an empty one is fine.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: (),
}

/// Stores a file.
///
/// Without a message that carries it, only its uploader can read it.
#[utoipa::path(
    post, path = "/upload",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Stored", body = wire::File)),
)]
pub async fn upload(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: payload }: Authenticated<Payload>,
) -> Result<HttpResponse, ApiError> {
    to_the_end(async move {
        let Upload { file, .. } = upload::receive(&request, payload, &use_cases.files, &caller, &[]).await?;
        let file = use_cases.files.keep(file).await?;
        Ok(HttpResponse::Created().json(wire::File::at(&public, file)))
    })
    .await
}

/// The form of a file that is sent as a message.
#[derive(ToSchema)]
#[schema(as = FileMessage)]
#[expect(dead_code, reason = "the form is read part by part; this is what the document says of it")]
pub struct MessageForm {
    /// The file; an empty one is fine.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: (),
    /// The caller, if given.
    #[schema(nullable = false)]
    sender_id: Option<wire::Id>,
    /// Give exactly one of `receiver_id` and `group_id`.
    #[schema(nullable = false)]
    receiver_id: Option<wire::Id>,
    #[schema(nullable = false)]
    group_id: Option<wire::Id>,
    /// A caption.
    #[schema(nullable = false, max_length = 4096)]
    content: Option<String>,
    /// A message of the same conversation that it answers.
    #[schema(nullable = false)]
    reply_to: Option<wire::Id>,
    /// The first message of the thread that it is to be a reply in.
    #[schema(nullable = false)]
    thread_id: Option<wire::Id>,
    /// Whom the message mentions, as JSON; those that the caption names if absent.
    #[schema(nullable = false)]
    mentions: Option<MentionsBody>,
    /// Whether the caller's draft in the conversation ends with it: `true` or `false`.
    #[schema(nullable = false)]
    clears_draft: Option<bool>,
    /// The same as the header `Idempotency-Key`.
    #[schema(nullable = false, min_length = 1, max_length = 64)]
    client_id: Option<String>,
}

/// Stores a file and sends it as a message: as an `image` if its bytes are one.
#[utoipa::path(
    post, path = "/messages/upload",
    params(IdempotencyKeyHeader),
    request_body(content = MessageForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "Sent", body = wire::Message),
        (status = 200, description = "Sent before under the same key", body = wire::Message),
        ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>,
    ),
)]
pub async fn send(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, payload) }: Authenticated<(Acting, Payload)>,
) -> Result<HttpResponse, ApiError> {
    to_the_end(async move {
        let Upload { file, texts } = upload::receive(&request, payload, &use_cases.files, &caller, PARTS).await?;
        match parse_upload(&texts, acting, request.headers(), &use_cases, &caller).await {
            Ok(upload) => Ok(sent(&public, use_cases.messages.send_upload(&caller, file, upload).await?)),
            Err(error) => {
                upload::discard(&use_cases.files, file).await;
                Err(error)
            }
        }
    })
    .await
}

/// The text fields of a file that is sent as a message.
const PARTS: &[&str] = &[
    "sender_id",
    "receiver_id",
    "group_id",
    "content",
    "reply_to",
    "thread_id",
    "mentions",
    "clears_draft",
    "client_id",
];

/// Mentions in a form.
fn said_mentions(text: &str) -> Result<SaidMentions, Invalid> {
    let body: MentionsBody = serde_json::from_str(text)
        .map_err(|_| Invalid::new("mentions", "mentions must be an object with user_ids and all"))?;
    body.parse()
}

/// Parses the text fields, and checks the acting user that they name.
async fn parse_upload(
    texts: &Texts,
    acting: Acting,
    headers: &HeaderMap,
    use_cases: &UseCases,
    caller: &Caller,
) -> Result<UploadCommand, ApiError> {
    let acting = acting.and("sender_id", texts.get("sender_id"))?;
    let message = |field| texts.get(field).map(|id| MessageId::parse(field, id)).transpose();
    let upload = UploadCommand {
        recipient: recipient(texts.get("receiver_id"), texts.get("group_id"))?,
        caption: texts.get("content").map_or_else(|| Ok(Caption::none()), Caption::parse)?,
        reply_to: message("reply_to")?,
        thread_id: message("thread_id")?,
        mentions: texts.get("mentions").map(said_mentions).transpose()?,
        key: idempotency_key(headers, texts.get("client_id"))?,
        clears_draft: flag("clears_draft", texts.get("clears_draft"))?.unwrap_or(false),
    };
    use_cases.acting.check(caller, acting, ReferencedEntity::of_upload(&upload)).await?;
    Ok(upload)
}

/// Runs the processing of an upload as a task of its own. The framework drops a handler when its client disconnects, at
/// any point. A task sees the body end instead, and leaves neither a blob without a file nor a message without its
/// bytes.
async fn to_the_end(
    handling: impl Future<Output = Result<HttpResponse, ApiError>> + 'static,
) -> Result<HttpResponse, ApiError> {
    rt::spawn(handling).await.map_err(Error::internal)?
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// Asks for a thumbnail of an image, so many pixels wide: 320 or 1280.
    #[param(value_type = Option<u16>, minimum = 320, maximum = 1280)]
    w: Option<String>,
}

/// Returns a file, or a part of it, to its uploader and to every user who may read a message that carries it.
///
/// With `w`, the file's thumbnail: a WebP or a JPEG, made by the first request, never wider than the image.
///
/// Only the id selects the file; the name is for people. Browsers display only png, jpeg, gif and webp; every other
/// type is an attachment.
#[utoipa::path(
    get, path = "/uploads/{id}/{name}",
    params(
        DownloadQuery,
        ("name" = String, Path, description = "For people"),
        ("Range" = Option<String>, Header, description = "One range of bytes", example = "bytes=0-99"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must have, or 412"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the client's copy"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of the client's partial copy"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "*/*", body = Vec<u8>, headers(
            ("ETag" = String, description = "Of the bytes"),
            ("Content-Disposition" = String, description = "How to show it, and its name"),
        )),
        (status = 206, description = "A part of it", content_type = "*/*", body = Vec<u8>, headers(
            ("Content-Range" = String, description = "Which part"),
        )),
        (status = 304, description = "The client's copy is current"),
        ErrorResponse<404>, ErrorResponse<412>, ErrorResponse<416>,
    ),
)]
pub async fn download(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: (ids, Query(query)) }: Authenticated<(PathIds, Query<DownloadQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let width = query.w.as_deref().map(|w| ThumbnailWidth::parse("w", w)).transpose()?;
    let file = use_cases.files.describe(&caller, id).await?;
    if let Some(width) = width {
        let thumbnail = use_cases.files.thumbnail(&caller, &file, width).await?;
        return give_thumbnail(&request, &file, width, thumbnail);
    }
    let tag = EntityTag::new_strong(file.sha256.to_string());
    match begin(&request, tag, file.size)? {
        Begun::Bytes(response, range) => give(&use_cases, &request, response, file, range).await,
        Begun::Nothing(answer) => Ok(answer),
    }
}

/// The answer to a request for a file.
enum Begun {
    /// An answer that goes on with bytes, and the part that the client wants.
    Bytes(HttpResponseBuilder, Option<ByteRange>),
    /// An answer without bytes.
    Nothing(HttpResponse),
}

fn begin(request: &HttpRequest, tag: EntityTag, size: u64) -> Result<Begun, ApiError> {
    match RangeOutcome::of(request, &tag, size) {
        RangeOutcome::Another => Err(ApiError::PreconditionFailed),
        RangeOutcome::NotModified => Ok(Begun::Nothing(about(HttpResponse::NotModified(), tag).finish())),
        RangeOutcome::Unsatisfiable => Err(ApiError::RangeNotSatisfiable { size }),
        RangeOutcome::Whole => Ok(Begun::Bytes(about(HttpResponse::Ok(), tag), None)),
        RangeOutcome::Part(range) => {
            let mut response = about(HttpResponse::PartialContent(), tag);
            let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            response.insert_header((header::CONTENT_RANGE, content_range));
            Ok(Begun::Bytes(response, Some(range)))
        }
    }
}

/// Answers with a thumbnail or a part of it.
fn give_thumbnail(
    request: &HttpRequest,
    file: &File,
    width: ThumbnailWidth,
    thumbnail: Thumbnail,
) -> Result<HttpResponse, ApiError> {
    // Of the bytes: another release may make others of the same file.
    let digest = Sha256::digest(thumbnail.as_bytes());
    let tag = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let media_type = HeaderValue::from_str(thumbnail.media_type().as_str()).map_err(Error::internal)?;
    let bytes = Bytes::from(thumbnail.into_bytes());
    let (mut response, range) = match begin(request, EntityTag::new_strong(tag), bytes.len() as u64)? {
        Begun::Bytes(response, range) => (response, range),
        Begun::Nothing(answer) => return Ok(answer),
    };
    let extension = if media_type == "image/webp" { "webp" } else { "jpg" };
    let name = FileName::clean(&format!("{}-{}.{extension}", file.name.as_str(), width.pixels()));
    response
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::CONTENT_DISPOSITION, disposition("inline", name.as_str())))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let part = range.map_or_else(|| bytes.clone(), |range| bytes.slice(place(range.start)..place(range.end)));
    if request.method() == Method::HEAD {
        let none = stream::empty::<Result<Bytes, Error>>();
        return Ok(response.body(SizedStream::new(part.len() as u64, none)));
    }
    Ok(response.body(part))
}

/// Headers of every answer about a file. A client may cache the file, but has to revalidate it each time. Browsers
/// never guess the file's type, and an opened file has no rights. A 304 has the same headers, because they replace the
/// cached ones.
fn about(mut response: HttpResponseBuilder, tag: EntityTag) -> HttpResponseBuilder {
    response
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .insert_header(header::ETag(tag));
    response
}

/// Answers with the file or a part of it. Types that could carry a script are sent as attachments.
async fn give(
    use_cases: &UseCases,
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    file: File,
    range: Option<ByteRange>,
) -> Result<HttpResponse, ApiError> {
    let (id, size) = (file.id, range.map_or(file.size, |range| range.end - range.start));
    let media_type = HeaderValue::from_str(file.media_type.as_str());
    response
        .insert_header((header::CONTENT_TYPE, media_type.map_err(Error::internal)?))
        .insert_header((header::CONTENT_DISPOSITION, disposition(shown(&file.media_type), file.name.as_str())))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if request.method() == Method::HEAD {
        return Ok(response.body(SizedStream::new(size, stream::empty::<Result<Bytes, Error>>())));
    }
    let download = use_cases.files.read(file, range).await?;
    Ok(response.body(SizedStream::new(size, pieces(id, download.bytes))))
}

/// Streams the bytes. The stream reads each piece after the connection has taken the one before. An error aborts the
/// connection, because the status is already sent.
fn pieces(file: FileId, bytes: Box<dyn ByteSource>) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(bytes, move |mut bytes| async move {
        match bytes.next().await {
            Ok(piece) => Ok(piece.map(|piece| (Bytes::from(piece), bytes))),
            Err(error) => {
                tracing::error!(%file, error = &error as &dyn std::error::Error, "a download broke off");
                Err(error)
            }
        }
    })
}

/// How a browser is to show a file of this type.
fn shown(media_type: &MediaType) -> &'static str {
    if media_type.may_be_shown_inline() { "inline" } else { "attachment" }
}

/// RFC 6266: the name in ASCII and, if that loses characters, also encoded in full.
fn disposition(how: &str, name: &str) -> String {
    // Browsers escape quotes and backslashes differently, and some decode percent signs.
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%');
    let fallback: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if fallback == name {
        format!("{how}; filename=\"{fallback}\"")
    } else {
        format!("{how}; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR_CHAR))
    }
}

/// All characters except RFC 8187's `attr-char`.
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;
    fn of(name: &str, media_type: &str) -> String {
        disposition(shown(&MediaType::from_stored(media_type.to_owned())), FileName::clean(name).as_str())
    }

    #[test]
    fn only_plain_pictures_are_shown_in_place() {
        for (media_type, how) in [
            ("image/png", "inline"),
            ("image/jpeg", "inline"),
            ("image/gif", "inline"),
            ("image/webp", "inline"),
            ("image/svg+xml", "attachment"),
            ("image/tiff", "attachment"),
            ("text/html", "attachment"),
            ("application/pdf", "attachment"),
            ("application/octet-stream", "attachment"),
        ] {
            assert_eq!(of("a.png", media_type), format!("{how}; filename=\"a.png\""));
        }
    }

    #[test]
    fn a_name_survives_in_a_header() {
        for (name, expected) in [
            ("my file (1).txt", "filename=\"my file (1).txt\""),
            ("a\"b;c.txt", "filename=\"a_b;c.txt\"; filename*=UTF-8''a%22b%3Bc.txt"),
            ("50%41.txt", "filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
            ("naïve 🙂.txt", "filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%F0%9F%99%82.txt"),
        ] {
            assert_eq!(of(name, "text/plain"), format!("attachment; {expected}"));
        }
    }
}
