//! The rows of the table, and what each asks.

use super::load::Script;
use super::population::{
    BACKLOGGED, Kind, NOWHERE, READERS, SENDERS, SPREAD, TENTH, backlogged, begun_by, conversations_of, id, length,
    message, name, partners, sender, spread,
};
use crate::http::request;
use clap::ValueEnum;
use serde_json::json;

/// What is read over so many connections.
const READING: u64 = 64;
const LIMIT: u64 = 50;
/// How many requests of a connection differ, where there are many places to ask for.
const PLACES: u64 = 64;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// The newest 50 messages of one of twelve conversations
    Page,
    /// The unseen counts of somebody with twelve conversations
    Unseen,
    /// The same with 10,000 unseen messages
    Backlog,
    /// The list of twelve conversations
    Conversations,
    /// 50 messages from anywhere in a conversation's history
    Deep,
    /// The newest 50 changes of a conversation
    Changes,
    /// One message
    Message,
    /// A search for a word that is in every tenth message
    Search,
    /// A search for a word that is in none
    Nowhere,
    /// Durable sends to users by id, 64 connections
    Send64,
    /// The same, 256 connections
    Send256,
    /// Durable sends to users by name (POST /dm/send), 64 connections
    Name64,
    /// The same, 256 connections
    Name256,
    /// Durable sends into 64 groups, 64 connections
    Spread,
    /// Durable sends into one of these groups, 64 connections
    Hot,
    /// Reactions, each taken back before the next
    React,
    /// How long searches take beside sends
    Searching,
    /// What 50 logins at once do to sends and to GET /health
    Login,
    /// Fan-out to 1,000 sockets as fast as it goes
    Fanout1000,
    /// Fan-out to 5,000 sockets as fast as it goes
    Fanout5000,
    /// 20 messages a second to 1,000 sockets
    Paced,
    /// Memory of an idle socket
    Idle,
    /// From the start of the process to the first answer
    Start,
    /// Bytes of the program
    Size,
}

impl Row {
    /// As the table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Page => "newest page of 50",
            Self::Unseen => "unseen counts, 12 conversations",
            Self::Backlog => "unseen counts, 10,000 unseen messages",
            Self::Conversations => "conversation list, 12 conversations",
            Self::Deep => "page of 50 deep in history",
            Self::Changes => "changes, the newest 50",
            Self::Message => "one message",
            Self::Search => "search, a word in every tenth message",
            Self::Nowhere => "search, a word in no message",
            Self::Send64 => "durable send by id, 64 connections",
            Self::Send256 => "durable send by id, 256 connections",
            Self::Name64 => "durable send by name, 64 connections",
            Self::Name256 => "durable send by name, 256 connections",
            Self::Spread => "durable send, 64 groups",
            Self::Hot => "durable send, one hot group",
            Self::React => "reaction, or taking it back",
            Self::Searching => "search beside sends",
            Self::Login => "login beside sends",
            Self::Fanout1000 => "fan-out, 1,000 sockets",
            Self::Fanout5000 => "fan-out, 5,000 sockets",
            Self::Paced => "fan-out, 20 messages a second to 1,000 sockets",
            Self::Idle => "idle memory a socket",
            Self::Start => "cold start to the first answer",
            Self::Size => "size of the program",
        }
    }

    /// Whether it changes the database: those that only read come first.
    pub fn writes(self) -> bool {
        !matches!(
            self,
            Self::Page
                | Self::Unseen
                | Self::Backlog
                | Self::Conversations
                | Self::Deep
                | Self::Changes
                | Self::Message
                | Self::Search
                | Self::Nowhere
        )
    }

    /// Whether it needs the index of the search, which a server makes of a database that has none.
    pub fn searches(self) -> bool {
        matches!(self, Self::Search | Self::Nowhere | Self::Searching)
    }

    /// Whether it is requests alone, and stands beside the no-op.
    pub fn is_requests(self) -> bool {
        self.connections() > 0
    }

    fn connections(self) -> u64 {
        match self {
            Self::Send256 | Self::Name256 => 256,
            Self::Send64 | Self::Name64 | Self::Spread | Self::Hot | Self::React => 64,
            _ if !self.writes() => READING,
            _ => 0,
        }
    }

    /// What each connection asks of a database with so many messages; `tokens` are the users'.
    pub fn scripts(self, messages: u64, tokens: &[String]) -> Vec<Script> {
        let script = |connection| match self {
            Self::Page | Self::Deep | Self::Conversations | Self::Unseen | Self::Changes | Self::Message => {
                reading(self, connection, messages, tokens)
            }
            Self::Backlog => {
                let user = backlogged(connection % BACKLOGGED);
                gets(vec![format!("/messages/unseen/{}", id(Kind::User, user))], token(tokens, user))
            }
            Self::Search => searching(TENTH, connection, tokens),
            Self::Nowhere => searching(NOWHERE, connection, tokens),
            Self::React => reacting(connection, tokens),
            _ => sending(self, connection, tokens),
        };
        (0..self.connections()).map(script).collect()
    }

    /// As many connections that ask for nothing.
    pub fn no_op(self) -> Vec<Script> {
        let script = Script { requests: vec![request("GET", "/health", None, None)], statuses: &[200], every: None };
        vec![script; self.connections() as usize]
    }
}

fn token(tokens: &[String], user: u64) -> &str {
    &tokens[user as usize]
}

fn gets(paths: Vec<String>, token: &str) -> Script {
    let requests = paths.iter().map(|path| request("GET", path, Some(token), None)).collect();
    Script { requests, statuses: &[200], every: None }
}

fn reading(row: Row, connection: u64, messages: u64, tokens: &[String]) -> Script {
    let reader = connection % READERS;
    let own = conversations_of(reader);
    let of = |(number, other): (u64, Option<u64>)| match other {
        Some(other) => format!("receiver_id={}", id(Kind::User, other)),
        None => format!("group_id={}", id(Kind::Conversation, number)),
    };
    // A conversation in turn, and a place in it, spread evenly and in no order.
    let places = (0..PLACES).map(|n| {
        let chosen = own[((connection + n) % own.len() as u64) as usize];
        let newest = length(messages, chosen.0).max(1);
        let share = (connection * PLACES + n) as f64 * 0.618_033_988_75;
        let first = (LIMIT + 1).min(newest);
        (chosen, first + ((newest - first) as f64 * share.fract()) as u64)
    });
    let paths = match row {
        Row::Page => own.iter().map(|own| format!("/messages?{}&before=latest&limit={LIMIT}", of(*own))).collect(),
        Row::Deep => places
            .map(|(chosen, seq)| {
                let before = id(Kind::Message, message(chosen.0, seq));
                format!("/messages?{}&before={before}&limit={LIMIT}", of(chosen))
            })
            .collect(),
        Row::Message => {
            places.map(|(chosen, seq)| format!("/messages/{}", id(Kind::Message, message(chosen.0, seq)))).collect()
        }
        Row::Changes => own
            .iter()
            .map(|(number, _)| {
                let after = length(messages, *number).saturating_sub(LIMIT);
                format!("/conversations/{}/changes?after={after}&limit={LIMIT}", id(Kind::Conversation, *number))
            })
            .collect(),
        Row::Conversations => vec!["/conversations".to_owned()],
        _ => vec![format!("/messages/unseen/{}", id(Kind::User, reader))],
    };
    gets(paths, token(tokens, reader))
}

/// A reader looks for a word, with nothing kept from the last time: the words differ by what they exclude.
pub fn searching(word: &str, connection: u64, tokens: &[String]) -> Script {
    let paths = (0..PLACES).map(|n| format!("/search?q={word}%20-without{}", connection * PLACES + n));
    gets(paths.collect(), token(tokens, connection % READERS))
}

fn reacting(connection: u64, tokens: &[String]) -> Script {
    let own = connection % SENDERS;
    let path = format!("/messages/{}/reactions/%F0%9F%91%8D", id(Kind::Message, begun_by(own)));
    let token = token(tokens, sender(own));
    let requests = ["PUT", "DELETE"].map(|method| request(method, &path, Some(token), None));
    Script { requests: requests.into(), statuses: &[204], every: None }
}

fn sending(row: Row, connection: u64, tokens: &[String]) -> Script {
    let own = connection % SENDERS;
    let content = "As long as what people write to each other, more or less.";
    let (path, statuses, bodies): (_, &'static [u16], _) = match row {
        Row::Name64 | Row::Name256 => {
            let to = partners(own).into_iter().map(|to| json!({ "to": name(sender(to)), "content": content }));
            ("/dm/send", &[200], to.collect::<Vec<_>>())
        }
        Row::Spread | Row::Hot => {
            let groups: u64 = if row == Row::Hot { 1 } else { SPREAD };
            let group = |n| id(Kind::Conversation, spread((own + n) % groups));
            let bodies = (0..groups).map(|n| json!({ "group_id": group(n), "content": content }));
            ("/messages", &[201], bodies.collect())
        }
        _ => {
            let to = partners(own).into_iter().map(|to| id(Kind::User, sender(to)));
            ("/messages", &[201], to.map(|to| json!({ "receiver_id": to, "content": content })).collect())
        }
    };
    let token = token(tokens, sender(own));
    let requests = bodies.iter().map(|body| request("POST", path, Some(token), Some(&body.to_string()))).collect();
    Script { requests, statuses, every: None }
}

#[cfg(test)]
mod tests {
    use super::super::population::USERS;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_asks_over_as_many_connections_as_its_no_op() {
        let tokens: Vec<String> = (0..USERS).map(|user| format!("token-of-{user}")).collect();
        for row in Row::value_variants().iter().filter(|row| row.is_requests()) {
            let (scripts, no_op) = (row.scripts(10_000, &tokens), row.no_op());
            assert_eq!(scripts.len(), no_op.len(), "{row:?}");
            assert!(scripts.iter().all(|script| !script.requests.is_empty()), "{row:?}");
        }
    }

    #[test]
    fn places_in_history_are_many_and_have_a_page_before_them() {
        let tokens: Vec<String> = (0..USERS).map(|_| String::new()).collect();
        let scripts = Row::Deep.scripts(1_000_000, &tokens);
        let asked: BTreeSet<&Vec<u8>> = scripts.iter().flat_map(|script| &script.requests).collect();
        assert!(asked.len() > 3_000, "{}", asked.len());
    }
}
