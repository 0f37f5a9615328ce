// The token of a session, renewed before it ends.

/** What a program keeps to go on as the same session. */
export interface Tokens {
  token: string;
  /** Absent of tokens for programs (`plt_…`), which are not renewed. */
  refresh_token?: string;
  /** When the token ends, in milliseconds since 1970, by this machine's clock. */
  ends_at?: number;
}

/** A minute before its end, a token is renewed. */
const EARLY = 60_000;

/** The tokens of an answer of `/login` or `/token`. */
export const tokensOf = (
  answer: { token: string; refresh_token: string; expires_in: number },
  now: number,
): Tokens => ({
  token: answer.token,
  refresh_token: answer.refresh_token,
  ends_at: now + answer.expires_in * 1000,
});

export interface SessionOptions {
  tokens: Tokens;
  /** Asks the server; rejects with an error with `status` 401 where the session has ended. */
  renew: (refreshToken: string) => Promise<Tokens>;
  /** Keeps new tokens. The session uses them only after this is done. */
  keep?: (tokens: Tokens) => void | Promise<void>;
  now?: () => number;
}

/** Gives out a token that is good. However many ask at once, the session renews it once. */
export class Session {
  private renewing: Promise<string> | null = null;

  constructor(private readonly options: SessionOptions) {}

  get tokens(): Tokens {
    return this.options.tokens;
  }

  /** A token that is good for a while yet. */
  async token(): Promise<string> {
    const { token, refresh_token, ends_at } = this.tokens;
    const soon = ends_at !== undefined && ends_at - (this.options.now ?? Date.now)() < EARLY;
    return soon && refresh_token ? this.renew(token) : token;
  }

  /** Another token than `refused`, or a rejection if the session has none. */
  renew(refused: string): Promise<string> {
    if (this.tokens.token !== refused) return Promise.resolve(this.tokens.token);
    this.renewing ??= this.ask().finally(() => {
      this.renewing = null;
    });
    return this.renewing;
  }

  private async ask(): Promise<string> {
    const { refresh_token } = this.tokens;
    if (!refresh_token) throw Object.assign(new Error('the token is not good any more'), { status: 401 });
    const tokens = await this.options.renew(refresh_token);
    await this.options.keep?.(tokens);
    this.options.tokens = tokens;
    return tokens.token;
  }
}
