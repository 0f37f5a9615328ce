//! The version of a page of messages, by which a caller finds out whether a page that it has kept is still right.

use super::model::Message;
use super::numbers::Update;
use crate::page::Page;

/// How often the names or the existence of any user have changed. Pages show their senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfilesVersion(pub i64);

/// The version of a conversation and of all profiles. Two reads of one window of one conversation that find the same
/// version find the same page, whoever reads: a message shows the same to everybody. A page with a message of which
/// that is not true ([`Message::is_same_for_all`]) has no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageVersion {
    /// The counter of the conversation. Every change of a message takes a number of it.
    pub update: Update,
    /// The version of the profiles.
    pub profiles: ProfilesVersion,
}

/// The outcome of reading a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRead {
    /// The viewer may read the conversation, and the caller knows its version.
    Unchanged,
    /// The page and its version. The empty page of two users who have not written to each other has none, and neither
    /// has a page that viewers see differently.
    Read(Page<Message>, Option<PageVersion>),
}

impl PageRead {
    /// A page that was read, with its version if it is the same for all viewers.
    pub fn of(page: Page<Message>, version: PageVersion) -> Self {
        let version = page.items.iter().all(Message::is_same_for_all).then_some(version);
        Self::Read(page, version)
    }

    /// The page. Empty for [`PageRead::Unchanged`], which only a caller that knows a version gets.
    pub fn into_page(self) -> Page<Message> {
        match self {
            Self::Unchanged => Page { items: Vec::new(), more: false },
            Self::Read(page, _) => page,
        }
    }
}
