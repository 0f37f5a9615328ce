//! The domain's use cases over any set of adapters.

use domain::acting::CheckActingUser;
use domain::admin::{AdminRepository, ExecuteAdminCommand, ListAccounts, ListAudit, SwitchAccount};
use domain::conversations::{ConversationRepository, ListConversations};
use domain::endings::{EndingRepository, FinishEndings};
use domain::export::{ExportOwnData, ExportReader};
use domain::files::{BlobStore, DownloadFile, FileRepository, StageUpload};
use domain::groups::{
    AddMember, ChangeRole, CreateGroup, DeleteGroup, GroupRepository, ListGroups, ListMembers, MemberRepository,
    RemoveMember, ShowGroup, UpdateGroup,
};
use domain::live::{CatchUp, LiveReader, SignalTyping};
use domain::messages::{
    DeleteMessage, EditMessage, ListChanges, ListMessages, MessageLog, MessageReader, SendMessage, ShowMessage,
    StoreUpload,
};
use domain::receipts::{CountUnseen, ListReceipts, MarkRead, MarkSeen, ReceiptRepository};
use domain::sessions::{Authenticate, EndSession, ListSessions, LogIn, SessionRepository};
use domain::users::{
    ChangeProfile, DeleteAccount, ListUsers, PasswordHasher, RegisterUser, ServerPolicy, ShowUser, UserRepository,
};
use domain::{Clock, IdGenerator};
use std::sync::Arc;

/// One adapter for each port of the domain.
#[derive(Clone)]
pub struct Adapters {
    /// Storage of users.
    pub users: Arc<dyn UserRepository>,
    /// Storage of sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Storage of groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Storage of memberships.
    pub members: Arc<dyn MemberRepository>,
    /// Writes messages.
    pub log: Arc<dyn MessageLog>,
    /// Reads messages.
    pub messages: Arc<dyn MessageReader>,
    /// Storage of receipts.
    pub receipts: Arc<dyn ReceiptRepository>,
    /// Lists conversations.
    pub conversations: Arc<dyn ConversationRepository>,
    /// Storage of files' metadata.
    pub files: Arc<dyn FileRepository>,
    /// Storage of files' bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Administers accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Reads exports.
    pub export: Arc<dyn ExportReader>,
    /// Reads for live connections.
    pub live: Arc<dyn LiveReader>,
    /// Cleans up ended accounts and groups.
    pub endings: Arc<dyn EndingRepository>,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Generates ids.
    pub ids: Arc<dyn IdGenerator>,
}

impl Adapters {
    /// Uses one store for all storage ports.
    pub fn from_store<S>(
        store: &Arc<S>,
        blobs: Arc<dyn BlobStore>,
        hasher: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self
    where
        S: UserRepository
            + SessionRepository
            + GroupRepository
            + MemberRepository
            + MessageLog
            + MessageReader
            + ReceiptRepository
            + ConversationRepository
            + FileRepository
            + AdminRepository
            + ExportReader
            + LiveReader
            + EndingRepository
            + 'static,
    {
        Self {
            users: store.clone(),
            sessions: store.clone(),
            groups: store.clone(),
            members: store.clone(),
            log: store.clone(),
            messages: store.clone(),
            receipts: store.clone(),
            conversations: store.clone(),
            files: store.clone(),
            admin: store.clone(),
            export: store.clone(),
            live: store.clone(),
            endings: store.clone(),
            blobs,
            hasher,
            clock,
            ids,
        }
    }
}

/// All use cases.
pub struct UseCases {
    pub check_acting_user: CheckActingUser,
    pub register_user: RegisterUser,
    pub log_in: LogIn,
    pub show_user: ShowUser,
    pub list_users: ListUsers,
    pub change_profile: ChangeProfile,
    pub delete_account: DeleteAccount,
    pub authenticate: Authenticate,
    pub list_sessions: ListSessions,
    pub end_session: EndSession,
    pub create_group: CreateGroup,
    pub show_group: ShowGroup,
    pub list_groups: ListGroups,
    pub update_group: UpdateGroup,
    pub delete_group: DeleteGroup,
    pub add_member: AddMember,
    pub change_role: ChangeRole,
    pub remove_member: RemoveMember,
    pub list_members: ListMembers,
    pub send_message: Arc<SendMessage>,
    pub list_messages: ListMessages,
    pub show_message: ShowMessage,
    pub list_changes: ListChanges,
    pub edit_message: EditMessage,
    pub delete_message: DeleteMessage,
    pub mark_seen: MarkSeen,
    pub mark_read: MarkRead,
    pub list_receipts: ListReceipts,
    pub count_unseen: CountUnseen,
    pub list_conversations: ListConversations,
    pub stage_upload: StageUpload,
    pub store_upload: StoreUpload,
    pub download_file: DownloadFile,
    pub catch_up: CatchUp,
    pub signal_typing: SignalTyping,
    pub list_accounts: ListAccounts,
    pub switch_account: SwitchAccount,
    pub administer: ExecuteAdminCommand,
    pub list_audit: ListAudit,
    pub export_own_data: ExportOwnData,
    /// The operator's policy, for presenting results.
    pub policy: Arc<ServerPolicy>,
    /// The clock, for the edge's own use.
    pub clock: Arc<dyn Clock>,
    /// Generates the ids of requests.
    pub ids: Arc<dyn IdGenerator>,
}

impl UseCases {
    /// Builds the use cases over these adapters with the operator's policy. An upload may have up to `max_file_bytes`
    /// bytes.
    pub fn new(adapters: Adapters, policy: Arc<ServerPolicy>, max_file_bytes: u64) -> Self {
        let Adapters {
            users,
            sessions,
            groups,
            members,
            log,
            messages,
            receipts,
            conversations,
            files,
            blobs,
            admin,
            export,
            live,
            endings,
            hasher,
            clock,
            ids,
        } = adapters;
        let send_message = Arc::new(SendMessage { log: log.clone(), clock: clock.clone(), ids: ids.clone() });
        let signal_typing = SignalTyping { users: users.clone(), groups: groups.clone(), live: live.clone() };
        Self {
            check_acting_user: CheckActingUser {
                users: users.clone(),
                groups: groups.clone(),
                messages: messages.clone(),
                files: files.clone(),
            },
            register_user: RegisterUser {
                users: users.clone(),
                hasher: hasher.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            log_in: LogIn {
                users: users.clone(),
                sessions: sessions.clone(),
                hasher: hasher.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            show_user: ShowUser { users: users.clone(), policy: policy.clone() },
            list_users: ListUsers { users: users.clone(), policy: policy.clone() },
            change_profile: ChangeProfile {
                users: users.clone(),
                hasher: hasher.clone(),
                clock: clock.clone(),
                policy: policy.clone(),
            },
            export_own_data: ExportOwnData {
                users: users.clone(),
                reader: export,
                policy: policy.clone(),
                clock: clock.clone(),
            },
            delete_account: DeleteAccount {
                users,
                hasher,
                clock: clock.clone(),
                endings: FinishEndings { endings, clock: clock.clone() },
            },
            authenticate: Authenticate { sessions: sessions.clone(), policy: policy.clone(), clock: clock.clone() },
            list_sessions: ListSessions { sessions: sessions.clone(), clock: clock.clone() },
            end_session: EndSession { sessions, clock: clock.clone() },
            create_group: CreateGroup { groups: groups.clone(), clock: clock.clone(), ids: ids.clone() },
            show_group: ShowGroup { groups: groups.clone() },
            list_groups: ListGroups { groups: groups.clone() },
            update_group: UpdateGroup { groups: groups.clone(), clock: clock.clone() },
            delete_group: DeleteGroup { groups, clock: clock.clone() },
            add_member: AddMember { members: members.clone(), clock: clock.clone() },
            change_role: ChangeRole { members: members.clone(), clock: clock.clone() },
            remove_member: RemoveMember { members: members.clone(), clock: clock.clone() },
            list_members: ListMembers { members },
            list_messages: ListMessages { messages: messages.clone() },
            show_message: ShowMessage { messages: messages.clone() },
            list_changes: ListChanges { messages },
            edit_message: EditMessage { log: log.clone(), clock: clock.clone() },
            delete_message: DeleteMessage { log, clock: clock.clone() },
            mark_seen: MarkSeen { receipts: receipts.clone(), clock: clock.clone() },
            mark_read: MarkRead { receipts: receipts.clone(), clock: clock.clone() },
            list_receipts: ListReceipts { receipts: receipts.clone() },
            count_unseen: CountUnseen { receipts },
            list_conversations: ListConversations { conversations },
            list_accounts: ListAccounts { admin: admin.clone(), policy: policy.clone() },
            switch_account: SwitchAccount { admin: admin.clone(), policy: policy.clone(), clock: clock.clone() },
            administer: ExecuteAdminCommand { admin: admin.clone(), clock: clock.clone() },
            list_audit: ListAudit { admin },
            stage_upload: StageUpload {
                blobs: blobs.clone(),
                files: files.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                quota: policy.files,
                at_once: policy.uploads,
                under_way: Arc::default(),
                most: max_file_bytes,
            },
            store_upload: StoreUpload { blobs: blobs.clone(), files: files.clone(), send: send_message.clone() },
            download_file: DownloadFile { files, blobs },
            catch_up: CatchUp { live },
            signal_typing,
            send_message,
            policy,
            clock,
            ids,
        }
    }
}
