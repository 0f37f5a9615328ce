// Makes the list of conversations wider or narrower: by dragging its edge, or by the arrow keys on it.

import { h } from './dom.js';

const KEY = 'parlance.list';
const [LEAST, MOST, STEP] = [240, 460, 16];

/** The edge of `frame`'s list; the width is kept for this browser. */
export function resizer(frame) {
  const node = h('div', { class: 'resizer', role: 'separator', tabIndex: 0, 'aria-label': 'Width of the list', 'aria-orientation': 'vertical', 'aria-valuemin': LEAST, 'aria-valuemax': MOST });

  function set(width) {
    const kept = Math.round(Math.max(LEAST, Math.min(MOST, width)));
    frame.style.setProperty('--list', `${kept}px`);
    node.setAttribute('aria-valuenow', kept);
    localStorage.setItem(KEY, kept);
  }
  const width = () => node.parentElement.getBoundingClientRect().width;

  node.addEventListener('pointerdown', (event) => {
    event.preventDefault();
    node.setPointerCapture(event.pointerId);
    const isRightToLeft = getComputedStyle(frame).direction === 'rtl';
    const move = ({ clientX }) => set(isRightToLeft ? innerWidth - clientX : clientX);
    node.addEventListener('pointermove', move);
    node.addEventListener('lostpointercapture', () => node.removeEventListener('pointermove', move), { once: true });
  });
  node.addEventListener('dblclick', () => {
    localStorage.removeItem(KEY);
    frame.style.removeProperty('--list');
  });
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    set(width() + by);
  });
  const kept = Number(localStorage.getItem(KEY));
  node.setAttribute('aria-valuenow', kept || 340);
  if (kept) set(kept);
  return node;
}
