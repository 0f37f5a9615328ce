//! All of one's own data, for whoever wants to have it or to take it elsewhere.
//!
//! One's own is what one gave: the account, logins, memberships, the messages one sent (also to groups that one has
//! left), what one has marked as seen, uploads. What others wrote is theirs, and is read by the other calls as long as
//! one may. It is read part by part as it is asked for, each part at a moment of its own.

use crate::context::{Caller, Clock, Timestamp};
use crate::error::{NotFound, Result};
use crate::files::File;
use crate::groups::{GroupName, Role};
use crate::ids::{ConversationId, FileId, GroupId, SessionId, UserId};
use crate::messages::{Message, Seq};
use crate::page::Page;
use crate::sessions::Session;
use crate::users::{Profile, ServerPolicy, UserRepository, UserView};
use async_trait::async_trait;
use std::sync::Arc;

/// A login, ended or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSession {
    /// The login.
    pub session: Session,
    /// When it was ended before its time, if so.
    pub ended_at: Option<Timestamp>,
}

/// With whom a conversation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counterpart {
    /// Another user, as shown today.
    User(Profile),
    /// A group, and what one is in it.
    Group(GroupId, GroupName, Role),
    /// Everybody.
    Everybody,
}

/// That one is in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// With whom.
    pub with: Counterpart,
    /// Since when.
    pub joined_at: Timestamp,
    /// Up to this `seq` one has seen everything.
    pub read_up_to: Seq,
}

/// That one saw, at that moment, everything in a stretch of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRange {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Behind this `seq`.
    pub after: Seq,
    /// Up to this `seq`.
    pub up_to: Seq,
    /// When the reader marked it as seen.
    pub seen_at: Timestamp,
}

/// How far a walk over conversations has come: everything of it up to that `seq`, and all conversations before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanPosition {
    /// Which conversation it is in.
    pub conversation: ConversationId,
    /// Up to where in it.
    pub seq: Seq,
}

/// Some of what a walk found; possibly nothing, since it looks at a bounded part at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPage<T> {
    /// A bounded number.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<ScanPosition>,
}

/// Reads one's own data. Every answer MUST be bounded in size, and so MUST the work for it, however much there is.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ExportReader: Send + Sync {
    /// All logins of the user, by id.
    async fn sessions(&self, user: UserId, after: Option<SessionId>) -> Result<Page<PastSession>>;

    /// The conversations that the user is in, by id.
    async fn memberships(&self, user: UserId, after: Option<ConversationId>) -> Result<Page<Membership>>;

    /// The live messages that the user sent to any conversation, in or out of it today.
    async fn sent(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<Message>>;

    /// What the user has marked as seen.
    async fn seen(&self, user: UserId, from: Option<ScanPosition>) -> Result<ScanPage<ReadRange>>;

    /// What the user has uploaded, by id.
    async fn files(&self, user: UserId, after: Option<FileId>) -> Result<Page<File>>;
}

/// Some of one's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportPart {
    /// Logins.
    Sessions(Vec<PastSession>),
    /// Conversations one is in.
    Conversations(Vec<Membership>),
    /// Messages one sent.
    Messages(Vec<Message>),
    /// What one has seen.
    Seen(Vec<ReadRange>),
    /// What one uploaded.
    Files(Vec<File>),
}

/// What is read next.
#[derive(Debug, Clone, Copy)]
enum ExportSection {
    Sessions(Option<SessionId>),
    Conversations(Option<ConversationId>),
    Messages(Option<ScanPosition>),
    Seen(Option<ScanPosition>),
    Files(Option<FileId>),
    End,
}

/// One's data on its way. Nothing is read before it is asked for, and nothing is kept that was given.
pub struct Export {
    /// Oneself.
    pub account: UserView,
    /// When it was begun.
    pub begun_at: Timestamp,
    reader: Arc<dyn ExportReader>,
    user: UserId,
    section: ExportSection,
}

impl Export {
    /// The next part, in the order of [`ExportPart`]; several of a kind may follow each other. `None` at the end.
    ///
    /// # Errors
    /// Only faults of storage. May be called again after one.
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
                let stage = reader.sent(user, from).await?;
                let next = stage.next.map_or(ExportSection::Seen(None), |next| ExportSection::Messages(Some(next)));
                (ExportPart::Messages(stage.items), next)
            }
            ExportSection::Seen(from) => {
                let stage = reader.seen(user, from).await?;
                let next = stage.next.map_or(ExportSection::Files(None), |next| ExportSection::Seen(Some(next)));
                (ExportPart::Seen(stage.items), next)
            }
            ExportSection::Files(after) => {
                let page = reader.files(user, after).await?;
                let last = page.items.last().filter(|_| page.more).map(|last| last.id);
                let next = last.map_or(ExportSection::End, |last| ExportSection::Files(Some(last)));
                (ExportPart::Files(page.items), next)
            }
            ExportSection::End => return Ok(None),
        };
        self.section = step;
        Ok(Some(part))
    }
}

/// Begins to give a user all of the user's own data.
pub struct ExportOwnData {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Reads the rest.
    pub reader: Arc<dyn ExportReader>,
    /// Says who sees what.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ExportOwnData {
    /// # Errors
    /// [`NotFound::User`] where the account was deleted meanwhile.
    pub async fn execute(&self, caller: &Caller) -> Result<Export> {
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
        let begin = ExportOwnData {
            users: Arc::new(users),
            reader: Arc::new(reader),
            policy: Arc::default(),
            clock: Arc::new(StoppedClock(7)),
        };
        outcome(begin.execute(&caller(1))).unwrap()
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
        reader.expect_seen().returning(|_, _| Ok(ScanPage { items: Vec::new(), next: None }));
        reader.expect_files().returning(|_, _| Ok(Page { items: vec![file(1)], more: false }));
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
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Seen(Vec::new())));
        assert_eq!(outcome(export.next()).unwrap(), Some(ExportPart::Files(vec![file(1)])));
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
