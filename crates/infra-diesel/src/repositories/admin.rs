//! Running the server: accounts, and the audit log.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::{Corrupt, DbResult};
use crate::repositories::sessions::{end_logins, end_sessions};
use crate::repositories::users::list_rows;
use crate::tables::queries::{find_group, find_profile};
use crate::tables::rows::{ProfileRow, UserRow};
use crate::tables::schema::{audit, conversations, sessions, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::{insert_user, lock_user, role_word};
use crate::transaction::membership::{end_group, lock_group};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::connection::SimpleConnection;
use diesel::dsl::max;
use diesel::prelude::*;
use domain::admin::{Account, Action, Actor, AdminCommand, AdminRepository, AuditEntry, AuditTarget, may_execute};
use domain::groups::GroupName;
use domain::users::{ServerPolicy, User, UsernamePrefix};
use domain::{GroupId, Limit, NotFound, Page, Result, Timestamp, UserId};

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
struct AuditRow {
    number: i64,
    created_at: Time,
    actor_id: Option<Id>,
    action: String,
    user_id: Option<Id>,
    group_id: Option<Id>,
}

impl AuditRow {
    /// The entry with the names of today.
    fn into_entry(self, conn: &mut AnyConnection) -> DbResult<AuditEntry> {
        let corrupt = |what, value: &str| Corrupt { what, value: value.to_owned() };
        let mut profile = |id: Id| -> DbResult<_> {
            let user: Option<ProfileRow> = find_profile(conn, id.into())?;
            Ok(user.ok_or_else(|| corrupt("user of an audit entry", ""))?.profile())
        };
        let actor = self.actor_id.map(&mut profile).transpose()?;
        let target = match (self.user_id, self.group_id) {
            (Some(user), _) => AuditTarget::User(profile(user)?),
            (None, Some(group)) => {
                // Also of a deleted group: its row stays.
                let name = conversations::table.find(group).select(conversations::name);
                let name: Option<String> = name.first(conn)?;
                AuditTarget::Group(group.into(), GroupName::from_stored(name.unwrap_or_default()))
            }
            (None, None) => return Err(corrupt("audit entry", "").into()),
        };
        let action = Action::parse(&self.action).ok_or_else(|| corrupt("audit action", &self.action))?;
        Ok(AuditEntry { number: self.number, at: self.created_at.into(), actor, action, target })
    }
}

/// When a session of the user was last used; forgotten sessions count.
fn last_seen(conn: &mut AnyConnection, user: Id) -> DbResult<Option<Timestamp>> {
    let newest_first = sessions::table.filter(sessions::user_id.eq(user)).order(sessions::last_seen_at.desc());
    let newest: Option<Time> = newest_first.select(sessions::last_seen_at).first(conn).optional()?;
    let forgotten: Option<Time> = users::table.find(user).select(users::last_seen_at).first(conn)?;
    Ok(newest.max(forgotten).map(Into::into))
}

fn account(conn: &mut AnyConnection, row: UserRow) -> DbResult<Account> {
    let last_seen_at = last_seen(conn, row.id)?;
    Ok(Account { user: row.into_user()?, last_seen_at })
}

/// The existing user, locked.
fn lock_living(conn: &mut AnyConnection, id: UserId) -> DbResult<User> {
    match lock_user(conn, id)?.filter(|user| user.deleted_at.is_none()) {
        Some(user) => Ok(user),
        None => Ok(NotFound::User.err()?),
    }
}

/// Executes the command. Returns the target. `None` if the command changed nothing.
fn execute(
    tx: &mut Tx<'_>,
    policy: &ServerPolicy,
    command: AdminCommand,
    at: Timestamp,
) -> DbResult<Option<(Option<UserId>, Option<GroupId>)>> {
    let at_row = Time::from(at);
    let user = match command {
        AdminCommand::CreateUser(user, role) => {
            let id = user.id;
            insert_user(tx.conn, user, role)?;
            id
        }
        AdminCommand::DeleteGroup(group) => {
            lock_group(tx, group)?;
            let Some(whole) = find_group(tx.conn, group)? else { return Ok(NotFound::Group.err()?) };
            end_group(tx, whole, at)?;
            return Ok(Some((None, Some(group))));
        }
        AdminCommand::SetRole(user, role) => {
            if lock_living(tx.conn, user)?.role == role {
                return Ok(None);
            }
            let set = (users::role.eq(role_word(role)), users::updated_at.eq(at_row));
            diesel::update(users::table.find(Id::from(user))).set(set).execute(tx.conn)?;
            user
        }
        AdminCommand::SetPassword(user, hash) => {
            lock_living(tx.conn, user)?;
            let set = (users::password_hash.eq(hash.0), users::updated_at.eq(at_row));
            diesel::update(users::table.find(Id::from(user))).set(set).execute(tx.conn)?;
            end_sessions(tx, user, None, at)?;
            user
        }
        AdminCommand::Disable(user) => {
            if lock_living(tx.conn, user)?.disabled_at.is_some() {
                return Ok(None);
            }
            diesel::update(users::table.find(Id::from(user))).set(users::disabled_at.eq(at_row)).execute(tx.conn)?;
            end_sessions(tx, user, None, at)?;
            user
        }
        AdminCommand::Enable(user) => {
            if lock_living(tx.conn, user)?.disabled_at.is_none() {
                return Ok(None);
            }
            let nothing = users::disabled_at.eq(None::<Time>);
            diesel::update(users::table.find(Id::from(user))).set(nothing).execute(tx.conn)?;
            user
        }
        AdminCommand::EndSessions(user) => {
            lock_living(tx.conn, user)?;
            let oldest = policy.sessions.oldest_usable(at)?;
            if end_logins(tx, user, at)?.is_none_or(|last_used| last_used <= oldest) {
                return Ok(None);
            }
            user
        }
    };
    Ok(Some((Some(user), None)))
}

/// Appends an entry. Numbers are dense and in commit order: no other transaction takes a number until this one ends.
fn record_entry(
    tx: &mut Tx<'_>,
    actor: &Actor,
    action: Action,
    (user, group): (Option<UserId>, Option<GroupId>),
    at: Timestamp,
) -> DbResult<()> {
    if let AnyConnection::Postgres(conn) = tx.conn {
        conn.batch_execute("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")?;
    }
    let newest: Option<i64> = audit::table.select(max(audit::number)).first(tx.conn)?;
    let row = AuditRow {
        number: newest.unwrap_or(0) + 1,
        created_at: at.into(),
        actor_id: actor.user().map(Into::into),
        action: action.as_str().to_owned(),
        user_id: user.map(Into::into),
        group_id: group.map(Into::into),
    };
    diesel::insert_into(audit::table).values(row).execute(tx.conn)?;
    Ok(())
}

fn check(conn: &mut AnyConnection, policy: &ServerPolicy, actor: &Actor, command: &AdminCommand) -> DbResult<()> {
    let acting = match actor.user() {
        Some(id) => {
            let row: Option<UserRow> =
                users::table.find(Id::from(id)).select(UserRow::as_select()).first(conn).optional()?;
            row.map(UserRow::into_user).transpose()?
        }
        None => None,
    };
    Ok(may_execute(policy, actor, acting.as_ref(), command)?)
}

#[async_trait]
impl AdminRepository for Store {
    async fn accounts<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Account>> {
        let prefix = prefix.map(|prefix| prefix.key().to_owned());
        self.snapshot(move |conn| {
            let page = Page::from_surplus(list_rows(conn, prefix.as_deref(), after, limit)?, limit);
            let accounts = page.items.into_iter().map(|row| account(conn, row));
            Ok(Page { items: accounts.collect::<DbResult<_>>()?, more: page.more })
        })
        .await
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>> {
        self.snapshot(move |conn| {
            let living = users::table.find(Id::from(id)).filter(users::deleted_at.is_null());
            let row: Option<UserRow> = living.select(UserRow::as_select()).first(conn).optional()?;
            row.map(|row| account(conn, row)).transpose()
        })
        .await
    }

    async fn execute(&self, actor: Actor, command: AdminCommand, at: Timestamp) -> Result<()> {
        let policy = self.policy();
        if let AdminCommand::SetPassword(user, _) | AdminCommand::Disable(user) | AdminCommand::EndSessions(user) =
            &command
        {
            self.thin_out_sessions(*user, None, at).await?;
        }
        let shard = match &command {
            AdminCommand::CreateUser(user, _) => user.id.0,
            AdminCommand::DeleteGroup(group) => group.0,
            AdminCommand::SetRole(user, _)
            | AdminCommand::SetPassword(user, _)
            | AdminCommand::Disable(user)
            | AdminCommand::Enable(user)
            | AdminCommand::EndSessions(user) => user.0,
        };
        self.write(shard, move |tx| {
            check(tx.conn, &policy, &actor, &command)?;
            let action = command.action();
            match execute(tx, &policy, command.clone(), at)? {
                Some(target) => record_entry(tx, &actor, action, target, at),
                None => Ok(()),
            }
        })
        .await
    }

    async fn audit(&self, before: Option<i64>, limit: Limit) -> Result<Page<AuditEntry>> {
        self.snapshot(move |conn| {
            let newest_first = audit::table
                .filter(audit::number.lt(before.unwrap_or(i64::MAX)))
                .order(audit::number.desc())
                .limit(limit.get() as i64 + 1);
            let rows: Vec<AuditRow> = newest_first.select(AuditRow::as_select()).load(conn)?;
            let page = Page::from_surplus(rows, limit);
            let entries = page.items.into_iter().map(|row| row.into_entry(conn));
            Ok(Page { items: entries.collect::<DbResult<_>>()?, more: page.more })
        })
        .await
    }
}
