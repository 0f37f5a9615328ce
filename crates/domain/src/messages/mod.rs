//! Messages: sending, reading, changing, and following them.

mod change;
mod model;
mod numbers;
mod page_version;
mod policy;
mod ports;
mod read;
#[cfg(feature = "mocks")]
mod sample;
mod send;
mod service;
mod upload;

pub use crate::files::AttachmentKind;
pub use model::{
    Attachment, Body, Caption, ChangeEntry, Changes, Content, Cursor, Destination, Draft, DraftBody, IdempotencyKey,
    MAX_OFFSET, Message, MessageType, Recipient, Text, Tombstone, Window,
};
pub use numbers::{Seq, Update};
pub use page_version::{PageRead, PageVersion, ProfilesVersion};
pub use policy::{Access, IdempotencyRecord, not_before};
pub use ports::{Appended, MessageLog, MessageReader};
#[cfg(feature = "mocks")]
pub use ports::{MockMessageLog, MockMessageReader};
pub use send::SendCommand;
pub use service::MessageService;
