//! Messages: sending, reading, changing, and following them.

mod change;
mod digest;
mod forwards;
mod history;
mod mentions;
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
mod windows;

pub use crate::files::AttachmentKind;
pub use crate::users::EditHistory;
#[cfg(feature = "mocks")]
pub use digest::MockDigestReader;
pub use digest::{
    Digest, DigestRange, DigestReader, DigestService, DigestSpan, MAX_DIGEST_SPAN, RangeDigest, ShortDigest, SyncPoint,
    Verified,
};
pub use forwards::Forwarded;
pub use history::MessageVersion;
pub use mentions::{AddressedNames, EditCommand, Mentions, SaidMentions};
pub use model::{
    Attachment, Body, Caption, ChangeEntry, Changes, Content, Destination, IdempotencyKey, MAX_CHARACTERS, Message,
    MessageType, NewBody, NewMessage, Recipient, Text, Tombstone,
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
pub use windows::{Around, Cursor, Listing, MAX_OFFSET, PageAround, Replies, Window};
