// Sends a message on to other conversations.

import { EVERYONE } from '../conversation.js';
import { summary } from '../format.js';
import { h } from './dom.js';
import { open } from './dialogs.js';
import { icon } from './icons.js';
import { toast } from './notices.js';
import { portrait, titleOf } from './people.js';

export function forwardDialog({ store, outbox, message }) {
  open('Forward to', (body) => {
    const list = h('ul', { class: 'people' });
    const draw = () => {
      const wanted = input.value.trim().toLowerCase();
      const found = store.list().filter((c) => c.key !== EVERYONE && (c.kind !== 'group' || c.group?.role) && titleOf(c, store.me).toLowerCase().includes(wanted));
      list.replaceChildren(...found.slice(0, 50).map((c) => {
        const title = titleOf(c, store.me);
        const button = h('button', { type: 'button', class: 'quiet', 'aria-label': `Forward to ${title}`, onclick: () => {
          outbox.add({ key: c.key, forward: message.id, content: '' });
          button.disabled = true;
          button.textContent = 'Sent';
          toast(`Forwarded to ${title}.`);
        } }, 'Send');
        return h('li', {}, portrait(c, store.me, 'small'), h('span', { class: 'person' }, h('bdi', {}, title)), button);
      }));
      if (!found.length) list.replaceChildren(h('li', { class: 'hint' }, 'No conversation has this in its name.'));
    };
    const input = h('input', { type: 'search', placeholder: 'Find a conversation', 'aria-label': 'Find a conversation', dir: 'auto', oninput: draw });
    body.append(h('p', { class: 'forwarding' }, h('bdi', {}, h('b', {}, message.sender.display_name), ` ${summary(message)}`)), h('div', { class: 'search' }, icon('search'), input), list);
    draw();
    input.focus();
  });
}
