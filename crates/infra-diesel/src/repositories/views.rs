//! Users' views of conversations: settings, drafts, and opening a direct conversation.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::tables::queries::{find_access, find_profile, lock_conversation, lock_direct};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, drafts, members};
use crate::tables::sql_types::{Id, Time};
use crate::tables::views::{ViewRow, muted_until};
use crate::transaction::directs::{ListedFor, make_direct};
use crate::transaction::tx::Tx;
use crate::transaction::views::{self, record_view_change, standing};
use diesel::prelude::*;
use domain::events::Event;
use domain::files::Growth;
use domain::messages::ThreadStart;
use domain::views::{Draft, NewDraft, SettingsChange};
use domain::{ConversationId, Invalid, MessageId, NotFound, Timestamp, UserId};

/// The conversation, locked, if the user has a view of it. `existing` looks for what else the call names: existence
/// comes before right.
fn lock_for_view(
    tx: &mut Tx<'_>,
    user: UserId,
    of: ConversationId,
    existing: impl FnOnce(&mut AnyConnection) -> DbResult<()>,
) -> DbResult<ConversationRow> {
    if let Some(held) = lock_conversation(tx.conn, of)? {
        tx.record_version(&held);
    }
    let Some((conversation, access)) = find_access(tx.conn, of, user)? else {
        return Ok(NotFound::Conversation.err()?);
    };
    access.may_read()?;
    existing(tx.conn)?;
    access.may_mark()?;
    Ok(conversation)
}

/// Changes the settings of a view.
pub fn change_settings(
    tx: &mut Tx<'_>,
    user: UserId,
    of: ConversationId,
    change: &SettingsChange,
    at: Timestamp,
) -> DbResult<()> {
    let conversation = lock_for_view(tx, user, of, |_| Ok(()))?;
    let me = Id::from(user);
    standing(tx.conn, &conversation, me, tx.revision, at)?;
    let seat = members::table.find((conversation.id, me));
    let view: ViewRow = seat.select(ViewRow::as_select()).first(tx.conn)?;
    let before = view.settings(conversation.newest())?.at(at);
    let after = change.apply(before, at);
    if after == before {
        return Ok(());
    }
    diesel::update(seat)
        .set((
            members::muted_until.eq(after.muted.map(muted_until)),
            members::notify.eq(after.notify.as_str()),
            members::favourite.eq(i64::from(after.favourite)),
            members::archived_at_seq.eq(after.archived.then_some(conversation.last_seq)),
            members::view_revision.eq(tx.revision),
        ))
        .execute(tx.conn)?;
    if after.archived {
        // A message of any time brings back what is not muted.
        let until = after.muted.map_or(Time(0), muted_until);
        let until = conversation.archived_until.map_or(until, |earlier| earlier.min(until));
        diesel::update(conversations::table.find(conversation.id))
            .set(conversations::archived_until.eq(until))
            .execute(tx.conn)?;
    }
    let destination = conversation.destination(me);
    tx.events.push(Event::SettingsChanged { conversation: of, destination, user, settings: after });
    Ok(())
}

/// # Errors
/// If a draft for the conversation may not name the messages that it names.
fn check_named(conn: &mut AnyConnection, user: UserId, of: ConversationId, draft: &NewDraft) -> DbResult<()> {
    let mut find = |id: MessageId| find_visible(conn, user, id);
    let mut elsewhere = false;
    if let Some(reply_to) = draft.reply_to {
        let Some((found, _)) = find(reply_to)? else { return Ok(NotFound::Message.err()?) };
        elsewhere = ConversationId::from(found.id) != of;
    }
    if let Some(thread_id) = draft.thread_id {
        let found = find(thread_id)?;
        let found = found.map(|(found, message)| ThreadStart {
            conversation: found.id.into(),
            is_reply: message.thread_id.is_some(),
        });
        ThreadStart::admits(found, Some(of))?;
    }
    if elsewhere {
        return Ok(Invalid::new("reply_to", "reply_to must name a message of the same conversation").err()?);
    }
    Ok(())
}

/// Keeps a draft instead of the one before.
pub fn keep_draft(tx: &mut Tx<'_>, user: UserId, of: ConversationId, draft: &NewDraft, at: Timestamp) -> DbResult<()> {
    let conversation = lock_for_view(tx, user, of, |conn| check_named(conn, user, of, draft))?;
    tx.grow(Growth::Draft(draft.content.as_str().len()))?;
    let me = Id::from(user);
    standing(tx.conn, &conversation, me, tx.revision, at)?;
    record_view_change(tx.conn, conversation.id, me, tx.revision)?;
    diesel::delete(drafts::table.find((conversation.id, me))).execute(tx.conn)?;
    diesel::insert_into(drafts::table)
        .values((
            drafts::conversation_id.eq(conversation.id),
            drafts::user_id.eq(me),
            drafts::content.eq(draft.content.as_str()),
            drafts::reply_to.eq(draft.reply_to.map(Id::from)),
            drafts::thread_id.eq(draft.thread_id.map(Id::from)),
            drafts::updated_at.eq(Time::from(at)),
        ))
        .execute(tx.conn)?;
    let NewDraft { content, reply_to, thread_id } = draft.clone();
    let draft = Some(Draft { content, reply_to, thread_id, updated_at: at });
    let destination = conversation.destination(me);
    tx.events.push(Event::DraftChanged { conversation: of, destination, user, draft });
    Ok(())
}

/// Drops a draft, if there is one.
pub fn drop_draft(tx: &mut Tx<'_>, user: UserId, of: ConversationId) -> DbResult<()> {
    let conversation = lock_for_view(tx, user, of, |_| Ok(()))?;
    tx.events.extend(views::drop_draft(tx.conn, &conversation, user.into(), tx.revision)?);
    Ok(())
}

/// Opens a direct conversation for a user. Returns its id, and whether it is new.
pub fn open_direct(
    tx: &mut Tx<'_>,
    (user, other): (UserId, UserId),
    new: ConversationId,
    at: Timestamp,
) -> DbResult<(ConversationId, bool)> {
    let (conversation, made) = match lock_direct(tx.conn, user, other)? {
        Some(found) => (found, false),
        None => {
            if find_profile(tx.conn, other)?.is_none_or(|other| other.deleted_at.is_some()) {
                return Ok(NotFound::User.err()?);
            }
            tx.grow(Growth::Conversation)?;
            make_direct(tx.conn, new.into(), (user, other), ListedFor::Opener, (tx.revision, at.into()))?
        }
    };
    if !made {
        let hidden = members::table.find((conversation.id, Id::from(user))).filter(members::hidden.eq(1));
        diesel::update(hidden)
            .set((members::hidden.eq(0), members::joined_revision.eq(tx.revision)))
            .execute(tx.conn)?;
    }
    Ok((conversation.id.into(), made))
}
