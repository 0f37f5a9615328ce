// Where messages are written. What is typed is a draft at once, and stays one until it is sent.

import { EVERYONE } from '../conversation.js';
import { summary } from '../format.js';
import { attachDialog } from './attach.js';
import { completion } from './completion.js';
import { h, isTouch } from './dom.js';
import { icon } from './icons.js';
import { toast } from './notices.js';
import { pickEmoji } from './picker.js';

const LONGEST = 4096;
/** The server passes on no more than one word of typing in this time (milliseconds). */
const TYPING_EVERY = 3000;

/**
 * `key` is the conversation, `thread` the first message of a thread where one writes in it. `people(q)` gives those who can be
 * mentioned; `onScroll(pressed)` and `onUp()` get the keys that belong to the messages.
 */
export function composerView({ key, thread = null, store, outbox, drafts, limit = LONGEST, people, onTyping, onSent, onScroll = () => {}, onUp = () => {} }) {
  const draftKey = thread ? `${key}/${thread.id}` : key;
  let lastTyped = 0;
  /** The last state that this composer wrote: another tab's is newer. */
  let written = 0;

  const text = h('textarea', { rows: 1, placeholder: thread ? 'Reply in the thread' : key === EVERYONE ? 'Message everyone' : 'Message', 'aria-label': 'Message', dir: 'auto', enterKeyHint: isTouch() ? 'enter' : 'send', oninput: typed, onkeydown: pressed, onpaste: pasted, onclick: () => suggest.update() });
  const shadow = h('div', { class: 'shadow', 'aria-hidden': 'true' });
  const suggest = completion(text, { people, onChange: typed });
  const files = h('input', { type: 'file', multiple: true, hidden: true, tabIndex: -1, onchange: () => {
    attach([...files.files]);
    files.value = '';
  } });
  const clip = h('button', { class: 'round', type: 'button', 'aria-label': 'Attach files', title: 'Attach files', onclick: () => files.click() }, icon('attach'));
  const smile = h('button', { class: 'round', type: 'button', 'aria-label': 'Emoji', title: 'Emoji', onclick: () => pickEmoji(smile, (emoji) => {
    text.setRangeText(emoji, text.selectionStart, text.selectionEnd, 'end');
    text.focus();
    typed();
  }) }, icon('smile'));
  const send = h('button', { class: 'round send', type: 'submit', 'aria-label': 'Send', title: 'Send' }, icon('send'));
  const about = h('div', { class: 'context', hidden: true });
  const left = h('span', { class: 'limit', role: 'status' });
  const node = h('form', { class: 'composer', onsubmit: (event) => { event.preventDefault(); submit(); } },
    suggest.list, about, h('div', { class: 'composer-row' }, key !== EVERYONE && clip, files, h('div', { class: 'writing-area' }, text, shadow), left, smile, send));

  const draft = () => drafts.get(draftKey) ?? { content: '' };
  const editing = () => draft().edit;
  const shownText = () => editing()?.content ?? draft().content;

  function set(parts) {
    drafts.set(draftKey, parts);
    written = draft().at ?? 0;
  }

  /** Shows the draft as it is. */
  function render() {
    const { edit, reply } = draft();
    if (text.value !== shownText()) text.value = shownText();
    about.hidden = !edit && !reply;
    if (edit) describe('edit', 'Edit message', edit.message);
    else if (reply) describe('reply', `Reply to ${reply.sender.display_name}`, reply);
    else about.replaceChildren();
    fit();
  }

  function describe(name, title, message) {
    if (about.dataset.shows === `${name} ${message.id}` && about.firstChild) return;
    about.dataset.shows = `${name} ${message.id}`;
    about.replaceChildren(icon(name), h('div', {}, h('b', { dir: 'auto' }, title), h('span', { dir: 'auto' }, summary(message))),
      h('button', { class: 'round', type: 'button', 'aria-label': name === 'edit' ? 'Cancel the edit' : 'Cancel the reply', onclick: release }, icon('close')));
  }

  /** The height follows the text; in a copy, where the browser can't do it by itself, so that nothing else moves meanwhile. */
  function fit() {
    if (!CSS.supports('field-sizing', 'content')) shadow.textContent = `${text.value}\u200b`;
    const rest = limit - [...text.value].length;
    left.textContent = rest < 0 ? `${-rest} too many` : rest < 200 ? String(rest) : '';
    left.classList.toggle('over', rest < 0);
    send.disabled = rest < 0 || (!text.value.trim() && !editing()?.message.file);
    send.setAttribute('aria-label', editing() ? 'Save' : 'Send');
  }

  function typed() {
    const edit = editing();
    set(edit ? { edit: { ...edit, content: text.value } } : { content: text.value });
    fit();
    suggest.update();
    const now = Date.now();
    if (key === EVERYONE || !text.value || edit || now - lastTyped < TYPING_EVERY) return;
    lastTyped = now;
    onTyping();
  }

  function pressed(event) {
    if (suggest.pressed(event)) event.preventDefault();
    else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && (!isTouch() || event.ctrlKey)) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && (draft().edit || draft().reply)) {
      event.preventDefault();
      release();
    } else if (event.key === 'ArrowUp' && event.ctrlKey) {
      event.preventDefault();
      onUp();
    } else if (event.key === 'ArrowUp' && !text.value && !draft().edit && !thread) {
      const last = store.window(store.ensure(key)).findLast((message) => message.sender_id === store.me && !message.forwarded && message.content);
      if (!last) return;
      event.preventDefault();
      edit(last);
    } else if (event.key === 'PageUp' || event.key === 'PageDown') {
      event.preventDefault();
      onScroll(event.key);
    }
    if (event.defaultPrevented) event.stopPropagation();
  }

  function pasted(event) {
    // Cells of a table and text of a word processor come as text and as an image: the text is what was meant.
    if (!event.clipboardData.files.length || event.clipboardData.getData('text/plain').trim()) return;
    event.preventDefault();
    attach([...event.clipboardData.files]);
  }

  /** Asks for a caption, and sends the files, each as a message. What was typed stays until they are sent. */
  function attach(chosen) {
    if (!chosen.length) return;
    if (key === EVERYONE) return void toast('Files can’t be sent to everyone.', 'error');
    if (editing()) release();
    attachDialog(chosen, { caption: draft().content, limit, onSend: (content) => {
      const { reply } = draft();
      chosen.forEach((file, at) => outbox.add({ key, file, content: at === 0 ? content : '', reply_to: at === 0 ? reply?.id : undefined, thread_id: thread?.id }));
      set({ content: '', reply: undefined });
      render();
      onSent();
    }, onClose: () => text.focus() });
    return undefined;
  }

  function submit() {
    const content = text.value;
    const { edit, reply } = draft();
    if ([...content].length > limit) {
      toast(`A message has at most ${limit} characters: this one is ${[...content].length - limit} too long. Shorten it, or send it in parts.`, 'error');
      return;
    }
    if (send.disabled) return;
    suggest.close();
    if (edit) {
      if (content !== edit.message.content) outbox.add({ kind: 'edit', key, message_id: edit.id, content });
      set({ edit: undefined });
    } else {
      outbox.add({ key, content, reply_to: reply?.id, thread_id: thread?.id });
      lastTyped = 0;
      set({ content: '', reply: undefined });
      onSent();
    }
    render();
    text.focus();
  }

  /** Back to writing a new message: first out of an edit, then out of a reply. */
  function release() {
    set(editing() ? { edit: undefined } : { reply: undefined });
    render();
    text.focus();
  }

  function edit(message) {
    const waiting = outbox.editOf(message.id);
    set({ edit: { id: message.id, message, content: waiting?.content ?? message.content } });
    render();
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  }

  function reply(message) {
    set({ edit: undefined, reply: message });
    render();
    text.focus();
  }

  render();
  return {
    node, attach, edit, reply, focus: () => text.focus(),
    /** The draft changed elsewhere, in another tab perhaps. */
    changed: () => (draft().at ?? 0) !== written && render(),
  };
}
