//! `parlance user`: manages accounts on the server's database, for anyone who may run the program.
//!
//! The command follows the same rules as `/admin/...` and writes the same audit log. On Postgres it works beside
//! running servers, which notice its changes within two seconds. A server on a SQLite file keeps sessions and counters
//! in memory, so the command refuses to run while that server does.

use super::{prompt, say};
use crate::clock::{SystemClock, UuidV7};
use crate::config::Config;
use crate::storage::store_options;
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use domain::admin::{AccountView, Actor, AdminCommand, AdminService, CredentialService};
use domain::events::NoListeners;
use domain::users::{Email, Password, Registration, UserRepository as _, UserRole, Username};
use domain::{Limit, NotFound, UserId};
use infra_auth::BcryptPool;
use infra_diesel::{LockError, OpenError, Store, StoreOptions};
use rand::TryRngCore as _;
use std::sync::Arc;

/// The arguments of `parlance user`.
#[derive(Debug, Args)]
pub struct UserArguments {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Creates a user, with a generated password unless --password-stdin is given
    Create {
        /// The user's name
        #[arg(value_parser = new_username)]
        name: Username,
        /// The user's email address; shown to the user and to admins
        #[arg(long, value_parser = email)]
        email: Option<Email>,
        /// Create the user as an admin of the server
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Lists users by name
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Makes a user an admin of the server, or a plain member again
    Role {
        /// The user's name
        #[arg(value_parser = username)]
        name: Username,
        /// The new role
        role: RoleWord,
    },
    /// Gives a user another password, generated unless --password-stdin is given, and ends the user's sessions
    Password {
        /// The user's name
        #[arg(value_parser = username)]
        name: Username,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Keeps a user from logging in, and ends the user's sessions
    Disable {
        /// The user's name
        #[arg(value_parser = username)]
        name: Username,
    },
    /// Lets a disabled user log in again
    Enable {
        /// The user's name
        #[arg(value_parser = username)]
        name: Username,
    },
}

/// The source of a password. Never the command line, which others on the machine can read.
#[derive(Debug, Args)]
struct PasswordArguments {
    /// Read the password from standard input: a terminal asks for it without showing it; from a pipe, the first line
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleWord {
    Admin,
    Member,
}

impl From<RoleWord> for UserRole {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Admin => Self::Admin,
            RoleWord::Member => Self::Member,
        }
    }
}

/// Parses a name for a new user.
fn new_username(text: &str) -> Result<Username, String> {
    Username::parse("NAME", text).map_err(|invalid| invalid.to_string())
}

/// Parses the name of an existing user, in any spelling.
fn username(text: &str) -> Result<Username, String> {
    Username::looked_up("NAME", text).map_err(|invalid| invalid.to_string())
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|invalid| invalid.to_string())
}

/// Executes the command on the configured database.
///
/// # Errors
/// A message for the operator.
pub async fn run(config: Config, arguments: UserArguments) -> anyhow::Result<()> {
    crate::backup::refuse_half_restored(&config)?;
    config.make_data_dir()?;
    let policy = Arc::new(config.policy.clone());
    let store = Arc::new(open(&config).await?);
    let admin = AdminService { admin: store.clone(), policy, clock: Arc::new(SystemClock) };
    let tools = AccountTools { store: Arc::clone(&store), admin, bcrypt_cost: config.bcrypt_cost };
    let outcome = tools.run(arguments.command).await;
    store.close().await;
    outcome
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    let options = StoreOptions {
        fatal: Arc::new(|reason: &str| {
            tracing::error!(reason, "a commit failed: check the database before you try again")
        }),
        ..store_options(config, Arc::new(NoListeners), Some(1))
    };
    Store::open(&config.database_url, options).await.map_err(|error| match error {
        OpenError::Lock(LockError::Held(path)) => {
            anyhow!("a server is running on {path}: stop it first, or use its /admin routes as an admin")
        }
        error => anyhow::Error::from(error).context("the database cannot be opened (DATABASE_URL)"),
    })
}

/// What the commands use.
struct AccountTools {
    store: Arc<Store>,
    admin: AdminService,
    bcrypt_cost: u32,
}

impl AccountTools {
    async fn run(&self, command: UserCommand) -> anyhow::Result<()> {
        match command {
            UserCommand::Create { name, email, admin, password } => self.create(name, email, admin, &password).await,
            UserCommand::List { json: true } => self.list_json().await,
            UserCommand::List { json: false } => self.list().await,
            UserCommand::Role { name, role } => self.set_role(&name, role).await,
            UserCommand::Password { name, password } => self.set_password(&name, &password).await,
            UserCommand::Disable { name } => self.switch(&name, false).await,
            UserCommand::Enable { name } => self.switch(&name, true).await,
        }
    }

    async fn create(
        &self,
        username: Username,
        email: Option<Email>,
        admin: bool,
        password: &PasswordArguments,
    ) -> anyhow::Result<()> {
        let given = password.take(&username).await?;
        let wish = Registration { username: username.clone(), email, password: Some(given.password) };
        let role = if admin { UserRole::Admin } else { UserRole::Member };
        let id = self.credentials()?.create_account(Actor::CommandLine, wish, role).await?;
        say(format_args!("created {username} ({id})"))?;
        given.generated.map_or(Ok(()), |password| say(format_args!("password: {password}")))
    }

    async fn set_password(&self, name: &Username, password: &PasswordArguments) -> anyhow::Result<()> {
        let user = self.id_of(name).await?;
        let given = password.take(name).await?;
        self.credentials()?.set_password(Actor::CommandLine, user, given.password).await?;
        say(format_args!("{name} has a new password and has to log in again"))?;
        given.generated.map_or(Ok(()), |password| say(format_args!("password: {password}")))
    }

    async fn set_role(&self, name: &Username, role: RoleWord) -> anyhow::Result<()> {
        self.admin.execute(Actor::CommandLine, AdminCommand::SetRole(self.id_of(name).await?, role.into())).await?;
        match role {
            RoleWord::Admin => say(format_args!("{name} is an admin")),
            RoleWord::Member if self.admin.policy.is_admin(name, UserRole::Member) => {
                say(format_args!("{name} is a member in the database, but PARLANCE_ADMINS still makes them an admin"))
            }
            RoleWord::Member => say(format_args!("{name} is a member")),
        }
    }

    async fn switch(&self, name: &Username, enabled: bool) -> anyhow::Result<()> {
        let user = self.id_of(name).await?;
        let command = if enabled { AdminCommand::Enable(user) } else { AdminCommand::Disable(user) };
        self.admin.execute(Actor::CommandLine, command).await?;
        say(format_args!("{name} is {}", if enabled { "enabled" } else { "disabled" }))
    }

    /// Starts a hasher, which takes as long as a hash does: only for commands that set a password.
    fn credentials(&self) -> anyhow::Result<CredentialService> {
        Ok(CredentialService {
            admin: self.store.clone(),
            hasher: Arc::new(BcryptPool::start(self.bcrypt_cost, 1)?),
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7),
        })
    }

    async fn id_of(&self, name: &Username) -> anyhow::Result<UserId> {
        let found = self.store.find_by_name(name).await.and_then(|user| Ok(user.ok_or(NotFound::User)?));
        Ok(found.with_context(|| format!("there is no user {name}"))?.id)
    }

    /// All accounts, page by page.
    async fn each(&self, mut work: impl FnMut(AccountView) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let (limit, mut after) = (Limit::of_list(Some(u64::from(Limit::MAX)))?, None);
        loop {
            let page = self.admin.list_accounts(&Actor::CommandLine, None, after, limit).await?;
            after = page.items.last().map(|account| account.user.profile.id);
            page.items.into_iter().try_for_each(&mut work)?;
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn list_json(&self) -> anyhow::Result<()> {
        let mut before = '[';
        self.each(|account| {
            say(format_args!("{before}{}", serde_json::to_string(&wire::Account::from(account))?))?;
            before = ',';
            Ok(())
        })
        .await?;
        say(if before == '[' { "[]" } else { "]" })
    }

    async fn list(&self) -> anyhow::Result<()> {
        say(format_args!("{:<32} {:<6} {:<8} {:<16} EMAIL", "NAME", "ROLE", "STATE", "LAST SEEN (UTC)"))?;
        self.each(|account| say(line(&account))).await
    }
}

fn line(AccountView { user, disabled, last_seen_at }: &AccountView) -> String {
    let role = if user.admin { "admin" } else { "member" };
    let state = if *disabled { "disabled" } else { "enabled" };
    let seen = last_seen_at.map(|at| at.as_datetime().format("%Y-%m-%d %H:%M").to_string());
    let email = user.email.as_ref().map_or("-", Email::as_str);
    format!("{:<32} {role:<6} {state:<8} {:<16} {email}", user.profile.username, seen.as_deref().unwrap_or("never"))
}

/// A password, and its text if the program generated it.
struct ChosenPassword {
    password: Password,
    generated: Option<String>,
}

/// Letters and digits that are easy to tell apart; 32 of them, five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 100 bits of randomness.
const GENERATED_CHARACTERS: usize = 20;

impl PasswordArguments {
    async fn take(&self, name: &Username) -> anyhow::Result<ChosenPassword> {
        if self.password_stdin {
            let text = prompt::secret(&format!("password of {name}")).await?;
            let password = Password::parse("password", &text).map_err(domain::Error::from)?;
            return Ok(ChosenPassword { password, generated: None });
        }
        let text = generate()?;
        let password = Password::parse("password", &text).map_err(domain::Error::from)?;
        Ok(ChosenPassword { password, generated: Some(text) })
    }
}

fn generate() -> anyhow::Result<String> {
    let mut bytes = [0_u8; GENERATED_CHARACTERS];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).context("the system provides no random bytes")?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_fit_and_differ() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert!(Password::parse("password", &one).is_ok() && one.len() == GENERATED_CHARACTERS);
        assert_ne!(one, other);
    }
}
