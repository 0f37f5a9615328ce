//! Digests: how a client knows that it has all that the server has of a conversation.
//!
//! A digest proves the ids, the numbers, the contents and the deletions of messages. It proves nothing of files, pins,
//! reactions or names.

use super::numbers::{Seq, Update};
use crate::context::Caller;
use crate::error::{Conflict, Invalid, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Most numbers of a part of a conversation whose digest the server computes. The whole is stored and costs nothing.
pub const MAX_DIGEST_SPAN: i64 = 100_000;

/// The sum modulo 2^256 of the hashes of messages. The empty sum is zero. The order of the messages does not matter,
/// and what was added can be taken away again: so one change of a message costs two hashes, however many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest {
    high: u128,
    low: u128,
}

impl Digest {
    /// The sum of nothing.
    pub const ZERO: Self = Self { high: 0, low: 0 };

    /// The hash of one message: SHA-256 of its id (16 bytes), its `seq` and its `update` (8 bytes each, big-endian),
    /// one byte that is 1, or 0 if the message is deleted, and the SHA-256 of its content, which is empty if the
    /// message is deleted. `content` is `None` for a deleted message.
    pub fn of_message(id: MessageId, seq: Seq, update: Update, content: Option<&str>) -> Self {
        let hash = Sha256::new()
            .chain_update(id.0.as_bytes())
            .chain_update(seq.0.to_be_bytes())
            .chain_update(update.0.to_be_bytes())
            .chain_update([u8::from(content.is_some())])
            .chain_update(Sha256::digest(content.unwrap_or_default().as_bytes()));
        Self::from_bytes(hash.finalize().into())
    }

    /// The number of these bytes, big-endian.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let half = |range: std::ops::Range<usize>| bytes[range].iter().fold(0, |n, byte| n << 8 | u128::from(*byte));
        Self { high: half(0..16), low: half(16..32) }
    }

    /// The number, big-endian.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.high.to_be_bytes());
        bytes[16..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// The sum modulo 2^256.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(carry as u128), low }
    }

    /// The difference modulo 2^256: [`Self::plus`] undone.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high.wrapping_sub(other.high).wrapping_sub(borrow as u128), low }
    }

    /// The first 16 hexadecimal digits.
    pub const fn short(self) -> ShortDigest {
        ShortDigest((self.high >> 64) as u64)
    }
}

impl std::fmt::Display for Digest {
    /// Writes 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}{:032x}", self.high, self.low)
    }
}

/// The first 16 hexadecimal digits of a conversation's [`Digest`]: enough to notice any difference that nobody makes on
/// purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct ShortDigest(u64);

impl ShortDigest {
    /// Parses what `Display` writes: 16 hexadecimal digits, none of them in upper case.
    ///
    /// # Errors
    /// [`Invalid`] naming `digest`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("digest", "digest must have 16 hexadecimal digits in lower case");
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.as_bytes().iter().all(is_digit) {
            return Err(malformed());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| malformed())
    }
}

impl std::fmt::Display for ShortDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The part of a conversation whose digest a client asks for: the messages with a `seq` from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestRange {
    from: Option<i64>,
    to: Option<i64>,
}

/// A [`DigestRange`] in a conversation that stands at a known number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestSpan {
    /// The first number.
    pub from: Seq,
    /// The last number.
    pub to: Seq,
    /// Whether the span is the whole conversation, so that its digest is stored.
    pub is_whole: bool,
}

impl DigestRange {
    /// Parses the two ends. Without `from` the range begins at 1, without `to` it ends at the conversation's counter.
    ///
    /// # Errors
    /// [`Invalid`] naming `from` if it is behind `to`, or the end that is too large for a number.
    pub fn parse(from: Option<u64>, to: Option<u64>) -> Result<Self, Invalid> {
        let number = |field: &'static str, end: Option<u64>| {
            let too_large = |_| Invalid::new(field, format!("{field} is too large"));
            end.map(i64::try_from).transpose().map_err(too_large)
        };
        let (from, to) = (number("from", from)?, number("to", to)?);
        match to {
            Some(to) if from.unwrap_or(1).max(1) > to && to > 0 => Err(Self::backwards()),
            // Of an empty conversation this is the whole; the counter decides.
            _ => Ok(Self { from, to }),
        }
    }

    fn backwards() -> Invalid {
        Invalid::new("from", "from must not be behind to")
    }

    /// The span in a conversation whose counter is `update`. A `to` beyond the counter is the counter.
    ///
    /// # Errors
    /// [`Invalid`] naming `from` if it is behind the end, or `to` if a part has more than [`MAX_DIGEST_SPAN`] numbers.
    pub fn within(self, update: Update) -> Result<DigestSpan, Invalid> {
        let from = self.from.unwrap_or(1);
        let to = self.to.unwrap_or(update.0).min(update.0);
        let span = |is_whole| DigestSpan { from: Seq(from), to: Seq(to), is_whole };
        if from <= 1 && to == update.0 {
            return Ok(span(true));
        }
        if from > to {
            return Err(Self::backwards());
        }
        if to - from >= MAX_DIGEST_SPAN {
            let sentence =
                format!("a part must have at most {MAX_DIGEST_SPAN} numbers: leave from and to out, or halve");
            return Err(Invalid::new("to", sentence));
        }
        Ok(span(false))
    }
}

/// The digest of a part of a conversation, or of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeDigest {
    /// The conversation's counter at the moment of the answer.
    pub update: Update,
    /// The part.
    pub span: DigestSpan,
    /// How many messages were sent in the part, deleted ones too.
    pub messages: u64,
    /// The digest of these messages.
    pub digest: Digest,
}

/// A conversation's counter, and its digest at that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPoint {
    /// The counter.
    pub update: Update,
    /// The digest.
    pub digest: ShortDigest,
}

/// What a client's claim to have everything is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The client is at the present number and has what the server has.
    Same,
    /// The client is at a past number, which nobody compares. This is the present one.
    Past(SyncPoint),
}

impl SyncPoint {
    /// Judges a client that has `digest` at `update`, where this is the conversation's present state.
    ///
    /// # Errors
    /// [`Invalid`] naming `update` if it lies ahead, [`Conflict::DigestDiffers`] if the client is at the present number
    /// and has something else.
    pub fn verify(self, claimed: Self) -> Result<Verified> {
        match claimed.update.cmp(&self.update) {
            std::cmp::Ordering::Less => Ok(Verified::Past(self)),
            std::cmp::Ordering::Equal if claimed.digest == self.digest => Ok(Verified::Same),
            std::cmp::Ordering::Equal => Conflict::DigestDiffers.err(),
            std::cmp::Ordering::Greater => {
                Err(Invalid::new("update", "update is ahead of the conversation's counter").into())
            }
        }
    }
}

/// Reads digests.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait DigestReader: Send + Sync {
    /// The digest of a part of a conversation, which the viewer may read, all of one moment. The digest of the whole
    /// MUST cost the same for every conversation.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) if the viewer may not read it, and those of
    /// [`DigestRange::within`].
    async fn range_digest(&self, viewer: UserId, of: ConversationId, range: DigestRange) -> Result<RangeDigest>;

    /// The counter and the digest of a conversation that the viewer may read, of one moment.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) if the viewer may not read it.
    async fn sync_point(&self, viewer: UserId, of: ConversationId) -> Result<SyncPoint>;
}

/// Tells clients whether they have everything.
pub struct DigestService {
    /// Reads digests.
    pub digests: Arc<dyn DigestReader>,
}

impl DigestService {
    /// The digest of a part of a conversation.
    ///
    /// # Errors
    /// Those of [`DigestReader::range_digest`].
    pub async fn show(&self, caller: &Caller, of: ConversationId, range: DigestRange) -> Result<RangeDigest> {
        self.digests.range_digest(caller.user, of, range).await
    }

    /// Compares what the caller has with what the server has.
    ///
    /// # Errors
    /// Those of [`DigestReader::sync_point`] and of [`SyncPoint::verify`].
    pub async fn verify(&self, caller: &Caller, of: ConversationId, claimed: SyncPoint) -> Result<Verified> {
        self.digests.sync_point(caller.user, of).await?.verify(claimed)
    }
}

#[cfg(test)]
mod tests;
