//! Messages: sending, reading, changing, and following them.

mod change;
mod forwards;
mod history;
mod model;
mod numbers;
mod page_version;
mod pins;
mod policy;
mod ports;
mod reactions;
mod read;
#[cfg(feature = "mocks")]
mod sample;
mod send;
mod service;
mod threads;
mod upload;

pub use crate::files::AttachmentKind;
pub use forwards::Forwarded;
pub use history::{EditHistory, MessageVersion};
pub use model::{
    Around, Attachment, Body, Caption, ChangeEntry, Changes, Content, Cursor, Destination, Draft, DraftBody,
    IdempotencyKey, Listing, MAX_OFFSET, Message, MessageType, PageAround, Recipient, Replies, Text, Tombstone, Window,
};
pub use numbers::{Seq, Update};
pub use page_version::{PageRead, PageVersion, ProfilesVersion};
pub use pins::{Pin, may_pin_another};
pub use policy::{Access, IdempotencyRecord, not_before};
pub use ports::{Appended, MessageLog, MessageReader};
#[cfg(feature = "mocks")]
pub use ports::{MockMessageLog, MockMessageReader};
pub use reactions::{Emoji, Reaction, ReactionCounts, Reactor};
pub use send::SendCommand;
pub use service::MessageService;
pub use threads::{ThreadStart, ThreadSummary, ThreadWindow};
pub use upload::UploadCommand;
