// The HTTP routes, typed by the server's OpenAPI document.

import type { components, paths } from './schema.js';
import { Session, tokensOf, type Tokens } from './session.js';

export type Schemas = components['schemas'];

/** An error of the server, or of a server out of reach (`status` 0). */
export class ApiError extends Error {
  readonly code: string;
  readonly field: string;

  constructor(
    readonly status: number,
    body: Partial<Schemas['Error']> | null = {},
    readonly retryAfter = 0,
  ) {
    super(body?.error || (status ? `the server answered ${status}` : 'the server is out of reach'));
    this.name = 'ApiError';
    this.code = body?.code ?? '';
    this.field = body?.field ?? '';
  }

  /** Whether the same request may succeed later, unchanged. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export const isPassing = (error: unknown): boolean => error instanceof ApiError && error.passing;

type Verb = 'get' | 'put' | 'post' | 'patch' | 'delete';
/** The paths that have a method. */
export type PathOf<M extends Verb> = { [P in keyof paths]: paths[P][M] extends object ? P : never }[keyof paths];
type Operation<M extends Verb, P extends PathOf<M>> = NonNullable<paths[P][M]>;
type Parameters<O, In extends string> = O extends { parameters: { [K in In]?: infer Q } } ? NonNullable<Q> : never;
type Body<O> = O extends { requestBody?: { content: infer C } } ? C[keyof C] : never;
type Json<R> = R extends { content: { 'application/json': infer J } } ? J : undefined;
type Success<O> = O extends { responses: infer R } ? { [S in keyof R & (200 | 201 | 202 | 204)]: Json<R[S]> } : never;
/** What a route answers. */
export type Answer<M extends Verb, P extends PathOf<M>> = Success<Operation<M, P>>[keyof Success<Operation<M, P>>];

export interface Options<O> {
  path?: Parameters<O, 'path'>;
  query?: Parameters<O, 'query'>;
  body?: Body<O> | FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** A page of a list, and the rest of it. */
export interface Page<Item> {
  items: Item[];
  next: (() => Promise<Page<Item>>) | null;
}

export interface RestOptions {
  /** The server's URL, with the path that a proxy puts before it. */
  url: string;
  /** Without tokens, only the routes that need none. A plain string is a token for programs. */
  tokens?: Tokens | string;
  /** Keeps renewed tokens. */
  keep?: (tokens: Tokens) => void | Promise<void>;
  fetch?: typeof fetch;
  /** How long a request may take, in milliseconds. */
  patience?: number;
}

export class Rest {
  readonly url: string;
  readonly session: Session | null;
  private readonly fetcher: typeof fetch;

  constructor(private readonly options: RestOptions) {
    this.url = options.url.replace(/\/$/, '');
    this.fetcher = options.fetch ?? globalThis.fetch.bind(globalThis);
    const tokens = typeof options.tokens === 'string' ? { token: options.tokens } : options.tokens;
    const keep = options.keep;
    this.session = tokens ? new Session({ tokens, renew: (old) => this.renewal(old), ...(keep && { keep }) }) : null;
  }

  /** Logs in, and answers what is needed to act as that user from then on. */
  static async logIn(options: Omit<RestOptions, 'tokens'>, username: string, password: string): Promise<Rest> {
    const answer = await new Rest(options).call('post', '/login', { body: { username, password } });
    return new Rest({ ...options, tokens: tokensOf(answer, Date.now()) });
  }

  /** One request of the document's, by its method and path. Rejects with an ApiError unless it succeeds. */
  async call<M extends Verb, P extends PathOf<M>>(
    method: M,
    path: P,
    options: Options<Operation<M, P>> = {},
  ): Promise<Answer<M, P>> {
    const response = await this.raw(method, this.address(path, options), options);
    if (!/json/.test(response.headers.get('content-type') ?? '')) return undefined as Answer<M, P>;
    return (await response.json()) as Answer<M, P>;
  }

  /** A list's first page. */
  async list<P extends PathOf<'get'>>(
    path: P,
    options: Options<Operation<'get', P>> = {},
  ): Promise<Page<Answer<'get', P> extends (infer Item)[] ? Item : never>> {
    return this.page(this.address(path, options));
  }

  private async page<Item>(address: string): Promise<Page<Item>> {
    const response = await this.raw('get', address, {});
    const query = /<[^>?]*(\?[^>]*)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    const next = query === undefined ? null : () => this.page<Item>(address.split('?')[0] + query);
    return { items: (await response.json()) as Item[], next };
  }

  /** The bytes of a file, or of its thumbnail, by the `url` that the server gave. */
  async download(url: string): Promise<Blob> {
    return (await this.raw('get', url.slice(url.lastIndexOf('/uploads/')), {})).blob();
  }

  async upload(file: Blob, name = 'file'): Promise<Schemas['File']> {
    const form = new FormData();
    form.append('file', file, name);
    return (await this.raw('post', '/upload', { body: form })).json() as Promise<Schemas['File']>;
  }

  private address(path: string, { path: names = {}, query = {} }: { path?: object; query?: object }): string {
    const parts = names as Record<string, unknown>;
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parts[name])));
    const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    return asked.length
      ? `${filled}?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}`
      : filled;
  }

  /** Sends a request, with another token if the server refuses the first one. */
  private async raw(
    method: string,
    address: string,
    options: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response> {
    const token = await this.session?.token();
    try {
      return await this.once(method, address, options, token);
    } catch (error) {
      const renewable = this.session?.tokens.refresh_token !== undefined;
      if (!(error instanceof ApiError) || error.status !== 401 || !token || !renewable) throw error;
      return this.once(method, address, options, await this.session?.renew(token));
    }
  }

  private async once(
    method: string,
    address: string,
    { body, headers = {}, signal }: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal },
    token: string | undefined,
  ): Promise<Response> {
    const patience = AbortSignal.timeout(this.options.patience ?? 30_000);
    const sent: RequestInit & { headers: Record<string, string> } = {
      method: method.toUpperCase(),
      headers: { ...headers },
      signal: signal ?? patience,
    };
    if (token) sent.headers['Authorization'] = `Bearer ${token}`;
    if (body instanceof FormData) sent.body = body;
    else if (body !== undefined) {
      sent.body = JSON.stringify(body);
      sent.headers['Content-Type'] = 'application/json';
    }
    const response = await this.fetcher(this.url + address, sent).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      throw new ApiError(0);
    });
    if (response.ok) return response;
    const said = (await response.json().catch(() => null)) as Partial<Schemas['Error']> | null;
    throw new ApiError(response.status, said, Number(response.headers.get('retry-after')) || 0);
  }

  private async renewal(refreshToken: string): Promise<Tokens> {
    const answer = await this.once('post', '/token', { body: { refresh_token: refreshToken } }, undefined);
    return tokensOf((await answer.json()) as Schemas['Tokens'], Date.now());
  }
}
