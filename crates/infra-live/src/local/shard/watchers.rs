//! Which of a worker's connections learn that a user is online or offline.

use super::Shard;
use crate::local::connection::Connection;
use crate::local::frame::Item;
use crate::local::presence::{Announcement, PresenceAudience, PresenceQuery};
use domain::{GroupId, UserId};
use std::rc::Rc;

/// After how many connections the sockets get their turn.
const WATCHERS_PER_TURN: usize = 4096;
/// Most connections of a group on one worker. In a larger group, nobody learns that a member comes online.
pub(super) const MAX_FOR_PRESENCE: usize = 500;

/// A part of an audience.
enum Part {
    Group(GroupId),
    User(UserId),
}

impl Shard {
    pub(super) async fn announce(&self, item: &Item, announcement: &Announcement) {
        let Announcement { user, online, audience } = announcement;
        // A client that learned that the user came online learns of the end, even if the group has grown in the
        // meantime.
        let max = if *online { MAX_FOR_PRESENCE } else { usize::MAX };
        self.for_each_watcher(*user, audience, max, |connection| self.deliver_to(connection, item)).await;
    }

    pub(super) async fn answer(&self, query: &PresenceQuery) {
        let mut online = Vec::new();
        let find = |connection: &Rc<Connection>| online.push(connection.user);
        self.for_each_watcher(query.user, &query.audience, MAX_FOR_PRESENCE, find).await;
        // An error means that the client who asked is gone.
        let _ = query.answers.send(online);
    }

    /// Calls `each` once for every connection of the audience that is not the user's own. Leaves out groups with more
    /// than `max` connections. The audience may be large, so the sockets get their turn in between.
    async fn for_each_watcher(
        &self,
        user: UserId,
        audience: &PresenceAudience,
        max: usize,
        mut each: impl FnMut(&Rc<Connection>),
    ) {
        let announcement = self.announcements.get() + 1;
        self.announcements.set(announcement);
        let groups = audience.groups.iter().map(|group| Part::Group(*group));
        let mut looked_at = 0;
        for part in groups.chain(audience.contacts.iter().map(|user| Part::User(*user))) {
            looked_at += self.for_each_watcher_in(user, part, max, announcement, &mut each);
            if looked_at >= WATCHERS_PER_TURN {
                looked_at = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// The same for one part of the audience. Returns how many connections it looked at.
    fn for_each_watcher_in(
        &self,
        user: UserId,
        part: Part,
        max: usize,
        announcement: u64,
        each: &mut impl FnMut(&Rc<Connection>),
    ) -> usize {
        let subscribers = self.subscribers.borrow();
        let connections = match part {
            Part::Group(group) => Some(subscribers.of_group(group)).filter(|members| members.len() <= max),
            Part::User(user) => Some(subscribers.of_user(user)),
        };
        let connections = connections.unwrap_or_default();
        for connection in connections {
            // A joining connection asks who is online later.
            let told = connection.user == user || connection.is_joining();
            if !told && connection.last_announcement.replace(announcement) != announcement {
                each(connection);
            }
        }
        1 + connections.len()
    }
}
