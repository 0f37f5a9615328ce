// Says that something came: in the title, on the icon of the page, by a notification and a sound while nobody looks.

import { EVERYONE, isMuted, keyOf, mentions } from '../conversation.js';
import { count, summary } from '../format.js';
import { HOME } from '../api.js';
import { h } from './dom.js';
import { titleOf } from './people.js';

const KEY = 'parlance.notify';
const setting = (name) => (localStorage.getItem(`${KEY}.${name}`) ?? 'on') === 'on';

export function notifier({ store, go, isOpen }) {
  const link = document.querySelector('link[rel="icon"]');
  const plainIcon = link.href;
  let shown = -1;
  let audio = null;

  /** Shows the number of unseen messages; muted conversations do not count. */
  function badge() {
    let total = 0;
    let open = '';
    for (const c of store.conversations.values()) {
      if (c.listed && !isMuted(c)) total += c.unseen;
      if (isOpen(c.key)) open = `${titleOf(c, store.me)} · `;
    }
    document.title = `${total ? `(${count(total)}) ` : ''}${open}Parlance`;
    if (total === shown) return;
    shown = total;
    navigator.setAppBadge?.(total).catch(() => {});
    draw(total);
  }

  function draw(total) {
    if (!total) {
      link.href = plainIcon;
      return;
    }
    const picture = new Image(64, 64);
    picture.onload = () => {
      const canvas = h('canvas', { width: 64, height: 64 });
      const pen = canvas.getContext('2d');
      pen.drawImage(picture, 0, 0, 64, 64);
      pen.fillStyle = '#e0322d';
      pen.beginPath();
      pen.arc(46, 46, 18, 0, 7);
      pen.fill();
      canvas.toBlob((blob) => {
        if (shown !== total || !blob) return;
        const old = link.href;
        link.href = URL.createObjectURL(blob);
        if (old.startsWith('blob:')) URL.revokeObjectURL(old);
      });
    };
    picture.src = `${HOME}/assets/favicon.svg`;
  }

  /** Whether a message is one to disturb somebody for. */
  function isWorth(c, message) {
    if (message.sender_id === store.me || isMuted(c)) return false;
    const level = c.settings.notify ?? 'all';
    if (level === 'none') return false;
    return (level === 'all' && c.kind !== 'broadcast') || mentions(message, store.me);
  }

  function beep() {
    try {
      audio ??= new AudioContext();
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      tone.frequency.value = 740;
      volume.gain.setValueAtTime(0.08, audio.currentTime);
      volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.25);
      tone.connect(volume).connect(audio.destination);
      tone.start();
      tone.stop(audio.currentTime + 0.25);
    } catch {
      // Without sound the notification is there all the same.
    }
  }

  /** A message has just come. */
  function arrived(message) {
    const key = keyOf(message, store.me);
    const c = store.get(key);
    if (!c || !isWorth(c, message) || (document.hasFocus() && !document.hidden)) return;
    if (setting('sound')) beep();
    if (!setting('notices') || globalThis.Notification?.permission !== 'granted') return;
    try {
      const who = c.kind === 'direct' ? titleOf(c, store.me) : `${message.sender.display_name} in ${key === EVERYONE ? 'Everyone' : titleOf(c, store.me)}`;
      // One for each conversation, and one tab alone shows it.
      const notice = new Notification(who, { body: summary(message), tag: key, icon: `${HOME}/assets/favicon.svg` });
      notice.onclick = () => {
        window.focus();
        go(key, message.id);
        notice.close();
      };
    } catch {
      // Some phones take notifications from service workers alone.
    }
  }

  /** The settings, as a part of the account's dialog. */
  function controls() {
    const toggle = (name, label) => h('label', { class: 'action' }, h('span', { class: 'grows' }, label), h('input', { type: 'checkbox', role: 'switch', checked: setting(name), onchange: (event) => localStorage.setItem(`${KEY}.${name}`, event.target.checked ? 'on' : 'off') }));
    const state = globalThis.Notification ? Notification.permission : 'none';
    const ask = h('button', { type: 'button', class: 'quiet', onclick: async () => {
      const answer = await Notification.requestPermission();
      ask.replaceWith(h('p', { class: 'hint start' }, answer === 'granted' ? 'This browser shows notifications.' : 'This browser was told not to show notifications.'));
    } }, 'Allow notifications in this browser');
    const words = { granted: 'This browser shows notifications.', denied: 'This browser was told not to show notifications: change that at the lock in its address bar.', none: 'This browser has no notifications for pages over plain http.' }[state];
    return h('div', {}, words ? h('p', { class: 'hint start' }, words) : ask, toggle('notices', 'Show notifications'), toggle('sound', 'Play a sound'));
  }

  return { badge, arrived, controls, stop: () => { link.href = plainIcon; document.title = 'Parlance'; } };
}
