// Decodes a ThumbHash (https://evanw.github.io/thumbhash/): a picture in some 25 bytes, shown until the real one is there.

/**
 * @param {string} base64
 * @returns {{ width: number, height: number, pixels: Uint8ClampedArray }} RGBA
 */
export function decode(base64) {
  const hash = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { PI, min, max, cos, round } = Math;
  const header = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const more = hash[3] | (hash[4] << 8);
  const [lDc, pDc, qDc] = [(header & 63) / 63, ((header >> 6) & 63) / 31.5 - 1, ((header >> 12) & 63) / 31.5 - 1];
  const lScale = ((header >> 18) & 31) / 31;
  const hasAlpha = header >> 23;
  const [pScale, qScale] = [((more >> 3) & 63) / 63, ((more >> 9) & 63) / 63];
  const isLandscape = more >> 15;
  const lx = max(3, isLandscape ? (hasAlpha ? 5 : 7) : more & 7);
  const ly = max(3, isLandscape ? more & 7 : hasAlpha ? 5 : 7);
  const aDc = hasAlpha ? (hash[5] & 15) / 15 : 1;
  const aScale = (hash[5] >> 4) / 15;
  const start = hasAlpha ? 6 : 5;
  let index = 0;
  const channel = (nx, ny, scale) => {
    const found = [];
    for (let cy = 0; cy < ny; cy += 1) {
      for (let cx = cy ? 0 : 1; cx * ny < nx * (ny - cy); cx += 1) {
        found.push((((hash[start + (index >> 1)] >> ((index & 1) << 2)) & 15) / 7.5 - 1) * scale);
        index += 1;
      }
    }
    return found;
  };
  const [l, p, q] = [channel(lx, ly, lScale), channel(3, 3, pScale * 1.25), channel(3, 3, qScale * 1.25)];
  const a = hasAlpha ? channel(5, 5, aScale) : null;
  const ratio = (isLandscape ? (hasAlpha ? 5 : 7) : lx) / (isLandscape ? ly : hasAlpha ? 5 : 7);
  const [width, height] = [round(ratio > 1 ? 32 : 32 * ratio), round(ratio > 1 ? 32 / ratio : 32)];
  const pixels = new Uint8ClampedArray(width * height * 4);
  const [wx, wy] = [hasAlpha ? max(lx, 5) : max(lx, 3), hasAlpha ? max(ly, 5) : max(ly, 3)];
  const add = (values, nx, ny, fx, fy, from) => {
    let sum = from;
    for (let cy = 0, at = 0; cy < ny; cy += 1) {
      for (let cx = cy ? 0 : 1; cx * ny < nx * (ny - cy); cx += 1, at += 1) sum += values[at] * fx[cx] * fy[cy] * 2;
    }
    return sum;
  };
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      const fx = Array.from({ length: wx }, (_, cx) => cos((PI / width) * (x + 0.5) * cx));
      const fy = Array.from({ length: wy }, (_, cy) => cos((PI / height) * (y + 0.5) * cy));
      const light = add(l, lx, ly, fx, fy, lDc);
      const [pp, qq] = [add(p, 3, 3, fx, fy, pDc), add(q, 3, 3, fx, fy, qDc)];
      const blue = light - (2 / 3) * pp;
      const red = (3 * light - blue + qq) / 2;
      const alpha = a ? add(a, 5, 5, fx, fy, aDc) : 1;
      for (const [place, value] of [red, red - qq, blue, alpha].entries()) pixels[at + place] = max(0, 255 * min(1, value));
    }
  }
  return { width, height, pixels };
}
