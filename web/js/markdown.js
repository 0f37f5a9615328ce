// Reads the marks in a text: bold, italic, code, quotes, lists, links. It gives a tree of plain objects and never HTML; what is
// no mark stays as it was typed.

/**
 * @typedef {{ type: 'text', text: string } | { type: 'code', text: string } | { type: 'link', href: string, children: Inline[] }
 *   | { type: 'mention', name: string, text: string } | { type: 'strong' | 'em' | 'del', children: Inline[] }} Inline
 * @typedef {{ type: 'paragraph', children: Inline[] } | { type: 'pre', text: string, language: string }
 *   | { type: 'quote', children: Block[] } | { type: 'list', start: number | null, items: Inline[][] }} Block
 */

const FENCE = /^ {0,3}(`{3,})\s*([\w+#.-]*)\s*$/;
const QUOTE = /^> ?/;
const BULLET = /^ {0,3}[-*+] +(?=\S)/;
const NUMBER = /^ {0,3}(\d{1,9})[.)] +(?=\S)/;
const MOST_DEPTH = 6;

/** What may be a mark, the longest first. Each has the name of its group. */
const TOKENS = new RegExp([
  '(?<code>(?<ticks>`+)(?<inside>[^`](?:.*?[^`])?|[^`])\\k<ticks>(?!`))',
  '(?<named>\\[(?<label>[^\\[\\]\\n]{1,300})\\]\\((?<target>https?:\\/\\/[^\\s()<>]+(?:\\([^\\s()<>]*\\)[^\\s()<>]*)*)\\))',
  '(?<address>https?:\\/\\/[^\\s<>"\'`]+|www\\.[\\w-]+\\.[^\\s<>"\'`]+)',
  '(?<mail>(?<![\\w.+-])[\\w.+-]+@[\\w-]+(?:\\.[\\w-]+)+)',
  '(?<mention>(?<![\\p{L}\\p{M}\\p{N}_.@\\/-])@[A-Za-z0-9_.-]+)',
  '(?<strong>\\*\\*(?=\\S)(?<strongInside>.+?\\S|\\S)\\*\\*(?!\\*))',
  '(?<del>~~(?=\\S)(?<delInside>.*?\\S)~~)',
  '(?<em>(?<![\\p{L}\\p{N}*])\\*(?=[^\\s*])(?<emInside>[^*\\n]*?[^\\s*])\\*(?![\\p{L}\\p{N}*])|(?<![\\p{L}\\p{N}_])_(?=[^\\s_])(?<emOther>[^_\\n]*?[^\\s_])_(?![\\p{L}\\p{N}_]))',
].join('|'), 'gsu');

/** What closes a sentence is no part of an address; a closing bracket is if it was opened in it. */
function trimmed(address) {
  let text = address.replace(/[.,;:!?»”’]+$/, '');
  for (const [open, close] of ['()', '[]', '{}']) {
    const times = (mark) => text.split(mark).length;
    while (text.endsWith(close) && times(close) > times(open)) text = text.slice(0, -1).replace(/[.,;:!?]+$/, '');
  }
  return text;
}

/** @param {string} text @returns {Inline[]} */
export function inline(text, depth = 0) {
  const found = [];
  const say = (more) => {
    if (!more) return;
    const last = found.at(-1);
    if (last?.type === 'text') last.text += more;
    else found.push({ type: 'text', text: more });
  };
  let end = 0;
  TOKENS.lastIndex = 0;
  const matcher = new RegExp(TOKENS);
  for (let match = depth < MOST_DEPTH ? matcher.exec(text) : null; match; match = matcher.exec(text)) {
    const { groups } = match;
    let length = match[0].length;
    let piece = null;
    if (groups.code) piece = { type: 'code', text: groups.inside };
    else if (groups.named && URL.canParse(groups.target)) piece = { type: 'link', href: groups.target, children: [{ type: 'text', text: groups.label }] };
    else if (groups.address) {
      const address = trimmed(groups.address);
      const href = address.startsWith('www.') ? `https://${address}` : address;
      length = address.length;
      if (URL.canParse(href)) piece = { type: 'link', href, children: [{ type: 'text', text: address }] };
    } else if (groups.mail) {
      length = groups.mail.replace(/[.-]+$/, '').length;
      piece = { type: 'link', href: `mailto:${groups.mail.slice(0, length)}`, children: [{ type: 'text', text: groups.mail.slice(0, length) }] };
    } else if (groups.mention) piece = { type: 'mention', name: groups.mention.slice(1), text: groups.mention };
    else if (groups.strong) piece = { type: 'strong', children: inline(groups.strongInside, depth + 1) };
    else if (groups.del) piece = { type: 'del', children: inline(groups.delInside, depth + 1) };
    else if (groups.em) piece = { type: 'em', children: inline(groups.emInside ?? groups.emOther, depth + 1) };
    say(text.slice(end, match.index));
    if (piece) found.push(piece);
    else say(text.slice(match.index, match.index + length));
    end = match.index + length;
    matcher.lastIndex = end;
  }
  say(text.slice(end));
  return found;
}

/** @param {string} text @returns {Block[]} */
export function parse(text, depth = 0) {
  const lines = text.split('\n');
  const blocks = [];
  let paragraph = [];
  const close = () => {
    const body = paragraph.join('\n').replace(/^\n+|\n+$/g, '');
    if (body.trim()) blocks.push({ type: 'paragraph', children: inline(body) });
    paragraph = [];
  };
  /** The lines from `at` on that a pattern begins. */
  const run = (at, pattern) => {
    let to = at;
    while (to < lines.length && pattern.test(lines[to])) to += 1;
    return lines.slice(at, to);
  };
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const end = fence ? lines.findIndex((other, place) => place > at && other.trim().startsWith(fence[1])  && /^ {0,3}`+\s*$/.test(other)) : -1;
    if (fence && end > 0) {
      close();
      blocks.push({ type: 'pre', language: fence[2], text: lines.slice(at + 1, end).join('\n') });
      at = end + 1;
    } else if (/^```[^`]+```$/.test(line)) {
      close();
      blocks.push({ type: 'pre', language: '', text: line.slice(3, -3) });
      at += 1;
    } else if (QUOTE.test(line) && depth < MOST_DEPTH) {
      close();
      const quoted = run(at, QUOTE);
      blocks.push({ type: 'quote', children: parse(quoted.map((one) => one.replace(QUOTE, '')).join('\n'), depth + 1) });
      at += quoted.length;
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      close();
      const pattern = BULLET.test(line) ? BULLET : NUMBER;
      const items = run(at, pattern);
      const start = pattern === NUMBER ? Number(NUMBER.exec(line)[1]) : null;
      blocks.push({ type: 'list', start, items: items.map((one) => inline(one.replace(pattern, ''))) });
      at += items.length;
    } else {
      paragraph.push(line);
      at += 1;
    }
  }
  close();
  return blocks;
}

const textOf = (pieces) => pieces.map((piece) => piece.text ?? textOf(piece.children)).join('');

/** A text without its marks, for previews. */
export function plain(text) {
  const flat = (blocks) => blocks.map((block) => {
    if (block.type === 'pre') return block.text;
    if (block.type === 'quote') return flat(block.children);
    if (block.type === 'list') return block.items.map(textOf).join('\n');
    return textOf(block.children);
  }).join('\n');
  return flat(parse(text.slice(0, 600)));
}

/** Whether a text is nothing but a few emoji, which are shown large. */
export function isEmojiOnly(text) {
  const bare = text.replace(/\s/g, '');
  if (!bare || bare.length > 40 || /^[\d#*]+$/.test(bare) || !/^(\p{Extended_Pictographic}|\p{Emoji_Component}|\p{Regional_Indicator})+$/u.test(bare)) return false;
  return [...new Intl.Segmenter().segment(bare)].length <= 3;
}
