// What messages carry: images that keep their place while they load, files with their size.

import { size } from '../format.js';
import { decode } from '../thumbhash.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './notices.js';
import { lightbox } from './lightbox.js';

/** The largest an image is shown in a conversation, in pixels. */
const MOST = { width: 420, height: 380 };

/** The size that an image will have: known beforehand, so that nothing moves when it comes. */
function shownSize({ width, height }) {
  const scale = Math.min(1, MOST.width / width, MOST.height / height);
  return { width: Math.max(90, Math.round(width * scale)), height: Math.max(48, Math.round(height * scale)) };
}

/** The blurred picture of a hash, drawn at once. */
function placeholder(hash) {
  const { width, height, pixels } = decode(hash);
  const canvas = h('canvas', { class: 'hash', width, height, 'aria-hidden': 'true' });
  canvas.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

/**
 * The image of a message: fetched once it comes near (`near(element, then)`), as a thumbnail where there is one, enlarged by a
 * click. `neighbours()` gives the images to go on to.
 */
export function image(message, { media, near, onGrow, neighbours }) {
  const { file } = message;
  const picture = h('img', { alt: '', decoding: 'async' });
  const frame = h('button', { class: 'picture loading', type: 'button', 'aria-label': `Open the image ${file.name}`, onclick: () => attempt(() => lightbox(message, { media, neighbours })) }, picture);
  if (file.width && file.height) {
    const { width, height } = shownSize(file);
    frame.classList.add('sized');
    frame.style.setProperty('--width', `${width}px`);
    frame.style.aspectRatio = `${width} / ${height}`;
  }
  if (file.thumbhash) {
    try {
      frame.prepend(placeholder(file.thumbhash));
    } catch {
      // A hash that can't be read is left out: the image comes all the same.
    }
  }
  picture.addEventListener('load', () => {
    frame.classList.remove('loading');
    onGrow();
  });
  const fail = () => {
    frame.replaceChildren(icon('alert'), h('span', {}, 'The image can’t be loaded'));
    frame.classList.remove('loading');
    frame.classList.add('broken');
  };
  picture.addEventListener('error', fail);
  near(frame, async () => {
    try {
      const isLarge = file.width && shownSize(file).width * devicePixelRatio > 320;
      picture.src = await media.url(file, isLarge ? 1280 : 320);
    } catch {
      fail();
    }
  });
  return frame;
}

/** The kind of a file, by its name. */
const extension = (name) => /\.([\p{L}\p{N}]{1,5})$/u.exec(name)?.[1]?.toUpperCase() ?? '';

export function attachment(file, media) {
  const kind = extension(file.name);
  return h('button', { class: 'attachment', type: 'button', title: 'Save the file', onclick: () => attempt(() => media.save(file)) }, h('span', { class: 'spoken' }, 'Save the file '),
    h('span', { class: 'attachment-icon' }, kind ? h('b', {}, kind) : icon('file')),
    h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, file.name), h('span', { class: 'attachment-size' }, size(file.size))));
}
