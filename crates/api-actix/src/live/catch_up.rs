//! The first frames of a connection: `hello`, the conversations to reload, the missed events and who is online. Live
//! events follow.

use super::frames::{self, MissedChange};
use super::handshake::Handshake;
use crate::limits::{Costs, Key, Limit, Limits};
use crate::use_cases::UseCases;
use domain::events::Revision;
use domain::live::{MissedIn, Resync, ResyncReason, Since};
use domain::messages::Update;
use domain::{Caller, Error, Result, UserId};
use infra_live::{Connection, End, Frame, Shard};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use wire::PublicUrl;

/// A frame whose cursor is not known yet.
enum Step {
    Hello(UserId, Duration),
    Resync(Resync),
    Missed(MissedChange),
}

impl Step {
    fn frame(self, public: &PublicUrl, cursor: Revision) -> Frame {
        match self {
            Self::Hello(user, heartbeat) => frames::hello(user, heartbeat, cursor),
            Self::Resync(resync) => frames::resync(&resync, cursor),
            Self::Missed(missed) => frames::missed(public, missed, cursor),
        }
    }
}

/// Sends each frame one step late. Until the last frame, the client keeps the cursor that it came with, so it misses
/// nothing if the connection breaks in between.
struct Sequence<'a> {
    connection: &'a Connection,
    public: &'a PublicUrl,
    old: Revision,
    waiting: Option<Step>,
}

impl Sequence<'_> {
    async fn add(&mut self, step: Step) {
        if let Some(before) = self.waiting.replace(step) {
            self.connection.send(before.frame(self.public, self.old)).await;
        }
    }

    async fn finish(self, new: Revision) {
        if let Some(last) = self.waiting {
            self.connection.send(last.frame(self.public, new)).await;
        }
    }
}

/// Replays to an attached connection what its client missed, and then lets live events through.
///
/// # Errors
/// Storage errors: the connection has to end.
pub async fn catch_up(
    (use_cases, limits): (&UseCases, &Limits),
    shard: &Shard,
    connection: &Rc<Connection>,
    Handshake { caller, since, public, .. }: &Handshake,
) -> Result<()> {
    let since = *since;
    let plan = use_cases.live.catch_up(caller, since).await?;
    let now = plan.subscriptions.at;
    // Only now the server knows what the connection costs. A client that reconnects again and again pays in advance by
    // this charge.
    let size = plan.subscriptions.groups.len() + plan.subscriptions.contacts.len();
    limits.charge(Limit::Connects, Key::User(caller.user), Costs::of_subscriptions(size));
    shard.begin(connection, plan.subscriptions).await;
    // The session may have ended after the token check and before the shard knew the connection, so that nothing ended
    // this connection. The shard catches up here.
    match use_cases.sessions.check(caller).await {
        Err(Error::Unauthenticated(_)) => {
            connection.outbox.end(End::SignedOut);
            return Ok(());
        }
        lives => lives?,
    };
    let unknown = plan.resyncs.iter().any(|resync| resync.reason == ResyncReason::UnknownCursor);
    let old = match since {
        Since::Revision(since) if !unknown => since,
        _ => now,
    };
    let mut sequence = Sequence { connection, public, old, waiting: None };
    sequence.add(Step::Hello(caller.user, shard.hub().options().heartbeat)).await;
    for resync in plan.resyncs {
        sequence.add(Step::Resync(resync)).await;
    }
    let mut replayed = HashMap::new();
    for missed in plan.replay {
        if let Some(last) = replay(use_cases, caller, missed, &mut sequence).await? {
            replayed.insert(missed.conversation, last);
        }
    }
    sequence.finish(now).await;
    for user in shard.who_is_online(connection).await {
        connection.send(frames::presence(user, true, now)).await;
    }
    connection.go_live(replayed).await;
    Ok(())
}

/// Replays a conversation to its end and returns the last number; `None` if the caller may no longer read it.
async fn replay(
    use_cases: &UseCases,
    caller: &Caller,
    missed: MissedIn,
    sequence: &mut Sequence<'_>,
) -> Result<Option<Update>> {
    let page = domain::Limit::of_list(Some(u64::from(domain::Limit::MAX)))?;
    let mut after = missed.after;
    loop {
        let changes = match use_cases.messages.list_changes(caller, missed.conversation, after, page).await {
            Err(Error::NotFound(_)) => return Ok(None),
            changes => changes?,
        };
        for entry in changes.entries {
            let (conversation, known) = (missed.conversation, missed.after);
            let digest = changes.digest.filter(|_| entry.update() == changes.update);
            sequence.add(Step::Missed(MissedChange { conversation, known, entry, digest })).await;
        }
        after = changes.update;
        if !changes.more || sequence.connection.outbox.ended().is_some() {
            return Ok(Some(after));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rates;
    use crate::live::testing::World;
    use infra_live::End;

    /// Starts a connection and returns why it ended, if it did.
    async fn end_of(world: &World) -> Option<End> {
        let (shard, guard) = world.attach();
        let runs = actix_web::rt::spawn(Rc::clone(&shard).run());
        let limits = Limits::new(&Rates::off());
        let (expires, public) = (std::time::Instant::now(), PublicUrl::default());
        let visitor = Handshake { caller: world.caller, expires, since: Since::Now, public };
        catch_up((&world.use_cases, &limits), &shard, guard.connection(), &visitor).await.unwrap();
        runs.abort();
        guard.connection().outbox.ended()
    }

    #[actix_web::test]
    async fn a_session_that_ended_before_the_connection_was_known_ends_it() {
        let world = World::new().await;
        assert_eq!(end_of(&world).await, None);
        // The session ends between the token check and this point; no event can end the connection.
        world.use_cases.sessions.end(&world.caller, world.caller.session).await.unwrap();
        assert_eq!(end_of(&world).await, Some(End::SignedOut));
    }
}
