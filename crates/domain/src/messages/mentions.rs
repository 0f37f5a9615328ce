//! Mentions: users whom a message addresses by name.

use super::model::{Content, Message};
use super::service::MessageService;
use crate::context::Caller;
use crate::error::{Invalid, Result};
use crate::ids::{MessageId, UserId};
use crate::page::{Limit, Page};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use std::collections::HashSet;

/// The name that addresses all members.
const ALL: &str = "all";

/// The users whom a message mentions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Mentions {
    /// Members of the conversation, each once, at most [`Mentions::MOST`]. The sender may be one of them.
    pub users: Vec<UserId>,
    /// Whether the message mentions all who were members at that moment.
    pub all: bool,
}

impl Mentions {
    /// Most users that one message mentions (`docs/api.md`, Mentions).
    pub const MOST: usize = 50;

    /// Whether the message mentions nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.all
    }
}

/// The mentions that a client gives outright, instead of writing names into the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidMentions {
    users: Vec<UserId>,
    all: bool,
}

impl SaidMentions {
    /// # Errors
    /// [`Invalid`] naming `mentions` if there are too many.
    pub fn new(users: Vec<UserId>, all: bool) -> Result<Self, Invalid> {
        if users.len() > Mentions::MOST {
            return Err(Invalid::new("mentions", format!("mentions has more than {} user_ids", Mentions::MOST)));
        }
        Ok(Self { users, all })
    }

    /// The users, as given.
    pub fn users(&self) -> &[UserId] {
        &self.users
    }

    /// Whether the client wants to mention all members.
    pub const fn all(&self) -> bool {
        self.all
    }

    /// The mentions, of which only members count.
    pub fn among(&self, is_member: impl Fn(UserId) -> bool) -> Mentions {
        let mut known = HashSet::new();
        let users = self.users.iter().copied().filter(|user| known.insert(*user) && is_member(*user));
        Mentions { users: users.collect(), all: self.all }
    }
}

/// A new content for an existing message, and the mentions that come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditCommand {
    /// The content.
    pub content: Content,
    /// The mentions. `None`: those that the content names.
    pub mentions: Option<SaidMentions>,
}

impl From<Content> for EditCommand {
    fn from(content: Content) -> Self {
        Self { content, mentions: None }
    }
}

/// Names that a text addresses. Each entry is one place in the text, with the names that it may stand for, in the order
/// of preference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressedNames(Vec<Vec<String>>);

impl AddressedNames {
    /// Reads a text. A name begins with `@` at the start of the text, or behind a character that is neither a letter, a
    /// mark or a number nor one of `_.-@/`. It is the run of `A-Z a-z 0-9 _ . -` behind that, or the run without some
    /// of the `.`, `-` and `_` at its end. Names in code count for nothing: code goes from a run of backticks to the
    /// next one of the same length.
    pub fn read(content: &str) -> Self {
        if !content.contains('@') {
            return Self::default();
        }
        let code = code_in(content);
        let mut places = Vec::new();
        for (at, _) in content.match_indices('@') {
            let is_begun = content[..at].chars().next_back().is_none_or(|before| !continues_word(before));
            if !is_begun || code.iter().any(|(begin, end)| (*begin..*end).contains(&at)) {
                continue;
            }
            let rest = &content[at + 1..];
            let length = rest.bytes().take_while(|byte| is_of_name(*byte)).count();
            let names = shorter_and_shorter(&rest[..length]);
            if !names.is_empty() {
                places.push(names);
            }
        }
        Self(places)
    }

    /// Every name that could be one, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut known = HashSet::new();
        self.0.iter().flatten().map(String::as_str).filter(move |name| known.insert(*name))
    }

    /// The mentions. `member` finds the member with a name. `all` counts if `may_mention_all`; else it is plain text.
    pub fn resolve(&self, member: impl Fn(&str) -> Option<UserId>, may_mention_all: bool) -> Mentions {
        let mut mentions = Mentions::default();
        for names in &self.0 {
            for name in names {
                if name == ALL {
                    mentions.all |= may_mention_all;
                    break;
                }
                if let Some(user) = member(name) {
                    if mentions.users.len() < Mentions::MOST && !mentions.users.contains(&user) {
                        mentions.users.push(user);
                    }
                    break;
                }
            }
        }
        mentions
    }
}

/// Whether a `@` behind this character belongs to a word, such as an address.
fn continues_word(c: char) -> bool {
    let is_in_word = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark).union(GeneralCategoryGroup::Number);
    matches!(c, '_' | '.' | '-' | '@' | '/') || is_in_word.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// The run, and what is left of it as long as its last character can be given back. In the form in which usernames are
/// compared. Usernames are short: longer rests are left out.
fn shorter_and_shorter(run: &str) -> Vec<String> {
    const LONGEST: usize = 32;
    let mut names = Vec::new();
    let mut rest = run;
    loop {
        if !rest.is_empty() && rest.len() <= LONGEST {
            names.push(rest.to_ascii_lowercase());
        }
        match rest.strip_suffix(['.', '-', '_']) {
            Some(shorter) => rest = shorter,
            None => return names,
        }
    }
}

/// The stretches of code in a text, in bytes.
fn code_in(content: &str) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in content.match_indices('`') {
        match runs.last_mut() {
            Some((begin, length)) if *begin + *length == at => *length += 1,
            _ => runs.push((at, 1)),
        }
    }
    let (mut code, mut next) = (Vec::new(), 0);
    while let Some((begin, length)) = runs.get(next).copied() {
        // A run that no other closes is text.
        if let Some(closing) = runs[next + 1..].iter().position(|(_, other)| *other == length) {
            next += closing + 1;
            code.push((begin, runs[next].0 + length));
        }
        next += 1;
    }
    code
}

impl MessageService {
    /// Lists messages that mention the caller and that the caller may still read, newest first: those before a message.
    ///
    /// # Errors
    /// Those of [`MessageReader::mentions`](super::MessageReader::mentions).
    pub async fn mentions(&self, caller: &Caller, before: Option<MessageId>, limit: Limit) -> Result<Page<Message>> {
        self.reader.mentions(caller.user, before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::user;
    use proptest::prelude::*;

    /// bob is 1, `b.` is 2, `x_y` is 3.
    fn mentioned(text: &str) -> Vec<UserId> {
        let member = |name: &str| match name {
            "bob" => Some(user(1)),
            "b." => Some(user(2)),
            "x_y" => Some(user(3)),
            _ => None,
        };
        AddressedNames::read(text).resolve(member, false).users
    }

    #[test]
    fn a_name_is_a_whole_run_behind_no_word() {
        for (text, users) in [
            ("@bob", &[1][..]),
            ("hi @BOB!", &[1]),
            ("(@bob)", &[1]),
            ("@bob's", &[1]),
            ("@bob. @bob-_. ok", &[1]),
            ("@b.", &[2]),
            ("@b..", &[2]),
            ("@x_y_", &[3]),
            ("@b. and @bob", &[2, 1]),
            ("日本、@bob", &[1]),
            ("@bobby", &[]),
            ("@bob.com", &[]),
            ("@", &[]),
            ("@ bob", &[]),
            ("a@bob", &[]),
            ("é@bob e\u{301}@bob 1@bob ٣@bob _@bob .@bob -@bob @@bob /@bob 日@bob", &[]),
            ("@bob@bob", &[1]),
            ("`@bob` ``@bob` @bob`` @b.", &[2]),
            ("`@bob", &[1]),
            ("``@bob`", &[1]),
            ("` @bob `` @b. `", &[]),
            ("``` @b. ``` @bob", &[1]),
        ] {
            let expected: Vec<_> = users.iter().map(|n| user(*n)).collect();
            assert_eq!(mentioned(text), expected, "{text}");
        }
    }

    #[test]
    fn all_counts_for_who_may_say_it() {
        let nobody = |_: &str| None;
        for (text, may, all) in
            [("@all", true, true), ("@ALL.", true, true), ("@all", false, false), ("@allan", true, false)]
        {
            let mentions = AddressedNames::read(text).resolve(nobody, may);
            assert_eq!(mentions, Mentions { users: Vec::new(), all }, "{text}");
        }
    }

    #[test]
    fn the_first_of_many_count() {
        let text: String = (0..60).map(|n| format!("@u{n} @u0 ")).collect();
        let member = |name: &str| name.strip_prefix('u')?.parse().ok().map(|n: u128| user(n + 1));
        let mentions = AddressedNames::read(&format!("{text}@all")).resolve(member, true);
        assert_eq!(mentions.users, (1..=50).map(user).collect::<Vec<_>>());
        assert!(mentions.all);
    }

    #[test]
    fn said_mentions_are_a_set_of_members() {
        let said = SaidMentions::new(vec![user(2), user(1), user(2), user(3)], true).unwrap();
        let mentions = said.among(|one| one != user(3));
        assert_eq!(mentions, Mentions { users: vec![user(2), user(1)], all: true });
        assert_eq!(SaidMentions::new(vec![user(1); 51], false).unwrap_err().field, "mentions");
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "(@|`|a|\\.|-|é| |🙂|\\n){0,60}") {
            for name in AddressedNames::read(&text).names() {
                let is_there = text.to_ascii_lowercase().contains(&format!("@{name}"));
                prop_assert!(is_there, "{}", name);
            }
        }
    }
}
