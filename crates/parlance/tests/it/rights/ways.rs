//! How each operation reaches the server.

use domain::rights::{Operation as O, Role};

/// The kind of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Group,
    Direct,
    Broadcast,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Group, Self::Direct, Self::Broadcast];

    /// Where users of that role are.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Owner | Role::Admin | Role::Member | Role::Reader | Role::Outsider | Role::ServerAdmin => Self::Group,
            Role::Party | Role::Stranger => Self::Direct,
            Role::Listener | Role::Broadcaster => Self::Broadcast,
        }
    }
}

/// The way of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A method and a route.
    Http(&'static str, &'static str),
    /// An operation over a WebSocket.
    Live(&'static str),
    /// An event over a WebSocket.
    Event,
}

/// By which way users of a place do this.
pub fn way(operation: O, kind: Kind) -> Way {
    use Way::{Http, Live};
    match operation {
        O::ReadMessage => Http("get", "/messages/{id}"),
        O::ListMessages => Http("get", "/messages"),
        O::ReadChanges => Http("get", "/conversations/{id}/changes"),
        O::ReadDigest => Http("get", "/conversations/{id}/digest"),
        O::VerifyDigest => Live("verify"),
        O::ReadThread => Http("get", "/messages/{id}/thread"),
        O::ListReactions => Http("get", "/messages/{id}/reactions"),
        O::ListPins => Http("get", "/conversations/{id}/pins"),
        O::ListReceipts => Http("get", "/messages/{id}/seen"),
        O::ReadFile | O::ReadThumbnail => Http("get", "/uploads/{id}/{name}"),
        O::SearchEverywhere | O::SearchThere => Http("get", "/search"),
        O::ListMentions => Http("get", "/mentions"),
        O::ListConversations => Http("get", "/conversations"),
        O::HearOfMessage => Way::Event,
        O::ReadOwnVersions | O::ReadOthersVersions => Http("get", "/messages/{id}/edits"),
        O::SendLive => Live("send"),
        O::SendByName => match kind {
            Kind::Group => Http("post", "/group/send"),
            Kind::Direct => Http("post", "/dm/send"),
            Kind::Broadcast => Http("post", "/broadcast/send"),
        },
        O::ListByName => match kind {
            Kind::Group => Http("get", "/group/history"),
            Kind::Direct => Http("get", "/dm/history"),
            Kind::Broadcast => Http("get", "/broadcast/history"),
        },
        O::SendUpload => Http("post", "/messages/upload"),
        O::Send | O::AnswerMessage | O::ReplyInThread | O::ForwardMessage | O::SendOthersFile | O::MentionAll => {
            Http("post", "/messages")
        }
        O::EditOwn | O::EditOthers | O::MentionAllInEdit => Http("put", "/messages/{id}"),
        O::DeleteOwn | O::DeleteOthers => Http("delete", "/messages/{id}"),
        O::React => Http("put", "/messages/{id}/reactions/{emoji}"),
        O::TakeReactionBack => Http("delete", "/messages/{id}/reactions/{emoji}"),
        O::Pin => Http("put", "/messages/{id}/pin"),
        O::Unpin => Http("delete", "/messages/{id}/pin"),
        O::MarkSeen => Http("post", "/messages/{id}/seen"),
        O::MarkSeenLive => Live("seen"),
        O::MarkRead => Http("post", "/conversations/{id}/read"),
        O::MarkUnread => Http("post", "/conversations/{id}/unread"),
        O::ChangeSettings => Http("patch", "/conversations/{id}/settings"),
        O::KeepDraft => Http("put", "/conversations/{id}/draft"),
        O::DropDraft => Http("delete", "/conversations/{id}/draft"),
        O::OpenDirect => Http("post", "/conversations"),
        O::ReadGroup => Http("get", "/groups/{id}"),
        O::ListGroups => Http("get", "/groups"),
        O::ListMembers => Http("get", "/groups/{id}/members"),
        O::ChangeGroup => Http("put", "/groups/{id}"),
        O::DeleteGroup => Http("delete", "/groups/{id}"),
        O::JoinGroup | O::AddMember | O::AddAdmin => Http("post", "/groups/{id}/members"),
        O::ChangeRole | O::HandOver | O::ChangeOwnRole => Http("patch", "/groups/{id}/members/{user_id}"),
        O::RemoveMember | O::RemoveAdmin => Http("delete", "/groups/{id}/members/{user_id}"),
        O::LeaveGroup => Http("post", "/groups/{id}/leave"),
        O::SignalTyping => Live("typing"),
        O::ReadAccount => Http("get", "/users/{id}"),
        O::CountOthersUnseen => Http("get", "/messages/unseen/{user_id}"),
        O::EndOthersSession => Http("delete", "/sessions/{id}"),
        O::EndOthersToken => Http("delete", "/tokens/{id}"),
        O::ListAccounts => Http("get", "/admin/users"),
        O::DisableAccount => Http("post", "/admin/users/{id}/disable"),
        O::EnableAccount => Http("post", "/admin/users/{id}/enable"),
        O::EndAllSessions => Http("delete", "/admin/users/{id}/sessions"),
        O::DeleteAnyGroup => Http("delete", "/admin/groups/{id}"),
        O::ReadAudit => Http("get", "/admin/audit"),
    }
}

/// Routes that everybody may ask, with or without a token, or that concern the caller's own account alone. So they
/// need no row.
pub const NEED_NO_ROW: &[(&str, &str)] = &[
    // One's own account, sessions, tokens and files
    ("get", "/me"),
    ("patch", "/me"),
    ("delete", "/me"),
    ("get", "/me/export"),
    ("get", "/sessions"),
    ("post", "/logout"),
    ("get", "/tokens"),
    ("post", "/tokens"),
    ("post", "/upload"),
    // Begins with what is nobody else's
    ("post", "/groups"),
    ("post", "/group/create"),
    ("get", "/users"),
    // The connections; `HearOfMessage` says what they tell
    ("get", "/ws"),
    ("get", "/events"),
    // Without a token
    ("post", "/signup"),
    ("post", "/users"),
    ("post", "/login"),
    ("post", "/token"),
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/server"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/"),
    ("get", "/assets/{path:.*}"),
    ("get", "/docs"),
    ("get", "/docs/"),
    ("get", "/docs/{file}"),
];

/// The operation over a WebSocket that concerns nobody.
pub const LIVE_OF_NOBODY: &str = "ping";
