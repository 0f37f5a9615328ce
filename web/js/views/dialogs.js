// Dialogs. <dialog> keeps the focus inside and closes on Escape by itself.

import { h } from './dom.js';
import { icon } from './icons.js';

let made = 0;

/**
 * Opens a dialog; `fill(body, close)` makes its content. `isDirty()` says whether closing would lose something that was typed:
 * then it is asked for first. Gives the <dialog>.
 */
export function open(title, fill, { onClose = () => {}, className = '', isDirty = () => false } = {}) {
  const back = document.activeElement;
  made += 1;
  const heading = h('h2', { id: `dialog-${made}`, dir: 'auto' }, title);
  const body = h('div', { class: 'dialog-body' });
  const ask = async () => {
    if (!isDirty() || (await confirm('Discard what you have typed?', 'It is not kept.', 'Discard'))) dialog.close();
  };
  const dialog = h('dialog', { class: className, 'aria-labelledby': heading.id },
    h('header', {}, heading, h('button', { class: 'round', type: 'button', 'aria-label': 'Close', onclick: ask }, icon('close'))),
    body);
  dialog.addEventListener('cancel', (event) => {
    event.preventDefault();
    ask();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (back?.isConnected) back.focus();
    onClose();
  });
  // A click on the backdrop is one on the dialog itself.
  dialog.addEventListener('mousedown', (event) => event.target === dialog && ask());
  document.body.append(dialog);
  dialog.showModal();
  fill(body, () => dialog.close());
  return dialog;
}

/** Asks before something that can't be taken back. */
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    open(title, (body, close) => {
      const agree = h('button', { class: 'danger', type: 'button', onclick: () => { answer = true; close(); } }, yes);
      body.append(h('p', { dir: 'auto' }, text), h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'quiet', onclick: close }, 'Cancel'), agree));
      agree.focus();
    }, { onClose: () => resolve(answer), className: 'small' });
  });
}
