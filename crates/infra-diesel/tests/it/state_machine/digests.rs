//! The digests of the model, computed anew after every step.

use super::model::{Conversation, Kind, Model};
use domain::messages::{Digest, DigestRange, DigestReader, Seq, Update};
use domain::users::User;
use domain::{ConversationId, UserId};
use infra_diesel::Store;
use std::collections::BTreeMap;

impl Conversation {
    /// The digest of what was sent from one number to another, computed anew.
    pub fn digest(&self, from: i64, to: i64) -> Digest {
        let sent = self.said.iter().filter(|said| (from..=to).contains(&said.seq));
        sent.fold(Digest::ZERO, |sum, said| {
            let words = said.deleted_at.is_none().then_some(said.words.as_str());
            sum.plus(Digest::of_message(said.id, Seq(said.seq), Update(said.update), words))
        })
    }

    /// Somebody who may read it.
    pub fn reader(&self, users: &BTreeMap<UserId, User>) -> Option<UserId> {
        match self.kind {
            _ if self.deleted_at.is_some() => None,
            Kind::Direct(one, _) => Some(one),
            Kind::Group(_) => self.seats.keys().next().copied(),
            Kind::Broadcast => users.keys().next().copied(),
        }
    }
}

impl Model {
    /// The counter of each conversation.
    pub fn counters(&self) -> BTreeMap<ConversationId, i64> {
        self.conversations.iter().map(|(id, in_)| (*id, in_.update)).collect()
    }

    /// The conversations whose counter is another one.
    pub fn changed_since(&self, counters: &BTreeMap<ConversationId, i64>) -> Vec<ConversationId> {
        let changed = self.conversations.iter().filter(|(id, in_)| counters.get(*id).unwrap_or(&0) != &in_.update);
        changed.map(|(id, _)| *id).collect()
    }
}

/// Compares the digests of the conversations with those of the model, which computes them anew: the stored one of the
/// whole, and those of two parts, which the store computes.
pub async fn wrong_digest(store: &Store, model: &Model, of: &[ConversationId]) -> Option<String> {
    for in_ in of.iter().map(|id| &model.conversations[id]) {
        let Some(reader) = in_.reader(&model.users) else { continue };
        let middle = in_.update / 2;
        for (from, to) in [(1, in_.update), (1, middle), (middle + 1, in_.update)] {
            if from > to {
                continue;
            }
            let range = DigestRange::parse(Some(from.unsigned_abs()), Some(to.unsigned_abs())).unwrap();
            let found = store.range_digest(reader, in_.id, range).await.unwrap();
            let messages = in_.said.iter().filter(|said| (from..=to).contains(&said.seq)).count() as u64;
            let expected = (in_.update, messages, in_.digest(from, to));
            if (found.update.0, found.messages, found.digest) != expected {
                return Some(format!("has of {from} to {to}\n{found:?}\nthe model\n{expected:?}"));
            }
        }
    }
    None
}
