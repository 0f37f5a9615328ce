// The panel on the right: about a group or person, a thread, pins, search. One page at a time.

import { h } from './dom.js';
import { icon } from './icons.js';

/** `onChange(isOpen)` is called when it opens or closes. */
export function panelView({ onChange }) {
  let page = null;
  let back = null;
  const heading = h('h2', { dir: 'auto' });
  const content = h('div', { class: 'panel-body' });
  const node = h('aside', { class: 'panel', hidden: true, 'aria-label': 'Details', onkeydown: (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.stopPropagation();
    close();
  } }, h('header', { class: 'bar' }, heading, h('button', { class: 'round', type: 'button', 'aria-label': 'Close the panel', onclick: close }, icon('close'))), content);

  /** `page`: `name` (the same one again closes it), `title`, `body`, and perhaps `render(key)`, `close()`, `focus()`. */
  function show(next) {
    if (page?.name === next.name) return close();
    if (!page) back = document.activeElement;
    page?.close?.();
    page = next;
    heading.textContent = next.title;
    node.setAttribute('aria-label', next.title);
    content.replaceChildren(next.body);
    content.scrollTop = 0;
    node.hidden = false;
    onChange(true);
    (next.focus ?? (() => node.querySelector('.panel > header button').focus({ preventScroll: true })))();
    return undefined;
  }

  function close() {
    if (!page) return;
    page.close?.();
    page = null;
    node.hidden = true;
    content.replaceChildren();
    onChange(false);
    if (back?.isConnected) back.focus({ preventScroll: true });
  }

  return {
    node, show, close,
    get isOpen() { return page !== null; },
    render: (key) => page?.render?.(key),
    rename: (title) => { heading.textContent = title; },
  };
}
