//! A client that keeps a conversation, knows by digests whether it has all of it, and loads what differs again.
//!
//! It computes digests by the words of `docs/api.md`, and not by the server's code.

use super::client::Socket;
use crate::harness::User;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A number of 256 bits, big-endian.
type Sum = [u8; 32];

fn plus(one: Sum, other: Sum) -> Sum {
    let (mut sum, mut carry) = ([0; 32], 0);
    for place in (0..32).rev() {
        let total = u16::from(one[place]) + u16::from(other[place]) + carry;
        sum[place] = (total & 0xff) as u8;
        carry = total >> 8;
    }
    sum
}

fn digits(sum: Sum) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message as the client has it; without content if it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    id: String,
    update: i64,
    content: Option<String>,
}

impl Kept {
    fn hash(&self, seq: i64) -> Sum {
        Sha256::new()
            .chain_update(uuid::Uuid::parse_str(&self.id).unwrap().as_bytes())
            .chain_update(seq.to_be_bytes())
            .chain_update(self.update.to_be_bytes())
            .chain_update([u8::from(self.content.is_some())])
            .chain_update(Sha256::digest(self.content.as_deref().unwrap_or_default()))
            .finalize()
            .into()
    }
}

/// A conversation as a client has it.
#[derive(Debug)]
pub struct Replica {
    conversation: String,
    /// By `seq`.
    messages: BTreeMap<i64, Kept>,
    /// The greatest number seen.
    pub update: i64,
    /// How often it noticed that something was missing or wrong.
    pub repairs: usize,
}

impl Replica {
    /// All that the server has of the conversation.
    pub async fn load(user: &User, conversation: &str) -> Self {
        let conversation = conversation.to_owned();
        let mut replica = Self { conversation, messages: BTreeMap::new(), update: 0, repairs: 0 };
        assert!(replica.follow(user, 0).await, "what was just loaded is all there is");
        replica
    }

    fn digest(&self, from: i64, to: i64) -> (u64, String) {
        let range = if from <= to { self.messages.range(from..=to) } else { self.messages.range(0..0) };
        let (count, sum) =
            range.fold((0, [0; 32]), |(count, sum), (seq, kept)| (count + 1, plus(sum, kept.hash(*seq))));
        (count, digits(sum))
    }

    /// The digest of all that it has.
    pub fn whole(&self) -> String {
        self.digest(0, i64::MAX).1
    }

    /// The first 16 digits of it.
    pub fn short(&self) -> String {
        self.whole()[..16].to_owned()
    }

    /// The contents in order.
    pub fn contents(&self) -> Vec<Option<String>> {
        self.messages.values().map(|kept| kept.content.clone()).collect()
    }

    fn keep(&mut self, entry: &Value) {
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let (seq, update) = (entry["seq"].as_i64().unwrap(), entry["update"].as_i64().unwrap());
        if self.messages.get(&seq).is_none_or(|kept| kept.update <= update) {
            let content = text("content").filter(|_| entry.get("deleted_at").is_none());
            self.messages.insert(seq, Kept { id: text("id").unwrap(), update, content });
        }
    }

    /// Takes a frame in. Returns whether it knows that it has all up to there; `None` if the frame does not tell.
    pub fn take(&mut self, frame: &Value) -> Option<bool> {
        let update = frame["update"].as_i64().filter(|_| frame["conversation_id"] == *self.conversation)?;
        match frame["event"].as_str().unwrap() {
            "message.created" | "message.updated" => self.keep(&frame["data"]),
            "message.deleted" => {
                let gone = self.messages.values_mut().find(|kept| frame["data"]["id"] == *kept.id);
                if let Some(kept) = gone.filter(|kept| kept.update <= update) {
                    (kept.update, kept.content) = (update, None);
                }
            }
            // An event that this client does not know.
            _ => {}
        }
        let is_newest = update >= self.update;
        self.update = self.update.max(update);
        let digest = frame["digest"].as_str().filter(|_| is_newest)?;
        Some(digest == self.short())
    }

    /// Takes a frame in, and loads what differs if the frame shows that something does.
    pub async fn take_or_repair(&mut self, user: &User, frame: &Value) {
        if self.take(frame) == Some(false) {
            self.repair(user).await;
        }
    }

    /// Follows the feed of changes. Returns whether it has all in the end.
    async fn follow(&mut self, user: &User, mut after: i64) -> bool {
        loop {
            let path = format!("/conversations/{}/changes?after={after}&limit=200", self.conversation);
            let page = user.get(&path).await.expect(200);
            page["messages"].as_array().unwrap().iter().for_each(|entry| self.keep(entry));
            after = page["update"].as_i64().unwrap();
            if page["more"] == false {
                self.update = self.update.max(after);
                return page["digest"] == self.short();
            }
            assert!(page.get("digest").is_none(), "only the last page has it: {page}");
        }
    }

    /// Finds the first number that differs by halving, and loads everything from there again.
    async fn repair(&mut self, user: &User) {
        self.repairs += 1;
        for _ in 0..10 {
            let (mut from, mut to) = (1, 0);
            let server = async |from: i64, to: Option<i64>| {
                let to = to.map_or_else(String::new, |to| format!("&to={to}"));
                let path = format!("/conversations/{}/digest?from={from}{to}", self.conversation);
                user.get(&path).await.expect(200)
            };
            let whole = server(1, None).await;
            if whole["digest"] == self.whole() {
                return;
            }
            to = to.max(whole["update"].as_i64().unwrap());
            while from < to {
                let middle = from + (to - from) / 2;
                let half = server(from, Some(middle)).await;
                let (count, digest) = self.digest(from, middle);
                let is_same = half["messages"] == json!(count) && half["digest"] == digest;
                if is_same { from = middle + 1 } else { to = middle }
            }
            self.messages.retain(|seq, _| *seq < from);
            if self.follow(user, from - 1).await {
                return;
            }
        }
        panic!("it does not get what the server has: {self:?}");
    }

    /// Asks the server whether it has everything, and repairs itself until the server says so.
    pub async fn prove(&mut self, user: &User, socket: &mut Socket) {
        for _ in 0..10 {
            let claim = json!({ "conversation_id": self.conversation, "update": self.update, "digest": self.short() });
            let answer = socket.op("verify", claim).await;
            if answer["ok"] == true && answer.get("data").is_none() {
                return;
            }
            if answer["ok"] == false {
                assert_eq!(answer["error"]["code"], "conflict", "{answer}");
            }
            self.repair(user).await;
        }
        panic!("it never has what the server has: {self:?}");
    }
}
