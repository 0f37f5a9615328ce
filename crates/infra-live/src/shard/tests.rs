use super::*;
use crate::frame::{Framer, Signal};
use crate::hub::HubOptions;
use crate::outbox::Outgoing;
use domain::events::{Committed, EventPublisher as _};
use domain::live::Resync;
use domain::messages::{Body, Message, Text};
use domain::users::Profile;
use domain::{ConversationId, MessageId, Timestamp};
use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use uuid::Uuid;

/// Makes frames of that many bytes.
struct Plain(usize);

impl Plain {
    fn frame(&self, name: &'static str, cursor: Revision, transient: bool) -> Frame {
        Frame { name, cursor, bytes: Bytes::from(vec![0; self.0]), place: None, transient }
    }
}

impl Framer for Plain {
    fn event(&self, _: &Event, cursor: Revision) -> Option<Frame> {
        Some(self.frame("event", cursor, false))
    }

    fn signal(&self, _: &Signal, cursor: Revision) -> Frame {
        self.frame("signal", cursor, true)
    }

    fn resync(&self, _: &Resync, cursor: Revision) -> Frame {
        self.frame("resync", cursor, false)
    }
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn shard(frame: usize) -> Rc<Shard> {
    Shard::new(Arc::new(Hub::new(Arc::new(Plain(frame)), HubOptions::default())))
}

fn roster() -> Roster {
    Roster { groups: Vec::new(), contacts: Vec::new(), at: Revision(0) }
}

fn attach(shard: &Rc<Shard>, n: u128) -> Link {
    let caller = Caller { user: user(n), session: SessionId(Uuid::from_u128(n)), admin: false };
    let expires = Instant::now() + Duration::from_secs(3600);
    shard.attach(&caller, Transport::WebSocket, expires).unwrap()
}

async fn live(shard: &Rc<Shard>, n: u128) -> Link {
    let link = attach(shard, n);
    shard.begin(link.connection(), roster());
    link.connection().go_live(HashMap::new()).await;
    link
}

/// A message to everybody.
fn said() -> Event {
    let at = Timestamp::from_micros(0).unwrap();
    Event::MessageCreated(Message {
        id: MessageId(Uuid::from_u128(1)),
        conversation: ConversationId(Uuid::from_u128(1)),
        place: Place::Broadcast,
        sender: Profile { id: user(0), username: String::new(), display_name: String::new() },
        body: Body::Text(Text::restored("x".to_owned())),
        reply_to: None,
        seq: 2,
        update: 2,
        created_at: at,
        updated_at: at,
        edited_at: None,
    })
}

fn commit(hub: &Hub, events: Vec<Event>, at: i64) {
    let (heads, revision) = (HashMap::new(), Revision(at));
    hub.publish(Committed { events, heads, revision, cursor: revision });
}

/// Reads whatever comes: up to the cursor, or to the end.
fn reads(link: Link, last: Revision) -> JoinHandle<Result<usize, End>> {
    spawn_local(async move {
        let mut frames = 0;
        loop {
            match poll_fn(|cx| link.connection().outbox.poll_next(cx)).await {
                Some(Outgoing::Frame(frame)) => {
                    frames += usize::from(!frame.transient);
                    if frame.cursor == last {
                        return Ok(frames);
                    }
                }
                Some(Outgoing::End(end)) => return Err(end),
                Some(_) => {}
                None => panic!("ended before its end"),
            }
        }
    })
}

/// That many commits, of that many events with frames of that many bytes, all there before any is given out: everybody who
/// reads gets all.
async fn all_is_read(commits: usize, events: usize, bytes: usize, readers: u128) {
    let local = LocalSet::new();
    let everybody = local.run_until(async {
        let shard = shard(bytes);
        let mut reading = Vec::new();
        for n in 1..=readers {
            reading.push(reads(live(&shard, n).await, Revision(commits as i64)));
        }
        for at in 1..=commits {
            commit(shard.hub(), vec![said(); events], at as i64);
        }
        let runs = spawn_local(Rc::clone(&shard).run());
        for reader in reading {
            assert_eq!(reader.await.unwrap(), Ok(commits * events), "{commits} commits of {events} events of {bytes}");
        }
        runs.abort();
    });
    everybody.await;
}

#[tokio::test]
async fn who_reads_is_not_cut_by_what_happens_at_once() {
    all_is_read(1, 1_000, 100, 3).await;
    // Each of them less than a turn.
    all_is_read(200, 63, 100, 3).await;
    // Few, but large.
    all_is_read(1, 60, 25_000, 3).await;
    all_is_read(60, 1, 25_000, 3).await;
    // Many sockets, which all have their turn.
    all_is_read(40, 20, 10, 1_000).await;
}

#[tokio::test]
async fn a_flood_of_presence_cuts_nobody() {
    let everybody = LocalSet::new();
    everybody
        .run_until(async {
            let shard = shard(10);
            let link = live(&shard, 1).await;
            // More than may wait: of one who comes to many, and of many who come.
            shard.hub().tell_of(user(1), (0..100_000).map(user));
            for n in 0..100_000 {
                let (groups, contacts) = (Vec::new(), vec![user(1)]);
                shard.hub().announce(Announcement { user: user(n), online: true, groups, contacts });
                // Asked, and not waited for.
                let mut asked = std::pin::pin!(shard.hub().who_is_here(user(n), Vec::new(), vec![user(1)]));
                poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
            }
            assert!(!shard.state.overrun.load(Ordering::SeqCst));
            let reading = reads(link, Revision(1));
            let runs = spawn_local(Rc::clone(&shard).run());
            commit(shard.hub(), vec![said()], 1);
            assert_eq!(reading.await.unwrap(), Ok(1));
            runs.abort();
        })
        .await;
}

#[tokio::test]
async fn nobody_is_given_what_comes_after_something_that_was_lost() {
    let everybody = LocalSet::new();
    everybody
        .run_until(async {
            let shard = shard(10);
            let link = live(&shard, 1).await;
            commit(shard.hub(), vec![said()], 1);
            shard.hub().lost();
            commit(shard.hub(), vec![said()], 2);
            let runs = spawn_local(Rc::clone(&shard).run());
            let outbox = &link.connection().outbox;
            while outbox.ended().is_none() {
                tokio::task::yield_now().await;
            }
            let mut last = Revision(0);
            while let Some(outgoing) = poll_fn(|cx| outbox.poll_next(cx)).await {
                if let Outgoing::Frame(frame) = outgoing {
                    last = last.max(frame.cursor);
                }
            }
            assert!(last < Revision(2), "{last:?}");
            assert_eq!(outbox.ended(), Some(End::Lagging));
            runs.abort();
        })
        .await;
}

#[tokio::test]
async fn in_a_group_that_has_grown_it_is_told_who_went_though_not_who_came() {
    let shard = shard(10);
    let group = GroupId(Uuid::from_u128(7));
    let begin = |n| {
        let link = attach(&shard, n);
        let groups = vec![(group, domain::events::Head::NEW)];
        shard.begin(link.connection(), Roster { groups, ..roster() });
        link
    };
    let links: Vec<_> = (1..=MOST_FOR_PRESENCE as u128 + 1).map(begin).collect();
    links[0].connection().go_live(HashMap::new()).await;
    for (online, told) in [(true, false), (false, true)] {
        let announcement = Announcement { user: user(0), online, groups: vec![group], contacts: Vec::new() };
        let item = Item::new(Notice::Presence(announcement.clone()), Revision(0));
        shard.announce(&item, &announcement);
        let outbox = &links[0].connection().outbox;
        let next = poll_fn(|cx| Poll::Ready(outbox.poll_next(cx))).await;
        assert_eq!(next.is_ready(), told, "{online}");
    }
}
