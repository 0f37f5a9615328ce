//! What conversations of the model are to each user: settings, drafts, marks.

use super::call::SOMEWHEN;
use super::model::{Conversation, Kind, Model, Said, Seat};
use crate::world::at;
use domain::conversations::{self, Opened};
use domain::groups::Role;
use domain::messages::ThreadStart;
use domain::views::{Draft, Mute, NewDraft, Settings, SettingsChange};
use domain::{ConversationId, Invalid, MessageId, NotFound, Result, Timestamp, UserId};

/// When the broadcast was made.
pub fn beginning() -> Timestamp {
    at(0)
}

#[derive(Debug, Clone, Default)]
pub struct View {
    pub settings: Settings,
    pub draft: Option<Draft>,
    /// Whether the list leaves out the direct conversation as long as nobody has written.
    pub hidden: bool,
}

impl Conversation {
    /// A message was sent.
    pub fn bring_back(&mut self) {
        let Some(sent_at) = self.active_at else { return };
        for view in self.views.values_mut() {
            view.settings.archived &= view.settings.muted.is_some_and(|mute: Mute| mute.holds_at(sent_at));
        }
    }

    pub fn record_seen(&mut self, reader: UserId, seq: i64) {
        let seen_to = self.seen_to.entry(reader).or_insert(0);
        *seen_to = seq.max(*seen_to);
    }
}

impl Model {
    /// The conversation, of which the user may have a view.
    fn may_view(&self, user: UserId, of: ConversationId) -> Result<()> {
        let in_ = self.readable(user, of)?;
        self.access(user, in_)?.may_mark()
    }

    fn view_mut(&mut self, user: UserId, of: ConversationId) -> &mut View {
        self.conversations.get_mut(&of).unwrap().views.entry(user).or_default()
    }

    pub fn change_settings(
        &mut self,
        user: UserId,
        of: ConversationId,
        change: &SettingsChange,
        at: Timestamp,
    ) -> Result<conversations::Conversation> {
        self.may_view(user, of)?;
        let settings = &mut self.view_mut(user, of).settings;
        let after = change.apply(*settings, at);
        if after != settings.at(at) {
            *settings = after;
        }
        Ok(self.listed(user, &self.conversations[&of]))
    }

    pub fn set_draft(
        &mut self,
        user: UserId,
        of: ConversationId,
        draft: Option<NewDraft>,
        at: Timestamp,
    ) -> Result<()> {
        self.readable(user, of)?;
        let Some(NewDraft { content, reply_to, thread_id }) = draft else {
            self.may_view(user, of)?;
            self.view_mut(user, of).draft = None;
            return Ok(());
        };
        let elsewhere = match reply_to {
            Some(id) => self.visible(user, id)?.0.id != of,
            None => false,
        };
        if let Some(id) = thread_id {
            let found = self.visible(user, id).ok();
            let found =
                found.map(|(in_, said)| ThreadStart { conversation: in_.id, is_reply: said.parts.thread_id.is_some() });
            ThreadStart::admits(found, Some(of))?;
        }
        if elsewhere {
            return Invalid::new("reply_to", "reply_to must name a message of the same conversation").err();
        }
        self.may_view(user, of)?;
        self.view_mut(user, of).draft = Some(Draft { content, reply_to, thread_id, updated_at: at });
        Ok(())
    }

    pub fn mark_seen(&mut self, reader: UserId, id: MessageId, at: Timestamp) -> Result<()> {
        let (in_, said) = self.visible(reader, id)?;
        self.access(reader, in_)?.may_mark()?;
        if said.sender != reader {
            let (in_, index) = self.said_mut(id);
            let at = at.max(in_.said[index].created_at);
            let said = &mut in_.said[index];
            said.seen.entry(reader).or_insert(at);
            said.unread.remove(&reader);
            let seq = said.seq;
            in_.record_seen(reader, seq);
        }
        Ok(())
    }

    pub fn mark_read(&mut self, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> Result<()> {
        let in_ = self.readable(reader, of)?;
        let place = in_.place_of(up_to)?;
        self.access(reader, in_)?.may_mark()?;
        let in_ = self.conversations.get_mut(&of).unwrap();
        let joined_after = in_.seats.get(&reader).map_or(0, |seat| seat.joined_after);
        let at = in_.said.iter().find(|said| said.seq == place).map_or(at, |said| at.max(said.created_at));
        for said in in_.said.iter_mut().filter(|said| said.seq > joined_after && said.seq <= place) {
            said.seen.entry(reader).or_insert(at);
            said.unread.remove(&reader);
        }
        let is_seen = |said: &&Said| said.sender != reader && said.seq > joined_after && said.seq <= place;
        let last = in_.live().rfind(is_seen).map(|said| said.seq);
        if let Some(last) = last {
            in_.record_seen(reader, last);
        }
        Ok(())
    }

    pub fn mark_unread(&mut self, reader: UserId, of: ConversationId, from: MessageId) -> Result<()> {
        let in_ = self.readable(reader, of)?;
        let place = match in_.place_of(from) {
            Ok(place) => place,
            Err(_) => {
                let elsewhere = self.conversation_of(from).ok_or(NotFound::Message)?;
                self.readable(reader, elsewhere).or(NotFound::Message.err())?;
                return Invalid::new("from", "from must name a message of this conversation").err();
            }
        };
        self.may_view(reader, of)?;
        let in_ = self.conversations.get_mut(&of).unwrap();
        let Some(joined_after) = in_.seats.get(&reader).map(|seat| seat.joined_after) else { return Ok(()) };
        for said in in_.said.iter_mut().filter(|said| said.seq >= place && said.seq > joined_after) {
            said.unread.insert(reader);
        }
        Ok(())
    }

    pub fn open_direct(&mut self, user: UserId, other: UserId, new: ConversationId, at: Timestamp) -> Result<Opened> {
        let call = self.calls;
        let found = self.destination(user, domain::messages::Recipient::User(other));
        let of = match found {
            Some(of) => of,
            None => {
                self.living_user(other)?;
                let mut begun = Conversation::new(new, Kind::Direct(user.min(other), user.max(other)));
                for one in [user, other] {
                    begun.seats.insert(one, Seat::new(Role::Member, 0, at, call));
                    begun.views.insert(one, View { hidden: one != user, ..View::default() });
                }
                self.conversations.insert(new, begun);
                new
            }
        };
        let in_ = self.conversations.get_mut(&of).unwrap();
        let view = in_.views.entry(user).or_default();
        if std::mem::take(&mut view.hidden)
            && let Some(seat) = in_.seats.get_mut(&user)
        {
            seat.joined_by = call;
        }
        let listed = self.listed(user, &self.conversations[&of]);
        Ok(if found.is_none() { Opened::Made(listed) } else { Opened::Found(listed) })
    }
}

/// The conversation without what each database numbers in its own way.
pub fn without_place(conversation: conversations::Conversation) -> conversations::Conversation {
    conversations::Conversation { activity: SOMEWHEN, ..conversation }
}
