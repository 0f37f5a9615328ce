//! Who may do what, as one table: every operation on what belongs to others, and what each role gets.
//!
//! The table decides nothing. The rules are in the `policy` modules, and in the few queries that filter by a rule what
//! they list. A test here compares the table with the policies. A test of the whole program walks it over HTTP, and
//! fails if a route has no row.

/// What a user is to the place that the operation concerns. Messages of others in it are a plain member's, or the other
/// party's, or an admin's in the broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Owns the private group.
    Owner,
    /// Is an admin of the private group.
    Admin,
    /// Is a plain member of the private group.
    Member,
    /// Was a member of the public group.
    Reader,
    /// Was a member of the private group.
    Outsider,
    /// Is an admin of the server, and was a member of the private group.
    ServerAdmin,
    /// Is one of the two of the direct conversation.
    Party,
    /// Is none of the two of the direct conversation.
    Stranger,
    /// Reads the broadcast, in which admins alone may send.
    Listener,
    /// Is an admin of the server, and so may broadcast.
    Broadcaster,
}

impl Role {
    /// All roles, in the order of the table's columns.
    pub const ALL: [Self; 10] = [
        Self::Owner,
        Self::Admin,
        Self::Member,
        Self::Reader,
        Self::Outsider,
        Self::ServerAdmin,
        Self::Party,
        Self::Stranger,
        Self::Listener,
        Self::Broadcaster,
    ];
}

/// What a role gets for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// May do it (`yes`).
    Allowed,
    /// May know of the thing, and not do this to it (`no`): [`Forbidden`](crate::Forbidden).
    Forbidden,
    /// Has no such thing (`none`): [`NotFound`](crate::NotFound), or a list leaves it out.
    Unknown,
    /// May do it, but not as things stand (`busy`): [`Conflict`](crate::Conflict).
    Conflict,
    /// The question does not arise (`-`).
    Never,
}

macro_rules! right {
    (yes) => {
        Right::Allowed
    };
    (no) => {
        Right::Forbidden
    };
    (none) => {
        Right::Unknown
    };
    (busy) => {
        Right::Conflict
    };
    (-) => {
        Right::Never
    };
}

macro_rules! rights {
    ($($operation:ident: $($right:tt)|+;)+) => {
        /// Something that users do to what belongs to others, too.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each says by its name what a user does")]
        pub enum Operation {
            $($operation,)+
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$operation),+];

            const fn row(self) -> [Right; Role::ALL.len()] {
                match self {
                    $(Self::$operation => [$(right!($right)),+],)+
                }
            }
        }
    };
}

rights! {
    //                  Owner | Admin | Member | Reader | Outsider | ServerAdmin | Party | Stranger | Listener | Broadc.
    // Messages
    ReadMessage:          yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ListMessages:         yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | -;
    ReadChanges:          yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ReadDigest:           yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    VerifyDigest:         yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ReadThread:           yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ListReactions:        yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ListPins:             yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ListReceipts:         yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ReadFile:             yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ReadThumbnail:        yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    SearchEverywhere:     yes  | yes   | yes    | none   | none     | none        | yes   | none     | yes      | yes;
    SearchThere:          yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | -;
    ListMentions:         yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    ListConversations:    yes  | yes   | yes    | none   | none     | none        | yes   | none     | yes      | yes;
    HearOfMessage:        yes  | yes   | yes    | none   | none     | none        | yes   | none     | yes      | yes;
    ReadOwnVersions:      yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | yes;
    ReadOthersVersions:   no   | no    | no     | no     | none     | none        | no    | none     | no       | no;
    Send:                 yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | -;
    SendLive:             yes  | yes   | yes    | yes    | none     | none        | yes   | -        | no       | yes;
    SendByName:           yes  | yes   | yes    | yes    | none     | none        | yes   | -        | no       | yes;
    ListByName:           yes  | yes   | yes    | yes    | none     | none        | yes   | -        | yes      | yes;
    SendUpload:           yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | -;
    AnswerMessage:        yes  | yes   | yes    | yes    | none     | none        | yes   | none     | -        | -;
    ReplyInThread:        yes  | yes   | yes    | yes    | none     | none        | yes   | none     | -        | -;
    ForwardMessage:       yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    SendOthersFile:       yes  | yes   | yes    | yes    | none     | none        | yes   | none     | yes      | yes;
    MentionAll:           yes  | yes   | no     | no     | none     | none        | no    | -        | -        | -;
    MentionAllInEdit:     yes  | yes   | no     | no     | none     | none        | no    | -        | -        | yes;
    EditOwn:              yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | yes;
    EditOthers:           no   | no    | no     | no     | none     | none        | no    | none     | no       | no;
    DeleteOwn:            yes  | yes   | yes    | yes    | none     | none        | yes   | -        | -        | yes;
    DeleteOthers:         yes  | yes   | no     | no     | none     | none        | no    | none     | no       | no;
    React:                yes  | yes   | yes    | no     | none     | none        | yes   | none     | no       | yes;
    TakeReactionBack:     yes  | yes   | yes    | no     | none     | none        | yes   | none     | no       | yes;
    Pin:                  yes  | yes   | no     | no     | none     | none        | yes   | none     | no       | yes;
    Unpin:                yes  | yes   | no     | no     | none     | none        | yes   | none     | no       | yes;
    MarkSeen:             yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    MarkSeenLive:         yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    MarkRead:             yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    // One's own view
    MarkUnread:           yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    ChangeSettings:       yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    KeepDraft:            yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    DropDraft:            yes  | yes   | yes    | no     | none     | none        | yes   | none     | yes      | yes;
    OpenDirect:           yes  | yes   | yes    | yes    | yes      | yes         | yes   | yes      | yes      | yes;
    // Groups
    ReadGroup:            yes  | yes   | yes    | yes    | none     | none        | -     | -        | -        | -;
    ListGroups:           yes  | yes   | yes    | yes    | none     | none        | -     | -        | -        | -;
    ListMembers:          yes  | yes   | yes    | yes    | none     | none        | -     | -        | -        | -;
    ChangeGroup:          yes  | yes   | no     | no     | none     | none        | -     | -        | -        | -;
    DeleteGroup:          yes  | no    | no     | no     | none     | none        | -     | -        | -        | -;
    JoinGroup:            yes  | yes   | no     | yes    | none     | none        | -     | -        | -        | -;
    AddMember:            yes  | yes   | no     | no     | none     | none        | -     | -        | -        | -;
    AddAdmin:             yes  | no    | no     | no     | none     | none        | -     | -        | -        | -;
    ChangeRole:           yes  | no    | no     | no     | none     | none        | -     | -        | -        | -;
    HandOver:             yes  | no    | no     | no     | none     | none        | -     | -        | -        | -;
    ChangeOwnRole:        busy | no    | no     | -      | none     | none        | -     | -        | -        | -;
    RemoveMember:         yes  | yes   | no     | no     | none     | none        | -     | -        | -        | -;
    RemoveAdmin:          yes  | no    | no     | no     | none     | none        | -     | -        | -        | -;
    LeaveGroup:           busy | yes   | yes    | none   | none     | none        | -     | -        | -        | -;
    SignalTyping:         yes  | yes   | yes    | no     | none     | none        | yes   | -        | -        | -;
    // Accounts
    ReadAccount:          yes  | yes   | yes    | yes    | yes      | yes         | yes   | yes      | yes      | yes;
    CountOthersUnseen:    no   | no    | no     | no     | no       | no          | no    | no       | no       | no;
    EndOthersSession:     none | none  | none   | none   | none     | none        | none  | none     | none     | none;
    EndOthersToken:       none | none  | none   | none   | none     | none        | none  | none     | none     | none;
    // Running the server
    ListAccounts:         no   | no    | no     | no     | no       | yes         | no    | no       | no       | yes;
    DisableAccount:       no   | no    | no     | no     | no       | yes         | no    | no       | no       | yes;
    EnableAccount:        no   | no    | no     | no     | no       | yes         | no    | no       | no       | yes;
    EndAllSessions:       no   | no    | no     | no     | no       | yes         | no    | no       | no       | yes;
    DeleteAnyGroup:       no   | no    | no     | no     | no       | yes         | -     | -        | -        | -;
    ReadAudit:            no   | no    | no     | no     | no       | yes         | no    | no       | no       | yes;
}

impl Operation {
    /// What the role gets.
    pub fn right_of(self, role: Role) -> Right {
        let place = Role::ALL.iter().position(|one| *one == role);
        place.map_or(Right::Never, |place| self.row()[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Actor, AdminCommand};
    use crate::context::Caller;
    use crate::error::{Error, Result};
    use crate::groups::{self, GroupAccess, NewMember, Visibility};
    use crate::ids::{GroupId, UserId};
    use crate::messages::Access;
    use crate::testing::{account, caller, user};
    use crate::users::{AdminNames, Broadcasters, ServerPolicy, User};
    use uuid::Uuid;

    const GROUP: GroupId = GroupId(Uuid::from_u128(9));

    /// A user of that role, as the rules see the user.
    struct Stand {
        access: Access,
        account: User,
        policy: ServerPolicy,
    }

    impl Stand {
        fn of(role: Role) -> Self {
            let private = |role| Access::Group(GroupAccess { visibility: Visibility::Private, role });
            let access = match role {
                Role::Owner => private(Some(groups::Role::Owner)),
                Role::Admin => private(Some(groups::Role::Admin)),
                Role::Member => private(Some(groups::Role::Member)),
                Role::Reader => Access::Group(GroupAccess { visibility: Visibility::Public, role: None }),
                Role::Outsider | Role::ServerAdmin => private(None),
                Role::Party => Access::Participant,
                Role::Stranger => Access::Stranger,
                Role::Listener | Role::Broadcaster => Access::Broadcast,
            };
            let name = if matches!(role, Role::ServerAdmin | Role::Broadcaster) { "boss" } else { "ada" };
            let policy = ServerPolicy {
                admins: AdminNames::parse(["boss"]).unwrap(),
                broadcasters: Broadcasters::Admins,
                ..ServerPolicy::default()
            };
            Self { access, account: account(1, name), policy }
        }

        fn group(&self) -> GroupAccess {
            match self.access {
                Access::Group(group_access) => group_access,
                other => panic!("no group: {other:?}"),
            }
        }

        fn may_broadcast(&self) -> Result<()> {
            self.policy.may_broadcast(&self.account.username, self.account.role)
        }

        fn may_send(&self) -> Result<()> {
            match self.access {
                Access::Group(group_access) => group_access.may_send().map(|_| ()),
                Access::Broadcast => self.may_broadcast(),
                Access::Participant | Access::Stranger => Ok(()),
            }
        }

        fn may_execute(&self, command: AdminCommand) -> Result<()> {
            let caller: Caller = caller(1);
            crate::admin::may_execute(&self.policy, &Actor::Admin(caller), Some(&self.account), &command)
        }
    }

    /// What the policies say. `None` where no function decides: a query finds what is the user's own, or leaves out
    /// what is not; or a user reads what all users may.
    fn decide(operation: Operation, role: Role) -> Option<Result<()>> {
        use Operation as O;
        let stand = Stand::of(role);
        let (me, other): (UserId, UserId) = (user(1), user(2));
        let broadcasts = || stand.may_broadcast();
        let in_group = |rule: &dyn Fn(GroupAccess) -> Result<()>| Some(rule(stand.group()));
        let adding = |user, role| NewMember::new(GROUP, user, role).unwrap();
        let adding_other = |role| in_group(&|group| group.may_add(me, &adding(other, role), None).map(|_| ()));
        let removing = |target_role| in_group(&|group| group.may_remove(me, other, target_role, 5).map(|_| ()));
        let history = stand.policy.edit_history;
        match operation {
            O::ReadMessage | O::ListMessages | O::ReadChanges | O::ReadDigest | O::VerifyDigest | O::ReadThread => {
                Some(stand.access.may_read())
            }
            O::ListReactions | O::ListPins | O::ListReceipts | O::ReadFile | O::ReadThumbnail | O::ForwardMessage => {
                Some(stand.access.may_read())
            }
            O::SearchThere | O::ListMentions | O::ListByName | O::SendOthersFile => Some(stand.access.may_read()),
            O::SearchEverywhere | O::ListConversations | O::HearOfMessage | O::ListGroups => None,
            O::ReadOwnVersions => Some(stand.access.may_read().and_then(|()| history.may_read(me, me))),
            O::ReadOthersVersions => Some(stand.access.may_read().and_then(|()| history.may_read(me, other))),
            O::Send | O::SendLive | O::SendByName | O::SendUpload => Some(stand.may_send()),
            O::AnswerMessage | O::ReplyInThread => Some(stand.access.may_read().and_then(|()| stand.may_send())),
            O::MentionAll => Some(stand.may_send().and_then(|()| stand.access.may_mention_all(broadcasts))),
            O::MentionAllInEdit => {
                Some(stand.access.may_edit(me, me).and_then(|()| stand.access.may_mention_all(broadcasts)))
            }
            O::EditOwn => Some(stand.access.may_edit(me, me)),
            O::EditOthers => Some(stand.access.may_edit(me, other)),
            O::DeleteOwn => Some(stand.access.may_delete(me, me)),
            O::DeleteOthers => Some(stand.access.may_delete(me, other)),
            O::React | O::TakeReactionBack => Some(stand.access.may_react(broadcasts)),
            O::Pin | O::Unpin => Some(stand.access.may_pin(broadcasts)),
            O::MarkSeen | O::MarkSeenLive | O::MarkRead | O::MarkUnread => Some(stand.access.may_mark()),
            O::ChangeSettings | O::KeepDraft | O::DropDraft => Some(stand.access.may_mark()),
            O::OpenDirect => None,
            O::ReadGroup | O::ListMembers => in_group(&GroupAccess::may_read),
            O::ChangeGroup => in_group(&GroupAccess::may_change),
            O::DeleteGroup => in_group(&GroupAccess::may_delete),
            O::JoinGroup => {
                in_group(&|group| group.may_add(me, &adding(me, groups::Role::Member), group.role).map(|_| ()))
            }
            O::AddMember => adding_other(groups::Role::Member),
            O::AddAdmin => adding_other(groups::Role::Admin),
            O::ChangeRole | O::HandOver => in_group(&|group| group.may_change_role(me, other)),
            O::ChangeOwnRole => in_group(&|group| group.may_change_role(me, me)),
            O::RemoveMember => removing(groups::Role::Member),
            O::RemoveAdmin => removing(groups::Role::Admin),
            O::LeaveGroup => {
                let role = stand.group().role?;
                in_group(&|group| group.may_remove(me, me, role, 5).map(|_| ()))
            }
            O::SignalTyping => match stand.access {
                Access::Group(group_access) => Some(group_access.may_mark()),
                _ => None,
            },
            O::ReadAccount | O::CountOthersUnseen | O::EndOthersSession | O::EndOthersToken => None,
            O::ListAccounts | O::ReadAudit => None,
            O::DisableAccount => Some(stand.may_execute(AdminCommand::Disable(other))),
            O::EnableAccount => Some(stand.may_execute(AdminCommand::Enable(other))),
            O::EndAllSessions => Some(stand.may_execute(AdminCommand::EndSessions(other))),
            O::DeleteAnyGroup => Some(stand.may_execute(AdminCommand::DeleteGroup(GROUP))),
        }
    }

    #[test]
    fn the_policies_say_what_the_table_says() {
        for operation in Operation::ALL {
            for role in Role::ALL {
                let expected = operation.right_of(role);
                if expected == Right::Never {
                    continue;
                }
                let Some(outcome) = decide(*operation, role) else { continue };
                let found = match outcome {
                    Ok(()) => Right::Allowed,
                    Err(Error::Forbidden(_)) => Right::Forbidden,
                    Err(Error::NotFound(_)) => Right::Unknown,
                    Err(Error::Conflict(_)) => Right::Conflict,
                    Err(other) => panic!("{operation:?} {role:?}: {other}"),
                };
                assert_eq!(found, expected, "{operation:?} {role:?}");
            }
        }
    }

    #[test]
    fn an_admin_of_the_server_gets_no_more_of_a_place_than_others() {
        for operation in Operation::ALL {
            let [outsider, admin] = [Role::Outsider, Role::ServerAdmin].map(|role| operation.right_of(role));
            assert!(outsider != Right::Unknown || admin == Right::Unknown, "{operation:?}");
        }
    }
}
