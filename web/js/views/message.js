// One message, as an element that changes in place: what is selected, focused or loaded in it stays so.

import { isRightToLeft, hue, moment, plural, summary, summaryIcon, time } from '../format.js';
import { nameOfEmoji } from '../emoji.js';
import { attachment, image } from './attachment.js';
import { h, slot, tinted } from './dom.js';
import { icon } from './icons.js';
import { face } from './people.js';
import { prose } from './prose.js';

/** What a message replies to, above it. `reply` is the message, `null` while it isn't known, `'gone'` if it is deleted. */
export function quote(reply, onJump) {
  if (reply === 'gone') return h('span', { class: 'quote gone' }, h('i', {}, 'Deleted message'));
  if (!reply) return h('span', { class: 'quote gone' }, '…');
  const drawn = summaryIcon(reply);
  return tinted(h('button', { class: 'quote', type: 'button', onclick: () => onJump(reply) }, h('span', { class: 'spoken' }, 'In reply to '),
    h('b', { dir: 'auto' }, reply.sender.display_name), h('span', { class: 'quote-text' }, drawn && icon(drawn), h('bdi', {}, summary(reply)))), hue(reply.sender_id));
}

/** Who reacted, in words. */
function reactors({ emoji, count, user_ids: ids }, me, nameOf) {
  const names = ids.slice(0, 8).map((id) => (id === me ? 'You' : nameOf(id)));
  const rest = count - names.length;
  return `${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''} reacted with ${nameOfEmoji(emoji) || emoji}`;
}

function reactionBar(message, { me, nameOf, onReact, onReactors }) {
  return h('div', { class: 'reactions' }, message.reactions.map((one) => {
    const mine = one.user_ids.includes(me);
    const words = reactors(one, me, nameOf);
    return h('button', { class: 'reaction', type: 'button', 'aria-pressed': String(mine), 'aria-label': `${one.emoji} ${one.count}. ${words}`, title: words,
      onclick: () => onReact(message, one.emoji, !mine),
      oncontextmenu: (event) => { event.preventDefault(); event.stopPropagation(); onReactors(message); } },
    h('span', { class: 'reaction-emoji' }, one.emoji), h('span', {}, String(one.count)));
  }));
}

function threadChip(message, onThread) {
  const { replies, last_reply_at: at } = message.thread;
  return h('button', { class: 'thread-chip', type: 'button', onclick: () => onThread(message) }, icon('thread'), h('b', {}, plural(replies, 'reply', 'replies')),
    h('span', {}, at ? `last ${time(at)}` : ''));
}

function failure(entry, { onRetry, onDiscard }) {
  return h('div', { class: 'failure', role: 'alert' }, h('span', {}, entry.error),
    h('button', { type: 'button', onclick: onRetry }, 'Try again'), h('button', { type: 'button', onclick: onDiscard }, 'Discard'));
}

/** The bar of actions that shows beside a message one points at. */
function hoverBar(message, tools) {
  const button = (label, drawn, action, className = '') => h('button', { class: `round ${className}`, type: 'button', tabIndex: -1, 'aria-label': `${label}: ${message.sender.display_name}, ${summary(message).slice(0, 40)}`, title: label, onclick: action }, icon(drawn));
  const more = button('More', 'more', () => {
    const box = more.getBoundingClientRect();
    tools.onMenu(message, box.left, box.bottom);
  }, 'more');
  more.setAttribute('aria-haspopup', 'menu');
  const react = tools.onPick && button('React', 'smile', () => tools.onPick(message, react), 'react');
  return h('div', { class: 'actions' }, react, tools.onReply && button('Reply', 'reply', () => tools.onReply(message)), more);
}

/**
 * `tools` is what a message can do: `me`, `media`, `nameOf(id)`, `near(element, then)`, `onGrow`, `onJump(message)`,
 * `onMenu(message, x, y)`, `onPick(message, button)`, `onReact(message, emoji, on)`, `onReactors`, `onThread`, `onProfile(id)`,
 * `onReply`, `isMentioned(message)`, `neighbours`, `outbox`.
 */
export function messageView(first, tools) {
  let message = first;
  const own = message.sender_id === tools.me;
  const [divider, setDivider] = slot();
  const [side, setSide] = slot();
  const [author, setAuthor] = slot();
  const [origin, setOrigin] = slot();
  const [above, setQuote] = slot();
  const [carried, setCarried] = slot();
  const [text, setText] = slot();
  const [reactions, setReactions] = slot();
  const [thread, setThread] = slot();
  const [meta, setMeta] = slot();
  const [failed, setFailed] = slot();
  const [bar, setBar] = slot();
  const bubble = h('div', { class: 'bubble' }, author, own && h('span', { class: 'spoken' }, 'You: '), origin, above, carried, text, reactions, thread, meta, failed);
  const node = h('li', {
    class: 'message', tabIndex: -1, data: { id: message.id },
    oncontextmenu: (event) => {
      if (event.target.closest('a') || !getSelection().isCollapsed) return;
      event.preventDefault();
      tools.onMenu(message, event.clientX, event.clientY);
    },
  }, divider, side, bubble, bar);

  /** `place`: first, last (in a run of one sender), group, reply, seen, edit (on its way), isFirstUnseen, isBroadcast. */
  function apply(now, place) {
    message = now;
    const { edit } = place;
    const content = edit ? edit.content : message.content;
    const { file, sender } = message;
    const isBare = message.type === 'image' && !content && !message.reply_to && !message.forwarded && !message.thread_id;
    node.className = ['message', own ? 'own' : 'theirs', place.first && 'first', place.last && 'last', isBare && 'bare', place.group && 'in-group',
      !own && tools.isForMe(message) && 'for-me', edit && `editing ${edit.state}`, message.reactions && 'reacted',
      // What is going on with it goes on.
      ...['flash', 'swiping'].filter((name) => node.classList.contains(name))].filter(Boolean).join(' ');
    bubble.dir = isRightToLeft(content) ? 'rtl' : 'ltr';
    setDivider(place.isFirstUnseen, () => place.isFirstUnseen && h('span', { class: 'divider', role: 'separator' }, h('span', {}, 'New messages')));
    setSide([place.group && !own, place.last, sender.display_name].join(), () => place.group && !own && (place.last
      ? h('button', { class: 'side', type: 'button', tabIndex: -1, 'aria-label': `About ${sender.display_name}`, onclick: () => tools.onProfile(message.sender_id) }, face(sender.display_name, sender.id, 'small'))
      : h('span', { class: 'side' })));
    setAuthor([place.group && !own && place.first, sender.display_name].join(), () => place.group && !own && place.first
      && tinted(h('span', { class: 'author', dir: 'auto' }, sender.display_name, (sender.bot || sender.hook) && h('span', { class: 'role' }, 'bot')), hue(sender.id)));
    setOrigin(message.forwarded?.created_at, () => message.forwarded && h('span', { class: 'forwarded' }, icon('forward'), h('span', {}, 'Forwarded from ', h('bdi', {}, message.forwarded.sender.display_name))));
    const { reply } = place;
    setQuote(`${message.thread_id ?? ''} ${reply && (reply.update ?? reply)}`, () => {
      const inThread = message.thread_id && tools.onThread && !tools.isThread && h('button', { class: 'thread-of', type: 'button', onclick: () => tools.onThread(message) }, icon('thread'), 'In a thread');
      const above = message.reply_to && quote(reply, tools.onJump);
      return (inThread || above) && h('div', { class: 'above' }, inThread, above);
    });
    setCarried(file?.id, () => file && (message.type === 'image' ? image(message, tools) : attachment(file, tools.media)));
    setText(content, () => content && prose(content, (name) => tools.isMentioned(message, name)));
    setReactions(JSON.stringify(message.reactions ?? 0), () => message.reactions?.length > 0 && reactionBar(message, tools));
    setThread(JSON.stringify(message.thread ?? 0), () => message.thread && tools.onThread && !tools.isThread && threadChip(message, tools.onThread));
    const tick = !own || place.isBroadcast ? '' : edit ? edit.state : String(place.seen);
    setMeta([message.edited_at, tick, message.pinned?.at, message.created_at].join(), () => metaOf(tick));
    setFailed([edit?.state, edit?.error].join(), () => edit?.state === 'failed' && failure(edit, { onRetry: () => tools.outbox.retry(edit.client_id), onDiscard: () => tools.outbox.discard(edit.client_id) }));
    setBar(`${message.id} ${content.slice(0, 40)}`, () => hoverBar(message, tools));
  }

  function metaOf(tick) {
    const isPending = ['waiting', 'sending', 'failed'].includes(tick);
    const drawn = tick === 'true' ? 'checks' : tick === 'false' ? 'check' : tick === 'failed' ? 'alert' : 'clock';
    const words = { true: 'Seen', false: 'Sent', failed: 'The change is not saved', waiting: 'Saving', sending: 'Saving' }[tick];
    return h('span', { class: 'meta' },
      message.pinned && h('span', { class: 'pinned', title: 'Pinned' }, icon('pin'), h('span', { class: 'spoken' }, 'pinned')),
      message.edited_at && h('button', { class: 'edited', type: 'button', tabIndex: -1, title: moment(message.edited_at), onclick: () => tools.onEdits?.(message) }, 'edited'),
      h('time', { dateTime: message.created_at, title: moment(message.created_at) }, time(message.created_at)),
      tick && h('span', { class: `tick${isPending ? ' pending' : ''}`, data: { seen: tick }, title: words }, icon(drawn), h('span', { class: 'spoken' }, words)));
  }

  return { node, apply, get message() { return message; } };
}

/** What is on its way out. `tools`: `onRetry`, `onDiscard`, `reply()`. */
export function pendingView(entry, tools) {
  const [above, setQuote] = slot();
  const [carried, setCarried] = slot();
  const [meta, setMeta] = slot();
  const [failed, setFailed] = slot();
  const preview = entry.file && /^image\/(png|jpeg|gif|webp)$/.test(entry.file.type) ? URL.createObjectURL(entry.file) : null;
  const bubble = h('div', { class: 'bubble', dir: isRightToLeft(entry.content ?? '') ? 'rtl' : 'ltr' }, h('span', { class: 'spoken' }, 'You: '), above, carried, entry.content && prose(entry.content), meta, failed);
  const node = h('li', { tabIndex: -1, data: { id: entry.client_id } }, bubble);
  let bar = null;
  let share = null;

  function upload() {
    bar = h('progress', { max: 1, value: entry.progress, 'aria-label': 'Uploaded' });
    share = h('span', {});
    return h('div', { class: 'sending' },
      preview ? h('img', { class: 'preview-image', src: preview, alt: '' }) : h('span', { class: 'attachment-icon' }, icon('file')),
      h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, entry.file.name || 'image'), bar, share),
      h('button', { class: 'round', type: 'button', 'aria-label': `Cancel the upload of ${entry.file.name || 'the image'}`, onclick: tools.onDiscard }, icon('close')));
  }

  function apply({ first, last, reply }) {
    node.className = ['message own pending', entry.state, first && 'first', last && 'last'].filter(Boolean).join(' ');
    const words = entry.state === 'failed' ? 'Not sent' : entry.failures ? 'Waiting for the server' : 'Sending';
    setQuote(reply && (reply.update ?? reply), () => entry.reply_to && quote(reply, () => {}));
    setCarried(entry.state === 'failed', () => (entry.file ? upload() : entry.forward && h('span', { class: 'forwarded' }, icon('forward'), 'Forwarding')));
    setMeta(words, () => h('span', { class: 'meta' }, h('span', { class: 'tick pending', title: words }, icon(entry.state === 'failed' ? 'alert' : 'clock'), h('span', { class: 'spoken' }, words))));
    setFailed([entry.state, entry.error].join(), () => entry.state === 'failed' && failure(entry, tools));
    if (bar) {
      bar.value = entry.progress;
      share.textContent = entry.progress ? `${Math.round(entry.progress * 100)} %` : '';
    }
  }

  return { node, apply, close: () => preview && URL.revokeObjectURL(preview) };
}
