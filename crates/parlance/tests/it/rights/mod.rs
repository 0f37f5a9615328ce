//! The table of who may do what, walked over HTTP: every operation by every role, on both databases.

mod place;
mod ways;

use crate::harness::{Answer, NOWHERE, Server};
use crate::live::client::{Socket, fault};
use api_actix::limits::Op;
use api_actix::routes::ROUTES;
use domain::rights::{Operation as O, Right, Role};
use domain::users::{AdminNames, Broadcasters, ServerPolicy};
use place::{Cast, LIKE, Place, form};
use serde_json::{Value, json};
use test_support::TestDb;
use ways::{Kind, LIVE_OF_NOBODY, NEED_NO_ROW, Way, way};

#[test]
fn every_route_has_a_row_or_needs_none() {
    let ways = || O::ALL.iter().flat_map(|operation| Kind::ALL.map(|kind| way(*operation, kind)));
    for route in ROUTES {
        let has_row = ways().any(|way| way == Way::Http(route.0, route.1));
        assert_ne!(has_row, NEED_NO_ROW.contains(route), "{route:?}");
    }
    for op in Op::ALL {
        assert_ne!(ways().any(|way| way == Way::Live(op.word())), op.word() == LIVE_OF_NOBODY, "{op:?}");
    }
    let unknown = |(method, path): &(&str, &str)| !ROUTES.contains(&(*method, *path));
    assert_eq!(NEED_NO_ROW.iter().find(|route| unknown(route)), None);
}

impl Place<'_> {
    /// The route, filled in, and a query behind it. `of_other` is the id of a session or a token.
    fn path(&self, operation: O, route: &str, of_other: &str) -> String {
        let Cast { actor, other, newcomer, .. } = self.cast;
        let is_own = matches!(operation, O::EditOwn | O::DeleteOwn | O::ReadOwnVersions | O::MentionAllInEdit);
        let id = match route.split('/').nth(1) {
            Some("messages") if is_own => &self.own,
            Some("messages") => &self.theirs,
            Some("conversations") => &self.conversation,
            Some("groups") => &self.group,
            Some("sessions" | "tokens") => of_other,
            Some("admin") if route.starts_with("/admin/groups") => &self.group,
            Some("admin") => &newcomer.id,
            _ => &other.id,
        };
        let user = match operation {
            O::ChangeOwnRole => &actor.id,
            O::RemoveAdmin => &self.aide().id,
            _ => &other.id,
        };
        let mut path = match operation {
            O::ReadFile => self.url.clone(),
            O::ReadThumbnail => format!("{}?w=320", self.url),
            _ => route.replace("{id}", id).replace("{user_id}", user).replace("{emoji}", LIKE),
        };
        let there = || {
            let (name, id) = self.to.as_object().and_then(|to| to.iter().next()).unwrap();
            format!("{name}={}", id.as_str().unwrap_or_default())
        };
        match operation {
            O::ListMessages => path += &format!("?{}", there()),
            O::SearchEverywhere => path += &format!("?q={}", self.word),
            O::SearchThere => path += &format!("?q={}&{}", self.word, there()),
            O::ListGroups => path += &format!("?q={}", self.name),
            O::ListByName if self.kind == Kind::Group => path += &format!("?group={}", self.name),
            O::ListByName if self.kind == Kind::Direct => path += &format!("?user={}", other.name),
            _ => {}
        }
        path
    }

    fn body(&self, operation: O) -> Value {
        let Cast { actor, other, newcomer, .. } = self.cast;
        let there = |more: Value| {
            let mut body = self.to.clone();
            body["content"] = json!("x");
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        let all = json!({ "user_ids": [], "all": true });
        match operation {
            O::Send | O::SendLive => there(json!({})),
            O::SendByName => json!({ "to": other.name, "group": self.name, "content": "x" }),
            O::AnswerMessage => there(json!({ "reply_to": self.theirs })),
            O::ReplyInThread => there(json!({ "thread_id": self.theirs })),
            O::ForwardMessage => json!({ "receiver_id": actor.id, "forward": self.theirs }),
            O::SendOthersFile => {
                json!({ "receiver_id": actor.id, "type": "image", "content": "x", "file_id": self.file })
            }
            O::MentionAll => there(json!({ "mentions": all })),
            O::MentionAllInEdit => json!({ "content": "changed", "mentions": all }),
            O::EditOwn | O::EditOthers => json!({ "content": "changed" }),
            O::MarkRead => json!({ "up_to": self.theirs }),
            O::MarkUnread => json!({ "from": self.theirs }),
            O::ChangeSettings => json!({ "favourite": true }),
            O::KeepDraft => json!({ "content": "hm" }),
            O::OpenDirect => json!({ "user_id": newcomer.id }),
            O::ChangeGroup => json!({ "description": "changed" }),
            O::JoinGroup => json!({ "user_id": actor.id }),
            O::AddMember => json!({ "user_id": newcomer.id, "role": "member" }),
            O::AddAdmin => json!({ "user_id": newcomer.id, "role": "admin" }),
            O::ChangeRole => json!({ "role": "admin" }),
            O::HandOver => json!({ "role": "owner" }),
            O::ChangeOwnRole => json!({ "role": "member" }),
            O::MarkSeenLive => json!({ "message_id": self.theirs }),
            O::VerifyDigest => json!({ "conversation_id": self.conversation, "update": 0, "digest": "0".repeat(16) }),
            O::SignalTyping => self.to.clone(),
            _ => json!({}),
        }
    }

    /// Asks by HTTP.
    async fn ask(&self, operation: O, (method, route): (&str, &str)) -> Answer {
        let Cast { actor, other, .. } = self.cast;
        let of_other = match operation {
            O::EndOthersSession => other.get("/sessions").await.expect(200)[0]["id"].take(),
            O::EndOthersToken => other.post("/tokens", json!({ "name": "theirs" })).await.expect(201)["id"].take(),
            _ => Value::Null,
        };
        let path = self.path(operation, route, of_other.as_str().unwrap_or_default());
        match (operation, method) {
            (O::SendUpload, _) => {
                let (name, id) = self.to.as_object().and_then(|to| to.iter().next()).unwrap();
                actor.form(&path, form().text(name.clone(), id.as_str().unwrap().to_owned())).await
            }
            (_, "get") => actor.get(&path).await,
            _ => actor.raw(&method.to_uppercase(), &path, &[], self.body(operation).to_string()).await,
        }
    }

    /// What the actor gets by HTTP.
    async fn right_by_http(&self, operation: O, way: (&str, &str)) -> Right {
        let answer = self.ask(operation, way).await;
        match answer.status {
            200..=299 => {}
            403 => return Right::Forbidden,
            404 => return Right::Unknown,
            409 => return Right::Conflict,
            _ => panic!("{operation:?} by {:?}: {answer}", self.cast.role),
        }
        // Lists that leave out what the caller may not see.
        let among = match operation {
            O::SearchEverywhere | O::SearchThere | O::ListMentions | O::ListMessages | O::ListByName => &self.theirs,
            O::ListConversations => &self.conversation,
            O::ListGroups => &self.group,
            _ => return Right::Allowed,
        };
        if answer.json().to_string().contains(among.as_str()) { Right::Allowed } else { Right::Unknown }
    }

    /// What the actor gets over a WebSocket. A refusal tells a code; an operation without an answer is known to be over
    /// by the answer to the next.
    async fn right_over_socket(&self, operation: O, word: &str) -> Right {
        let mut socket = Socket::open(&self.cast.actor).await;
        let request = json!({ "op": word, "ref": "asked", "data": self.body(operation) });
        socket.send(request.to_string()).await;
        socket.send(json!({ "op": "ping" }).to_string()).await;
        loop {
            let frame = socket.any().await;
            if frame["event"] == "pong" {
                return Right::Allowed;
            }
            if frame["event"] == "reply" && frame["ok"] == false {
                return match fault(&frame).0.as_str() {
                    "forbidden" => Right::Forbidden,
                    "not_found" => Right::Unknown,
                    _ => panic!("{operation:?} by {:?}: {frame}", self.cast.role),
                };
            }
        }
    }

    /// Whether the actor hears of another message there before one to oneself that is sent later.
    async fn hears(&self) -> Right {
        let Cast { actor, other, role, newcomer, .. } = self.cast;
        let mut socket = Socket::open(actor).await;
        let body = |to: Value| {
            let mut body = to;
            body["content"] = json!("heard");
            body
        };
        let said = match self.kind {
            Kind::Broadcast => other.post("/broadcast/send", json!({ "content": "heard" })).await.expect(200),
            Kind::Direct if *role == Role::Stranger => {
                other.post("/messages", body(json!({ "receiver_id": newcomer.id }))).await.expect(201)
            }
            Kind::Direct => other.post("/messages", body(json!({ "receiver_id": actor.id }))).await.expect(201),
            Kind::Group => other.post("/messages", body(self.to.clone())).await.expect(201),
        };
        let note = json!(actor.send(&actor.id, "note").await);
        let mut heard = Right::Unknown;
        loop {
            let frame = socket.any().await;
            if frame["event"] == "message.created" && frame["data"]["id"] == note {
                return heard;
            }
            if frame.to_string().contains(said["id"].as_str().unwrap()) {
                heard = Right::Allowed;
            }
        }
    }

    async fn right(&self, operation: O) -> Right {
        match way(operation, self.kind) {
            Way::Http(method, route) => self.right_by_http(operation, (method, route)).await,
            Way::Live(word) => self.right_over_socket(operation, word).await,
            Way::Event => self.hears().await,
        }
    }
}

/// A server with two admins, who alone may broadcast.
async fn server(database: Option<&TestDb>) -> Server {
    let server = Server::with(|setup| {
        if let Some(database) = database {
            setup.database_url = database.url().to_owned();
        }
        setup.policy = ServerPolicy {
            admins: AdminNames::parse(["boss", "chef"]).unwrap(),
            broadcasters: Broadcasters::Admins,
            ..ServerPolicy::default()
        };
    })
    .await;
    for admin in ["boss", "chef"] {
        server.user(admin).await;
    }
    server
}

/// One column: what a role gets that the table does not say, by operation.
async fn differences(server: &Server, role: Role) -> Vec<String> {
    let cast = Cast::of(server, role).await;
    let mut differences = Vec::new();
    for operation in O::ALL {
        let expected = operation.right_of(role);
        if expected == Right::Never {
            continue;
        }
        let place = Place::make(&cast, *operation).await;
        let before = place.state().await;
        let found = place.right(*operation).await;
        if found != expected {
            differences.push(format!("{operation:?} by {role:?}: {found:?}, and the table says {expected:?}"));
        } else if found != Right::Allowed && place.state().await != before {
            differences.push(format!("{operation:?} by {role:?} was refused and done"));
        }
    }
    differences
}

async fn walk(database: Option<&TestDb>) {
    let server = server(database).await;
    let columns = Role::ALL.map(|role| differences(&server, role));
    let all: Vec<String> = futures_util::future::join_all(columns).await.into_iter().flatten().collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[actix_web::test]
async fn the_server_does_what_the_table_says() {
    walk(None).await;
}

#[actix_web::test]
async fn the_server_does_what_the_table_says_on_postgres() {
    let Some(database) = TestDb::postgres() else { return };
    walk(Some(&database)).await;
}

#[actix_web::test]
async fn a_deleted_message_is_there_for_nobody() {
    let server = server(None).await;
    for role in [Role::Owner, Role::Party, Role::Broadcaster] {
        let cast = Cast::of(&server, role).await;
        for operation in O::ALL {
            let way = way(*operation, Kind::of(role));
            let is_of_message = matches!(way, Way::Http(_, route) if route.starts_with("/messages/{id}"))
                || matches!(operation, O::AnswerMessage | O::ReplyInThread | O::ForwardMessage | O::MarkSeenLive);
            if !is_of_message || operation.right_of(role) == Right::Never {
                continue;
            }
            let place = Place::make(&cast, *operation).await;
            for (user, message) in [(&cast.other, &place.theirs), (&cast.actor, &place.own)] {
                user.delete(&format!("/messages/{message}"), json!({})).await.expect(204);
            }
            assert_eq!(place.right(*operation).await, Right::Unknown, "{operation:?} by {role:?}");
        }
    }
}

#[actix_web::test]
async fn a_deleted_account_does_nothing_any_more() {
    let server = server(None).await;
    for role in [Role::Member, Role::Party, Role::Listener] {
        let cast = Cast::of(&server, role).await;
        let place = Place::make(&cast, O::ReadMessage).await;
        cast.actor.delete_account().await;
        for operation in O::ALL.iter().filter(|operation| operation.right_of(role) != Right::Never) {
            if let Way::Http(method, route) = way(*operation, place.kind) {
                place.ask(*operation, (method, &route.replace("{id}", NOWHERE))).await.refused(401, None);
            }
        }
    }
}
