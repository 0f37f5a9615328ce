//! Messages: sending, reading, changing, and following them.

mod change;
mod model;
mod policy;
mod ports;
mod read;
mod send;
mod upload;

pub use crate::files::AttachmentKind;
pub use change::{DeleteMessage, EditMessage};
pub use model::{
    Attachment, Body, Caption, ChangeEntry, Changes, Content, Cursor, Draft, DraftBody, IdempotencyKey, MOST_OFFSET,
    Message, MessageType, Place, Recipient, Text, Tombstone, Window,
};
pub use policy::{Access, StoredSend, not_before};
pub use ports::{Appended, MessageLog, MessageReader};
#[cfg(feature = "mocks")]
pub use ports::{MockMessageLog, MockMessageReader};
pub use read::{ListChanges, ListMessages, ShowMessage};
pub use send::{Outgoing, SendMessage};
pub use upload::StoreUpload;
