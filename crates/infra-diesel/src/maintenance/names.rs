//! Renews the stored keys of names that an older version made by other rules.
//!
//! The domain defines the key of a name. A database cannot compute it: no dialect normalizes text by the current
//! Unicode. So this computes all keys again, once, after the migrations and under their lock. If two names have become
//! equal, the older one keeps its key. The other one gets a number: a user or a group behind the name, an email address
//! behind its key. No start fails because of it.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::schema::server;
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::admin::Action;
use domain::groups::GroupName;
use domain::users::{Email, Username};
use domain::{GroupId, NAME_FORM, UserId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Names that one query reads.
const PAGE: i64 = 2000;

/// A kind of name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Username,
    Email,
    Group,
}

/// The columns of names of a kind and their keys.
struct Names {
    kind: Kind,
    table: &'static str,
    name: &'static str,
    key: &'static str,
    /// The condition for rows that have such a name.
    scope: &'static str,
    /// Whether the keys are unique.
    unique: bool,
}

const ALL: [Names; 4] = [
    Names {
        kind: Kind::Username,
        table: "users",
        name: "username",
        key: "username_key",
        scope: "username IS NOT NULL",
        unique: true,
    },
    Names {
        kind: Kind::Email,
        table: "users",
        name: "email",
        key: "email_key",
        scope: "email IS NOT NULL AND email_key IS NOT NULL",
        unique: true,
    },
    Names {
        kind: Kind::Group,
        table: "conversations",
        name: "name",
        key: "name_key",
        scope: "kind = 'group' AND deleted_at IS NULL",
        unique: true,
    },
    // Nobody looks these keys up, but lists go on behind them.
    Names {
        kind: Kind::Group,
        table: "conversations",
        name: "name",
        key: "name_key",
        scope: "kind = 'group' AND deleted_at IS NOT NULL",
        unique: false,
    },
];

/// A row with its name.
#[derive(Debug, QueryableByName)]
struct Named {
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = SqlTime)]
    created_at: Time,
}

impl Kind {
    /// The key that a name has by today's rules.
    fn key(self, name: &str) -> String {
        let name = name.to_owned();
        match self {
            Self::Username => Username::from_stored(name).key(),
            Self::Email => Email::from_stored(name).key(),
            Self::Group => GroupName::from_stored(name).key().into_string(),
        }
    }

    /// The name with a number behind it, and its key. An email address keeps its text.
    fn numbered(self, name: &str, number: u32) -> (String, String) {
        let text = name.to_owned();
        let name = match self {
            Self::Username => Username::from_stored(text).numbered(number).into_string(),
            Self::Email => return (text.clone(), Email::from_stored(text).numbered_key(number)),
            Self::Group => GroupName::from_stored(text).numbered(number).into_string(),
        };
        let key = self.key(&name);
        (name, key)
    }

    /// Whether a stored key is one that the name may have.
    fn fits(self, named: &Named) -> bool {
        let key = self.key(&named.name);
        let numbered = || named.key.strip_prefix(&key).is_some_and(|rest| rest.starts_with('#'));
        named.key == key || (self == Self::Email && numbered())
    }
}

impl Names {
    fn select(&self, rest: &str) -> String {
        let Self { table, name, key, scope, .. } = self;
        format!("SELECT id, {name} AS name, {key} AS key, created_at FROM {table} WHERE {scope} AND {rest}")
    }

    /// Calls `each` with every name, by id.
    fn walk(&self, conn: &mut AnyConnection, mut each: impl FnMut(Named)) -> DbResult<()> {
        // Nothing has the nil id.
        let mut last = Id(Uuid::nil());
        loop {
            let page = self.select("id > $1 ORDER BY id LIMIT $2");
            let page: Vec<Named> = diesel::sql_query(page).bind::<SqlId, _>(last).bind::<BigInt, _>(PAGE).load(conn)?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = newest.id;
            page.into_iter().for_each(&mut each);
        }
    }

    /// The row that has the key.
    fn holder(&self, conn: &mut AnyConnection, key: &str) -> DbResult<Option<Named>> {
        let query = self.select(&format!("{} = $1 LIMIT 1", self.key));
        Ok(diesel::sql_query(query).bind::<Text, _>(key).get_result(conn).optional()?)
    }

    fn set_key(&self, conn: &mut AnyConnection, id: Id, key: &str) -> DbResult<()> {
        let update = format!("UPDATE {} SET {} = $1 WHERE id = $2", self.table, self.key);
        diesel::sql_query(update).bind::<Text, _>(key).bind::<SqlId, _>(id).execute(conn)?;
        Ok(())
    }

    /// Gives the row a key that no name has, until it gets its own.
    fn move_aside(&self, conn: &mut AnyConnection, id: Id) -> DbResult<()> {
        self.set_key(conn, id, &format!("\u{1}{}", id.0))
    }

    /// Computes all keys again.
    fn renew(&self, conn: &mut AnyConnection) -> DbResult<()> {
        let mut changed = Vec::new();
        self.walk(conn, |named| {
            let key = self.kind.key(&named.name);
            if key != named.key {
                changed.push((key, named));
            }
        })?;
        if !self.unique {
            return changed.into_iter().try_for_each(|(key, named)| self.set_key(conn, named.id, &key));
        }
        // A name may get the key that another name is about to give up.
        let mut by_key: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for (key, named) in changed {
            self.move_aside(conn, named.id)?;
            by_key.entry(key).or_default().push(named);
        }
        for (key, same) in &mut by_key {
            same.extend(self.holder(conn, key)?);
            same.sort_by_key(|named| (named.created_at, named.id));
            for named in same.iter() {
                self.move_aside(conn, named.id)?;
            }
        }
        for (key, same) in &by_key {
            let Some((oldest, others)) = same.split_first() else { continue };
            self.set_key(conn, oldest.id, key)?;
            for other in others {
                self.number(conn, other, &by_key)?;
            }
        }
        Ok(())
    }

    /// Gives a name whose key is taken the first number that makes its key free. `wanted` are the keys that other names
    /// are about to get.
    fn number(&self, conn: &mut AnyConnection, named: &Named, wanted: &BTreeMap<String, Vec<Named>>) -> DbResult<()> {
        for number in 2..u32::MAX {
            let (name, key) = self.kind.numbered(&named.name, number);
            if wanted.contains_key(&key) || self.holder(conn, &key)?.is_some() {
                continue;
            }
            self.set_key(conn, named.id, &key)?;
            self.rename(conn, named.id, &name)?;
            tracing::warn!(
                id = %named.id.0, what = ?self.kind, number,
                "a name was the same as an older one in another spelling, and got a number behind it",
            );
            break;
        }
        Ok(())
    }

    /// Stores the name and records the change.
    fn rename(&self, conn: &mut AnyConnection, id: Id, name: &str) -> DbResult<()> {
        let (action, column) = match self.kind {
            Kind::Email => return Ok(()),
            Kind::Username => (Action::UserRenamed, "user_id"),
            Kind::Group => (Action::GroupRenamed, "group_id"),
        };
        let update = format!("UPDATE {} SET {} = $1 WHERE id = $2", self.table, self.name);
        diesel::sql_query(update).bind::<Text, _>(name).bind::<SqlId, _>(id).execute(conn)?;
        let now = match conn {
            AnyConnection::Sqlite(_) => "CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
            AnyConnection::Postgres(_) => "clock_timestamp()",
        };
        let record = format!(
            "INSERT INTO audit (number, created_at, action, {column}) \
             SELECT coalesce(max(number), 0) + 1, {now}, $1, $2 FROM audit"
        );
        diesel::sql_query(record).bind::<Text, _>(action.as_str()).bind::<SqlId, _>(id).execute(conn)?;
        Ok(())
    }
}

/// The form of the database's keys; 0 if the database has recorded none yet.
pub fn form(conn: &mut AnyConnection) -> DbResult<i64> {
    Ok(server::table.select(server::name_form).first(conn)?)
}

/// Computes all keys again if they have another form. The caller has the lock of the migrations.
pub fn renew(conn: &mut AnyConnection) -> DbResult<()> {
    if form(conn)? == NAME_FORM {
        return Ok(());
    }
    conn.begin_write()?;
    let renewed = renew_all(conn);
    match renewed {
        Ok(()) => Ok(conn.commit()?),
        Err(error) => {
            // This error says more than one of the rollback.
            let _ = conn.rollback();
            Err(error)
        }
    }
}

fn renew_all(conn: &mut AnyConnection) -> DbResult<()> {
    if let AnyConnection::Postgres(conn) = conn {
        // Servers of an earlier version may still run.
        conn.batch_execute("LOCK TABLE users, conversations, audit IN SHARE ROW EXCLUSIVE MODE")?;
    }
    for names in &ALL {
        names.renew(conn)?;
    }
    diesel::update(server::table).set(server::name_form.eq(NAME_FORM)).execute(conn)?;
    Ok(())
}

/// How many names have a wrong key.
pub fn misplaced(conn: &mut AnyConnection) -> DbResult<u64> {
    let mut count = 0;
    for names in &ALL {
        names.walk(conn, |named| count += u64::from(!names.kind.fits(&named)))?;
    }
    Ok(count)
}

/// Names that equalled an older one in another spelling when their keys were renewed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubled {
    /// Users whose email address another user has, too.
    pub addresses: Vec<UserId>,
    /// Groups that got a number behind their names.
    pub groups: Vec<GroupId>,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = Text)]
    key: String,
}

/// The doubled names that still exist.
pub fn doubled(conn: &mut AnyConnection) -> DbResult<Doubled> {
    let query = "SELECT id, email_key AS key FROM users WHERE email_key LIKE '%@%#%' ORDER BY id";
    let keys: Vec<Key> = diesel::sql_query(query).load(conn)?;
    let numbered = |row: &Key| row.key.rsplit_once('@').is_some_and(|(_, domain)| domain.contains('#'));
    let addresses = keys.into_iter().filter(numbered).map(|row| row.id.into()).collect();
    let query = "SELECT c.id, a.action AS key FROM audit a JOIN conversations c ON c.id = a.group_id \
                 WHERE a.action = $1 AND c.deleted_at IS NULL ORDER BY a.number";
    let renamed: Vec<Key> = diesel::sql_query(query).bind::<Text, _>(Action::GroupRenamed.as_str()).load(conn)?;
    Ok(Doubled { addresses, groups: renamed.into_iter().map(|row| row.id.into()).collect() })
}
