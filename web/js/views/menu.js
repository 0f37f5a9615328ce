// Menus of actions.

import { h } from './dom.js';
import { icon } from './icons.js';

/** The menu that is open. */
let current = null;

export const closeMenu = () => current?.();

/**
 * Opens a menu of `[icon, label, action, { kind?, key? }]` near a point, kept inside the window; `key` is the key that does the
 * same without the menu. `header` stands above the entries. It is put where the focus is: a dialog would cover it.
 */
export function menu(x, y, items, { header = null, label = 'Actions' } = {}) {
  closeMenu();
  const back = document.activeElement;
  const parent = back?.closest?.('dialog, aside, main, header.sidebar') ?? document.querySelector('main') ?? document.body;
  const close = () => {
    node.remove();
    current = null;
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', close);
  };
  const outside = (event) => {
    if (node.contains(event.target)) return;
    close();
  };
  const leave = () => {
    close();
    if (back?.isConnected) back.focus({ preventScroll: true });
  };
  const entries = items.map(([name, text, action, { kind = '', key = '' } = {}]) => h('button', { role: 'menuitem', type: 'button', class: kind, tabIndex: -1, onclick: () => {
    leave();
    action();
  } }, icon(name), h('span', {}, text), key && h('kbd', { 'aria-hidden': 'true' }, key)));
  const node = h('div', { class: 'menu', role: 'menu', 'aria-label': label, onkeydown: (event) => {
    const focusable = [...node.querySelectorAll('button')];
    const at = focusable.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: focusable.length - 1 }[event.key];
    const chosen = items.findIndex((item) => item[3]?.key && item[3].key.toLowerCase() === event.key.toLowerCase());
    if (to !== undefined) focusable.at(to % focusable.length).focus();
    else if (event.key === 'Escape' || event.key === 'Tab') leave();
    else if (chosen >= 0 && !event.ctrlKey && !event.metaKey) entries[chosen].click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  } }, header?.(leave), entries);
  parent.append(node);
  current = close;
  const box = node.getBoundingClientRect();
  node.style.left = `${Math.max(8, Math.min(x, innerWidth - box.width - 8))}px`;
  node.style.top = `${Math.max(8, Math.min(y, innerHeight - box.height - 8))}px`;
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', close);
  entries[0]?.focus({ preventScroll: true });
}

/** A menu below the button that opens it. */
export function menuBelow(button, items, options) {
  const box = button.getBoundingClientRect();
  menu(box.left, box.bottom + 6, items, options);
}
