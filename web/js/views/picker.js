// Chooses an emoji: by group, or by a part of its name.

import { GROUPED, find } from '../emoji.js';
import { h } from './dom.js';
import { icon } from './icons.js';

const KEY = 'parlance.emoji';
const MOST = 24;

const recent = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
};

/** Opens the picker near an element; `onPick(emoji)` is called once. */
export function pickEmoji(near, onPick) {
  document.querySelector('.picker')?.remove();
  const back = document.activeElement;
  const place = near.getBoundingClientRect();
  const close = () => {
    node.remove();
    document.removeEventListener('pointerdown', outside, true);
    if (back?.isConnected) back.focus({ preventScroll: true });
  };
  const outside = (event) => !node.contains(event.target) && close();
  const choose = (emoji) => {
    localStorage.setItem(KEY, JSON.stringify([emoji, ...recent().filter((one) => one !== emoji)].slice(0, MOST)));
    close();
    onPick(emoji);
  };
  const one = ({ emoji, name }) => h('button', { type: 'button', class: 'emoji-choice', 'aria-label': name.replaceAll('_', ' '), title: `:${name}:`, tabIndex: -1, onclick: () => choose(emoji) }, emoji);
  const section = (title, list) => h('section', { 'aria-label': title }, h('h3', {}, title), h('div', { class: 'emoji-grid' }, list.map(one)));
  const results = h('div', { class: 'picker-list' });
  const input = h('input', { type: 'search', placeholder: 'Find an emoji', 'aria-label': 'Find an emoji', oninput: draw });
  function draw() {
    const wanted = input.value.trim();
    const last = recent();
    results.replaceChildren(...(wanted ? [section('Found', find(wanted))] : [last.length > 0 && section('Recent', last.map((emoji) => ({ emoji, name: emoji }))), ...GROUPED.map(({ group, emoji }) => section(group, emoji))].filter(Boolean)));
    const first = results.querySelector('button');
    if (first) first.tabIndex = 0;
  }
  const node = h('div', { class: 'picker', role: 'dialog', 'aria-label': 'Choose an emoji', onkeydown: (event) => {
    const all = [...results.querySelectorAll('button')];
    const at = all.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
    if (event.key === 'Escape' || (event.key === 'Tab' && at >= 0 && !event.shiftKey)) close();
    else if (event.key === 'Enter' && document.activeElement === input) all[0]?.click();
    else if (step && (at >= 0 || event.key === 'ArrowDown')) (at < 0 ? all[0] : all[at + step] ?? (step < 0 ? input : all.at(-1)))?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  } }, h('div', { class: 'search' }, icon('search'), input), results);
  (back?.closest?.('dialog') ?? document.body).append(node);
  draw();
  const box = node.getBoundingClientRect();
  node.style.left = `${Math.max(8, Math.min(place.left, innerWidth - box.width - 8))}px`;
  const above = place.top - box.height - 8;
  node.style.top = `${Math.max(8, above > 8 ? above : Math.min(place.bottom + 8, innerHeight - box.height - 8))}px`;
  document.addEventListener('pointerdown', outside, true);
  input.focus({ preventScroll: true });
}
