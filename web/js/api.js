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
  /**
   * `onUnauthenticated` is called when the session has ended; `onRenewed(tokens)` when the server gave new tokens. `reload()`
   * gives the tokens that another tab may have got meanwhile; `lock(name, work)` keeps two tabs from asking at once.
   */
  constructor({ token = null, refreshToken = null, base = HOME, onUnauthenticated = () => {}, onRenewed = () => {}, reload = () => null, lock = (name, work) => work() } = {}) {
    Object.assign(this, { token, refreshToken, base, onUnauthenticated, onRenewed, reload, lock });
    this.renewing = null;
  }

  headers(more = {}) {
    return this.token ? { ...more, Authorization: `Bearer ${this.token}` } : more;
  }

  /**
   * Gets a new token for the same session.
   * @returns {Promise<boolean>} false if the session has ended; rejects if the server can't be asked now
   */
  renew() {
    this.renewing ??= this.lock('renewal', () => this.exchange()).finally(() => {
      this.renewing = null;
    });
    return this.renewing;
  }

  async exchange() {
    const kept = this.reload();
    if (kept && kept.token !== this.token) {
      Object.assign(this, { token: kept.token, refreshToken: kept.refresh_token ?? null });
      return true;
    }
    if (!this.refreshToken) return false;
    try {
      const tokens = await this.json('POST', '/token', { body: { refresh_token: this.refreshToken }, isRenewal: true });
      Object.assign(this, { token: tokens.token, refreshToken: tokens.refresh_token });
      this.onRenewed({ token: tokens.token, refresh_token: tokens.refresh_token });
      return true;
    } catch (error) {
      if (error.status === 401 || error.status === 404) return false;
      throw error;
    }
  }

  /** Sends a request and gives the raw response; throws an ApiError for everything but success. */
  async fetch(method, path, { body, headers, signal, isRenewal = false } = {}) {
    const token = this.token;
    const sent = { method, headers: isRenewal ? {} : this.headers(headers), signal, cache: 'no-cache' };
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
    if (response.ok) return response;
    if (response.status === 401 && token && !isRenewal && await this.isRenewed(token)) return this.fetch(method, path, { body, headers, signal });
    throw await this.refusal(response.status, () => response.json(), (name) => response.headers.get(name));
  }

  /** Whether there is another token than the one that was refused. */
  async isRenewed(refused) {
    if (this.token !== refused) return true;
    if (await this.renew()) return true;
    this.onUnauthenticated();
    return false;
  }

  async refusal(status, readBody, header) {
    const body = await Promise.resolve().then(readBody).catch(() => ({}));
    return new ApiError(status, body || {}, Number(header('retry-after')) || 0);
  }

  async json(method, path, options) {
    const response = await this.fetch(method, path, options);
    return response.status === 204 ? null : response.json();
  }

  /** A page of a list: its items, and the paths of the pages beside it, or null. */
  async page(path, options) {
    const response = await this.fetch('GET', path, options);
    const header = response.headers.get('link') || '';
    const link = (rel) => {
      const found = header.split(/,\s*(?=<)/).find((one) => one.includes(`rel="${rel}"`));
      const query = found && /<[^>?]*(\?[^>]*)>/.exec(found);
      return query ? path.split('?')[0] + query[1] : null;
    };
    return { items: await response.json(), next: link('next'), prev: link('prev') };
  }

  server() { return this.json('GET', '/server'); }

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
  messages(key, place = { before: 'latest' }, limit = 50) { return this.page(`/messages${query({ ...target(key), ...place, limit })}`); }
  message(id) { return this.json('GET', `/messages/${id}`); }
  changes(id, after) { return this.json('GET', `/conversations/${id}/changes${query({ after, limit: 200 })}`); }
  digest(id) { return this.json('GET', `/conversations/${id}/digest`); }
  send(message) { return this.json('POST', '/messages', { body: message }); }
  broadcast(content, key) { return this.json('POST', '/broadcast/send', { body: { content }, headers: { 'Idempotency-Key': key } }); }
  edit(id, content) { return this.json('PUT', `/messages/${id}`, { body: { content } }); }
  edits(id) { return this.json('GET', `/messages/${id}/edits`); }
  deleteMessage(id) { return this.json('DELETE', `/messages/${id}`); }
  receipts(id) { return this.json('GET', `/messages/${id}/seen?limit=200`); }
  read(conversation, upTo) { return this.json('POST', `/conversations/${conversation}/read`, { body: { up_to: upTo } }); }
  react(id, emoji, on) { return this.json(on ? 'PUT' : 'DELETE', `/messages/${id}/reactions/${encodeURIComponent(emoji)}`); }
  reactions(id) { return this.json('GET', `/messages/${id}/reactions?limit=200`); }
  pin(id, on) { return this.json(on ? 'PUT' : 'DELETE', `/messages/${id}/pin`); }
  pins(conversation) { return this.page(`/conversations/${conversation}/pins?limit=200`); }
  thread(id) { return this.page(`/messages/${id}/thread?limit=200`); }
  mentions() { return this.page('/mentions?limit=50'); }
  search(parameters, signal) { return this.page(`/search${query({ limit: 30, ...parameters })}`, { signal }); }
  searchPage(path, signal) { return this.page(path, { signal }); }

  // One's own view of a conversation
  settings(id, changes) { return this.json('PATCH', `/conversations/${id}/settings`, { body: changes }); }
  markUnread(id, from) { return this.json('POST', `/conversations/${id}/unread`, { body: { from } }); }
  putDraft(id, draft) { return this.json('PUT', `/conversations/${id}/draft`, { body: draft }); }
  deleteDraft(id) { return this.json('DELETE', `/conversations/${id}/draft`); }

  // Files
  /** The bytes of a file, or of its thumbnail of that width. */
  async download(file, width = 0) {
    const url = (width && file.thumbnails?.[width]) || file.url;
    return (await this.fetch('GET', url.slice(url.lastIndexOf('/uploads/')))).blob();
  }

  /** Uploads a file; `onProgress` gets a share from 0 to 1. XMLHttpRequest, because fetch reports no progress of uploads. */
  async upload(file, { onProgress = () => {}, signal } = {}) {
    const token = this.token;
    const request = await this.transmit(file, onProgress, signal);
    if (request.status === 201) return request.response;
    if (request.status === 401 && await this.isRenewed(token)) return this.upload(file, { onProgress, signal });
    throw await this.refusal(request.status, () => request.response, (name) => request.getResponseHeader(name));
  }

  transmit(file, onProgress, signal) {
    return new Promise((resolve, reject) => {
      const form = new FormData();
      form.append('file', file, file.name || 'image.png');
      const request = new XMLHttpRequest();
      request.open('POST', `${this.base}/upload`);
      for (const [name, value] of Object.entries(this.headers())) request.setRequestHeader(name, value);
      request.responseType = 'json';
      request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new ApiError(0));
      request.onabort = () => reject(new DOMException('The upload was broken off.', 'AbortError'));
      request.onload = () => resolve(request);
      signal?.addEventListener('abort', () => request.abort());
      request.send(form);
    });
  }
}
