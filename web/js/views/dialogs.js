// Dialogs, menus and short notices. <dialog> keeps the focus inside and closes on Escape by itself.

import { h } from './dom.js';
import { icon } from './icons.js';

/** Says something for a few seconds. */
export function toast(text, kind = '') {
  const note = h('div', { class: `toast ${kind}` }, text);
  const shelf = document.getElementById('toasts');
  shelf.append(note);
  // Shown anew each time: what is shown last lies above every open dialog.
  shelf.hidePopover();
  shelf.showPopover();
  setTimeout(() => {
    note.remove();
    if (!shelf.childElementCount) shelf.hidePopover();
  }, 5000);
}

/** Runs something; says what went wrong if it does. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== 'AbortError') toast(error.message, 'error');
    return undefined;
  }
}

/** Opens a dialog; `fill(body, close)` makes its content. Gives the <dialog>. */
export function open(title, fill, { onClose = () => {}, className = '' } = {}) {
  const back = document.activeElement;
  const heading = h('h2', { id: `dialog-${document.querySelectorAll('dialog').length}`, dir: 'auto' }, title);
  const body = h('div', { class: 'dialog-body' });
  const dialog = h('dialog', { class: className, 'aria-labelledby': heading.id },
    h('header', {}, heading, h('button', { class: 'round', type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    body);
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (back?.isConnected) back.focus();
    onClose();
  });
  // A click on the backdrop is one on the dialog itself.
  dialog.addEventListener('mousedown', (event) => event.target === dialog && dialog.close());
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

/** A labelled input with room for what is wrong with it. */
export function field(name, label, properties = {}, hint = '') {
  const id = `field-${name}-${Math.random().toString(36).slice(2, 8)}`;
  const { multiline, ...rest } = properties;
  const input = h(multiline ? 'textarea' : 'input', { id, name, dir: 'auto', ...rest, 'aria-describedby': `${id}-note` });
  const note = h('p', { class: 'note', id: `${id}-note` }, hint);
  const node = h('div', { class: 'field' }, h('label', { htmlFor: id }, label), input, note);
  const say = (text) => {
    input.setAttribute('aria-invalid', text ? 'true' : 'false');
    node.classList.toggle('wrong', Boolean(text));
    note.textContent = text || hint;
  };
  input.addEventListener('input', () => node.classList.contains('wrong') && say(''));
  return { node, input, say };
}

/** A form that shows what is wrong at the field at fault, else above its button. `submit(values)` does the work. */
export function form(fields, { action, submit, className = '', danger = false }) {
  const fault = h('p', { class: 'fault', role: 'alert' });
  const button = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action);
  const node = h('form', { class: `form ${className}`, noValidate: true, onsubmit: async (event) => {
    event.preventDefault();
    fault.textContent = '';
    const shown = fields.filter((one) => !one.node.hidden);
    for (const one of shown) one.say('');
    button.disabled = true;
    try {
      await submit(Object.fromEntries(shown.map((one) => [one.input.name, one.input.type === 'checkbox' ? one.input.checked : one.input.value])));
    } catch (error) {
      const at = shown.find((one) => one.input.name === error.field);
      if (at) {
        at.say(sentence(error.message));
        at.input.focus();
      } else {
        fault.textContent = sentence(error.message);
      }
    } finally {
      button.disabled = false;
    }
  } }, fields.map((one) => one.node), fault, h('div', { class: 'buttons' }, button));
  return { node, button, fault };
}

/** The server's words as a sentence. */
export function sentence(text) {
  const spaced = text.replace(/(?<=[a-z])_(?=[a-z])/g, ' ');
  return spaced.charAt(0).toUpperCase() + spaced.slice(1) + (/[.!?]$/.test(spaced) ? '' : '.');
}

/**
 * Opens a menu of `[icon, label, action, kind?]` near a point, kept inside the window. One that belongs to a dialog has to
 * be inside of it (`parent`), or the dialog would cover it.
 */
export function menu(x, y, items, parent = document.body) {
  const back = document.activeElement;
  const close = () => {
    node.remove();
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', close);
    window.removeEventListener('blur', close);
  };
  const outside = (event) => !node.contains(event.target) && close();
  const entries = items.map(([name, label, action, kind = '']) => h('button', { role: 'menuitem', type: 'button', class: kind, onclick: () => {
    close();
    action();
  } }, icon(name), h('span', {}, label)));
  const node = h('div', { class: 'menu', role: 'menu', onkeydown: (event) => {
    const at = entries.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
    if (to !== undefined) entries.at(to % entries.length).focus();
    else if (event.key === 'Escape' || event.key === 'Tab') {
      close();
      back?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  } }, entries);
  parent.append(node);
  const box = node.getBoundingClientRect();
  node.style.left = `${Math.max(8, Math.min(x, innerWidth - box.width - 8))}px`;
  node.style.top = `${Math.max(8, Math.min(y, innerHeight - box.height - 8))}px`;
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', close);
  window.addEventListener('blur', close);
  entries[0]?.focus();
}
