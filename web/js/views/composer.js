// Where messages are written.

import { EVERYONE } from '../store.js';
import { size, summary } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt, form, field, open, toast } from './dialogs.js';

const LONGEST = 4096;
/** The server passes on no more than one word of typing in this time. */
const TYPING_EVERY = 3000;

export function composerView(app, key, { onSent }) {
  const { api, store, sync, outbox } = app;
  let context = null;
  let lastTyped = 0;

  const text = h('textarea', { rows: 1, placeholder: key === EVERYONE ? 'Message everyone' : 'Message', 'aria-label': 'Message', dir: 'auto', enterKeyHint: 'send', oninput: typed, onkeydown: pressed, onpaste: pasted });
  const files = h('input', { type: 'file', multiple: true, hidden: true, tabIndex: -1, onchange: () => {
    attach([...files.files]);
    files.value = '';
  } });
  const clip = h('button', { class: 'round', type: 'button', 'aria-label': 'Attach files', onclick: () => files.click() }, icon('attach'));
  const send = h('button', { class: 'round send', type: 'submit', 'aria-label': 'Send' }, icon('send'));
  const about = h('div', { class: 'context', hidden: true });
  const limit = h('span', { class: 'limit', role: 'status' });
  const node = h('form', { class: 'composer', onsubmit: (event) => { event.preventDefault(); submit(); } },
    about, h('div', { class: 'composer-row' }, key !== EVERYONE && clip, files, text, limit, send));

  text.value = app.drafts.get(key) ?? '';
  queueMicrotask(fit);

  function fit() {
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight, 220)}px`;
    const left = LONGEST - [...text.value].length;
    limit.textContent = left < 200 ? String(left) : '';
    limit.classList.toggle('over', left < 0);
    send.disabled = left < 0 || (!text.value.trim() && !(context?.edit?.file));
  }

  function typed() {
    fit();
    if (!context?.edit) app.drafts.set(key, text.value);
    const now = Date.now();
    if (key === EVERYONE || !text.value || now - lastTyped < TYPING_EVERY) return;
    lastTyped = now;
    app.typing(key);
  }

  function pressed(event) {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && context) {
      event.preventDefault();
      event.stopPropagation();
      release();
    } else if (event.key === 'ArrowUp' && !text.value && !context) {
      const last = store.window(store.ensure(key)).findLast((message) => message.sender_id === store.me);
      if (last) {
        event.preventDefault();
        edit(last);
      }
    }
  }

  function pasted(event) {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    attach([...event.clipboardData.files]);
  }

  /** Asks for a caption, and sends the files, each as a message. */
  function attach(chosen) {
    if (!chosen.length) return;
    if (key === EVERYONE) return void toast('Files can’t be sent to everyone.', 'error');
    const urls = [];
    open(chosen.length === 1 ? 'Send this file?' : `Send ${chosen.length} files?`, (body, close) => {
      const caption = field('content', 'Caption', { maxLength: LONGEST, placeholder: 'Optional' });
      const { node: asked } = form([caption], { action: 'Send', submit: ({ content }) => {
        chosen.forEach((file, at) => outbox.add({ key, file, content: at === 0 ? content : '', reply_to: at === 0 ? context?.reply?.id : undefined }));
        release();
        close();
        onSent();
      } });
      body.append(h('ul', { class: 'chosen' }, chosen.map((file) => {
        const preview = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
        if (preview) urls.push(URL.createObjectURL(file));
        return h('li', {}, preview ? h('img', { src: urls.at(-1), alt: '' }) : h('span', { class: 'attachment-icon' }, icon('file')),
          h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, file.name), h('span', { class: 'attachment-size' }, size(file.size))));
      })), asked);
      caption.input.value = text.value.trim();
      if (caption.input.value) clear();
      caption.input.focus();
    }, { onClose: () => {
      urls.forEach((url) => URL.revokeObjectURL(url));
      text.focus();
    } });
    return undefined;
  }

  function clear() {
    text.value = '';
    app.drafts.delete(key);
    fit();
  }

  async function submit() {
    const content = text.value;
    if (send.disabled) return;
    if (context?.edit) {
      const { edit: message } = context;
      release();
      if (content !== message.content) await attempt(async () => sync.took(await api.edit(message.id, content)));
      return;
    }
    outbox.add({ key, content, reply_to: context?.reply?.id });
    lastTyped = 0;
    clear();
    release();
    onSent();
  }

  function show(name, title, message) {
    about.hidden = false;
    about.replaceChildren(icon(name), h('div', {}, h('b', { dir: 'auto' }, title), h('span', { dir: 'auto' }, summary(message))),
      h('button', { class: 'round', type: 'button', 'aria-label': 'Cancel', onclick: release }, icon('close')));
    fit();
    text.focus();
  }

  /** Back to writing a new message. */
  function release() {
    if (context?.edit) text.value = app.drafts.get(key) ?? '';
    context = null;
    about.hidden = true;
    about.replaceChildren();
    fit();
    text.focus();
  }

  function edit(message) {
    context = { edit: message };
    text.value = message.content;
    show('edit', 'Edit message', message);
  }

  function reply(message) {
    if (context?.edit) release();
    context = { reply: message };
    show('reply', `Reply to ${message.sender.display_name}`, message);
  }

  return { node, attach, edit, reply, focus: () => text.focus() };
}
