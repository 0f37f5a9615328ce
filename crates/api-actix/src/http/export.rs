//! `/me/export`: all data of the user in one download.

use super::error::{ApiError, mime_json};
use super::extract::Authenticated;
use wire::PublicUrl;

use crate::use_cases::UseCases;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use domain::export::Export;
use domain::{Error, Result};
use futures_util::stream::{self, Stream};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::error;

/// How many export parts a node reads at once, however many exports are running. Exports read much data and must not
/// slow down chat.
const READ_AT_ONCE: usize = 1;

/// Limits how many exports read at the same time.
#[derive(Clone)]
pub struct ExportSemaphore(Arc<Semaphore>);

impl Default for ExportSemaphore {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READ_AT_ONCE)))
    }
}

/// Returns all data of the user as one JSON object to save.
///
/// It contains the account, sessions, the user's conversations, the messages that the user sent (also to groups that
/// the user has left) and what they said before their edits, reactions, where others mention the user, receipts, and
/// uploads with their URLs. It contains no messages that others wrote. The server reads it part by part while it sends
/// it; an aborted download is incomplete JSON.
#[utoipa::path(
    get, path = "/me/export", tag = "accounts",
    responses((status = 200, description = "The caller's data", body = wire::Export, headers(
        ("Content-Disposition" = String, description = "An attachment, and its name"),
    ))),
)]
pub async fn export(
    use_cases: web::Data<UseCases>,
    turns: web::Data<ExportSemaphore>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, .. }: Authenticated,
) -> std::result::Result<HttpResponse, ApiError> {
    let export = use_cases.export.begin(&caller).await?;
    // A username needs no quoting in a header.
    let name = format!("attachment; filename=\"parlance-export-{}.json\"", export.account.profile.username);
    Ok(HttpResponse::Ok()
        .content_type(mime_json())
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(pieces(export, wire::ExportWriter::at(public.get_ref().clone()), turns.get_ref().clone())))
}

/// The progress of an export.
enum WriterState {
    Begin,
    Parts,
    End,
}

/// The export as a stream of pieces. The handler reads each piece after the client has taken the one before.
fn pieces(export: Export, writer: wire::ExportWriter, turns: ExportSemaphore) -> impl Stream<Item = Result<Bytes>> {
    let begun = (export, writer, WriterState::Begin, turns);
    stream::try_unfold(begun, async |(mut export, mut writer, stage, turns)| {
        let piece = match stage {
            WriterState::Begin => {
                let begin = writer.begin(export.begun_at, export.account.clone()).map_err(Error::internal)?;
                Some((begin, WriterState::Parts))
            }
            WriterState::Parts => Some(match part(&mut export, &turns).await? {
                Some(part) => (writer.part(part).map_err(Error::internal)?, WriterState::Parts),
                None => (writer.end(), WriterState::End),
            }),
            WriterState::End => None,
        };
        Ok(piece.map(|(bytes, next)| (Bytes::from(bytes), (export, writer, next, turns))))
    })
}

/// Waits for a permit and reads the next part.
async fn part(export: &mut Export, turns: &ExportSemaphore) -> Result<Option<domain::export::ExportPart>> {
    let _turn = turns.0.acquire().await.map_err(Error::internal)?;
    let part = export.next().await;
    if let Err(fault) = &part {
        // The status is already sent, so the handler aborts the download.
        error!(error = fault as &dyn std::error::Error, "an export was cut off");
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::events::NoListeners;
    use domain::export::ExportService;
    use domain::messages::{MessageLog as _, NewBody, NewMessage, Recipient, Text};
    use domain::users::{NewUser, UserRepository as _, Username};
    use domain::{Caller, ConversationId, IdGenerator as _, MessageId, SessionId, UserId};
    use futures_util::StreamExt as _;
    use infra_diesel::{Store, StoreOptions};

    use domain::Clock as _;
    use test_support::{SystemClock, UuidV7};

    /// This makes more than a hundred pages.
    const MESSAGES: usize = 20_000;

    /// A user who has sent [`MESSAGES`] messages to themselves.
    async fn talkative(directory: &std::path::Path) -> (Arc<Store>, Caller) {
        let options = StoreOptions {
            policy: Arc::default(),
            events: Arc::new(NoListeners),
            fatal: Arc::new(|reason| panic!("{reason}")),
            pool_size: Some(1),
            allow_unsafe_durability: false,
        };
        let url = format!("sqlite://{}", directory.join("parlance.db").display());
        let store = Arc::new(Store::open(&url, options).await.unwrap());
        let (id, at) = (UserId(UuidV7.next()), SystemClock.now());
        let username = Username::parse("username", "ada").unwrap();
        store.create(NewUser { id, username, email: None, password: None, at }).await.unwrap();
        let words = "x".repeat(1000);
        let draft = || NewMessage {
            id: MessageId(UuidV7.next()),
            new_conversation: ConversationId(UuidV7.next()),
            sender: id,
            recipient: Recipient::User(id),
            body: NewBody::Text(Text::parse(&words).unwrap()),
            reply_to: None,
            thread_id: None,
            mentions: None,
            key: None,
            clears_draft: false,
            at,
        };
        for _ in 0..MESSAGES / 500 {
            let sent = futures_util::future::join_all((0..500).map(|_| store.append(draft()))).await;
            assert!(sent.iter().all(|sent| sent.is_ok()));
        }
        (store, Caller { user: id, session: SessionId(id.0), admin: false, access: domain::Access::Login })
    }

    /// The export sends twenty megabytes in pieces of bounded size, and reads each piece after the one before was
    /// taken.
    #[actix_web::test]
    async fn however_much_there_is_little_is_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let (store, caller) = talkative(directory.path()).await;
        let service = ExportService {
            users: store.clone(),
            reader: store.clone(),
            policy: Arc::default(),
            clock: Arc::new(SystemClock),
        };
        let turns = ExportSemaphore::default();
        let (export, writer) = (service.begin(&caller).await.unwrap(), wire::ExportWriter::default());
        let mut pieces = std::pin::pin!(pieces(export, writer, turns.clone()));
        let (mut whole, mut largest) = (Vec::new(), 0);
        while let Some(piece) = pieces.next().await {
            // The handler reads nothing in advance, so a slow client does not block others.
            assert_eq!(turns.0.available_permits(), READ_AT_ONCE);
            let piece = piece.unwrap();
            largest = largest.max(piece.len());
            whole.extend_from_slice(&piece);
        }
        let export: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        let seqs = export["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap());
        assert!(seqs.eq(1..=MESSAGES as u64));
        assert!(whole.len() > 20_000_000 && largest < 500_000, "{largest} of {}", whole.len());
        store.close().await;
    }
}
