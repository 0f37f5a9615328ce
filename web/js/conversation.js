// What the client knows of one conversation, and how conversations are named.
//
// The key of a conversation names the other side and not the conversation, because a user may open one before it exists:
// `u:<user id>`, `g:<group id>`, or `all` for the broadcast.

export const EVERYONE = 'all';
export const userKey = (id) => `u:${id}`;
export const groupKey = (id) => `g:${id}`;

/** The key of the conversation of a message, for the user `me`. */
export function keyOf(message, me) {
  if (message.kind === 'group') return groupKey(message.group_id);
  if (message.kind === 'broadcast') return EVERYONE;
  return userKey(message.sender_id === me ? message.receiver_id : message.sender_id);
}

/** The key of an entry of the user's list of conversations. */
export function keyOfItem(item) {
  return item.kind === 'broadcast' ? EVERYONE : item.kind === 'group' ? groupKey(item.group.id) : userKey(item.user.id);
}

/** A conversation of which nothing is known. */
export function blank(key) {
  return {
    key,
    kind: key === EVERYONE ? 'broadcast' : key.startsWith('g:') ? 'group' : 'direct',
    id: key.startsWith('g:') ? key.slice(2) : null,
    user: null,
    group: null,
    lastMessage: null,
    unseen: 0,
    /** Whether the server has stopped counting there. */
    unseenMore: false,
    /** How many of the unseen messages mention the user. */
    unseenMentions: 0,
    /** The greatest `seq` that the user has read; `null` while the client does not know it. */
    readSeq: null,
    activeAt: '',
    /** Its place in the user's list: greater is later. */
    rank: 0,
    /** The moment of the store at which the last message arrived. */
    said: 0,
    /** Whether it is in the user's list. */
    listed: false,
    /** The user's own settings: `muted_until`, `notify`, `archived`, `favourite`. */
    settings: {},
    known: null,
    /** `unseen` counts messages up to this number. */
    counted: 0,
    messages: new Map(),
    deleted: new Set(),
    /** The loaded messages are those above `floor`, up to `ceiling`. */
    floor: Infinity,
    ceiling: Infinity,
    /** The loaded messages in order, while they are up to date. */
    sorted: null,
    /** Somebody has seen the user's own messages up to this `seq`. */
    seenUpTo: 0,
    /** The users who are typing: user id to `{ username, until }`. */
    typing: new Map(),
    touched: 0,
  };
}

export const isLoaded = (c) => c.floor !== Infinity;
export const isAtStart = (c) => c.floor === 0;
/** Whether the loaded messages reach to the newest one. */
export const isAtEnd = (c) => c.ceiling === Infinity;
/** Whether new messages of it are to be kept quiet. */
export const isMuted = (c, now = Date.now()) => Boolean(c.settings.muted_until) && (c.settings.muted_until === 'forever' || Date.parse(c.settings.muted_until) > now);
/** Whether a message mentions that user. */
export const mentions = (message, user) => Boolean(message.mentions_all) || (message.mentions ?? []).includes(user);
