// Short notices at the edge of the page.

import { h } from './dom.js';
import { icon } from './icons.js';

/** How long a notice stays (milliseconds); one that says what went wrong stays longer. */
const STAYS = 4000;
const ERROR_STAYS = 15_000;

/** Says something. It can be dismissed, and stays while the pointer is over it. */
export function toast(text, kind = '') {
  const shelf = document.getElementById('toasts');
  for (const old of shelf.querySelectorAll('.toast')) if (old.firstChild.textContent === text) old.remove();
  const gone = () => {
    note.remove();
    if (!shelf.childElementCount && shelf.matches(':popover-open')) shelf.hidePopover();
  };
  const later = () => setTimeout(gone, kind === 'error' ? ERROR_STAYS : STAYS);
  let timer = later();
  const note = h('div', { class: `toast ${kind}`, onpointerenter: () => clearTimeout(timer), onpointerleave: () => { timer = later(); } },
    h('span', { dir: 'auto' }, text), h('button', { class: 'round', type: 'button', 'aria-label': 'Dismiss', onclick: gone }, icon('close')));
  shelf.append(note);
  // Shown anew each time: what is shown last lies above every open dialog.
  if (shelf.matches(':popover-open')) shelf.hidePopover();
  shelf.showPopover();
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

/** Says something to screen readers alone. */
export function announce(text) {
  const speaker = document.getElementById('speaker');
  if (speaker) speaker.append(h('p', {}, text));
  while (speaker?.childElementCount > 3) speaker.firstChild.remove();
}

/** Puts a text on the clipboard, over plain http too, where pages have no clipboard. */
export async function copy(text, said = 'Copied.') {
  try {
    if (!navigator.clipboard) throw new Error('none');
    await navigator.clipboard.writeText(text);
  } catch {
    const back = document.activeElement;
    const area = h('textarea', { class: 'spoken', value: text, readOnly: true });
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    back?.focus?.();
    if (!done) return toast('The browser does not let this page copy. Select the text and copy it by hand.', 'error');
  }
  return toast(said);
}
