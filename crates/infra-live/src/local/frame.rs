//! Events as they go over the wire.

use crate::local::presence::{Announcement, Question};
use bytes::Bytes;
use domain::events::{Audience, Event, Revision};
use domain::live::{Resync, ResyncReason, Typing};
use domain::{ConversationId, GroupId, UserId};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// Something that connected users are told and that is kept nowhere. The first to be dropped for a slow reader.
#[derive(Debug, Clone)]
pub enum Signal {
    /// Somebody is typing.
    Typing(Typing),
    /// Somebody came or went.
    Presence {
        /// Who.
        user: UserId,
        /// Whether there now.
        online: bool,
    },
}

/// What a connection is sent: made once, shared by all who get it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The event's name.
    pub name: &'static str,
    /// From where to go on for who has been given this and all before.
    pub cursor: Revision,
    /// As its framer made it.
    pub bytes: Bytes,
    /// The conversation and the number it took of its counter, if it took one.
    pub place: Option<(ConversationId, i64)>,
    /// May be dropped for a slow reader.
    pub transient: bool,
}

/// Makes frames.
pub trait Framer: Send + Sync {
    /// Of what was committed; `None` for what nobody is told.
    fn event(&self, event: &Event, cursor: Revision) -> Option<Frame>;

    /// Of what is told but not kept.
    fn signal(&self, signal: &Signal, cursor: Revision) -> Frame;

    /// Of what has to be loaded again.
    fn resync(&self, resync: &Resync, cursor: Revision) -> Frame;
}

/// Who of those that were connected is in a group, where it is not known how that came about.
#[derive(Debug)]
pub(crate) struct Reload {
    pub group: GroupId,
    /// Who was connected when it was looked up. Of others it says nothing.
    pub asked: HashSet<UserId>,
    /// Who of them is in it.
    pub inside: HashSet<UserId>,
    /// Whether those are told, too, who were in it before: something else may have changed.
    pub tell_all: bool,
}

impl Reload {
    /// Whether the user is in the group; `None` where it says nothing of it.
    pub fn says(&self, user: UserId) -> Option<bool> {
        self.asked.contains(&user).then(|| self.inside.contains(&user))
    }
}

/// What a shard is to give out.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and each is made once for everybody")]
pub(crate) enum Notice {
    Event(Event),
    Typing(Typing),
    Presence(Announcement),
    WhoIsThere(Question),
    /// `user` is told that `other` is there.
    There {
        user: UserId,
        other: UserId,
    },
    Roster(Reload),
    Resync(Audience, Resync),
    /// The server stops.
    Stop,
}

/// A notice, and its frame once somebody wants it.
#[derive(Debug)]
pub(crate) struct Item {
    pub notice: Notice,
    cursor: Revision,
    frame: OnceLock<Option<Arc<Frame>>>,
}

impl Item {
    pub fn new(notice: Notice, cursor: Revision) -> Self {
        Self { notice, cursor, frame: OnceLock::new() }
    }

    /// Framed by whoever comes first: the thread that committed has better things to do.
    pub fn frame(&self, framer: &dyn Framer) -> Option<&Arc<Frame>> {
        let frame = self.frame.get_or_init(|| {
            let frame = match &self.notice {
                Notice::Event(event) => framer.event(event, self.cursor)?,
                Notice::Typing(typing) => framer.signal(&Signal::Typing(typing.clone()), self.cursor),
                Notice::Presence(announced) => {
                    let signal = Signal::Presence { user: announced.user, online: announced.online };
                    framer.signal(&signal, self.cursor)
                }
                Notice::There { other, .. } => {
                    framer.signal(&Signal::Presence { user: *other, online: true }, self.cursor)
                }
                Notice::Roster(_) => {
                    let reason = ResyncReason::RosterChanged;
                    framer.resync(&Resync { conversation: None, reason }, self.cursor)
                }
                Notice::Resync(_, resync) => framer.resync(resync, self.cursor),
                Notice::WhoIsThere(_) | Notice::Stop => return None,
            };
            Some(Arc::new(frame))
        });
        frame.as_ref()
    }

    /// How long its frame is, if anybody wanted it.
    pub fn framed_bytes(&self) -> usize {
        self.frame.get().and_then(Option::as_ref).map_or(0, |frame| frame.bytes.len())
    }
}

/// What belongs together: one commit, or one signal.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub items: Vec<Item>,
    /// From where to go on after all of it.
    pub cursor: Revision,
}

impl Dispatch {
    /// Whether it has signals, and nothing else. A cursor that is lost with it is told by the next one.
    pub fn may_be_lost(&self) -> bool {
        // Who asks who is there is told by the workers that hear of it.
        let signal = |item: &Item| {
            matches!(
                item.notice,
                Notice::Typing(_) | Notice::Presence(_) | Notice::There { .. } | Notice::WhoIsThere(_)
            )
        };
        self.items.iter().all(signal)
    }
}
