// The server's HTTP surface: one small method a call. Nothing here keeps state but the token.

/**
 * The base URL of the server, without a slash at the end: the beginning of this file's own URL. It may contain a path that
 * a proxy removes. The server need not know that path: the client uses only the part of the server's URLs that follows it.
 */
export const HOME = new URL('../../', import.meta.url).href.replace(/\/$/, '');

/** An error of the server, or of a server out of reach (`status` 0). */
export class ApiError extends Error {
  constructor(status, body = {}, retryAfter = 0) {
    super(body.error || (status ? 'The server answered with an error.' : 'The server can’t be reached.'));
    this.name = 'ApiError';
    this.status = status;
    this.code = body.code || '';
    this.field = body.field || '';
    /** Seconds to wait before trying again, as the server asks; 0 if it doesn't say. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later, unchanged. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const query = (parameters) => {
  const known = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return known.length ? `?${new URLSearchParams(known)}` : '';
};

/** The recipient in the two fields that address messages, from a conversation's key (see store.js). */
export const target = (key) => (key.startsWith('g:') ? { group_id: key.slice(2) } : { receiver_id: key.slice(2) });

export class Api {
  /** `onUnauthenticated` is called when the server no longer takes the token. */
  constructor({ token = null, base = HOME, onUnauthenticated = () => {} } = {}) {
    this.token = token;
    this.base = base;
    this.onUnauthenticated = onUnauthenticated;
  }

  headers(more = {}) {
    return this.token ? { ...more, Authorization: `Bearer ${this.token}` } : more;
  }

  /** Sends a request and gives the raw response; throws an ApiError for everything but success. */
  async fetch(method, path, { body, headers, signal } = {}) {
    const sent = { method, headers: this.headers(headers), signal, cache: 'no-cache' };
    if (body !== undefined) {
      sent.body = JSON.stringify(body);
      sent.headers['Content-Type'] = 'application/json';
    }
    let response;
    try {
      response = await fetch(this.base + path, sent);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0);
    }
    if (!response.ok) throw await this.refusal(response.status, () => response.json(), (name) => response.headers.get(name));
    return response;
  }

  async refusal(status, readBody, header) {
    const body = await Promise.resolve().then(readBody).catch(() => ({}));
    if (status === 401 && this.token) this.onUnauthenticated();
    return new ApiError(status, body || {}, Number(header('retry-after')) || 0);
  }

  async json(method, path, options) {
    const response = await this.fetch(method, path, options);
    return response.status === 204 ? null : response.json();
  }

  /** A page of a list: its items, and the path of the next page or null. */
  async page(path, options) {
    const response = await this.fetch('GET', path, options);
    const link = /<[^>?]*(\?[^>]*)>;\s*rel="next"/.exec(response.headers.get('link') || '');
    return { items: await response.json(), next: link ? path.split('?')[0] + link[1] : null };
  }

  // Accounts
  signUp(account) { return this.json('POST', '/signup', { body: account }); }
  logIn(username, password) { return this.json('POST', '/login', { body: { username, password } }); }
  logOut() { return this.json('POST', '/logout'); }
  sessions() { return this.json('GET', '/sessions?limit=200'); }
  endSession(id) { return this.json('DELETE', `/sessions/${id}`); }
  me() { return this.json('GET', '/me'); }
  changeMe(changes) { return this.json('PATCH', '/me', { body: changes }); }
  deleteMe(password) { return this.json('DELETE', '/me', { body: password ? { current_password: password } : {} }); }
  users(q, signal) { return this.json('GET', `/users${query({ q, limit: 20 })}`, { signal }); }
  user(id) { return this.json('GET', `/users/${id}`); }

  // Groups
  groups(q, signal) { return this.json('GET', `/groups${query({ q, limit: 20 })}`, { signal }); }
  group(id) { return this.json('GET', `/groups/${id}`); }
  createGroup(group) { return this.json('POST', '/groups', { body: group }); }
  changeGroup(id, changes) { return this.json('PUT', `/groups/${id}`, { body: changes }); }
  deleteGroup(id) { return this.json('DELETE', `/groups/${id}`); }
  leaveGroup(id) { return this.json('POST', `/groups/${id}/leave`); }
  members(path) { return this.page(path); }
  addMember(id, user, role) { return this.json('POST', `/groups/${id}/members`, { body: { user_id: user, role } }); }
  changeRole(id, user, role) { return this.json('PATCH', `/groups/${id}/members/${user}`, { body: { role } }); }
  removeMember(id, user) { return this.json('DELETE', `/groups/${id}/members/${user}`); }

  // Messages
  conversations(path = '/conversations?limit=100') { return this.page(path); }
  messages(key, before = 'latest', limit = 50) { return this.page(`/messages${query({ ...target(key), before, limit })}`); }
  message(id) { return this.json('GET', `/messages/${id}`); }
  changes(id, after) { return this.json('GET', `/conversations/${id}/changes${query({ after, limit: 200 })}`); }
  send(message) { return this.json('POST', '/messages', { body: message }); }
  broadcast(content, key) { return this.json('POST', '/broadcast/send', { body: { content }, headers: { 'Idempotency-Key': key } }); }
  edit(id, content) { return this.json('PUT', `/messages/${id}`, { body: { content } }); }
  deleteMessage(id) { return this.json('DELETE', `/messages/${id}`); }
  receipts(id) { return this.json('GET', `/messages/${id}/seen?limit=200`); }
  read(conversation, upTo) { return this.json('POST', `/conversations/${conversation}/read`, { body: { up_to: upTo } }); }

  // Files
  async download(file) {
    return (await this.fetch('GET', file.url.slice(file.url.lastIndexOf('/uploads/')))).blob();
  }

  /** Uploads a file; `onProgress` gets a share from 0 to 1. XMLHttpRequest, because fetch reports no progress of uploads. */
  upload(file, onProgress = () => {}) {
    return new Promise((resolve, reject) => {
      const form = new FormData();
      form.append('file', file, file.name || 'image.png');
      const request = new XMLHttpRequest();
      request.open('POST', `${this.base}/upload`);
      for (const [name, value] of Object.entries(this.headers())) request.setRequestHeader(name, value);
      request.responseType = 'json';
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new ApiError(0));
      request.onload = async () => {
        if (request.status === 201) resolve(request.response);
        else reject(await this.refusal(request.status, () => request.response, (name) => request.getResponseHeader(name)));
      };
      request.send(form);
    });
  }
}
