//! The service of messages. `send`, `change`, `read` and `upload` contain its methods.

use super::ports::{MessageLog, MessageReader};
use crate::context::{Clock, IdGenerator};
use crate::files::BlobStore;
use std::sync::Arc;

/// Sends, reads and changes messages.
pub struct MessageService {
    /// Writes messages.
    pub log: Arc<dyn MessageLog>,
    /// Reads messages.
    pub reader: Arc<dyn MessageReader>,
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of messages and of new conversations.
    pub ids: Arc<dyn IdGenerator>,
}
