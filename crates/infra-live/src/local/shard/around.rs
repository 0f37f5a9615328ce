//! Who of a worker's connections is told that somebody came or went.

use super::Shard;
use crate::local::connection::Connection;
use crate::local::frame::Item;
use crate::local::presence::{Announcement, Question};
use domain::{GroupId, UserId};
use std::rc::Rc;

/// After how many connections that may have to be told of somebody's coming or going.
const LOOKS_A_TURN: usize = 4096;
/// In groups with more connections than this on one worker nobody is told who comes.
pub(super) const MOST_FOR_PRESENCE: usize = 500;

/// Where those are who may be told of somebody.
enum Around {
    Group(GroupId),
    User(UserId),
}

impl Shard {
    pub(super) async fn announce(&self, item: &Item, announcement: &Announcement) {
        let Announcement { user, online, groups, contacts } = announcement;
        // Who was told that somebody came is told of the going, though the group has grown meanwhile.
        let most = if *online { MOST_FOR_PRESENCE } else { usize::MAX };
        self.around(*user, groups, contacts, most, |connection| self.give(connection, item)).await;
    }

    pub(super) async fn answer(&self, question: &Question) {
        let Question { user, groups, contacts, answers } = question;
        let mut there = Vec::new();
        self.around(*user, groups, contacts, MOST_FOR_PRESENCE, |connection| there.push(connection.user)).await;
        // Who asked may be gone.
        let _ = answers.send(there);
    }

    /// Calls `each` once for every connection of the others in these groups, those with more than `most` left out, and of
    /// these contacts. Of somebody who is in many groups there are many: the sockets get their turn in between.
    async fn around(
        &self,
        user: UserId,
        groups: &[GroupId],
        contacts: &[UserId],
        most: usize,
        mut each: impl FnMut(&Rc<Connection>),
    ) {
        let this = self.announcements.get() + 1;
        self.announcements.set(this);
        let groups = groups.iter().map(|group| Around::Group(*group));
        let mut looks = 0;
        for around in groups.chain(contacts.iter().map(|user| Around::User(*user))) {
            looks += self.look_around(user, around, most, this, &mut each);
            if looks >= LOOKS_A_TURN {
                looks = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// A part of that; `this` is the announcement. Says how many it looked at.
    fn look_around(
        &self,
        user: UserId,
        around: Around,
        most: usize,
        this: u64,
        each: &mut impl FnMut(&Rc<Connection>),
    ) -> usize {
        let members = self.members.borrow();
        let connections = match around {
            Around::Group(group) => Some(members.of_group(group)).filter(|members| members.len() <= most),
            Around::User(user) => Some(members.of_user(user)),
        };
        let connections = connections.unwrap_or_default();
        for connection in connections {
            // Who is about to come is announced then, and told of who is there.
            if connection.user != user && !connection.is_joining() && connection.told.replace(this) != this {
                each(connection);
            }
        }
        1 + connections.len()
    }
}
