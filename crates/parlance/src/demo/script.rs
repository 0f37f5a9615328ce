//! Reads the script of the demo: who takes part, and who writes what and when.
//!
//! Each line of `scenes.txt` has one of these forms; `#` begins a comment.
//!
//! ```text
//! person maya = Maya Lindqvist
//! group Book club (private): priya maya = What it is about; the first is the owner
//! list food = words, that, fill, {food}
//! at 12d 09:10 everybody             a scene twelve days ago
//! at 48m in Book club                one 48 minutes ago, in a group
//! at 2d 12:20 direct omar maya       one between two
//! chat                               a scene between any two, a and b, at any time
//! maya: words
//! maya: ^ answers the line before, ^^ the one before that
//! maya: & in the thread of the line before, && of the one before that
//! maya: >> words of a message, of any scene before, that maya forwards
//! maya: first wrnog => first wrong, put right later
//! maya: <bee.png> a picture with words
//! ~ maya: taken back later
//! + 🎉 tom ines                      reactions to the line before, in a scene
//! pinned by tom                      the line before, in a scene
//! maya begins: words                 a draft that maya has in the scene's conversation
//! ```

use anyhow::{Context as _, anyhow, bail};
use std::collections::HashMap;

/// The text itself.
const SCENES: &str = include_str!("scenes.txt");

/// A user, as an index of [`Script::people`].
pub type Who = usize;

/// The script before a seed is applied.
#[derive(Debug, Default)]
pub struct Script {
    /// Username and display name.
    pub people: Vec<(String, String)>,
    /// Groups to be made.
    pub groups: Vec<GroupPlan>,
    /// Scenes with a time and a place.
    pub scenes: Vec<Scene>,
    /// Scenes between any two users. The seed chooses the speakers 0 and 1.
    pub chats: Vec<Vec<DemoLine>>,
    /// Words to choose from, by the name they are asked for with.
    pub lists: HashMap<String, Vec<String>>,
}

/// A group to be made.
#[derive(Debug)]
pub struct GroupPlan {
    /// Its name.
    pub name: String,
    /// Whether everybody may see it.
    pub public: bool,
    /// Its description.
    pub description: String,
    /// The members; the first is the owner.
    pub members: Vec<Who>,
}

/// When a scene begins, counted back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// So many days ago (one or more), at that minute of the day (UTC).
    Days(i64, i64),
    /// So many minutes ago, so recently that not all have read it.
    Minutes(i64),
}

/// The conversation of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// A broadcast.
    Everybody,
    /// In a group, by its place in [`Script::groups`].
    Group(usize),
    /// Between two users.
    Direct(Who, Who),
}

/// The messages of one conversation at one time.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The start.
    pub start: Start,
    /// The conversation.
    pub place: Where,
    /// Its messages.
    pub lines: Vec<DemoLine>,
    /// What somebody has begun to write after them.
    pub draft: Option<(Who, String)>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoLine {
    /// The author.
    pub who: Who,
    /// The text.
    pub text: String,
    /// The line of the scene that it answers.
    pub answers: Option<usize>,
    /// The line of the scene in whose thread it is.
    pub thread: Option<usize>,
    /// Whether it forwards the last message that contains its text.
    pub forwards: bool,
    /// Its text after a later edit.
    pub becomes: Option<String>,
    /// The name of a picture that comes with it.
    pub picture: Option<String>,
    /// Whether the author deletes it later.
    pub taken_back: bool,
    /// Emoji, and who reacts with each.
    pub reactions: Vec<(String, Vec<Who>)>,
    /// Who pins it.
    pub pinned_by: Option<Who>,
}

/// The section to which lines are added.
enum OpenSection {
    Nothing,
    Scene,
    Chat,
}

impl Script {
    /// The built-in script.
    ///
    /// # Errors
    /// Names the line that it cannot parse; a test parses all of them.
    pub fn built_in() -> anyhow::Result<Self> {
        Self::parse(SCENES)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut script = Self::default();
        let mut open = OpenSection::Nothing;
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            script.take(line, &mut open).with_context(|| format!("line {number} of the demo's script"))?;
        }
        Ok(script)
    }

    fn take(&mut self, line: &str, open: &mut OpenSection) -> anyhow::Result<()> {
        if let Some(rest) = line.strip_prefix("person ") {
            let (name, called) = halves(rest, " = ")?;
            self.people.push((name.to_owned(), called.to_owned()));
        } else if let Some(rest) = line.strip_prefix("group ") {
            let group = self.group(rest)?;
            self.groups.push(group);
        } else if let Some(rest) = line.strip_prefix("list ") {
            let (name, words) = halves(rest, " = ")?;
            self.lists.insert(name.to_owned(), words.split(", ").map(str::to_owned).collect());
        } else if let Some(rest) = line.strip_prefix("at ") {
            let scene = self.scene(rest)?;
            self.scenes.push(scene);
            *open = OpenSection::Scene;
        } else if line == "chat" {
            self.chats.push(Vec::new());
            *open = OpenSection::Chat;
        } else {
            match open {
                OpenSection::Nothing => bail!("words before the first scene"),
                OpenSection::Scene => {
                    if self.add_to_last_line(line)? {
                        return Ok(());
                    }
                    let who = |name: &str| self.person(name);
                    let said = self.scenes.last().map_or(0, |scene| scene.lines.len());
                    let line = spoken(line, said, who)?;
                    self.scenes.last_mut().context("no scene")?.lines.push(line);
                }
                OpenSection::Chat => {
                    let chat = self.chats.last_mut().context("no chat")?;
                    let who = |name: &str| match name {
                        "a" => Ok(0),
                        "b" => Ok(1),
                        _ => Err(anyhow!("a chat is between a and b")),
                    };
                    chat.push(spoken(line, chat.len(), who)?);
                }
            }
        }
        Ok(())
    }

    /// Takes a line that says what becomes of the line before, or what somebody begins to write after it. Returns
    /// whether it is one.
    fn add_to_last_line(&mut self, line: &str) -> anyhow::Result<bool> {
        if let Some((name, text)) = line.split_once(" begins: ")
            && let Ok(who) = self.person(name)
        {
            self.scenes.last_mut().context("no scene")?.draft = Some((who, text.to_owned()));
            return Ok(true);
        }
        let (reaction, pinned_by) = match (line.strip_prefix("+ "), line.strip_prefix("pinned by ")) {
            (Some(rest), _) => {
                let (emoji, names) = halves(rest, " ")?;
                let who = names.split(' ').map(|name| self.person(name)).collect::<Result<_, _>>()?;
                (Some((emoji.to_owned(), who)), None)
            }
            (None, Some(name)) => (None, Some(self.person(name)?)),
            (None, None) => return Ok(false),
        };
        let last = self.scenes.last_mut().and_then(|scene| scene.lines.last_mut()).context("nothing is said yet")?;
        last.reactions.extend(reaction);
        last.pinned_by = pinned_by.or(last.pinned_by);
        Ok(true)
    }

    fn group(&self, text: &str) -> anyhow::Result<GroupPlan> {
        let (head, description) = halves(text, " = ")?;
        let (head, members) = halves(head, ": ")?;
        let (name, visibility) = halves(head, " (")?;
        let members = members.split(' ').map(|name| self.person(name)).collect::<Result<_, _>>()?;
        let (name, description) = (name.to_owned(), description.to_owned());
        Ok(GroupPlan { name, public: visibility == "public)", description, members })
    }

    fn scene(&self, text: &str) -> anyhow::Result<Scene> {
        let (ago, rest) = halves(text, " ")?;
        let (start, place) = match ago.strip_suffix('d') {
            None => (Start::Minutes(ago.strip_suffix('m').context("neither days nor minutes")?.parse()?), rest),
            Some(days) => {
                let (clock, place) = halves(rest, " ")?;
                let (hour, minute) = halves(clock, ":")?;
                let minute_of_day = hour.parse::<i64>()? * 60 + minute.parse::<i64>()?;
                (Start::Days(days.parse()?, minute_of_day), place)
            }
        };
        let place = if place == "everybody" {
            Where::Everybody
        } else if let Some(name) = place.strip_prefix("in ") {
            Where::Group(self.groups.iter().position(|group| group.name == name).context("no such group")?)
        } else {
            let (one, other) = halves(place.strip_prefix("direct ").context("no such place")?, " ")?;
            Where::Direct(self.person(one)?, self.person(other)?)
        };
        Ok(Scene { start, place, lines: Vec::new(), draft: None })
    }

    fn person(&self, name: &str) -> anyhow::Result<Who> {
        let found = self.people.iter().position(|(username, _)| username == name);
        found.with_context(|| format!("there is no {name}"))
    }
}

/// Parses a message, number `said` of its scene.
fn spoken(line: &str, said: usize, who: impl Fn(&str) -> anyhow::Result<Who>) -> anyhow::Result<DemoLine> {
    let (taken_back, line) = line.strip_prefix("~ ").map_or((false, line), |line| (true, line));
    let (name, rest) = halves(line, ": ")?;
    let (answers, rest) = counted_back(rest, '^', said).context("it answers nothing")?;
    let (thread, rest) = counted_back(rest, '&', said).context("it is in no thread")?;
    let (forwards, rest) = rest.strip_prefix(">> ").map_or((false, rest), |rest| (true, rest));
    let (picture, rest) = match rest.strip_prefix('<') {
        None => (None, rest),
        Some(rest) => {
            let (picture, rest) = halves(rest, "> ")?;
            (Some(picture.to_owned()), rest)
        }
    };
    let (text, becomes) = match rest.split_once(" => ") {
        None => (rest, None),
        Some((text, becomes)) => (text, Some(becomes.to_owned())),
    };
    Ok(DemoLine {
        who: who(name)?,
        text: text.to_owned(),
        answers,
        thread,
        forwards,
        becomes,
        picture,
        taken_back,
        reactions: Vec::new(),
        pinned_by: None,
    })
}

/// The line, of those `said`, that marks at the beginning point back to, one line each, and the rest. `None` if they
/// point before the first.
fn counted_back(text: &str, mark: char, said: usize) -> Option<(Option<usize>, &str)> {
    let rest = text.trim_start_matches(mark);
    match text.len() - rest.len() {
        0 => Some((None, text)),
        back => Some((Some(said.checked_sub(back)?), rest.trim_start())),
    }
}

fn halves<'a>(text: &'a str, at: &str) -> anyhow::Result<(&'a str, &'a str)> {
    text.split_once(at).with_context(|| format!("{at:?} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_whole() {
        let script = Script::built_in().unwrap();
        assert_eq!((script.people.len(), script.groups.len()), (12, 6));
        let lines: usize = script.scenes.iter().map(|scene| scene.lines.len()).sum();
        let chats: usize = script.chats.iter().map(Vec::len).sum();
        assert!(lines > 150 && chats > 70, "{lines} and {chats}");
        for scene in &script.scenes {
            for line in &scene.lines {
                let may_speak = match scene.place {
                    Where::Everybody => true,
                    Where::Group(group) => script.groups[group].members.contains(&line.who),
                    Where::Direct(one, other) => [one, other].contains(&line.who),
                };
                assert!(may_speak, "{} is not there: {}", script.people[line.who].0, line.text);
            }
        }
        let words = script.chats.iter().flatten().flat_map(|line| line.text.split('{').skip(1));
        for word in words {
            let (word, _) = word.split_once('}').unwrap();
            assert!(script.lists[word].len() > 3, "{word}");
        }
    }

    #[test]
    fn every_mark_is_understood() {
        let text = "person a1 = A\nperson b1 = B\ngroup G (public): b1 a1 = about\nat 48m in G\na1: x\n\
                    b1: ^ y => z\n~ a1: ^^ <p.png> c\n+ 👍 a1 b1\nb1: &&& t\na1: >> x\npinned by b1\n";
        let script = Script::parse(text).unwrap();
        let line = |who, text: &str| DemoLine {
            who,
            text: text.to_owned(),
            answers: None,
            thread: None,
            forwards: false,
            becomes: None,
            picture: None,
            taken_back: false,
            reactions: Vec::new(),
            pinned_by: None,
        };
        let liked = vec![("👍".to_owned(), vec![0, 1])];
        let scene = &script.scenes[0];
        assert_eq!((scene.start, scene.place), (Start::Minutes(48), Where::Group(0)));
        assert_eq!(
            scene.lines,
            [
                line(0, "x"),
                DemoLine { answers: Some(0), becomes: Some("z".to_owned()), ..line(1, "y") },
                DemoLine {
                    answers: Some(0),
                    picture: Some("p.png".to_owned()),
                    taken_back: true,
                    reactions: liked,
                    ..line(0, "c")
                },
                DemoLine { thread: Some(0), ..line(1, "t") },
                DemoLine { forwards: true, pinned_by: Some(1), ..line(0, "x") },
            ]
        );
        assert_eq!(script.groups[0].members, [1, 0]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, line) in [
            ("a: x", 1),
            ("person a = A\nat 1d 10:00 everybody\nb: x", 3),
            ("at 1d 10:00 in G", 1),
            ("person a = A\nat 1d 10:00 everybody\na: ^ x", 3),
            ("person a = A\nat 1d 10:00 everybody\na: x\na: && x", 4),
            ("person a = A\nat 1d 10:00 everybody\n+ 👍 a", 3),
            ("person a = A\nat 1d 10:00 everybody\na: x\npinned by b", 4),
            ("at 1x everybody", 1),
            ("chat\nc: x", 2),
        ] {
            let error = format!("{:#}", Script::parse(text).unwrap_err());
            assert!(error.contains(&format!("line {line} ")), "{error}");
        }
    }
}
