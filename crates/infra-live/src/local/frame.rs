//! Events in the form in which clients receive them.

use super::presence::{Announcement, PresenceQuery};
use bytes::Bytes;
use domain::events::{Audience, Event, Revision};
use domain::live::{Resync, ResyncReason, Typing};
use domain::messages::Update;
use domain::{ConversationId, GroupId, UserId};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// What connected clients get and nobody stores. A slow connection loses signals first.
#[derive(Debug, Clone)]
pub enum Signal {
    /// A user is typing.
    Typing(Typing),
    /// A user is online, or not any more.
    Presence { user: UserId, online: bool },
}

/// One message to a client. The framer makes it once; all receivers share it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The event's name.
    pub name: &'static str,
    /// A client that has this frame and everything before it resumes from here.
    pub cursor: Revision,
    /// The bytes as the framer made them.
    pub bytes: Bytes,
    /// The conversation and the number that the event took of its counter. `None` for an event that took no number.
    pub position: Option<(ConversationId, Update)>,
    /// A slow connection may lose it.
    pub transient: bool,
}

/// Makes frames. Nothing else in this crate knows what clients read.
pub trait Framer: Send + Sync {
    /// The frame of an event; `None` for an event that clients do not get.
    fn event(&self, event: &Event, cursor: Revision) -> Option<Frame>;

    /// The frame of a signal.
    fn signal(&self, signal: &Signal, cursor: Revision) -> Frame;

    /// The frame that tells a client to reload something.
    fn resync(&self, resync: &Resync, cursor: Revision) -> Frame;
}

/// Which connected users are members of a group, without the events that made them members.
#[derive(Debug)]
pub struct MembershipReload {
    pub group: GroupId,
    /// The users who were connected when the node looked. It says nothing of others.
    pub asked: HashSet<UserId>,
    /// Those of them who are members.
    pub members: HashSet<UserId>,
    /// Whether users who were members before have to reload, too: something else of the group may have changed.
    pub tell_all: bool,
}

impl MembershipReload {
    /// Whether the user is a member; `None` if the node did not look.
    pub fn has(&self, user: UserId) -> Option<bool> {
        self.asked.contains(&user).then(|| self.members.contains(&user))
    }
}

/// What a shard has to deliver.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and each is made once for all receivers")]
pub enum Notice {
    Event(Event),
    Typing(Typing),
    Presence(Announcement),
    WhoIsOnline(PresenceQuery),
    /// `user` learns that `other` is online.
    Online {
        user: UserId,
        other: UserId,
    },
    Membership(MembershipReload),
    Resync(Audience, Resync),
    /// The server stops.
    Stop,
}

/// A notice, and its frame once a connection needs it.
#[derive(Debug)]
pub struct Item {
    pub notice: Notice,
    cursor: Revision,
    frame: OnceLock<Option<Arc<Frame>>>,
}

impl Item {
    pub fn new(notice: Notice, cursor: Revision) -> Self {
        Self { notice, cursor, frame: OnceLock::new() }
    }

    /// The frame. The first shard that needs it makes it, and not the thread that committed.
    pub fn frame(&self, framer: &dyn Framer) -> Option<&Arc<Frame>> {
        let frame = self.frame.get_or_init(|| {
            let frame = match &self.notice {
                Notice::Event(event) => framer.event(event, self.cursor)?,
                Notice::Typing(typing) => framer.signal(&Signal::Typing(typing.clone()), self.cursor),
                Notice::Presence(announced) => {
                    let signal = Signal::Presence { user: announced.user, online: announced.online };
                    framer.signal(&signal, self.cursor)
                }
                Notice::Online { other, .. } => {
                    framer.signal(&Signal::Presence { user: *other, online: true }, self.cursor)
                }
                Notice::Membership(_) => {
                    let reason = ResyncReason::MembershipsChanged;
                    framer.resync(&Resync { conversation: None, reason }, self.cursor)
                }
                Notice::Resync(_, resync) => framer.resync(resync, self.cursor),
                Notice::WhoIsOnline(_) | Notice::Stop => return None,
            };
            Some(Arc::new(frame))
        });
        frame.as_ref()
    }

    /// The length of the frame in bytes; 0 if no connection needed it.
    pub fn framed_bytes(&self) -> usize {
        self.frame.get().and_then(Option::as_ref).map_or(0, |frame| frame.bytes.len())
    }
}

/// The notices of one commit, or one signal.
#[derive(Debug)]
pub struct Dispatch {
    pub items: Vec<Item>,
    /// A client that has all of it resumes from here.
    pub cursor: Revision,
}

impl Dispatch {
    /// Whether it holds signals only. The next dispatch tells its cursor, too.
    pub fn may_be_lost(&self) -> bool {
        // A user who asks who is online learns of the users of those workers that receive the question.
        let signal = |item: &Item| {
            matches!(
                item.notice,
                Notice::Typing(_) | Notice::Presence(_) | Notice::Online { .. } | Notice::WhoIsOnline(_)
            )
        };
        self.items.iter().all(signal)
    }
}
