//! What nodes tell each other, as JSON. Nodes of one deployment run the same version but for the minutes of a rolling upgrade:
//! what cannot be read is dropped, and read from the database instead.

mod event;

pub use event::EventOnWire;

use super::sequencer::Step;
use crate::presence::Announcement;
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
    Step { of: Uuid, before: HeadOnWire, after: HeadOnWire, events: Vec<EventOnWire> },
    /// Something of no conversation.
    Happened(EventOnWire),
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
}

impl Word {
    /// Of a step, with what happened.
    pub fn step(step: &Step) -> Self {
        let events = step.events.iter().map(EventOnWire::from).collect();
        Self::Step { of: step.conversation.0, before: step.before.into(), after: step.after.into(), events }
    }

    /// Of a step that is too long: that it was.
    pub fn bare_step(step: &Step) -> Self {
        Self::Step { of: step.conversation.0, before: step.before.into(), after: step.after.into(), events: Vec::new() }
    }

    /// `None` for an audience that nobody types to.
    pub fn typing(typing: &Typing) -> Option<Self> {
        let audience = match typing.audience {
            Audience::Users(users) => AudienceOnWire::Users(users.map(|user| user.0)),
            Audience::Members(group) => AudienceOnWire::Members(group.0),
            Audience::MembersAmong(..) | Audience::Everybody | Audience::Nobody => return None,
        };
        Some(Self::Typing {
            user: typing.user.0,
            username: typing.username.clone(),
            conversation: typing.conversation.map(|of| of.0),
            audience,
        })
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
        }
    }
}
