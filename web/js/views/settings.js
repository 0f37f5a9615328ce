// One's own settings of a conversation: muted, notifications, favourite, archived.

import { isMuted } from '../conversation.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './notices.js';

/** Changes settings here at once, and at the server. */
export async function change({ c, api, store }, changes) {
  const conversation = await api.settings(c.id, changes);
  c.settings = conversation.settings;
  store.emit(c.key);
  store.emit(null);
}

const row = (drawn, label, control) => h('label', { class: 'action' }, icon(drawn), h('span', { class: 'grows' }, label), control);

/** The settings as a part of a panel; nothing where the server has none. */
export function settingsList({ c, api, store }) {
  if (!c.id || !c.settings?.notify) return null;
  const set = (changes) => attempt(() => change({ c, api, store }, changes));
  const toggle = (isOn, onchange) => h('input', { type: 'checkbox', role: 'switch', checked: isOn, onchange: (event) => onchange(event.target.checked) });
  const levels = [['all', 'All messages'], ['mentions', 'Mentions only'], ['none', 'Nothing']];
  const notify = h('select', { onchange: () => set({ notify: notify.value }) }, levels.map(([value, label]) => h('option', { value, selected: c.settings.notify === value }, label)));
  return h('section', {}, h('h3', {}, 'For you'),
    row(isMuted(c) ? 'silent' : 'bell', 'Mute', toggle(isMuted(c), (on) => set({ muted_until: on ? 'forever' : null }))),
    row('bell', 'Notify of', notify),
    row('star', 'Favourite', toggle(c.settings.favourite, (on) => set({ favourite: on }))),
    row('archive', 'Archive', toggle(c.settings.archived, (on) => set({ archived: on }))));
}
