// Files of messages. They need the token, which an <img> or a link cannot send. So the client fetches them and shows blobs.

/** The most blobs in memory. A dropped one stays on the screen; the client fetches (or revalidates) it again when needed. */
const KEPT = 80;

export class Media {
  constructor(api) {
    this.api = api;
    this.urls = new Map();
  }

  /** A blob URL of a file, or of its thumbnail of that width where there is one. */
  async url(file, width = 0) {
    const name = `${file.id} ${file.thumbnails?.[width] ? width : 0}`;
    const known = this.urls.get(name);
    if (known) {
      this.urls.delete(name);
      this.urls.set(name, known);
      return known;
    }
    const url = this.api.download(file, width).then((blob) => URL.createObjectURL(blob));
    this.urls.set(name, url);
    url.catch(() => this.urls.delete(name));
    if (this.urls.size > KEPT) {
      const [[id, oldest]] = this.urls;
      this.urls.delete(id);
      oldest.then((old) => URL.revokeObjectURL(old), () => {});
    }
    return url;
  }

  /** Saves a file where the browser saves downloads. */
  async save(file) {
    const link = document.createElement('a');
    link.href = await this.url(file);
    link.download = file.name;
    link.click();
  }

  forget() {
    for (const url of this.urls.values()) url.then((old) => URL.revokeObjectURL(old), () => {});
    this.urls.clear();
  }
}
