//! The port that searches.

use super::model::{Found, Search};
use crate::error::Result;
use crate::ids::UserId;
use crate::page::Page;
use async_trait::async_trait;

/// Searches messages.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SearchReader: Send + Sync {
    /// The newest messages that the viewer may read and that [`Search::judge`] accepts, newest first by
    /// [`SearchCursor`](super::SearchCursor). MUST find a message once its send was answered, by its present content.
    /// Without [`Search::within`] it looks in the viewer's own conversations and the broadcast; of a public group
    /// without membership only if `within` names it. It judges rights, messages and filters at one moment.
    ///
    /// # Errors
    /// [`NotFound::User`](crate::NotFound::User) for an unknown sender or receiver,
    /// [`NotFound::Group`](crate::NotFound::Group) for a group that the viewer may not read;
    /// [`Unavailable::Indexing`](crate::Unavailable::Indexing) while there is no index yet;
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if it takes too long.
    async fn search(&self, viewer: UserId, search: Search) -> Result<Page<Found>>;
}
