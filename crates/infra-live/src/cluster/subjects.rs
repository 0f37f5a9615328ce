//! What nodes tell each other by: one subject for every group and every user, so that a node hears what is of interest to those
//! who are connected to it.

use domain::events::{Audience, Event};
use domain::{GroupId, UserId};

/// What is of interest to a node, and what is sent to those that it is of interest to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// What happens in a group.
    Group(GroupId),
    /// What concerns a user.
    User(UserId),
    /// What concerns everybody.
    Everybody,
    /// Who comes and goes.
    Presence,
}

impl Subject {
    /// As NATS knows it.
    pub fn name(self, prefix: &str) -> String {
        match self {
            Self::Group(group) => format!("{prefix}.group.{group}"),
            Self::User(user) => format!("{prefix}.user.{user}"),
            Self::Everybody => format!("{prefix}.everybody"),
            Self::Presence => format!("{prefix}.presence"),
        }
    }
}

/// Where those are reached that it is of interest to.
pub fn subjects(audience: Audience) -> Vec<Subject> {
    match audience {
        Audience::Users([one, other]) if one == other => vec![Subject::User(one)],
        Audience::Users(users) => users.map(Subject::User).into(),
        Audience::Members(group) | Audience::MembersAmong(group, _) => vec![Subject::Group(group)],
        Audience::Everybody => vec![Subject::Everybody],
        Audience::Nobody => Vec::new(),
    }
}

/// Where all those are reached whom one of the events concerns.
pub fn concerned<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Subject> {
    let mut concerned = Vec::new();
    for event in events {
        concerned.extend(subjects(event.audience()));
        match event {
            Event::SessionEnded { user, .. } | Event::UserDeleted(user) => concerned.push(Subject::User(*user)),
            Event::Acquainted(users) => concerned.extend(users.map(Subject::User)),
            // Who joins is not yet known to be interested in the group.
            Event::MemberAdded(member) => concerned.push(Subject::User(member.user)),
            _ => {}
        }
    }
    concerned.sort_unstable();
    concerned.dedup();
    concerned
}

/// To whom a conversation is of interest in which this happened.
pub fn audience_of(events: &[Event]) -> Audience {
    let wider = |audience| match audience {
        Audience::MembersAmong(group, _) => Audience::Members(group),
        audience => audience,
    };
    events.first().map_or(Audience::Nobody, |event| wider(event.audience()))
}
