//! The domain's use cases over any set of adapters.

use domain::acting::ActingUserCheck;
use domain::admin::{AdminRepository, AdminService};
use domain::api_tokens::{ApiTokenRepository, ApiTokenService};
use domain::conversations::{ConversationRepository, ConversationService};
use domain::endings::{EndingRepository, EndingService};
use domain::export::{ExportReader, ExportService};
use domain::files::{BlobStore, FileRepository, FileService, ImageReader};
use domain::groups::{GroupRepository, GroupService, MemberRepository, MemberService};
use domain::live::{LiveReader, LiveService};
use domain::messages::{DigestReader, DigestService, MessageLog, MessageReader, MessageService};
use domain::receipts::{ReceiptRepository, ReceiptService};
use domain::search::{SearchReader, SearchService};
use domain::sessions::{SessionRepository, SessionService};
use domain::users::{PasswordHasher, ServerPolicy, UserRepository, UserService};
use domain::{Clock, IdGenerator};
use std::sync::Arc;

/// One adapter for each port of the domain.
#[derive(Clone)]
pub struct Adapters {
    /// Storage of users.
    pub users: Arc<dyn UserRepository>,
    /// Storage of sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Storage of tokens of programs.
    pub api_tokens: Arc<dyn ApiTokenRepository>,
    /// Storage of groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Storage of memberships.
    pub members: Arc<dyn MemberRepository>,
    /// Writes messages.
    pub log: Arc<dyn MessageLog>,
    /// Reads messages.
    pub messages: Arc<dyn MessageReader>,
    /// Reads digests.
    pub digests: Arc<dyn DigestReader>,
    /// Storage of receipts.
    pub receipts: Arc<dyn ReceiptRepository>,
    /// Lists conversations.
    pub conversations: Arc<dyn ConversationRepository>,
    /// Storage of files' metadata.
    pub files: Arc<dyn FileRepository>,
    /// Storage of files' bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Decodes images.
    pub images: Arc<dyn ImageReader>,
    /// Administers accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Reads exports.
    pub export: Arc<dyn ExportReader>,
    /// Searches messages.
    pub search: Arc<dyn SearchReader>,
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
        images: Arc<dyn ImageReader>,
        hasher: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self
    where
        S: UserRepository
            + SessionRepository
            + ApiTokenRepository
            + GroupRepository
            + MemberRepository
            + MessageLog
            + MessageReader
            + DigestReader
            + ReceiptRepository
            + ConversationRepository
            + FileRepository
            + AdminRepository
            + ExportReader
            + SearchReader
            + LiveReader
            + EndingRepository
            + 'static,
    {
        Self {
            users: store.clone(),
            sessions: store.clone(),
            api_tokens: store.clone(),
            groups: store.clone(),
            members: store.clone(),
            log: store.clone(),
            messages: store.clone(),
            digests: store.clone(),
            receipts: store.clone(),
            conversations: store.clone(),
            files: store.clone(),
            admin: store.clone(),
            export: store.clone(),
            search: store.clone(),
            live: store.clone(),
            endings: store.clone(),
            blobs,
            images,
            hasher,
            clock,
            ids,
        }
    }
}

/// All use cases: one service for each concept of the domain.
pub struct UseCases {
    pub users: UserService,
    pub sessions: SessionService,
    pub api_tokens: ApiTokenService,
    pub groups: GroupService,
    pub members: MemberService,
    pub messages: MessageService,
    pub digests: DigestService,
    pub receipts: ReceiptService,
    pub conversations: ConversationService,
    pub files: FileService,
    pub live: LiveService,
    pub admin: AdminService,
    pub export: ExportService,
    pub search: SearchService,
    /// Checks the acting user that a request names.
    pub acting: ActingUserCheck,
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
            api_tokens,
            groups,
            members,
            log,
            messages,
            digests,
            receipts,
            conversations,
            files,
            blobs,
            images,
            admin,
            export,
            search,
            live,
            endings,
            hasher,
            clock,
            ids,
        } = adapters;
        Self {
            acting: ActingUserCheck {
                users: users.clone(),
                groups: groups.clone(),
                messages: messages.clone(),
                files: files.clone(),
            },
            users: UserService {
                users: users.clone(),
                hasher: hasher.clone(),
                policy: policy.clone(),
                endings: EndingService { endings, clock: clock.clone() },
                clock: clock.clone(),
                ids: ids.clone(),
            },
            sessions: SessionService {
                users: users.clone(),
                sessions,
                hasher,
                policy: policy.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            api_tokens: ApiTokenService { tokens: api_tokens, clock: clock.clone(), ids: ids.clone() },
            live: LiveService { users: users.clone(), groups: groups.clone(), live },
            groups: GroupService { groups, clock: clock.clone(), ids: ids.clone() },
            members: MemberService { members, clock: clock.clone() },
            messages: MessageService {
                log,
                reader: messages,
                blobs: blobs.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            digests: DigestService { digests },
            receipts: ReceiptService { receipts, clock: clock.clone() },
            conversations: ConversationService { conversations, clock: clock.clone(), ids: ids.clone() },
            files: FileService {
                files,
                blobs,
                images,
                quota: policy.files,
                at_once: policy.uploads,
                under_way: Arc::default(),
                max_file_bytes,
                clock: clock.clone(),
                ids: ids.clone(),
            },
            admin: AdminService { admin, policy: policy.clone(), clock: clock.clone() },
            search: SearchService { reader: search },
            export: ExportService { users, reader: export, policy: policy.clone(), clock: clock.clone() },
            policy,
            clock,
            ids,
        }
    }
}
