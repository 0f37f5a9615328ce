//! Groups.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::{DbError, DbResult, violates_unique};
use crate::tables::queries::{find_group, find_role};
use crate::tables::rows::{GroupRow, role};
use crate::tables::schema::{conversations, members};
use crate::tables::sql_types::{Id, Time};
use crate::tables::text_range::upper_bound;
use crate::transaction::accounts::{find_living, lock_users};
use crate::transaction::membership::{NewMemberRow, end_group, insert_member_row, lock_group};
use crate::transaction::quotas;
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::events::Event;
use domain::files::Growth;
use domain::groups::{
    Group, GroupChange, GroupName, GroupNameKey, GroupNamePrefix, GroupRepository, GroupView, Member, NewGroup, Role,
    Visibility,
};
use domain::{Conflict, GroupId, Limit, NotFound, Page, Result, Timestamp, Unauthenticated, UserId};

#[derive(Insertable)]
#[diesel(table_name = conversations)]
struct NewGroupRow {
    id: Id,
    kind: &'static str,
    name: String,
    name_key: String,
    description: String,
    visibility: &'static str,
    member_count: i64,
    roster_revision: i64,
    created_at: Time,
    updated_at: Time,
    made_by: Id,
}

fn conflict(error: diesel::result::Error) -> DbError {
    if violates_unique(&error, "name_key") { DbError::Rule(Conflict::GroupNameTaken.into()) } else { error.into() }
}

/// A group and the viewer's role in it, if the viewer may see it.
fn visible(row: Option<(GroupRow, Option<String>)>) -> DbResult<Option<GroupView>> {
    let Some((group, viewer_role)) = row else { return Ok(None) };
    let view = GroupView { group: group.into_group()?, role: viewer_role.as_deref().map(role).transpose()? };
    let group_access = domain::groups::GroupAccess { visibility: view.group.visibility, role: view.role };
    Ok(group_access.may_read().is_ok().then_some(view))
}

#[diesel::dsl::auto_type]
fn live_groups_with_role(viewer: Id) -> _ {
    let own = members::conversation_id.eq(conversations::id).and(members::user_id.eq(viewer));
    conversations::table
        .left_join(members::table.on(own))
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
}

/// The two parts of the list of groups, each by name. No group is in both.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Public groups, by name.
    Public,
    /// Private groups of the viewer, by membership: a user is in few of all private groups.
    PrivateOfViewer,
}

type Listed = (GroupRow, Option<String>, Option<String>);

impl Part {
    /// The first groups of the part, one more than `limit`, behind `behind` if given.
    fn load(
        self,
        conn: &mut AnyConnection,
        viewer: UserId,
        prefix: Option<&str>,
        behind: Option<(String, Id)>,
        limit: Limit,
    ) -> DbResult<Vec<Listed>> {
        /// The groups of a part in the order of `key`, from `prefix` and `behind` on.
        macro_rules! by {
            ($key:expr, $part:expr) => {{
                let mut query = $part
                    .order(($key, conversations::id))
                    .limit(limit.get() as i64 + 1)
                    .select((GroupRow::as_select(), members::role.nullable(), conversations::name_key))
                    .into_boxed();
                if let Some(end) = prefix.and_then(upper_bound) {
                    query = query.filter($key.lt(end));
                }
                // Where to begin in the index. Given two lower bounds, SQLite would begin at the first and scan up to
                // the other.
                let begin = prefix.max(behind.as_ref().map(|(name, _)| name.as_str()));
                if let Some(begin) = begin {
                    query = query.filter($key.ge(begin.to_owned()));
                }
                if let Some((name, id)) = behind {
                    // A deleted group may have the name of another group, which then precedes or follows it by id.
                    let later = $key.gt(name.clone());
                    let beside = $key.eq(name).and(conversations::id.gt(id));
                    query = query.filter(later.or(beside));
                }
                query.load(conn)?
            }};
        }
        let groups = live_groups_with_role(viewer.into());
        Ok(match self {
            Self::Public => {
                // Every group has a name. The condition lets the planner use the index.
                let named = groups.filter(conversations::name_key.is_not_null());
                by!(conversations::name_key, named.filter(conversations::visibility.eq(Visibility::Public.as_str())))
            }
            Self::PrivateOfViewer => {
                // `coalesce` keeps SQLite from finding them by name, which would scan the groups of all users.
                let key = || sql::<Text>("coalesce(conversations.name_key, '')");
                let own = groups.filter(members::user_id.eq(Id::from(viewer)));
                by!(key(), own.filter(conversations::visibility.ne(Visibility::Public.as_str())))
            }
        })
    }
}

/// The key by which the list orders a group that the viewer may see, or could see before it was deleted.
fn list_key_of(conn: &mut AnyConnection, viewer: UserId, group: GroupId) -> DbResult<String> {
    let own = members::conversation_id.eq(conversations::id).and(members::user_id.eq(Id::from(viewer)));
    let place = conversations::table
        .left_join(members::table.on(own))
        .filter(conversations::id.eq(Id::from(group)).and(conversations::kind.eq("group")))
        // Its position reveals its name. A deleted group has no members.
        .filter(conversations::visibility.eq("public").or(members::user_id.is_not_null()))
        .select(conversations::name_key)
        .first::<Option<String>>(conn)
        .optional()?;
    match place.flatten() {
        Some(place) => Ok(place),
        None => Ok(NotFound::Group.err()?),
    }
}

fn rename(conn: &mut AnyConnection, group: &Group, name: &GroupName) -> DbResult<()> {
    diesel::update(conversations::table.find(Id::from(group.id)))
        .set((conversations::name.eq(name.as_str()), conversations::name_key.eq(name.key().into_string())))
        .execute(conn)
        .map_err(conflict)?;
    Ok(())
}

#[async_trait]
impl GroupRepository for Store {
    async fn create(&self, group: NewGroup) -> Result<Group> {
        let policy = self.policy();
        self.write(group.id.0, move |tx| {
            lock_users(tx.conn, &[group.owner])?;
            // Somebody may have deleted the owner since the server checked the token.
            let Some(user) = find_living(tx.conn, group.owner)? else {
                return Ok(Unauthenticated::InvalidToken.err()?);
            };
            quotas::may_make(tx.conn, tx.counts, &policy.groups, group.owner)?;
            tx.grow(Growth::Group)?;
            let at = Time::from(group.at);
            let row = NewGroupRow {
                id: group.id.into(),
                kind: "group",
                name_key: group.name.key().into_string(),
                name: group.name.as_str().to_owned(),
                description: group.description.as_str().to_owned(),
                visibility: group.visibility.as_str(),
                member_count: 1,
                roster_revision: tx.revision,
                created_at: at,
                updated_at: at,
                made_by: group.owner.into(),
            };
            diesel::insert_into(conversations::table).values(row).execute(tx.conn).map_err(conflict)?;
            let owner = NewMemberRow {
                conversation_id: group.id.into(),
                user_id: group.owner.into(),
                role: Role::Owner.as_str(),
                read_up_to: 0,
                joined_seq: 0,
                joined_at: at,
                updated_at: at,
                joined_revision: tx.revision,
                added_by: Some(group.owner.into()),
                hidden: 0,
            };
            insert_member_row(tx.conn, &owner)?;
            tx.counts.made(owner.added_by, 1);
            tx.counts.members(owner.user_id, owner.added_by, 1);
            tx.record_new(group.id.conversation());
            tx.events.push(Event::MemberAdded(Member {
                group: group.id,
                user: group.owner,
                username: user.profile().username,
                role: Role::Owner,
                created_at: group.at,
                updated_at: group.at,
            }));
            Ok(Group {
                id: group.id,
                name: group.name.clone(),
                description: group.description.clone(),
                visibility: group.visibility,
                member_count: 1,
                created_at: group.at,
                updated_at: group.at,
            })
        })
        .await
    }

    async fn find(&self, viewer: UserId, id: GroupId) -> Result<Option<GroupView>> {
        self.read_for(viewer, move |conn| {
            let one = live_groups_with_role(viewer.into()).filter(conversations::id.eq(Id::from(id)));
            visible(one.select((GroupRow::as_select(), members::role.nullable())).first(conn).optional()?)
        })
        .await
    }

    async fn find_by_name(&self, viewer: UserId, name: &GroupNameKey) -> Result<Option<GroupView>> {
        let key = name.as_str().to_owned();
        self.read_for(viewer, move |conn| {
            let one = live_groups_with_role(viewer.into()).filter(conversations::name_key.eq(&key));
            visible(one.select((GroupRow::as_select(), members::role.nullable())).first(conn).optional()?)
        })
        .await
    }

    async fn list<'a>(
        &self,
        viewer: UserId,
        prefix: Option<&'a GroupNamePrefix>,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>> {
        let prefix = prefix.map(|prefix| prefix.key().to_owned());
        self.snapshot_for(viewer, move |conn| {
            let behind = match after {
                Some(after) => Some((list_key_of(conn, viewer, after)?, after.into())),
                None => None,
            };
            let mut rows = Vec::new();
            for part in [Part::Public, Part::PrivateOfViewer] {
                rows.extend(part.load(conn, viewer, prefix.as_deref(), behind.clone(), limit)?);
            }
            rows.sort_by(|(one, _, key), (other, _, other_key)| (key, one.id).cmp(&(other_key, other.id)));
            rows.truncate(limit.get() + 1);
            let views = rows.into_iter().filter_map(|(group, role, _)| visible(Some((group, role))).transpose());
            Ok(Page::from_surplus(views.collect::<DbResult<_>>()?, limit))
        })
        .await
    }

    async fn change(&self, actor: UserId, id: GroupId, change: GroupChange, at: Timestamp) -> Result<GroupView> {
        self.write(id.0, move |tx| {
            let row = lock_group(tx, id)?;
            let role = find_role(tx.conn, id.conversation(), actor)?;
            row.group_access(role)?.may_change()?;
            let Some(mut group) = find_group(tx.conn, id)? else { return Ok(NotFound::Group.err()?) };
            let here = conversations::table.find(Id::from(id));
            let change = change.clone().of(&group);
            if change != GroupChange::default() {
                tx.grow(Growth::Group)?;
            }
            if let Some(name) = &change.name {
                rename(tx.conn, &group, name)?;
            }
            if let Some(description) = &change.description {
                diesel::update(here).set(conversations::description.eq(description.as_str())).execute(tx.conn)?;
            }
            if let Some(visibility) = change.visibility {
                diesel::update(here).set(conversations::visibility.eq(visibility.as_str())).execute(tx.conn)?;
            }
            if change != GroupChange::default() {
                let mark = tx.membership_mark(id.conversation());
                let touched = (conversations::updated_at.eq(Time::from(at)), conversations::roster_revision.eq(mark));
                diesel::update(here).set(touched).execute(tx.conn)?;
                group = find_group(tx.conn, id)?.unwrap_or(group);
                tx.events.push(Event::GroupUpdated(group.clone()));
            }
            Ok(GroupView { group, role })
        })
        .await
    }

    async fn delete(&self, actor: UserId, id: GroupId, at: Timestamp) -> Result<()> {
        self.write(id.0, move |tx| {
            let row = lock_group(tx, id)?;
            row.group_access(find_role(tx.conn, id.conversation(), actor)?)?.may_delete()?;
            match find_group(tx.conn, id)? {
                Some(group) => end_group(tx, group, at),
                None => Ok(NotFound::Group.err()?),
            }
        })
        .await
    }
}
