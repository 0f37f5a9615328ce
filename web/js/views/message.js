// One message, as an element.

import { links, moment, size, summary, time } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './dialogs.js';
import { face } from './people.js';
import { hue } from '../format.js';

/** Text with its web addresses as links. */
function prose(content) {
  return h('p', { class: 'prose', dir: 'auto' }, links(content).map(({ text, href }) =>
    (href ? h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, text) : text)));
}

/** The image of a message: fetched once it comes near, enlarged by a click. */
function image(file, { media, near, onGrow }) {
  const picture = h('img', { alt: file.name, decoding: 'async' });
  const frame = h('button', { class: 'picture loading', type: 'button', 'aria-label': `Open the image ${file.name}`, onclick: () => attempt(() => lightbox(file, media)) }, picture);
  picture.addEventListener('load', () => {
    frame.classList.remove('loading');
    onGrow();
  });
  near(frame, async () => {
    try {
      picture.src = await media.url(file);
    } catch {
      frame.replaceChildren(icon('alert'), h('span', {}, 'The image can’t be loaded'));
      frame.classList.remove('loading');
    }
  });
  return frame;
}

async function lightbox(file, media) {
  const url = await media.url(file);
  const back = document.activeElement;
  const dialog = h('dialog', { class: 'lightbox', 'aria-label': file.name, onclick: () => dialog.close(), onclose: () => {
    dialog.remove();
    back?.focus();
  } },
    h('img', { src: url, alt: file.name }),
    h('footer', {}, h('span', { dir: 'auto' }, file.name),
      h('button', { class: 'round', type: 'button', 'aria-label': 'Save', onclick: (event) => { event.stopPropagation(); media.save(file); } }, icon('download')),
      h('button', { class: 'round', type: 'button', 'aria-label': 'Close' }, icon('close'))));
  document.body.append(dialog);
  dialog.showModal();
}

function attachment(file, media) {
  return h('button', { class: 'attachment', type: 'button', 'aria-label': `Save the file ${file.name}`, onclick: () => attempt(() => media.save(file)) },
    h('span', { class: 'attachment-icon' }, icon('file')),
    h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, file.name), h('span', { class: 'attachment-size' }, size(file.size))));
}

/** What a message replies to, above it. `reply` is the message, `null` while it isn't known, `'gone'` if it is deleted. */
function quote(reply, onJump) {
  if (reply === 'gone') return h('span', { class: 'quote' }, h('i', {}, 'Deleted message'));
  if (!reply) return h('span', { class: 'quote' }, '…');
  return h('button', { class: `quote hue-${hue(reply.sender_id)}`, type: 'button', onclick: () => onJump(reply), 'aria-label': `In reply to ${reply.sender.display_name}` },
    h('b', { dir: 'auto' }, reply.sender.display_name), h('span', { dir: 'auto' }, summary(reply)));
}

const classes = (own, first, last, bare) => `message ${own ? 'own' : 'theirs'}${first ? ' first' : ''}${last ? ' last' : ''}${bare ? ' bare' : ''}`;

/**
 * `first` and `last` say where it stands in a run of messages by the same sender; `tools` is what it can do: `media`,
 * `near(element, then)`, `onGrow`, `onJump(message)`, `onMenu(message, x, y)`.
 */
export function messageNode(message, { own, first, last, group, reply, tools }) {
  const { sender, file } = message;
  const more = h('button', { class: 'round more', type: 'button', tabIndex: -1, 'aria-label': 'What to do with this message', 'aria-haspopup': 'menu', onclick: () => {
    const box = more.getBoundingClientRect();
    tools.onMenu(message, box.left, box.bottom);
  } }, icon('more'));
  const meta = h('span', { class: 'meta' },
    message.edited_at && h('span', { class: 'edited', title: moment(message.edited_at) }, 'edited'),
    h('time', { dateTime: message.created_at, title: moment(message.created_at) }, time(message.created_at)),
    own && h('span', { class: 'tick' }));
  return h('li', {
    class: classes(own, first, last, message.type === 'image' && !message.content && !message.reply_to), tabIndex: -1, data: { id: message.id },
    oncontextmenu: (event) => {
      if (event.target.closest('a') || !getSelection().isCollapsed) return;
      event.preventDefault();
      tools.onMenu(message, event.clientX, event.clientY);
    },
  },
    group && !own && (last ? face(sender.display_name, sender.id, 'small') : h('span', { class: 'face small blank' })),
    h('div', { class: 'bubble' },
      group && !own && first && h('span', { class: `author hue-${hue(sender.id)}`, dir: 'auto' }, sender.display_name),
      own && h('span', { class: 'spoken' }, 'You: '),
      message.reply_to && quote(reply, tools.onJump),
      file && (message.type === 'image' ? image(file, tools) : attachment(file, tools.media)),
      message.content && prose(message.content),
      meta),
    more);
}

/** Sets the tick of the user's own message, without a new element. */
export function setTick(node, seen) {
  const tick = node.querySelector('.tick');
  if (!tick || tick.dataset.seen === String(seen)) return;
  tick.dataset.seen = String(seen);
  tick.title = seen ? 'Seen' : 'Sent';
  tick.replaceChildren(icon(seen ? 'checks' : 'check'), h('span', { class: 'spoken' }, seen ? 'seen' : 'sent'));
}

/** What is on its way out. */
export function pendingNode(entry, { first, last, reply, onRetry, onDiscard }) {
  const failed = entry.state === 'failed';
  const label = failed ? 'Not sent' : entry.failures ? 'Waiting for the server' : 'Sending';
  return h('li', { class: `${classes(true, first, last, false)} pending ${entry.state}`, tabIndex: -1, data: { id: entry.client_id } },
    h('div', { class: 'bubble' },
      entry.reply_to && quote(reply, () => {}),
      entry.file && h('span', { class: 'attachment' },
        h('span', { class: 'attachment-icon' }, icon('file')),
        h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, entry.file.name || 'image'),
          h('progress', { max: 1, value: entry.progress, 'aria-label': 'Uploaded' }))),
      entry.content && prose(entry.content),
      h('span', { class: 'meta' }, h('span', { class: 'tick', title: label }, icon(failed ? 'alert' : 'clock'), h('span', { class: 'spoken' }, label))),
      failed && h('div', { class: 'failure', role: 'alert' }, h('span', {}, entry.error),
        h('button', { type: 'button', onclick: onRetry }, 'Try again'),
        h('button', { type: 'button', onclick: onDiscard }, 'Discard'))));
}
