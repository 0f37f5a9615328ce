//! Searching: what is found, by whom, at which moment, however far the index is.

use crate::world::{World, at, now};
use domain::followers::Following;
use domain::groups::{Role, Visibility};
use domain::messages::{Content, Message, MessageLog, Recipient};
use domain::search::{Found, Search, SearchCursor, SearchQuery, SearchReader};
use domain::{Clock, Error, NotFound, Page, Result, Timestamp, Unavailable, UserId};
use infra_diesel::{Reindex, SearchIndexer};
use std::sync::Arc;
use test_support::TestDb;
use uuid::Uuid;

on_both!(
    what_was_said_is_found_before_and_after_it_is_indexed,
    edits_and_deletions_leave_nothing_to_find,
    one_finds_what_one_may_read_at_that_moment,
    pages_are_newest_first_and_complete,
    messages_of_one_moment_have_one_order,
    filters_hold_and_name_what_is_unknown,
    there_is_no_search_before_there_is_an_index,
    an_index_is_made_anew_beside_a_running_server,
    every_script_is_found_through_the_index,
);

struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        now()
    }
}

struct Searching {
    world: World,
    following: Following,
    indexer: Arc<SearchIndexer>,
}

impl Searching {
    async fn over(world: World) -> Self {
        let indexer = Arc::new(SearchIndexer::start(world.shared()).await.unwrap());
        let (log, follower, leader) = (world.shared(), indexer.clone(), Uuid::from_u128(1));
        Self { world, following: Following { log, follower, clock: Arc::new(Now), leader }, indexer }
    }

    async fn index(&self) {
        while self.indexer.make_more().await.unwrap() {}
        self.following.run().await.unwrap();
    }

    async fn find(&self, viewer: UserId, search: Search) -> Result<Page<Found>> {
        SearchReader::search(&*self.world, viewer, search).await
    }

    async fn found(&self, viewer: UserId, q: &str) -> Vec<String> {
        contents(self.find(viewer, search(q)).await.unwrap())
    }
}

fn search(q: &str) -> Search {
    Search {
        query: SearchQuery::parse(q).unwrap(),
        within: None,
        sender: None,
        has: None,
        since: None,
        until: None,
        before: None,
        limit: Search::limit(Some(50)).unwrap(),
    }
}

fn contents(page: Page<Found>) -> Vec<String> {
    page.items.into_iter().map(|found| found.message.body.content().to_owned()).collect()
}

async fn what_was_said_is_found_before_and_after_it_is_indexed(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob) = (of.world.user("ada").await, of.world.user("bob").await);
    of.world.say(ada, Recipient::User(bob), "Das Café am See").await;
    for _ in 0..2 {
        assert_eq!(of.found(bob, "cafe").await, ["Das Café am See"]);
        assert_eq!(of.found(ada, "see caf").await, ["Das Café am See"]);
        assert_eq!(of.found(ada, "tee").await, [""; 0]);
        of.index().await;
    }
    of.world.say(bob, Recipient::User(ada), "welches cafe?").await;
    assert_eq!(of.found(ada, "cafe").await, ["welches cafe?", "Das Café am See"]);
    // Another process takes over, and the same is found.
    let Searching { world, following, indexer } = of;
    drop((following, indexer));
    let of = Searching::over(world.reopened().await).await;
    of.index().await;
    assert_eq!(of.found(ada, "cafe").await, ["welches cafe?", "Das Café am See"]);
}

async fn edits_and_deletions_leave_nothing_to_find(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob) = (of.world.user("ada").await, of.world.user("bob").await);
    let said = of.world.say(ada, Recipient::User(bob), "first words").await;
    let other = of.world.say(ada, Recipient::User(bob), "other words").await;
    of.index().await;
    of.world.edit(ada, said.id, Content::parse("second words").unwrap(), now()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(of.found(bob, "first").await, [""; 0]);
        assert_eq!(of.found(bob, "second").await, ["second words"]);
        assert_eq!(of.found(bob, "words").await, ["other words", "second words"]);
        of.index().await;
    }
    of.world.delete(ada, other.id, now()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(of.found(bob, "words").await, ["second words"]);
        of.index().await;
    }
}

async fn one_finds_what_one_may_read_at_that_moment(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let world = &of.world;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let private = world.private_group("private", ada, [bob]).await;
    let public = world.group(ada, "public", Visibility::Public).await;
    world.say(ada, Recipient::User(bob), "word direct").await;
    world.say(ada, Recipient::Group(private), "word private").await;
    world.say(ada, Recipient::Group(public), "word public").await;
    world.say(ada, Recipient::Everybody, "word broadcast").await;
    for _ in 0..2 {
        assert_eq!(of.found(ada, "word").await, ["word broadcast", "word public", "word private", "word direct"]);
        assert_eq!(of.found(bob, "word").await, ["word broadcast", "word private", "word direct"]);
        assert_eq!(of.found(eve, "word").await, ["word broadcast"]);
        let within = |within| Search { within: Some(within), ..search("word") };
        let found = of.find(eve, within(Recipient::Group(public))).await.unwrap();
        assert_eq!(contents(found), ["word public"]);
        let hidden = of.find(eve, within(Recipient::Group(private))).await;
        assert!(matches!(hidden, Err(Error::NotFound(NotFound::Group))), "{hidden:?}");
        assert_eq!(contents(of.find(bob, within(Recipient::User(ada))).await.unwrap()), ["word direct"]);
        assert_eq!(contents(of.find(eve, within(Recipient::User(ada))).await.unwrap()), [""; 0]);
        of.index().await;
    }
    world.remove(ada, private, bob).await.unwrap();
    assert_eq!(of.found(bob, "word").await, ["word broadcast", "word direct"]);
    world.add(ada, private, bob, Role::Member).await.unwrap();
    assert_eq!(of.found(bob, "word").await, ["word broadcast", "word private", "word direct"]);
    domain::groups::GroupRepository::delete(&*world.shared(), ada, private, now()).await.unwrap();
    assert_eq!(of.found(bob, "word").await, ["word broadcast", "word direct"]);
}

/// All pages.
async fn walk(of: &Searching, viewer: UserId, q: &str, limit: u64) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), None::<SearchCursor>);
    loop {
        let asked = Search { before, limit: Search::limit(Some(limit)).unwrap(), ..search(q) };
        let page = of.find(viewer, asked).await.unwrap();
        before = page.items.last().map(|last| SearchCursor::at(&last.message));
        let more = page.more;
        assert!(page.items.len() as u64 == limit || !more);
        all.extend(contents(page));
        if !more {
            return all;
        }
    }
}

async fn pages_are_newest_first_and_complete(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob, eve) = (of.world.user("ada").await, of.world.user("bob").await, of.world.user("eve").await);
    let mut expected = Vec::new();
    for n in 0..330 {
        let words = format!("{} number {n}", if n % 3 == 0 { "fizz" } else { "other" });
        // What others say is between.
        of.world.say(eve, Recipient::User(eve), &words).await;
        of.world.say(ada, Recipient::User(bob), &words).await;
        if n % 3 == 0 {
            expected.insert(0, words);
        }
        if n == 200 {
            of.index().await;
        }
    }
    assert_eq!(walk(&of, bob, "fizz", 7).await, expected);
    of.index().await;
    assert_eq!(walk(&of, bob, "fizz", 7).await, expected);
    assert_eq!(walk(&of, bob, "number -other", 50).await, expected);
    assert_eq!(walk(&of, bob, "\"number 33\"", 7).await, ["fizz number 33"]);
    assert_eq!(of.found(bob, "number 32").await.len(), 11);
}

async fn messages_of_one_moment_have_one_order(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob) = (of.world.user("ada").await, of.world.user("bob").await);
    let mut said: Vec<Message> = Vec::new();
    let moment = now();
    for n in 0..300 {
        let mut draft = crate::world::text(ada, Recipient::User(bob), &format!("same {n}"));
        draft.at = moment;
        said.push(crate::world::stored(of.world.append(draft).await));
    }
    said.sort_by_key(|message| std::cmp::Reverse(message.id));
    let expected: Vec<_> = said.iter().map(|message| message.body.content().to_owned()).collect();
    assert_eq!(walk(&of, bob, "same", 40).await, expected);
    of.index().await;
    assert_eq!(walk(&of, bob, "same", 40).await, expected);
}

async fn filters_hold_and_name_what_is_unknown(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob) = (of.world.user("ada").await, of.world.user("bob").await);
    let mut said = Vec::new();
    for (sender, words) in [(ada, "one https://x.org"), (bob, "one two"), (ada, "one three")] {
        said.push(of.world.say(sender, Recipient::User(if sender == ada { bob } else { ada }), words).await);
    }
    let nobody = UserId(Uuid::from_u128(99));
    for _ in 0..2 {
        for (search, expected) in [
            (Search { sender: Some(bob), ..search("one") }, &["one two"][..]),
            (Search { has: Some(domain::search::Has::Link), ..search("one") }, &["one https://x.org"]),
            (Search { has: Some(domain::search::Has::File), ..search("one") }, &[]),
            (Search { since: Some(said[1].created_at), ..search("one") }, &["one three", "one two"]),
            (Search { until: Some(said[1].created_at), ..search("one") }, &["one two", "one https://x.org"]),
            (Search { since: Some(at(said[1].created_at.as_micros() + 1)), ..search("one") }, &["one three"]),
            (Search { until: Some(at(0)), ..search("one") }, &[]),
            (Search { sender: Some(bob), within: Some(Recipient::Everybody), ..search("one") }, &[]),
        ] {
            assert_eq!(contents(of.find(ada, search).await.unwrap()), expected);
        }
        for search in [
            Search { sender: Some(nobody), ..search("one") },
            Search { within: Some(Recipient::User(nobody)), ..search("one") },
        ] {
            let refused = of.find(ada, search).await;
            assert!(matches!(refused, Err(Error::NotFound(NotFound::User))), "{refused:?}");
        }
        of.index().await;
    }
}

async fn there_is_no_search_before_there_is_an_index(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for n in 0..50 {
        world.say(ada, Recipient::User(bob), &format!("old {n}")).await;
    }
    let refused = SearchReader::search(&*world, ada, search("old")).await;
    assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Indexing { percent: 0 }))), "{refused:?}");
    assert!(Reindex::begin(world.db.url()).await.is_err(), "there is nothing to make anew");
    let of = Searching::over(world).await;
    assert_eq!(of.found(ada, "old").await.len(), 50);
}

async fn an_index_is_made_anew_beside_a_running_server(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let (ada, bob) = (of.world.user("ada").await, of.world.user("bob").await);
    let mut first = None;
    for n in 0..600 {
        let said = of.world.say(ada, Recipient::User(bob), &format!("old {n}")).await;
        first.get_or_insert(said.id);
    }
    of.index().await;
    let reindex = Reindex::begin(of.world.db.url()).await.unwrap();
    assert!(reindex.step().await.unwrap().is_some_and(|percent| percent < 100));
    // The server goes on meanwhile, and what changes then is in both.
    assert_eq!(walk(&of, bob, "old", 50).await.len(), 600);
    of.world.edit(ada, first.unwrap(), Content::parse("new 0").unwrap(), now()).await.unwrap();
    of.world.say(ada, Recipient::User(bob), "new 1").await;
    of.following.run().await.unwrap();
    assert_eq!(of.found(bob, "new").await, ["new 1", "new 0"]);
    // The process dies: the server makes the rest.
    drop(reindex);
    of.index().await;
    assert_eq!(of.found(bob, "new").await, ["new 1", "new 0"]);
    assert_eq!(walk(&of, bob, "old", 50).await.len(), 599);
    let reindex = Reindex::begin(of.world.db.url()).await.unwrap();
    while reindex.step().await.unwrap().is_some() {}
    assert_eq!(of.found(bob, "new").await, ["new 1", "new 0"]);
}

async fn every_script_is_found_through_the_index(db: TestDb) {
    let of = Searching::over(World::new(db).await).await;
    let ada = of.world.user("ada").await;
    let pairs = [
        ("Café au lait", "cafe"),
        ("ﾊﾟﾝ", "パ"),
        ("report.pdf is here", "report.pdf"),
        ("my iPhone 手机 case", "iphone手机"),
        ("买手机", "买手"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("हिन्दी में", "हिन्दी"),
        ("대한민국", "한민"),
        ("ที่นี่", "นี"),
        ("it's O'Neil \\ 'quoted'", "o'neil"),
        ("ᚠᚢᚦ 𐍈 straße", "STRASSE"),
    ];
    for (text, _) in pairs {
        of.world.say(ada, Recipient::User(ada), text).await;
    }
    let long = "長".repeat(4096);
    of.world.say(ada, Recipient::User(ada), &long).await;
    for _ in 0..2 {
        for (text, q) in pairs {
            assert_eq!(of.found(ada, q).await, [text], "{q}");
        }
        assert_eq!(of.found(ada, &"長".repeat(200)).await, std::slice::from_ref(&long));
        of.index().await;
    }
}
