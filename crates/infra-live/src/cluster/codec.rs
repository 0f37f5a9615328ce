//! What nodes tell each other, as JSON. Nodes of one deployment run the same version but for the minutes of a rolling upgrade:
//! what cannot be read is dropped, and read from the database instead.

mod event;

pub use event::EventOnWire;

use super::sequencer::Step;
use crate::local::presence::Announcement;
use domain::events::{Audience, Head, Revision};
use domain::live::Typing;
use domain::{GroupId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest packet that is sent whole: well below what a NATS server takes by default (1 MiB). Of a longer step only the
/// word is sent.
pub const MOST_BYTES: usize = 256 * 1024;

/// One node's word to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// Which node says it.
    pub from: Uuid,
    /// Its how-manieth word. What goes by several subjects may come several times.
    pub number: u64,
    /// What.
    pub word: Word,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Word {
    /// A commit, as far as it is of one conversation.
    Step { of: Uuid, audience: AudienceOnWire, before: HeadOnWire, after: HeadOnWire, events: Vec<EventOnWire> },
    /// Something of no conversation.
    Happened(Box<EventOnWire>),
    /// Somebody is typing.
    Typing { user: Uuid, username: String, conversation: Option<Uuid>, audience: AudienceOnWire },
    /// Somebody came or went.
    Presence { user: Uuid, online: bool, groups: Vec<Uuid>, contacts: Vec<Uuid> },
    /// Somebody's last connection to a node went: is there one elsewhere?
    Left { user: Uuid },
    /// Yes, here.
    Here { user: Uuid },
    /// Somebody has come: who of those around is there?
    WhoIsThere { user: Uuid, groups: Vec<Uuid>, contacts: Vec<Uuid> },
    /// These are here.
    There { asked_by: Uuid, users: Vec<Uuid> },
    /// The node lives.
    Alive,
    /// All who are with that node, please.
    WhoIsWithYou { node: Uuid },
    /// In all parts together those are named who are with this node, and nobody else is. `part` counts from 0.
    With { users: Vec<Uuid>, part: usize, parts: usize },
    /// The node ends; these were with it, and may come to another.
    Ending { users: Vec<Uuid> },
}

/// A [`Head`]: counter, changed, roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadOnWire(i64, i64, i64);

impl From<Head> for HeadOnWire {
    fn from(head: Head) -> Self {
        Self(head.update, head.changed.0, head.roster.0)
    }
}

impl From<HeadOnWire> for Head {
    fn from(HeadOnWire(update, changed, roster): HeadOnWire) -> Self {
        Self { update, changed: Revision(changed), roster: Revision(roster) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudienceOnWire {
    Users([Uuid; 2]),
    Members(Uuid),
    Everybody,
    Nobody,
}

impl Word {
    /// Of a step, with what happened.
    pub fn step(step: &Step, audience: Audience) -> Self {
        let events = step.events.iter().map(EventOnWire::from).collect();
        let (before, after) = (step.before.into(), step.after.into());
        Self::Step { of: step.conversation.0, audience: audience.into(), before, after, events }
    }

    /// Of a step that is too long: that it was.
    pub fn bare_step(step: &Step, audience: Audience) -> Self {
        let (before, after) = (step.before.into(), step.after.into());
        Self::Step { of: step.conversation.0, audience: audience.into(), before, after, events: Vec::new() }
    }

    /// Of who is typing where.
    pub fn typing(typing: &Typing) -> Self {
        Self::Typing {
            user: typing.user.0,
            username: typing.username.clone(),
            conversation: typing.conversation.map(|of| of.0),
            audience: typing.audience.into(),
        }
    }

    /// Of who came or went.
    pub fn presence(announcement: &Announcement) -> Self {
        Self::Presence {
            user: announcement.user.0,
            online: announcement.online,
            groups: announcement.groups.iter().map(|group| group.0).collect(),
            contacts: announcement.contacts.iter().map(|user| user.0).collect(),
        }
    }
}

impl From<AudienceOnWire> for Audience {
    fn from(audience: AudienceOnWire) -> Self {
        match audience {
            AudienceOnWire::Users(users) => Self::Users(users.map(UserId)),
            AudienceOnWire::Members(group) => Self::Members(GroupId(group)),
            AudienceOnWire::Everybody => Self::Everybody,
            AudienceOnWire::Nobody => Self::Nobody,
        }
    }
}

impl From<Audience> for AudienceOnWire {
    /// Who of a group's members matters only where it is given out: what is told with it says that again.
    fn from(audience: Audience) -> Self {
        match audience {
            Audience::Users(users) => Self::Users(users.map(|user| user.0)),
            Audience::Members(group) | Audience::MembersAmong(group, _) => Self::Members(group.0),
            Audience::Everybody => Self::Everybody,
            Audience::Nobody => Self::Nobody,
        }
    }
}
