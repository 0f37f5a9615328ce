// Asks for a caption before files are sent.

import { size } from '../format.js';
import { h } from './dom.js';
import { open } from './dialogs.js';
import { field, form } from './forms.js';
import { icon } from './icons.js';

export function attachDialog(chosen, { caption, limit, onSend, onClose }) {
  const urls = [];
  const preview = (file) => {
    if (!/^image\/(png|jpeg|gif|webp)$/.test(file.type)) return h('span', { class: 'attachment-icon' }, icon('file'));
    urls.push(URL.createObjectURL(file));
    return h('img', { src: urls.at(-1), alt: '' });
  };
  open(chosen.length === 1 ? 'Send this file?' : `Send ${chosen.length} files?`, (body, close) => {
    const text = field('content', 'Caption', { maxLength: limit, placeholder: 'Optional', value: caption, multiline: true, rows: 2 });
    const { node } = form([text], { action: 'Send', submit: ({ content }) => {
      onSend(content);
      close();
    } });
    body.append(h('ul', { class: 'chosen' }, chosen.map((file) => h('li', {}, preview(file),
      h('span', { class: 'attachment-text' }, h('span', { class: 'attachment-name', dir: 'auto' }, file.name), h('span', { class: 'attachment-size' }, size(file.size)))))), node);
    text.input.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      node.requestSubmit();
    });
    text.input.focus();
  }, { onClose: () => {
    urls.forEach((url) => URL.revokeObjectURL(url));
    onClose();
  } });
}
