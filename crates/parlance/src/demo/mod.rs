//! `parlance demo`: fills a server with sample users and messages.
//!
//! `scenes.txt` holds the messages. A seed decides who chats with whom, when, and who has read what. The demo uses the
//! use cases, with a clock that walks through the past days.

mod picture;
mod script;
mod time;

pub use time::{DemoClock, DemoIds};

use anyhow::Context as _;
use api_actix::use_cases::UseCases;
use async_trait::async_trait;
use domain::files::{ByteSource, FileName};
use domain::groups::{Description, GroupName, NewMember, Role, Visibility};
use domain::messages::{
    Appended, Caption, Content, Emoji, Message, NewBody, Recipient, SendCommand, Text, UploadCommand,
};
use domain::users::{Change, DisplayName, Email, Password, ProfileEdit, Registration, Username};
use domain::views::{DraftContent, NewDraft};
use domain::{Access, Caller, GroupId, MessageId, SessionId, Timestamp, UserId};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use script::{DemoLine, Scene, Script, Start, Where, Who};
use std::sync::Arc;

/// The password of all demo users. It protects nothing: it is public.
pub const PASSWORD: &str = "let me in please";
/// The accounts that the demo presents, the one with the most messages first.
pub const GUIDES: [&str; 3] = ["maya", "tom", "ines"];

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How many days ago the first users signed up; before the first message.
const BEGAN: i64 = 13;

/// The number of created items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSummary {
    /// Accounts.
    pub people: usize,
    /// Groups.
    pub groups: usize,
    /// Messages, deleted ones included.
    pub messages: usize,
}

/// Fills an empty server from the script and the seed, from [`BEGAN`] days before `now` on. The use cases must use
/// `clock`.
///
/// # Errors
/// An error of a use case; then the server already contains data.
pub async fn fill(use_cases: &UseCases, clock: &DemoClock, now: Timestamp, seed: u64) -> anyhow::Result<DemoSummary> {
    let script = Script::built_in()?;
    let mut stage = Playback {
        use_cases,
        clock,
        now: now.as_micros(),
        random: StdRng::seed_from_u64(seed),
        people: Vec::new(),
        groups: Vec::new(),
        said: Vec::new(),
    };
    stage.invite(&script).await?;
    for (begins, scene) in stage.programme(&script) {
        stage.play(&script, begins, &scene).await?;
    }
    Ok(DemoSummary { people: stage.people.len(), groups: stage.groups.len(), messages: stage.said.len() })
}

/// The state of the demo while it fills the server.
struct Playback<'a> {
    use_cases: &'a UseCases,
    clock: &'a DemoClock,
    now: i64,
    random: StdRng,
    people: Vec<UserId>,
    groups: Vec<GroupId>,
    /// Every message, and what it said first.
    said: Vec<(MessageId, String)>,
}

impl Playback<'_> {
    fn caller(&self, who: Who) -> Caller {
        // No use case called here checks the session: no user has logged in.
        Caller { user: self.people[who], session: SessionId(uuid::Uuid::nil()), admin: false, access: Access::Login }
    }

    /// Signs up all users and creates the groups.
    async fn invite(&mut self, script: &Script) -> anyhow::Result<()> {
        self.clock.move_to(self.now - BEGAN * DAY);
        for (name, called) in &script.people {
            self.clock.pass(self.random.random_range(MINUTE..20 * MINUTE));
            let wish = Registration {
                username: Username::parse("username", name)?,
                email: Some(Email::parse(&format!("{name}@example.org"))?),
                password: Some(Password::parse("password", PASSWORD)?),
            };
            self.people.push(self.use_cases.users.register(wish).await?.id);
            let edit = ProfileEdit { display_name: Change::Set(DisplayName::parse(called)?), ..ProfileEdit::default() };
            self.use_cases.users.change_profile(&self.caller(self.people.len() - 1), edit).await?;
        }
        for plan in &script.groups {
            self.clock.pass(self.random.random_range(MINUTE..20 * MINUTE));
            let (owner, others) = plan.members.split_first().context("a group without members")?;
            let owner = self.caller(*owner);
            let visibility = if plan.public { Visibility::Public } else { Visibility::Private };
            let (name, about) = (GroupName::parse("name", &plan.name)?, Description::parse(&plan.description)?);
            let id = self.use_cases.groups.create(&owner, name, visibility, about).await?.group.id;
            self.groups.push(id);
            for (place, who) in others.iter().enumerate() {
                let role = if place == 0 { Role::Admin } else { Role::Member };
                self.use_cases.members.add(&owner, NewMember::new(id, self.people[*who], role)?).await?;
            }
        }
        Ok(())
    }

    /// All scenes with the moments they begin at, in their order: the written ones, and the chats with people cast for
    /// them.
    fn programme(&mut self, script: &Script) -> Vec<(i64, Scene)> {
        let mut programme: Vec<_> =
            script.scenes.iter().map(|scene| (self.begin(scene.start), scene.clone())).collect();
        let mut chats: Vec<_> = script.chats.iter().collect();
        chats.shuffle(&mut self.random);
        for chat in chats {
            let pair = (0..script.people.len()).choose_multiple(&mut self.random, 2);
            let &[one, other] = &pair[..] else { continue };
            // The accounts that the demo presents get someone to talk to.
            let (one, other) = if self.random.random_bool(0.3) && other != 0 { (other, 0) } else { (one, other) };
            let start = Start::Days(self.random.random_range(1..12), self.random.random_range(7 * 60..22 * 60));
            let words: Vec<_> = script.lists.iter().collect();
            let lines = self.cast(chat, [one, other], &words);
            programme.push((self.begin(start), Scene { start, place: Where::Direct(one, other), lines, draft: None }));
        }
        programme.sort_by_key(|(begins, _)| *begins);
        programme
    }

    /// A chat with its speakers. Fills each place that the script leaves open; all places of one name get the same
    /// word.
    fn cast(&mut self, chat: &[DemoLine], pair: [Who; 2], lists: &[(&String, &Vec<String>)]) -> Vec<DemoLine> {
        let mut lists = lists.to_vec();
        // A map has no order, and the seed must find the same one every time.
        lists.sort_unstable();
        let chosen: Vec<_> = lists
            .iter()
            .filter_map(|(name, words)| Some((format!("{{{name}}}"), words.choose(&mut self.random)?)))
            .collect();
        let fill = |text: &str| chosen.iter().fold(text.to_owned(), |text, (slot, word)| text.replace(slot, word));
        chat.iter()
            .map(|line| DemoLine { who: pair[line.who], text: capital(&fill(&line.text)), ..line.clone() })
            .collect()
    }

    /// The time at which a scene begins.
    fn begin(&self, start: Start) -> i64 {
        match start {
            Start::Days(days, minute) => self.now.div_euclid(DAY) * DAY - days * DAY + minute * MINUTE,
            Start::Minutes(minutes) => self.now - minutes * MINUTE,
        }
    }

    /// Plays a scene.
    async fn play(&mut self, script: &Script, begins: i64, scene: &Scene) -> anyhow::Result<()> {
        self.clock.move_to(begins);
        let mut said: Vec<Message> = Vec::new();
        for line in &scene.lines {
            let pause = MINUTE / 6 + self.random.random_range(0..MINUTE) + line.text.len() as i64 * MINUTE / 200;
            self.clock.pass(pause);
            let message = self.say(line, scene.place, &said).await?;
            if let Some(better) = &line.becomes {
                self.clock.pass(MINUTE / 3);
                self.use_cases
                    .messages
                    .edit(&self.caller(line.who), message.id, Content::parse(better)?.into())
                    .await?;
            }
            self.said.push((message.id, line.text.clone()));
            said.push(message);
        }
        for (line, message) in scene.lines.iter().zip(&said) {
            self.mark(line, message.id).await?;
        }
        for (line, message) in scene.lines.iter().zip(&said).filter(|(line, _)| line.taken_back) {
            self.use_cases.messages.delete(&self.caller(line.who), message.id).await?;
        }
        if let Some(last) = said.last() {
            self.read(script, scene, last).await?;
            if let Some((who, text)) = &scene.draft {
                let content = DraftContent::parse(text)?.context("a draft is blank")?;
                let draft = NewDraft { content, reply_to: None, thread_id: None };
                self.use_cases.conversations.set_draft(&self.caller(*who), last.conversation, Some(draft)).await?;
            }
        }
        Ok(())
    }

    async fn say(&self, line: &DemoLine, place: Where, said: &[Message]) -> anyhow::Result<Message> {
        let (caller, recipient) = (self.caller(line.who), self.recipient(place, line.who));
        let sent = if let Some(name) = &line.picture {
            let source = Box::new(Bytes(Some(picture::png(name).context("a picture cannot be drawn")?)));
            let begun = self.use_cases.files.begin_upload(&caller, None).await?;
            let staged = self.use_cases.files.stage(&caller, begun, FileName::clean(name), source).await?;
            let caption = Caption::parse(&line.text)?;
            let upload = UploadCommand {
                recipient,
                caption,
                reply_to: None,
                thread_id: None,
                mentions: None,
                key: None,
                clears_draft: false,
            };
            self.use_cases.messages.send_upload(&caller, staged, upload).await?
        } else {
            let body = self.body(line)?;
            let at = |place: Option<usize>| place.and_then(|place| said.get(place)).map(|message| message.id);
            let (reply_to, thread_id) = (at(line.answers), at(line.thread));
            let (mentions, key, clears_draft) = (None, None, false);
            self.use_cases
                .messages
                .send(&caller, SendCommand { recipient, body, reply_to, thread_id, mentions, key, clears_draft })
                .await?
        };
        Ok(match sent {
            Appended::Stored(message) | Appended::Duplicate(message) => message,
        })
    }

    fn body(&self, line: &DemoLine) -> anyhow::Result<NewBody> {
        if !line.forwards {
            return Ok(NewBody::Text(Text::parse(&line.text)?));
        }
        let found = self.said.iter().rev().find(|(_, text)| text.contains(&line.text));
        let (id, _) = found.with_context(|| format!("nobody said {:?}", line.text))?;
        Ok(NewBody::Forward(*id))
    }

    /// Reacts to a message and pins it, as the script says.
    async fn mark(&self, line: &DemoLine, id: MessageId) -> anyhow::Result<()> {
        for (emoji, people) in &line.reactions {
            for who in people {
                self.clock.pass(MINUTE / 12);
                self.use_cases.messages.react(&self.caller(*who), id, Emoji::parse(emoji)?).await?;
            }
        }
        if let Some(who) = line.pinned_by {
            self.use_cases.messages.pin(&self.caller(who), id).await?;
        }
        Ok(())
    }

    fn recipient(&self, place: Where, speaker: Who) -> Recipient {
        match place {
            Where::Everybody => Recipient::Everybody,
            Where::Group(group) => Recipient::Group(self.groups[group]),
            Where::Direct(one, other) => Recipient::User(self.people[if speaker == one { other } else { one }]),
        }
    }

    /// Authors have read everything; most members have read messages older than a day; fresh messages are unread.
    async fn read(&mut self, script: &Script, scene: &Scene, last: &Message) -> anyhow::Result<()> {
        let there: Vec<Who> = match scene.place {
            Where::Everybody => (0..self.people.len()).collect(),
            Where::Group(group) => script.groups[group].members.clone(),
            Where::Direct(one, other) => vec![one, other],
        };
        let fresh = matches!(scene.start, Start::Minutes(_));
        self.clock.pass(MINUTE / 2);
        for who in there {
            let spoke = scene.lines.iter().any(|line| line.who == who);
            let guide = GUIDES.contains(&script.people[who].0.as_str());
            let reads = self.random.random_bool(0.75);
            if spoke || !fresh && (guide || reads) {
                self.use_cases.receipts.mark_read(&self.caller(who), last.conversation, last.id).await?;
            }
        }
        Ok(())
    }
}

/// The text with a capital at its beginning: a word from a list may come first.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A source of bytes in memory.
struct Bytes(Option<Vec<u8>>);

#[async_trait]
impl ByteSource for Bytes {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        Ok(self.0.take())
    }
}

/// The clock that walks through the days, and matching ids, both from one seed.
pub fn clock_and_ids(now: Timestamp, seed: u64) -> (Arc<DemoClock>, Arc<DemoIds>) {
    let clock = Arc::new(DemoClock::up_to(now));
    let ids = Arc::new(DemoIds::new(Arc::clone(&clock), seed));
    (clock, ids)
}
