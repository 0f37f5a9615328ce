// Icons as SVG elements, 24 by 24, drawn with the text's colour. Decoration only: what a button does is its label.

const PATHS = {
  menu: 'M4 7h16M4 12h16M4 17h16',
  search: 'M10.500 4a6.500 6.500 0 1 0 0 13a6.500 6.500 0 0 0 0-13M15.500 15.500L20 20',
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M4.500 12L4 4.500 21 12 4 19.500zM4.500 12H12',
  attach: 'M19 11.500l-7.500 7.500a4.600 4.600 0 0 1-6.500-6.500l8-8a3.100 3.100 0 0 1 4.400 4.400l-8 8a1.600 1.600 0 0 1-2.200-2.200l7-7',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  checks: 'M2.500 12.500l4.500 4.500L16 7.500M11.500 16l1 1L22 7.500',
  clock: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 8v4.500l3 1.700',
  alert: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 8v5M12 15.900v.1',
  more: 'M12 5.500v.01M12 12v.01M12 18.500v.01',
  reply: 'M10 6L4 12l6 6M4 12h9c4 0 7 2 7 6',
  edit: 'M4 20l1-4L16.500 4.500l3 3L8 19zM14 7l3 3',
  trash: 'M5 7h14M10 7V4.500h4V7M7 7l1 12.500h8L17 7M10.500 10.500v5.500M13.500 10.500v5.500',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  eye: 'M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12M12 9.200a2.800 2.800 0 1 0 0 5.600a2.800 2.800 0 0 0 0-5.600',
  people: 'M9 5a3.200 3.200 0 1 0 0 6.400A3.200 3.200 0 0 0 9 5M3 19c0-3.300 2.700-5.200 6-5.200s6 1.900 6 5.200M15.500 5.600a3 3 0 0 1 0 5.500M17 14.200c2.400.500 4 2.200 4 4.800',
  person: 'M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8M4.500 20c0-4 3.400-6 7.500-6s7.500 2 7.500 6',
  plus: 'M12 5v14M5 12h14',
  megaphone: 'M4 10v4h3l9 4.500v-13L7 10zM19 9.500c1.300 1.300 1.300 3.700 0 5M7.500 14l1.500 5h2.500l-1.200-3.800',
  bookmark: 'M7 4h10v16l-5-4-5 4z',
  file: 'M7 3.500h7l4 4v13H7zM14 3.500v4h4',
  download: 'M12 4v11M7 10.500l5 5 5-5M5 20h14',
  down: 'M6 9.500l6 6 6-6',
  exit: 'M14 5H5v14h9M10 12h10M16.500 8.500L20 12l-3.500 3.500',
  info: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M12 11v5M12 8v.01',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
  globe: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16M4 12h16M12 4c-5 5-5 11 0 16c5-5 5-11 0-16',
  chat: 'M4 11.500C4 7.400 7.600 4.500 12 4.500s8 2.900 8 7-3.600 7-8 7c-1.200 0-2.400-.200-3.400-.600L4.500 19.500l1.200-3.600A6.500 6.500 0 0 1 4 11.500',
};

const SVG = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon', `icon-${name}`);
  svg.append(path);
  return svg;
}
