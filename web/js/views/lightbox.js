// One image as large as the window, with zoom, and the ones beside it.

import { moment } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './notices.js';

const STEPS = [1, 1.5, 2, 3, 5];

/** `neighbours()` gives the messages with images, in order. */
export async function lightbox(message, { media, neighbours }) {
  const back = document.activeElement;
  let shown = message;
  let zoom = 0;
  const picture = h('img', { alt: '', draggable: false });
  const stage = h('div', { class: 'stage', onclick: (event) => event.target === stage && dialog.close(), ondblclick: () => zoomBy(zoom ? -zoom : 2),
    onwheel: (event) => { event.preventDefault(); zoomBy(event.deltaY < 0 ? 1 : -1); } }, picture);
  const name = h('span', { class: 'lightbox-name', dir: 'auto' });
  const button = (label, drawn, action) => h('button', { class: 'round', type: 'button', 'aria-label': label, title: label, onclick: action }, icon(drawn));
  const close = button('Close', 'close', () => dialog.close());
  const [before, after] = [button('The image before', 'back', () => step(-1)), button('The next image', 'next', () => step(1))];
  const dialog = h('dialog', { class: 'lightbox', 'aria-label': 'Image', onclose: () => {
    dialog.remove();
    if (back?.isConnected) back.focus();
  }, onkeydown: (event) => {
    const action = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), '+': () => zoomBy(1), '-': () => zoomBy(-1), 0: () => zoomBy(-zoom) }[event.key];
    if (!action) return;
    action();
    event.preventDefault();
  } },
    h('header', {}, name, button('Smaller', 'minus', () => zoomBy(-1)), button('Larger', 'plus', () => zoomBy(1)),
      button('Save', 'download', () => attempt(() => media.save(shown.file))), close),
    h('div', { class: 'lightbox-row' }, before, stage, after));

  function zoomBy(steps) {
    zoom = Math.max(0, Math.min(STEPS.length - 1, zoom + steps));
    stage.classList.toggle('zoomed', zoom > 0);
    picture.style.setProperty('--zoom', `${STEPS[zoom] * 100}%`);
  }

  function step(by) {
    const all = neighbours();
    const next = all[all.findIndex((one) => one.id === shown.id) + by];
    if (next) attempt(() => show(next));
  }

  async function show(next) {
    shown = next;
    const url = await media.url(next.file);
    if (shown !== next) return;
    zoomBy(-zoom);
    picture.src = url;
    picture.alt = next.file.name;
    name.textContent = `${next.sender.display_name} · ${moment(next.created_at)}`;
    const all = neighbours();
    const at = all.findIndex((one) => one.id === next.id);
    before.disabled = at <= 0;
    after.disabled = at < 0 || at === all.length - 1;
  }

  await show(message);
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}
