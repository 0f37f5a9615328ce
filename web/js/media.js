// Files of messages. They need the token, which an <img> or a link cannot send. So the client fetches them and shows blobs.

/** The most blobs in memory. A dropped one stays on the screen; the client fetches (or revalidates) it again when needed. */
const KEPT = 80;

export class Media {
  constructor(api) {
    this.api = api;
    this.urls = new Map();
  }

  /** A blob URL of a file. */
  async url(file) {
    const known = this.urls.get(file.id);
    if (known) {
      this.urls.delete(file.id);
      this.urls.set(file.id, known);
      return known;
    }
    const url = this.api.download(file).then((blob) => URL.createObjectURL(blob));
    this.urls.set(file.id, url);
    url.catch(() => this.urls.delete(file.id));
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
