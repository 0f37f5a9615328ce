use super::watchers::MAX_FOR_PRESENCE;
use super::*;
use crate::local::frame::{Framer, Signal};
use crate::local::interest::Subject;
use crate::local::limits::HubOptions;
use crate::local::outbox::OutboxItem;
use crate::local::peers::{PeerNotice, Peers};
use crate::local::presence::Announcement;
use domain::Timestamp;
use domain::events::{Committed, EventPublisher as _};
use domain::groups::{Description, Group, GroupName, Member, Role, Visibility};
use domain::live::Resync;
use domain::messages::{Destination, Message, Seq, Update};
use domain::users::Profile;
use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use uuid::Uuid;

/// Makes frames of that many bytes.
struct Plain(usize);

impl Plain {
    fn frame(&self, name: &'static str, cursor: Revision, transient: bool) -> Frame {
        Frame { name, cursor, bytes: Bytes::from(vec![0; self.0]), position: None, transient }
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

fn subscriptions() -> Subscriptions {
    Subscriptions { groups: Vec::new(), contacts: Vec::new(), at: Revision(0) }
}

fn attach(shard: &Rc<Shard>, n: u128) -> AttachGuard {
    let caller =
        Caller { user: user(n), session: SessionId(Uuid::from_u128(n)), admin: false, access: domain::Access::Login };
    let expires = Instant::now() + Duration::from_secs(3600);
    shard.attach(&caller, Transport::WebSocket, expires).unwrap()
}

async fn live(shard: &Rc<Shard>, n: u128) -> AttachGuard {
    let link = attach(shard, n);
    shard.begin(link.connection(), subscriptions()).await;
    link.connection().go_live(HashMap::new()).await;
    link
}

/// A message to everybody.
fn said() -> Event {
    let sample = Message::sample();
    let sender = Profile { id: user(0), ..sample.sender };
    let message = Message { destination: Destination::Broadcast, sender, seq: Seq(2), update: Update(2), ..sample };
    Event::MessageCreated(message, None)
}

fn commit(hub: &Hub, events: Vec<Event>, at: i64) {
    let (versions, revision) = (HashMap::new(), Revision(at));
    hub.publish(Committed { events, versions, revision, cursor: revision });
}

/// Reads whatever comes: up to the cursor, or to the end.
fn reads(link: AttachGuard, last: Revision) -> JoinHandle<Result<usize, End>> {
    spawn_local(async move {
        let mut frames = 0;
        loop {
            match poll_fn(|cx| link.connection().outbox.poll_next(cx)).await {
                Some(OutboxItem::Frame(frame)) => {
                    frames += usize::from(!frame.transient);
                    if frame.cursor == last {
                        return Ok(frames);
                    }
                }
                Some(OutboxItem::End(end)) => return Err(end),
                Some(_) => {}
                None => panic!("ended before its end"),
            }
        }
    })
}

/// That many commits, of that many events with frames of that many bytes, all there before any is given out: everybody
/// who reads gets all.
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
async fn a_client_that_reads_survives_a_burst() {
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
async fn a_flood_of_presence_closes_no_connection() {
    let everybody = LocalSet::new();
    everybody
        .run_until(async {
            let shard = shard(10);
            let link = live(&shard, 1).await;
            // More than may wait: of one who comes to many, and of many who come.
            shard.hub().announce_online_to(user(1), (0..100_000).map(user));
            for n in 0..100_000 {
                let audience = PresenceAudience { groups: Vec::new(), contacts: vec![user(1)] };
                shard.hub().announce(Announcement { user: user(n), online: true, audience: audience.clone() });
                // Asked, and not waited for.
                let mut asked = std::pin::pin!(shard.hub().who_is_online_here(user(n), audience));
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
async fn no_event_is_delivered_after_one_that_was_lost() {
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
                if let OutboxItem::Frame(frame) = outgoing {
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
async fn members_of_a_group_that_has_grown_are_told_who_goes_offline_but_not_who_comes_online() {
    let shard = shard(10);
    let group = GroupId(Uuid::from_u128(7));
    let mut links = Vec::new();
    for n in 1..=MAX_FOR_PRESENCE as u128 + 1 {
        let link = attach(&shard, n);
        shard
            .begin(
                link.connection(),
                Subscriptions { groups: vec![(group, ConversationVersion::NEW)], ..subscriptions() },
            )
            .await;
        links.push(link);
    }
    links[0].connection().go_live(HashMap::new()).await;
    for (online, told) in [(true, false), (false, true)] {
        let audience = PresenceAudience { groups: vec![group], contacts: Vec::new() };
        let announcement = Announcement { user: user(0), online, audience };
        let item = Item::new(Notice::Presence(announcement.clone()), Revision(0));
        shard.announce(&item, &announcement).await;
        let outbox = &links[0].connection().outbox;
        let next = poll_fn(|cx| Poll::Ready(outbox.poll_next(cx))).await;
        assert_eq!(next.is_ready(), told, "{online}");
    }
}

/// Other nodes for which too much waits.
struct FullPeers;

impl Peers for FullPeers {
    fn subscribe(&self, _: Subject) {}

    fn unsubscribe(&self, _: Subject) {}

    fn notify(&self, notice: PeerNotice) -> Result<(), PeerNotice> {
        Err(notice)
    }
}

#[tokio::test]
async fn clients_here_are_told_that_a_user_is_offline_even_if_the_node_takes_no_notice() {
    let shard = shard(10);
    shard.hub().set_peers(Arc::new(FullPeers));
    let subscriptions = || Subscriptions { groups: vec![(group(1), ConversationVersion::NEW)], ..subscriptions() };
    let guards = [attach(&shard, 1), attach(&shard, 2)];
    for guard in &guards {
        shard.begin(guard.connection(), subscriptions()).await;
        guard.connection().go_live(HashMap::new()).await;
    }
    let [stays, goes] = guards;
    let told = || async {
        shard.drain().await;
        let outbox = &stays.connection().outbox;
        std::iter::from_fn(|| match outbox.poll_next(&std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Some(OutboxItem::Frame(frame))) => Some(frame.name),
            _ => None,
        })
        .count()
    };
    assert_eq!(told().await, 1, "the other is online");
    drop(goes);
    shard.tick(Instant::now() + HubOptions::default().absence);
    assert_eq!(told().await, 1, "and offline");
}

fn group(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

fn groups(count: u128) -> Vec<(GroupId, ConversationVersion)> {
    (0..count).map(|n| (group(n), ConversationVersion::NEW)).collect()
}

fn member(of: GroupId, n: u128) -> Member {
    let at = Timestamp::from_micros(0).unwrap();
    Member { group: of, user: user(n), username: String::new(), role: Role::Member, created_at: at, updated_at: at }
}

fn ended(id: GroupId) -> Event {
    let at = Timestamp::from_micros(0).unwrap();
    Event::GroupDeleted(Group {
        id,
        name: GroupName::from_stored("g".to_owned()),
        description: Description::none(),
        visibility: Visibility::Private,
        member_count: 1,
        created_at: at,
        updated_at: at,
    })
}

/// So many that the square of it would take hours.
const MANY: u128 = 300_000;

#[tokio::test]
async fn a_member_of_many_groups_connects_and_leaves_in_time_proportional_to_them_and_others_get_their_turn() {
    let everybody = LocalSet::new();
    everybody
        .run_until(async {
            let shard = shard(10);
            let turns = Rc::new(Cell::new(0));
            let counted = Rc::clone(&turns);
            let others = spawn_local(async move {
                loop {
                    counted.set(counted.get() + 1);
                    tokio::task::yield_now().await;
                }
            });
            let link = attach(&shard, 1);
            let contacts = (2..MANY).map(user).collect();
            shard.begin(link.connection(), Subscriptions { groups: groups(MANY), contacts, at: Revision(0) }).await;
            let expected = 2 * MANY as usize / GROUPS_PER_TURN;
            assert!(turns.get() + 10 >= expected, "{} turns for {expected}", turns.get());
            assert_eq!(link.connection().groups.borrow().len(), MANY as usize);
            // All of them end, one after the other.
            let mut subscribers = shard.subscribers.borrow_mut();
            (0..MANY / 2).for_each(|n| subscribers.change(MembershipChange::Ends(group(n))));
            drop(subscribers);
            drop(link);
            assert!(shard.subscribers.borrow().of_group(group(MANY - 1)).is_empty());
            others.abort();
        })
        .await;
}

#[tokio::test]
async fn a_group_with_many_connections_is_left_without_looking_for_each() {
    let shard = shard(10);
    let mut links = Vec::new();
    for n in 0..60_000 {
        let session = SessionId(Uuid::from_u128(n));
        let caller = Caller { user: user(n), session, admin: false, access: domain::Access::Login };
        let connection = Connection::new(&caller, Transport::WebSocket, Instant::now(), Instant::now());
        links.push(Rc::new(connection));
    }
    let mut subscribers = shard.subscribers.borrow_mut();
    for connection in &links {
        subscribers.all.add(connection);
        subscribers.join(group(1), connection, None);
    }
    for connection in &links {
        subscribers.all.remove(connection);
        assert!(subscribers.leave(group(1), connection) && !subscribers.leave(group(1), connection));
    }
    assert!(subscribers.of_group(group(1)).is_empty() && subscribers.all.iter().next().is_none());
}

/// Begins with more groups than one turn takes; `meanwhile` happens after the first turn.
async fn begins_while(shard: &Rc<Shard>, link: &AttachGuard, meanwhile: impl FnOnce()) {
    let subscriptions = Subscriptions { groups: groups(3 * GROUPS_PER_TURN as u128), ..subscriptions() };
    let mut begins = std::pin::pin!(shard.begin(link.connection(), subscriptions));
    let first = poll_fn(|context| Poll::Ready(begins.as_mut().poll(context))).await;
    assert!(first.is_pending());
    meanwhile();
    begins.await;
}

#[tokio::test]
async fn changes_of_groups_while_a_connection_begins_are_told_once() {
    let everybody = LocalSet::new();
    everybody
        .run_until(async {
            let shard = shard(10);
            let link = attach(&shard, 1);
            // Of one that was joined already, and of one that was not.
            let (early, late) = (group(1), group(2 * GROUPS_PER_TURN as u128));
            let events = [Event::MemberRemoved(member(early, 1)), Event::MemberRemoved(member(late, 1))];
            let events = events.into_iter().chain([ended(group(2)), Event::MemberAdded(member(group(9_999), 1))]);
            let dispatch = |events| Arc::new(Dispatch { items: events, cursor: Revision(1) });
            let happened = dispatch(events.map(|event| Item::new(Notice::Event(event), Revision(1))).collect());
            let asked = HashSet::from([user(1)]);
            let reload = MembershipReload { group: group(3), asked, members: HashSet::new(), tell_all: false };
            let reloaded = dispatch(vec![Item::new(Notice::Membership(reload), Revision(1))]);
            begins_while(&shard, &link, || {
                for dispatch in [&happened, &reloaded] {
                    let mut giving = std::pin::pin!(shard.dispatch(dispatch));
                    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(giving.as_mut().poll(context).is_ready());
                }
            })
            .await;
            link.connection().go_live(HashMap::new()).await;
            for gone in [early, late, group(2), group(3)] {
                assert!(!link.connection().is_in(gone) && shard.subscribers.borrow().of_group(gone).is_empty());
            }
            assert!(link.connection().is_in(group(9_999)) && link.connection().is_in(group(4)));
            let mut told = 0;
            let outbox = &link.connection().outbox;
            while let Poll::Ready(Some(OutboxItem::Frame(frame))) =
                poll_fn(|cx| Poll::Ready(outbox.poll_next(cx))).await
            {
                told += usize::from(!frame.transient);
            }
            assert_eq!(told, 5);
        })
        .await;
}

#[tokio::test]
async fn a_client_that_goes_while_it_begins_leaves_nothing_behind() {
    let shard = shard(10);
    let link = attach(&shard, 1);
    let connection = Rc::clone(link.connection());
    let subscriptions = Subscriptions { groups: groups(3 * GROUPS_PER_TURN as u128), ..subscriptions() };
    let mut begins = std::pin::pin!(shard.begin(&connection, subscriptions));
    assert!(poll_fn(|context| Poll::Ready(begins.as_mut().poll(context))).await.is_pending());
    drop(link);
    begins.await;
    assert!(connection.groups.borrow().is_empty());
    assert!((0..3 * GROUPS_PER_TURN as u128).all(|n| shard.subscribers.borrow().of_group(group(n)).is_empty()));
}

#[tokio::test]
async fn two_users_are_told_of_each_other_once_each_has_written() {
    let shard = shard(10);
    let links = [live(&shard, 1).await, live(&shard, 2).await];
    let contacts = |link: &AttachGuard| link.connection().contacts.borrow().len();
    let first = match said() {
        Event::MessageCreated(message, digest) => {
            let destination = Destination::Direct { receiver: user(2) };
            Event::MessageCreated(Message { seq: Seq(1), destination, ..message }, digest)
        }
        _ => unreachable!(),
    };
    for (event, known) in [(first, 0), (Event::Acquainted([user(1), user(2)]), 1)] {
        let item = Item::new(Notice::Event(event), Revision(1));
        shard.dispatch(&Arc::new(Dispatch { items: vec![item], cursor: Revision(1) })).await;
        assert_eq!(links.each_ref().map(contacts), [known; 2]);
    }
}
