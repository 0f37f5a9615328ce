//! The export of a user's own data.
//!
//! Own data is what the user gave: the account, logins, memberships, the messages that the user sent (also to groups
//! that the user has left) with what they said before, reactions, read marks, uploads. Of a mention by others it tells
//! the place. The messages of others are theirs; the user reads them by the other calls while allowed to. The export
//! reads part after part as the client takes them, each as it is at that moment.

use crate::api_tokens::ApiToken;
use crate::context::{Caller, Clock, Timestamp};
use crate::error::{NotFound, Result};
use crate::files::File;
use crate::groups::{GroupName, Role};
use crate::ids::{ConversationId, FileId, GroupId, MessageId, SessionId, UserId};
use crate::messages::{Emoji, Message, MessageVersion, Seq};
use crate::page::Page;
use crate::sessions::Session;
use crate::users::{Profile, ServerPolicy, UserRepository, UserView};
use crate::views::{Draft, Settings};
use async_trait::async_trait;
use std::sync::Arc;

/// A session, ended or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSession {
    /// The session.
    pub session: Session,
    /// When somebody ended it before it expired. `None` if nobody did.
    pub ended_at: Option<Timestamp>,
}

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counterpart {
    /// Another user, as shown today.
    User(Profile),
    /// A group, and the role of the user in it.
    Group(GroupId, GroupName, Role),
    /// All users: the broadcast.
    Everybody,
}

/// The user's membership of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// The other side.
    pub with: Counterpart,
    /// When the user joined.
    pub joined_at: Timestamp,
    /// The user has seen everything up to this `seq`.
    pub read_up_to: Seq,
    /// The user's settings.
    pub settings: Settings,
    /// What the user has begun to write there.
    pub draft: Option<Draft>,
}

/// A range of a conversation that the user saw at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRange {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// The range begins behind this `seq`.
    pub after: Seq,
    /// The range ends with this `seq`.
    pub up_to: Seq,
    /// When the reader marked it as seen.
    pub seen_at: Timestamp,
}

/// What a message of the user said before an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastVersion {
    /// The message.
    pub message: MessageId,
    /// What it said.
    pub version: MessageVersion,
}

/// A reaction of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnReaction {
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// The emoji.
    pub emoji: Emoji,
    /// When the user reacted.
    pub created_at: Timestamp,
}

/// A message of another user that mentions the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MentionedIn {
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageId,
    /// When it was sent.
    pub created_at: Timestamp,
}

/// How far a walk over conversations has come: it has finished all conversations before this one, and this one up to
/// `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanPosition {
    /// The conversation that the walk is in.
    pub conversation: ConversationId,
    /// The last position that it has looked at.
    pub seq: Seq,
}

/// A page of a walk. It may be empty, because one call looks at a bounded part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPage<T> {
    /// A bounded number of items, possibly none.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ScanPosition>,
}

/// Reads a user's own data. Every answer and the work for it MUST be bounded, however much data there is.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ExportReader: Send + Sync {
    /// All logins of the user, by id.
    async fn sessions(&self, user: UserId, after: Option<SessionId>) -> Result<Page<PastSession>>;

    /// The conversations that the user is in, by id.
    async fn memberships(&self, user: UserId, after: Option<ConversationId>) -> Result<Page<Membership>>;

    /// The messages that the user sent and nobody deleted, also in conversations that the user has left.
    async fn sent(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<Message>>;

    /// What the messages of [`ExportReader::sent`] said before their edits, as far as the server keeps it; of each
    /// message oldest first.
    async fn versions(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<PastVersion>>;

    /// The reactions of the user, also in conversations that the user has left.
    async fn reactions(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<OwnReaction>>;

    /// The messages that [`MessageReader::mentions`](crate::messages::MessageReader::mentions) lists, newest first:
    /// those before a message.
    async fn mentioned(&self, user: UserId, before: Option<MessageId>) -> Result<Page<MentionedIn>>;

    /// The ranges that the user has marked as seen.
    async fn seen(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<ReadRange>>;

    /// The files that the user has uploaded, by id.
    async fn files(&self, user: UserId, after: Option<FileId>) -> Result<Page<File>>;

    /// The user's tokens that have neither ended nor expired by `now`, without their secrets. A user has few.
    async fn tokens(&self, user: UserId, now: Timestamp) -> Result<Vec<ApiToken>>;
}

/// A part of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportPart {
    /// Logins.
    Sessions(Vec<PastSession>),
    /// Conversations that the user is in.
    Conversations(Vec<Membership>),
    /// Messages that the user sent.
    Messages(Vec<Message>),
    /// What they said before.
    Versions(Vec<PastVersion>),
    /// Reactions of the user.
    Reactions(Vec<OwnReaction>),
    /// Where others mention the user.
    Mentions(Vec<MentionedIn>),
    /// Ranges that the user has seen.
    Seen(Vec<ReadRange>),
    /// Files that the user uploaded.
    Files(Vec<File>),
    /// Tokens that the user made for programs.
    Tokens(Vec<ApiToken>),
}

/// What the export reads next.
#[derive(Debug, Clone, Copy)]
enum ExportSection {
    Sessions(Option<SessionId>),
    Conversations(Option<ConversationId>),
    Messages(Option<ScanPosition>),
    Versions(Option<ScanPosition>),
    Reactions(Option<ScanPosition>),
    Mentions(Option<MessageId>),
    Seen(Option<ScanPosition>),
    Files(Option<FileId>),
    Tokens,
    End,
}

/// An export under way. It reads nothing before the client asks for it, and keeps nothing that it returned.
pub struct Export {
    /// The user's account.
    pub account: UserView,
    /// When the export began.
    pub begun_at: Timestamp,
    reader: Arc<dyn ExportReader>,
    user: UserId,
    section: ExportSection,
}

impl Export {
    /// The next part, in the order of [`ExportPart`]; several of a kind may follow each other. `None` at the end.
    ///
    /// # Errors
    /// Only faults of storage. The caller may call again after one.
    pub async fn next(&mut self) -> Result<Option<ExportPart>> {
        let (reader, user) = (&self.reader, self.user);
        let (part, step) = match self.section {
            ExportSection::Sessions(after) => {
                let page = reader.sessions(user, after).await?;
                let last = page.items.last().filter(|_| page.more).map(|last| last.session.id);
                let next = last.map_or(ExportSection::Conversations(None), |last| ExportSection::Sessions(Some(last)));
                (ExportPart::Sessions(page.items), next)
            }
            ExportSection::Conversations(after) => {
                let page = reader.memberships(user, after).await?;
                let last = page.items.last().filter(|_| page.more).map(|last| last.conversation);
                let next = last.map_or(ExportSection::Messages(None), |last| ExportSection::Conversations(Some(last)));
                (ExportPart::Conversations(page.items), next)
            }
            ExportSection::Messages(from) => {
                let page = reader.sent(user, from).await?;
                let next = page.next.map_or(ExportSection::Versions(None), |next| ExportSection::Messages(Some(next)));
                (ExportPart::Messages(page.items), next)
            }
            ExportSection::Versions(from) => {
                let page = reader.versions(user, from).await?;
                let next = page.next.map_or(ExportSection::Reactions(None), |next| ExportSection::Versions(Some(next)));
                (ExportPart::Versions(page.items), next)
            }
            ExportSection::Reactions(from) => {
                let page = reader.reactions(user, from).await?;
                let next = page.next.map_or(ExportSection::Mentions(None), |next| ExportSection::Reactions(Some(next)));
                (ExportPart::Reactions(page.items), next)
            }
            ExportSection::Mentions(before) => {
                let page = reader.mentioned(user, before).await?;
                let last = page.items.last().filter(|_| page.more).map(|last| last.message);
                let next = last.map_or(ExportSection::Seen(None), |last| ExportSection::Mentions(Some(last)));
                (ExportPart::Mentions(page.items), next)
            }
            ExportSection::Seen(from) => {
                let page = reader.seen(user, from).await?;
                let next = page.next.map_or(ExportSection::Files(None), |next| ExportSection::Seen(Some(next)));
                (ExportPart::Seen(page.items), next)
            }
            ExportSection::Files(after) => {
                let page = reader.files(user, after).await?;
                let last = page.items.last().filter(|_| page.more).map(|last| last.id);
                let next = last.map_or(ExportSection::Tokens, |last| ExportSection::Files(Some(last)));
                (ExportPart::Files(page.items), next)
            }
            ExportSection::Tokens => {
                (ExportPart::Tokens(reader.tokens(user, self.begun_at).await?), ExportSection::End)
            }
            ExportSection::End => return Ok(None),
        };
        self.section = step;
        Ok(Some(part))
    }
}

/// Gives a user all of the user's own data.
pub struct ExportService {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Reads the rest.
    pub reader: Arc<dyn ExportReader>,
    /// Says who sees what.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ExportService {
    /// Begins to give the caller all of the caller's own data.
    ///
    /// # Errors
    /// [`NotFound::User`] where the account was deleted meanwhile.
    pub async fn begin(&self, caller: &Caller) -> Result<Export> {
        let user = self.users.find(caller.user).await?.filter(|user| user.deleted_at.is_none());
        let account = self.policy.view(caller, &user.ok_or(NotFound::User)?);
        Ok(Export {
            account,
            begun_at: self.clock.now(),
            reader: Arc::clone(&self.reader),
            user: caller.user,
            section: ExportSection::Sessions(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{StoppedClock, account, at, caller, conversation, file, message, outcome, user};
    use crate::users::MockUserRepository;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn begin(reader: MockExportReader) -> Export {
        let mut users = MockUserRepository::new();
        users.expect_find().returning(|_| Ok(Some(account(1, "ada"))));
        let service = ExportService {
            users: Arc::new(users),
            reader: Arc::new(reader),
            policy: Arc::default(),
            clock: Arc::new(StoppedClock(7)),
        };
        outcome(service.begin(&caller(1))).unwrap()
    }

    fn nothing<T>() -> Page<T> {
        Page { items: Vec::new(), more: false }
    }

    #[test]
    fn parts_are_read_only_as_they_are_asked_for() {
        // A hundred stages of two messages each, and every call counted.
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let mut reader = MockExportReader::new();
        reader.expect_sessions().returning(|_, _| Ok(nothing()));
        reader.expect_memberships().returning(|_, _| Ok(nothing()));
        reader.expect_sent().returning(move |_, from| {
            counted.fetch_add(1, Ordering::Relaxed);
            let seq = from.map_or(0, |walked| walked.seq.0) + 1;
            let next = (seq < 100).then(|| ScanPosition { conversation: conversation(1), seq: Seq(seq) });
            Ok(ScanPage { items: vec![message(1), message(2)], next })
        });
        reader.expect_versions().returning(|_, _| Ok(ScanPage { items: Vec::new(), next: None }));
        reader.expect_reactions().returning(|_, _| Ok(ScanPage { items: Vec::new(), next: None }));
        reader.expect_mentioned().returning(|_, _| Ok(nothing()));
        reader.expect_seen().returning(|_, _| Ok(ScanPage { items: Vec::new(), next: None }));
        reader.expect_files().returning(|_, _| Ok(Page { items: vec![file(1)], more: false }));
        reader.expect_tokens().withf(|of, now| (*of, *now) == (user(1), at(7))).returning(|_, _| Ok(Vec::new()));
        let mut export = begin(reader);
        assert!(export.account.email.is_some());
        for _ in 0..2 {
            outcome(export.next()).unwrap();
        }
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        for asked in 1..=100 {
            assert!(matches!(outcome(export.next()).unwrap(), Some(ExportPart::Messages(items)) if items.len() == 2));
            assert_eq!(calls.load(Ordering::Relaxed), asked);
        }
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Versions(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Reactions(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Mentions(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Seen(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Files(vec![file(1)])));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Tokens(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), None);
        assert_eq!(outcome(export.next()).unwrap(), None);
    }

    #[test]
    fn pages_go_on_behind_their_last_entry() {
        let login = |n: u128| PastSession {
            session: Session::begin(SessionId(uuid::Uuid::from_u128(n)), user(1), None, at(1)),
            ended_at: None,
        };
        let mut reader = MockExportReader::new();
        reader.expect_sessions().returning(move |of, after| {
            assert_eq!(of, user(1));
            let n = after.map_or(0, |id| id.0.as_u128());
            Ok(Page { items: vec![login(n + 1)], more: n < 2 })
        });
        let mut export = begin(reader);
        for n in 1..=3 {
            assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Sessions(vec![login(n)])));
        }
        assert!(matches!(export.section, ExportSection::Conversations(None)));
    }
}
