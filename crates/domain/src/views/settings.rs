//! How a user wants to be told of a conversation, and where the user's clients show it. Settings change nothing for
//! others, and neither the log nor the counts.

use crate::context::Timestamp;
use crate::error::Invalid;
use crate::messages::Seq;
use crate::users::Change;

/// How long a user has muted a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Mute {
    /// Until that moment.
    Until(Timestamp),
    /// Until the user takes it back.
    Forever,
}

impl Mute {
    /// The word that clients read and write for [`Mute::Forever`].
    pub const FOREVER: &str = "forever";

    /// # Errors
    /// [`Invalid`] naming `muted_until`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            Self::FOREVER => Ok(Self::Forever),
            time => Timestamp::parse("muted_until", time).map(Self::Until),
        }
    }

    /// Whether the conversation is muted at `moment`.
    pub fn holds_at(self, moment: Timestamp) -> bool {
        match self {
            Self::Until(end) => moment < end,
            Self::Forever => true,
        }
    }
}

/// What a user wants to be notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Notify {
    /// Every message.
    #[default]
    All,
    /// Messages that mention the user.
    Mentions,
    /// Nothing.
    None,
}

impl Notify {
    /// # Errors
    /// [`Invalid`] naming `notify`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "all" => Ok(Self::All),
            "mentions" => Ok(Self::Mentions),
            "none" => Ok(Self::None),
            _ => Err(Invalid::new("notify", "notify must be all, mentions or none")),
        }
    }

    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mentions => "mentions",
            Self::None => "none",
        }
    }
}

/// A user's settings of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Settings {
    /// How long it is muted. `None`: it is not.
    pub muted: Option<Mute>,
    /// What the user wants to be notified of.
    pub notify: Notify,
    /// Whether clients keep it apart from the list.
    pub archived: bool,
    /// Whether clients keep it at the top.
    pub favourite: bool,
}

impl Settings {
    /// The settings as they hold at `now`: a mute that has ended is none.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { muted: self.muted.filter(|mute| mute.holds_at(now)), ..self }
    }
}

/// A change of settings; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsChange {
    /// How long the conversation is to be muted.
    pub muted: Change<Mute>,
    /// What the user wants to be notified of.
    pub notify: Option<Notify>,
    /// Whether to archive it.
    pub archived: Option<bool>,
    /// Whether it is a favourite.
    pub favourite: Option<bool>,
}

impl SettingsChange {
    /// The settings after this change at `now`. A mute that would have ended by then is none.
    #[must_use]
    pub fn apply(&self, before: Settings, now: Timestamp) -> Settings {
        let muted = match &self.muted {
            Change::Keep => before.muted,
            Change::Clear => None,
            Change::Set(mute) => Some(*mute),
        };
        Settings {
            muted,
            notify: self.notify.unwrap_or(before.notify),
            archived: self.archived.unwrap_or(before.archived),
            favourite: self.favourite.unwrap_or(before.favourite),
        }
        .at(now)
    }
}

/// That a user has archived a conversation. A message brings it back, unless the user has muted the conversation when
/// somebody sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// The newest message when the user archived it, or last changed a setting of the archived conversation.
    pub at: Seq,
    /// The mute at that time.
    pub muted: Option<Mute>,
}

impl Archive {
    /// Whether the conversation is still archived. `newest` is its newest message and when it was sent; later messages
    /// have no earlier time.
    pub fn holds(self, newest: Option<(Seq, Timestamp)>) -> bool {
        newest.is_none_or(|(seq, sent_at)| seq <= self.at || self.muted.is_some_and(|mute| mute.holds_at(sent_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn words_are_parsed_and_written_alike() {
        for word in ["all", "mentions", "none"] {
            assert_eq!(Notify::parse(word).unwrap().as_str(), word);
        }
        for bad in ["", "ALL", "some"] {
            assert_eq!(Notify::parse(bad).unwrap_err().field, "notify");
        }
        assert_eq!(Mute::parse("forever"), Ok(Mute::Forever));
        assert_eq!(Mute::parse("1970-01-01T00:00:00.000009Z"), Ok(Mute::Until(at(9))));
        for bad in ["", "Forever", "tomorrow"] {
            assert_eq!(Mute::parse(bad).unwrap_err().field, "muted_until");
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_a_past_mute_is_none() {
        let before =
            Settings { muted: Some(Mute::Until(at(9))), notify: Notify::None, archived: true, favourite: true };
        assert_eq!(SettingsChange::default().apply(before, at(8)), before);
        assert_eq!(SettingsChange::default().apply(before, at(9)), Settings { muted: None, ..before });
        let past = SettingsChange { muted: Change::Set(Mute::Until(at(7))), ..SettingsChange::default() };
        assert_eq!(past.apply(before, at(8)), Settings { muted: None, ..before });
        let all = SettingsChange {
            muted: Change::Set(Mute::Forever),
            notify: Some(Notify::Mentions),
            archived: Some(false),
            favourite: Some(false),
        };
        let after =
            Settings { muted: Some(Mute::Forever), notify: Notify::Mentions, archived: false, favourite: false };
        assert_eq!(all.apply(before, at(8)), after);
        let cleared = SettingsChange { muted: Change::Clear, ..SettingsChange::default() };
        assert_eq!(cleared.apply(after, at(8)).muted, None);
    }

    #[test]
    fn a_message_brings_an_archived_conversation_back_unless_it_is_muted_then() {
        let archive = |muted| Archive { at: Seq(5), muted };
        for (muted, newest, holds) in [
            (None, None, true),
            (None, Some((Seq(5), at(3))), true),
            (None, Some((Seq(6), at(3))), false),
            (Some(Mute::Forever), Some((Seq(6), at(3))), true),
            (Some(Mute::Until(at(4))), Some((Seq(6), at(3))), true),
            (Some(Mute::Until(at(4))), Some((Seq(6), at(4))), false),
        ] {
            assert_eq!(archive(muted).holds(newest), holds, "{muted:?} {newest:?}");
        }
    }
}
