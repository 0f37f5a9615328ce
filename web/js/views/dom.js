// Makes elements. Text always becomes text nodes: nothing that a user wrote is ever read as HTML.

/** Properties that only their attribute sets. */
const READ_ONLY = new Set(['list', 'form', 'role']);

export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(node.dataset, value);
    else if (name in node && !READ_ONLY.has(name)) node[name] = value;
    else if (value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Runs `work` before the next frame, however often it is asked for until then; at once on a hidden page. */
export function batched(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      work();
    };
    if (document.hidden) setTimeout(run, 0);
    else requestAnimationFrame(run);
  };
}

/**
 * Makes the children of `parent` those of `items` (`{ key, sign, make() }`), in order, keeping the elements whose `sign`
 * is as it was: they keep focus, selection and loaded images. `kept` is the Map between two calls.
 */
export function reconcile(parent, items, kept) {
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, { node }] of kept) {
    if (!wanted.has(key)) {
      node.remove();
      kept.delete(key);
    }
  }
  let place = parent.firstChild;
  for (const item of items) {
    let entry = kept.get(item.key);
    if (!entry || entry.sign !== item.sign) {
      const node = item.make();
      if (entry) {
        if (entry.node === place) place = node;
        entry.node.replaceWith(node);
      }
      entry = { sign: item.sign, node };
      kept.set(item.key, entry);
    }
    if (entry.node === place) place = place.nextSibling;
    else parent.insertBefore(entry.node, place);
    item.refresh?.(entry.node);
  }
}

/**
 * A place among the children of an element whose content is made anew only when its `sign` changes: `[comment, fill]`, where
 * `fill(sign, make)` puts in what `make()` gives, or nothing.
 */
export function slot() {
  let node = document.createComment('');
  let known;
  const first = node;
  const fill = (sign, make) => {
    if (sign === known) return;
    known = sign;
    const next = make() || document.createComment('');
    node.replaceWith(next);
    node = next;
  };
  return [first, fill];
}

/** The colour of a person or group, as a style: one hue of many. */
export function tinted(node, hue) {
  node.style.setProperty('--hue', hue);
  return node;
}

/** Whether fingers are what this device is used with. */
export const isTouch = () => matchMedia('(pointer: coarse)').matches;
export const isNarrow = () => matchMedia('(max-width: 720px)').matches;
