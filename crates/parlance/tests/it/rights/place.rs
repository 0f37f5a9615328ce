//! A place, and users who have roles in it.

use super::ways::Kind;
use crate::harness::{Server, User};
use crate::live::client::Socket;
use domain::rights::{Operation, Role};
use image::{ImageFormat, RgbImage};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// An emoji, percent-encoded.
pub const LIKE: &str = "%F0%9F%91%8D";

/// The users of one column of the table.
pub struct Cast {
    pub role: Role,
    /// Who has the role.
    pub actor: User,
    /// Wrote the message of another: a plain member, a party, or an admin who broadcast.
    pub other: User,
    /// An admin of the group.
    aide: User,
    /// Owns the group, if the actor does not.
    owner: User,
    /// Is in no group, and is the other party of the stranger's conversation.
    pub newcomer: User,
}

impl Cast {
    /// The server must have the admins `boss` and `chef`.
    pub async fn of(server: &Server, role: Role) -> Self {
        let name = |who: &str| format!("{who}-{role:?}").to_lowercase();
        let admin = async |name: &str| server.log_in(name, &format!("password of {name}")).await;
        let is_admin = matches!(role, Role::ServerAdmin | Role::Broadcaster);
        let actor = if is_admin { admin("boss").await } else { server.user(&name("actor")).await };
        let is_broadcast = Kind::of(role) == Kind::Broadcast;
        let other = if is_broadcast { admin("chef").await } else { server.user(&name("other")).await };
        let (aide, owner) = (server.user(&name("aide")).await, server.user(&name("owner")).await);
        Self { role, actor, other, aide, owner, newcomer: server.user(&name("new")).await }
    }
}

/// A conversation with a message of another, and one of the actor's own where the actor can have written there.
pub struct Place<'a> {
    pub cast: &'a Cast,
    pub kind: Kind,
    /// Whom a message to this place names.
    pub to: Value,
    /// The group, if it is one, and its name.
    pub group: String,
    pub name: String,
    pub conversation: String,
    /// The other's message: an image, with a word that no other message has, and a mention of the actor.
    pub theirs: String,
    pub word: String,
    /// The other's file, and its path.
    pub file: String,
    pub url: String,
    /// The actor's message.
    pub own: String,
}

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::new(8, 8).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A form with a picture.
pub fn form() -> Form {
    Form::new().part("file", Part::bytes(picture()).file_name("picture.png"))
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap_or_else(|| panic!("no id: {of}")).to_owned()
}

impl<'a> Place<'a> {
    /// A new place for the operation, or, of a conversation that there is once, new messages in it.
    pub async fn make(cast: &'a Cast, operation: Operation) -> Self {
        let kind = Kind::of(cast.role);
        let word = format!("needle{operation:?}{:?}", cast.role).to_lowercase();
        let mut place = Self {
            cast,
            kind,
            to: json!({}),
            group: String::new(),
            name: word.clone(),
            conversation: String::new(),
            theirs: String::new(),
            word,
            file: String::new(),
            url: String::new(),
            own: String::new(),
        };
        match kind {
            Kind::Group => place.make_group().await,
            Kind::Direct if cast.role == Role::Stranger => place.to = json!({ "receiver_id": cast.newcomer.id }),
            Kind::Direct => place.to = json!({ "receiver_id": cast.actor.id }),
            Kind::Broadcast => place.to = json!({ "broadcast": true }),
        }
        let file = cast.other.form("/upload", form()).await.expect(201);
        let sent = place.say(&cast.other, &file["id"]).await;
        (place.theirs, place.conversation) = (id(&sent), sent["conversation_id"].as_str().unwrap().to_owned());
        (place.file, place.url) = (id(&file), file["url"].as_str().unwrap().to_owned());
        place.write_own().await;
        place.prepare(operation).await;
        if matches!(cast.role, Role::Reader | Role::Outsider | Role::ServerAdmin) {
            cast.actor.post(&format!("/groups/{}/leave", place.group), json!({})).await.expect(204);
        }
        // The actor answers to the other.
        if cast.role == Role::Party || cast.role == Role::Stranger {
            place.to = json!({ "receiver_id": cast.other.id });
        }
        place
    }

    async fn make_group(&mut self) {
        let Cast { role, actor, other, aide, owner, .. } = self.cast;
        let owner = if *role == Role::Owner { actor } else { owner };
        self.group = owner.group(&self.name, if *role == Role::Reader { "public" } else { "private" }).await;
        self.to = json!({ "group_id": self.group });
        for (user, word) in [(other, "member"), (aide, "admin")] {
            owner.add(&self.group, user, word).await;
        }
        if *role != Role::Owner {
            owner.add(&self.group, actor, if *role == Role::Admin { "admin" } else { "member" }).await;
        }
    }

    /// Sends the other's message.
    async fn say(&self, by: &User, file: &Value) -> Value {
        let mut body = self.to.clone();
        body["type"] = json!("image");
        body["content"] = json!(self.word);
        body["file_id"] = file.clone();
        body["mentions"] = json!({ "user_ids": [self.cast.actor.id], "all": false });
        if self.kind != Kind::Broadcast {
            return by.post("/messages", body).await.expect(201);
        }
        let answer = Socket::open(by).await.op("send", body).await;
        assert_eq!(answer["ok"], true, "{answer}");
        answer["data"].clone()
    }

    async fn write_own(&mut self) {
        let Cast { role, actor, other, .. } = self.cast;
        self.own = match role {
            Role::Stranger | Role::Listener => return,
            Role::Broadcaster => id(&actor.post("/broadcast/send", json!({ "content": "own" })).await.expect(200)),
            Role::Party => actor.send(&other.id, "own").await,
            _ => id(&actor.post("/messages", json!({ "group_id": self.group, "content": "own" })).await.expect(201)),
        };
    }

    /// What the operation takes back was done before.
    async fn prepare(&self, operation: Operation) {
        let Cast { role, actor, other, aide, .. } = self.cast;
        let put = async |user: &User, what: &str| {
            user.raw("PUT", &format!("/messages/{}/{what}", self.theirs), &[], "").await.expect(204);
        };
        match operation {
            Operation::TakeReactionBack if !self.own.is_empty() => {
                put(actor, &format!("reactions/{LIKE}")).await;
            }
            Operation::Unpin => put(if self.kind == Kind::Group { aide } else { other }, "pin").await,
            Operation::EnableAccount if matches!(role, Role::ServerAdmin | Role::Broadcaster) => {
                let path = format!("/admin/users/{}/disable", self.cast.newcomer.id);
                actor.post(&path, json!({})).await.expect(200);
            }
            _ => {}
        }
    }

    /// What others see of the place. A refusal changes none of it.
    pub async fn state(&self) -> Value {
        let Cast { other, .. } = self.cast;
        let mut paths = vec![format!("/messages/{}", self.theirs)];
        if !self.own.is_empty() {
            paths.push(format!("/messages/{}", self.own));
        }
        if self.kind == Kind::Group {
            paths.extend(["", "/members"].map(|what| format!("/groups/{}{what}", self.group)));
        }
        let mut seen = Vec::new();
        for path in paths {
            seen.push(other.get(&path).await.expect(200));
        }
        json!(seen)
    }

    /// The admin of the group whom an operation concerns.
    pub fn aide(&self) -> &User {
        &self.cast.aide
    }
}
