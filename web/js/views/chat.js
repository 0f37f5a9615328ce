// One open conversation: its header, its messages, and where one writes.

import { EVERYONE, userKey } from '../store.js';
import { plural } from '../format.js';
import { batched, h } from './dom.js';
import { icon } from './icons.js';
import { attempt, open } from './dialogs.js';
import { portrait, titleOf } from './people.js';
import { composerView } from './composer.js';
import { timelineView } from './timeline.js';
import { groupDialog } from './group.js';

export function chatView(app, key) {
  const { api, store, sync } = app;
  const title = h('h1', { dir: 'auto' });
  const subtitle = h('p', { class: 'subtitle' });
  const picture = h('span', { class: 'portrait' });
  const about = h('button', { class: 'who', type: 'button', onclick: info }, picture, h('span', { class: 'who-text' }, title, subtitle));
  const foot = h('footer', { class: 'foot' });
  const composer = composerView(app, key, { onSent: () => timeline.toEnd() });
  const timeline = timelineView(app, key, { onReply: composer.reply, onEdit: composer.edit });
  let depth = 0;
  const veil = h('div', { class: 'veil', hidden: true }, h('p', {}, icon('attach'), 'Drop files to send them'));
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  const node = h('main', {
    class: 'chat',
    ondragenter: (event) => carriesFiles(event) && (depth += 1, veil.hidden = false),
    ondragleave: (event) => carriesFiles(event) && (depth -= 1, veil.hidden = depth > 0 ? veil.hidden : true),
    ondragover: (event) => carriesFiles(event) && event.preventDefault(),
    ondrop: (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      veil.hidden = true;
      if (composer.node.isConnected) composer.attach([...event.dataTransfer.files]);
    },
  },
    h('header', { class: 'bar' },
      h('button', { class: 'round back', type: 'button', 'aria-label': 'Back to the conversations', onclick: () => app.go(null) }, icon('back')), about),
    timeline.node, foot, veil);

  function info() {
    const c = store.ensure(key);
    if (c.kind === 'group' && c.group) return groupDialog(app, key);
    if (c.kind === 'direct' && c.user) {
      return open(titleOf(c, store.me), (body) => body.append(
        h('div', { class: 'card' }, portrait(c, store.me, 'large'), h('p', { class: 'name', dir: 'auto' }, titleOf(c, store.me)), h('p', { class: 'hint' }, `@${c.user.username}`))), { className: 'small' });
    }
    return undefined;
  }

  function status(c) {
    const typing = [...c.typing.values()].map((one) => one.username);
    if (typing.length) return ['writing', c.kind === 'direct' ? 'typing…' : `${typing.slice(0, 2).join(', ')} ${typing.length > 1 ? 'are' : 'is'} typing…`];
    if (key === EVERYONE) return ['', 'everybody on this server'];
    if (c.kind === 'group') return ['', c.group ? `${c.group.visibility} group, ${plural(c.group.member_count, 'member')}` : ''];
    if (key === userKey(store.me)) return ['', 'only you see this'];
    if (store.online.get(key.slice(2))) return ['online', 'online'];
    return ['', c.user ? `@${c.user.username}` : ''];
  }

  function bottom(c) {
    const gone = c.kind === 'direct' && c.user?.username === 'deleted user';
    const outside = c.kind === 'group' && c.group && !c.group.role;
    const says = gone ? 'gone' : outside ? 'outside' : 'composer';
    if (foot.dataset.says === says) return;
    foot.dataset.says = says;
    if (says === 'gone') foot.replaceChildren(h('p', { class: 'hint' }, 'This account was deleted.'));
    else if (says === 'outside') foot.replaceChildren(h('button', { class: 'join', type: 'button', onclick: join }, 'Join this group'));
    else foot.replaceChildren(composer.node);
  }

  const join = () => attempt(async () => {
    await api.addMember(key.slice(2), store.me);
    store.membership(key.slice(2), 'member');
    await sync.regroup(key);
    sync.refreshSoon();
    sync.fill(key);
    composer.focus();
  });

  const draw = () => {
    const c = store.ensure(key);
    const name = titleOf(c, store.me);
    if (title.textContent !== name || !picture.firstChild) {
      title.textContent = name;
      picture.replaceChildren(portrait(c, store.me));
    }
    const [kind, words] = status(c);
    subtitle.textContent = words;
    subtitle.className = `subtitle ${kind}`;
    bottom(c);
  };
  const render = batched(draw);

  return {
    node,
    key,
    async show() {
      store.ensure(key);
      draw();
      const c = store.get(key);
      if (!c.user && !c.group && key !== EVERYONE) {
        try {
          await sync.meet(key);
        } catch (error) {
          if (error.status === 404 || error.status === 400) return app.lost(key);
        }
      }
      draw();
      if (matchMedia('(min-width: 721px)').matches) composer.focus();
      return timeline.load();
    },
    render: () => {
      render();
      timeline.render();
    },
    close: () => timeline.close(),
  };
}
