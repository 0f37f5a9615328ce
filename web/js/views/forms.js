// Forms that say what is wrong where it is wrong.

import { h } from './dom.js';
import { icon } from './icons.js';

/** A labelled input with room for what is wrong with it. */
export function field(name, label, properties = {}, hint = '') {
  const id = `field-${name}-${Math.random().toString(36).slice(2, 8)}`;
  const { multiline, ...rest } = properties;
  const isSwitch = rest.type === 'checkbox';
  const input = h(multiline ? 'textarea' : 'input', { id, name, dir: isSwitch ? null : 'auto', ...rest, 'aria-describedby': `${id}-note` });
  const note = h('p', { class: 'note', id: `${id}-note` }, hint);
  const shown = rest.type === 'password' ? h('span', { class: 'secret' }, input, revealer(input)) : input;
  const labelled = h('label', { htmlFor: id }, label);
  const node = h('div', { class: `field${isSwitch ? ' switch' : ''}` }, isSwitch ? [shown, labelled] : [labelled, shown], note);
  const say = (text) => {
    input.setAttribute('aria-invalid', text ? 'true' : 'false');
    node.classList.toggle('wrong', Boolean(text));
    note.textContent = text || hint;
  };
  input.addEventListener('input', () => node.classList.contains('wrong') && say(''));
  return { node, input, say };
}

/** The button that shows what is in a field for passwords. */
function revealer(input) {
  const button = h('button', { class: 'round', type: 'button', 'aria-label': 'Show the password', 'aria-pressed': 'false', onclick: () => {
    const hidden = input.type === 'password';
    input.type = hidden ? 'text' : 'password';
    button.setAttribute('aria-pressed', String(hidden));
  } }, icon('eye'));
  return button;
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
