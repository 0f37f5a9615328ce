//! Operations as they are generated, with small numbers for whom and what, and the calls that they are.

use super::call::Call;
use super::model::Model;
use crate::world::{at, limit};
use domain::conversations::ConversationFilter;
use domain::groups::{Description, GroupChange, GroupName, GroupNamePrefix, NewGroup, NewMember, Role, Visibility};
use domain::messages::{
    Around, Content, Cursor, Emoji, IdempotencyKey, Listing, NewBody, NewMessage, Recipient, Replies, Text,
    ThreadWindow, Update, Window,
};
use domain::users::{Change, DisplayName, Email, NewUser, ProfileChange, Username, UsernamePrefix};
use domain::views::{DraftContent, Mute, NewDraft, Notify, SettingsChange};
use domain::{ConversationId, GroupId, MessageId, Timestamp, UserId};
use proptest::prelude::*;
use uuid::Uuid;

const USERNAMES: [&str; 10] = ["ada", "ADA", "Bob", "b-b", "B_B", "b.b", "bo", "Zoe", "zoe1", "_x"];
const EMAILS: [&str; 4] = ["a@example.org", "A@Example.org", "straße@example.org", "b@example.org"];
const GROUPS: [&str; 9] = ["Tea", "tea", "TEA", "Täa", "tÄA", "apple", "Apple pie", "zoo", "_%"];
const PREFIXES: [&str; 6] = ["", "A", "b", "tä", "%", "ZO"];
const WORDS: [&str; 7] = ["@ada @bob. @all `@zoe1` @B-b_", "x", "a|\"b\"", " 🙂 ", "it's\n\u{301}", " ", ""];
const EMOJI: [&str; 3] = ["👍", "❤", "🇩🇪"];
const KEYS: [&str; 4] = ["k", "K", "ключ", "k2"];

/// One thing to do. Whom and what it is about are numbers, taken modulo what there is.
#[derive(Debug, Clone)]
pub struct Operation {
    kind: Kind,
    actor: u8,
    user: u8,
    thing: u8,
    choice: u8,
    /// The clock, which jumps.
    clock: u8,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    SignUp,
    ChangeProfile,
    DeleteUser,
    CreateGroup,
    ChangeGroup,
    DeleteGroup,
    Add,
    ChangeRole,
    Remove,
    SendToUser,
    SendToGroup,
    Broadcast,
    SendWithKey,
    Answer,
    AnswerInThread,
    Forward,
    React,
    Unreact,
    Pin,
    Unpin,
    Edit,
    DeleteMessage,
    Seen,
    Read,
    Unread,
    Settings,
    Draft,
    Open,
    FindUser,
    ListUsers,
    FindGroup,
    ListGroups,
    ListMembers,
    PageWithUser,
    PageOfGroup,
    PageOfBroadcast,
    FindMessage,
    AroundWithUser,
    AroundOfGroup,
    Thread,
    Mentions,
    Pins,
    Reactors,
    Versions,
    Changes,
    Receipts,
    Unseen,
    Conversations,
}

pub fn operation() -> impl Strategy<Value = Operation> {
    use Kind::*;
    let changes = prop_oneof![
        6 => Just(SignUp), 3 => Just(ChangeProfile), 1 => Just(DeleteUser),
        5 => Just(CreateGroup), 4 => Just(ChangeGroup), 1 => Just(DeleteGroup),
        10 => Just(Add), 5 => Just(ChangeRole), 4 => Just(Remove),
        12 => Just(SendToUser), 12 => Just(SendToGroup), 2 => Just(Broadcast), 6 => Just(SendWithKey), 5 => Just(Answer),
        6 => Just(AnswerInThread), 5 => Just(Forward), 10 => Just(React), 4 => Just(Unreact), 6 => Just(Pin), 3 => Just(Unpin),
        6 => Just(Edit), 5 => Just(DeleteMessage), 8 => Just(Seen), 5 => Just(Read), 5 => Just(Unread), 6 => Just(Settings), 5 => Just(Draft), 3 => Just(Open),
    ];
    let questions = prop_oneof![
        1 => Just(FindUser), 1 => Just(ListUsers), 1 => Just(FindGroup), 1 => Just(ListGroups), 1 => Just(ListMembers),
        1 => Just(PageWithUser), 1 => Just(PageOfGroup), 1 => Just(PageOfBroadcast), 1 => Just(FindMessage),
        2 => Just(AroundWithUser), 2 => Just(AroundOfGroup), 2 => Just(Thread), 2 => Just(Mentions), 2 => Just(Pins), 2 => Just(Reactors),
        1 => Just(Versions), 3 => Just(Changes), 1 => Just(Receipts), 3 => Just(Unseen), 6 => Just(Conversations),
    ];
    let kind = prop_oneof![4 => changes, 3 => questions];
    let numbers = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), 0..40_u8);
    (kind, numbers).prop_map(|(kind, (actor, user, thing, choice, clock))| Operation {
        kind,
        actor,
        user,
        thing,
        choice,
        clock,
    })
}

/// Every id that was ever offered, taken or not.
#[derive(Default)]
pub struct Known {
    users: Vec<UserId>,
    groups: Vec<GroupId>,
    messages: Vec<MessageId>,
    conversations: Vec<ConversationId>,
}

fn pick<T: Copy>(from: &[T], number: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(number) % from.len()])
}

fn word(from: &[&'static str], number: u8) -> &'static str {
    from[usize::from(number) % from.len()]
}

impl Known {
    /// The call that the operation is, or `None` where there is nobody or nothing yet to do it with.
    pub fn resolve(&mut self, index: usize, operation: &Operation, model: &Model) -> Option<Call> {
        let Operation { kind, actor, user, thing, choice, clock } = *operation;
        // Ids in order and of both shards, moments that repeat and jump back.
        let id = |space: u128| Uuid::from_u128((space << 96) | ((index as u128 + 1) << 64) | u128::from(choice));
        let now = at(1_700_000_000_000_000 + (index as i64 / 8) * 7 + i64::from(clock));
        if let Kind::SignUp = kind {
            let new = NewUser {
                id: UserId(id(1)),
                username: Username::parse("username", word(&USERNAMES, user)).unwrap(),
                email: (choice % 2 == 0).then(|| Email::parse(word(&EMAILS, thing)).unwrap()),
                password: None,
                at: now,
            };
            self.users.push(new.id);
            return Some(Call::SignUp(new));
        }
        let actor = pick(&model.living(), actor)?;
        let size = limit(u64::from(choice % 7) + 1);
        // Mostly what is there and may be seen, else whatever was ever offered.
        let wild = clock % 8 == 0;
        let other = if wild { pick(&self.users, user) } else { pick(&model.living(), user) };
        let group = if wild { pick(&self.groups, thing) } else { pick(&model.groups_seen_by(actor), thing) };
        let message = if wild { pick(&self.messages, thing) } else { pick(&model.messages_seen_by(actor), thing) };
        let conversation = pick(&self.conversations, thing);
        let member = group.filter(|_| !wild).and_then(|group| pick(&model.members_of(group), user));
        let sometimes = choice / 7 % 2 == 0;
        Some(match kind {
            Kind::SignUp => return None,
            Kind::ChangeProfile => {
                let change = ProfileChange {
                    email: match choice % 5 {
                        0 => Change::Clear,
                        _ if sometimes => Change::Set(Email::parse(word(&EMAILS, thing)).unwrap()),
                        _ => Change::Keep,
                    },
                    display_name: match choice % 3 {
                        0 => Change::Set(DisplayName::parse(word(&GROUPS, user)).unwrap()),
                        1 => Change::Clear,
                        _ => Change::Keep,
                    },
                    ..ProfileChange::default()
                };
                Call::ChangeProfile(actor, change, now)
            }
            Kind::DeleteUser => Call::DeleteUser(actor, now),
            Kind::CreateGroup => {
                let id = GroupId(id(2));
                self.groups.push(id);
                self.conversations.push(id.conversation());
                Call::CreateGroup(NewGroup {
                    id,
                    name: GroupName::parse("name", word(&GROUPS, thing)).unwrap(),
                    description: Description::parse(word(&WORDS, user)).unwrap(),
                    visibility: if sometimes { Visibility::Public } else { Visibility::Private },
                    owner: actor,
                    at: now,
                })
            }
            Kind::ChangeGroup => {
                let change = GroupChange {
                    name: sometimes.then(|| GroupName::parse("name", word(&GROUPS, user)).unwrap()),
                    description: None,
                    visibility: (choice % 3 == 0).then_some(Visibility::Public),
                };
                Call::ChangeGroup(actor, group?, change, now)
            }
            Kind::DeleteGroup => Call::DeleteGroup(actor, group?, now),
            Kind::Add => {
                let role = if choice % 4 == 0 { Role::Admin } else { Role::Member };
                let user = if choice % 5 == 0 { actor } else { other? };
                Call::Add(actor, NewMember::new(group?, user, role).unwrap(), now)
            }
            Kind::ChangeRole => {
                let role = [Role::Member, Role::Admin, Role::Owner][usize::from(choice % 3)];
                // Mostly by who may.
                let actor = model.owner_of(group?).filter(|_| sometimes).unwrap_or(actor);
                Call::ChangeRole(actor, group?, member.or(other)?, role, now)
            }
            Kind::Remove => Call::Remove(actor, group?, if sometimes { actor } else { member.or(other)? }, now),
            Kind::SendToUser
            | Kind::SendToGroup
            | Kind::Broadcast
            | Kind::SendWithKey
            | Kind::Answer
            | Kind::AnswerInThread
            | Kind::Forward => {
                let recipient = match kind {
                    Kind::SendToUser => Recipient::User(other?),
                    Kind::SendToGroup => Recipient::Group(group?),
                    Kind::Broadcast => Recipient::Everybody,
                    // Mostly in the conversation of the message.
                    Kind::AnswerInThread if choice % 8 != 0 => model.place_for(actor, message?)?,
                    _ if sometimes => Recipient::User(other?),
                    _ => Recipient::Group(group?),
                };
                // Under one key mostly the same to the same, so that there are retries.
                let key = usize::from(user) % KEYS.len();
                let (recipient, words) = match kind {
                    Kind::SendWithKey if choice % 8 != 0 => (Recipient::User(model.living()[0]), KEYS[key]),
                    _ => (recipient, word(&WORDS[..5], choice)),
                };
                let draft = NewMessage {
                    id: MessageId(id(3)),
                    new_conversation: ConversationId(id(4)),
                    sender: actor,
                    recipient,
                    body: match kind {
                        Kind::Forward => NewBody::Forward(message?),
                        _ => NewBody::Text(Text::parse(words).unwrap()),
                    },
                    reply_to: if let Kind::Answer = kind { Some(message?) } else { None },
                    mentions: None,
                    thread_id: if let Kind::AnswerInThread = kind { Some(message?) } else { None },
                    key: match kind {
                        Kind::SendWithKey => Some(IdempotencyKey::parse("client_id", KEYS[key]).unwrap()),
                        _ => None,
                    },
                    clears_draft: user % 2 == 0,
                    at: now,
                };
                self.messages.push(draft.id);
                self.conversations.push(draft.new_conversation);
                Call::Append(draft)
            }
            Kind::React => Call::React(actor, message?, emoji(choice), now),
            Kind::Unreact => Call::Unreact(actor, message?, emoji(choice), now),
            Kind::Pin => Call::Pin(actor, message?, now),
            Kind::Unpin => Call::Unpin(actor, message?, now),
            Kind::Edit => Call::Edit(self.sender_or(actor, message?, sometimes, model), message?, words(user), now),
            Kind::DeleteMessage => {
                Call::DeleteMessage(self.sender_or(actor, message?, sometimes, model), message?, now)
            }
            Kind::Seen => Call::Seen(actor, message?, now),
            Kind::Read => {
                // Mostly in the message's own conversation.
                let of =
                    if choice % 8 == 0 { conversation? } else { model.conversation_of(message?).or(conversation)? };
                Call::Read(actor, of, message?, now)
            }
            Kind::Unread => {
                let of =
                    if choice % 8 == 0 { conversation? } else { model.conversation_of(message?).or(conversation)? };
                Call::Unread(actor, of, message?)
            }
            Kind::Settings => {
                let of = if wild { conversation? } else { model.conversation_of(message?).or(conversation)? };
                Call::Settings(actor, of, settings_change(choice, user, now), now)
            }
            Kind::Draft => {
                let of =
                    if choice % 8 == 0 { conversation? } else { model.conversation_of(message?).or(conversation)? };
                let content = DraftContent::parse(word(&WORDS, user)).unwrap();
                let draft = content.map(|content| NewDraft {
                    content,
                    reply_to: message.filter(|_| choice % 3 == 0),
                    thread_id: message.filter(|_| choice % 3 == 1),
                });
                Call::Draft(actor, of, draft, now)
            }
            Kind::Open => {
                let new = ConversationId(id(4));
                self.conversations.push(new);
                Call::Open(actor, other?, new, now)
            }
            Kind::FindUser => Call::FindUser(Username::parse("username", word(&USERNAMES, user)).unwrap()),
            Kind::ListUsers => {
                let prefix = UsernamePrefix::parse(word(&PREFIXES, thing)).unwrap();
                Call::ListUsers(prefix, if sometimes { other } else { None }, size)
            }
            Kind::FindGroup => Call::FindGroup(actor, GroupName::parse("name", word(&GROUPS, thing)).unwrap()),
            Kind::ListGroups => {
                let prefix = GroupNamePrefix::parse(word(&PREFIXES, user)).unwrap();
                Call::ListGroups(actor, prefix, if sometimes { group } else { None }, size)
            }
            Kind::ListMembers => Call::ListMembers(actor, group?, if sometimes { other } else { None }, size),
            Kind::PageWithUser | Kind::PageOfGroup | Kind::PageOfBroadcast => {
                let of = match kind {
                    Kind::PageWithUser => Recipient::User(other?),
                    Kind::PageOfGroup => Recipient::Group(group?),
                    _ => Recipient::Everybody,
                };
                let cursor = model.message_in(actor, of, thing).or(message);
                let window = match choice % 5 {
                    0 | 1 => Window::Before { cursor: Cursor::Latest, limit: size },
                    2 => Window::Before { cursor: Cursor::Message(cursor?), limit: size },
                    3 => Window::After { cursor: cursor?, limit: size },
                    _ => Window::Offset { offset: u64::from(user % 5), limit: size },
                };
                let replies = if user % 3 == 0 { Replies::Excluded } else { Replies::Included };
                Call::Page(actor, of, Listing { window, replies })
            }
            Kind::AroundWithUser | Kind::AroundOfGroup => {
                let of = match kind {
                    Kind::AroundWithUser => Recipient::User(other?),
                    _ => Recipient::Group(group?),
                };
                let place = match model.message_in(actor, of, thing).or(message) {
                    Some(id) if sometimes => Around::Message(id),
                    _ => Around::FirstUnseen,
                };
                let replies = if choice % 3 == 0 { Replies::Excluded } else { Replies::Included };
                Call::Around(actor, of, place, replies, size)
            }
            Kind::Thread => {
                let (id, other) = (message?, pick(&model.messages_seen_by(actor), user));
                let window = match (choice % 3, other) {
                    (1, Some(cursor)) => ThreadWindow::After(cursor),
                    (2, Some(cursor)) => ThreadWindow::Before(cursor),
                    _ => ThreadWindow::Start,
                };
                Call::Thread(actor, id, window, size)
            }
            Kind::Mentions => Call::Mentions(actor, message.filter(|_| sometimes), size),
            Kind::Pins => {
                let of = if wild { conversation? } else { model.conversation_of(message?).or(conversation)? };
                Call::Pins(actor, of, sometimes.then_some(Update(i64::from(user % 32))), size)
            }
            Kind::Reactors => {
                let after = if sometimes { 0 } else { i64::from(user % 32) };
                Call::Reactors(actor, message?, (choice % 3 == 0).then(|| emoji(user)), Update(after), size)
            }
            Kind::Versions => Call::Versions(self.sender_or(actor, message?, sometimes, model), message?),
            Kind::FindMessage => Call::FindMessage(actor, message?),
            Kind::Changes => {
                let of = if wild { conversation? } else { model.conversation_of(message?).or(conversation)? };
                Call::Changes(actor, of, i64::from(user % 16), size)
            }
            Kind::Receipts => Call::Receipts(actor, message?),
            Kind::Unseen => Call::Unseen(actor),
            Kind::Conversations => {
                let asked = |number: u8| [None, Some(true), Some(false)][usize::from(number % 3)];
                let filter = ConversationFilter { archived: asked(user), unseen: asked(user / 3) };
                Call::Conversations(actor, filter, conversation.filter(|_| sometimes), size)
            }
        })
    }

    /// Mostly who may: the message's own sender.
    fn sender_or(&self, actor: UserId, message: MessageId, sometimes: bool, model: &Model) -> UserId {
        model.living_sender(message).filter(|_| sometimes).unwrap_or(actor)
    }
}

fn settings_change(choice: u8, number: u8, now: Timestamp) -> SettingsChange {
    // Around now: the clock jumps by up to 40 us.
    let end = Timestamp::from_micros(now.as_micros() + i64::from(number % 60) - 20).unwrap();
    SettingsChange {
        muted: match choice % 5 {
            0 => Change::Clear,
            1 => Change::Set(Mute::Forever),
            2 => Change::Set(Mute::Until(end)),
            _ => Change::Keep,
        },
        notify: [None, Some(Notify::Mentions), Some(Notify::None)][usize::from(number % 3)],
        archived: [None, Some(true), Some(true), Some(false)][usize::from(choice / 5 % 4)],
        favourite: number.is_multiple_of(4).then_some(choice.is_multiple_of(2)),
    }
}

fn emoji(number: u8) -> Emoji {
    Emoji::parse(word(&EMOJI, number)).unwrap()
}

fn words(number: u8) -> Content {
    Content::parse(word(&WORDS, number)).unwrap()
}
