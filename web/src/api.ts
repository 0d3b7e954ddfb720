// Control's HTTP API as the pages use it: the shapes, one function per request, one error.
import type { components } from './apiSchema.ts';

type Schemas = components['schemas'];

/** A party of a call; what is unknown is null. */
export type Party = Schemas['PartySummary'];
/** A call as a row of the list. Its state is open: control may send a name that this version does not know. */
export type CallSummary = Schemas['CallSummary'];
/** One page of the list. */
export type CallPage = Schemas['CallList'];
/** A recording's waveform: per channel, `points` values from 0 to 1. */
export type Peaks = Schemas['PeaksBody'];
/** The site's figures. */
export type Summary = Schemas['Summary'];
/** Who is signed in. */
export type Session = Schemas['Identity'];

export interface Leg extends Party {
  asserted_uri: string | null;
  device: string | null;
  address: string | null;
  role: string;
  joined_at: string | null;
  left_at: string | null;
}

export interface Stream {
  leg: number | null;
  dialog: number | null;
  kind: string;
  ssrc: string;
  src: string;
  dst: string;
  payload_type: number | null;
  codec: string | null;
  clock_rate: number | null;
  packets: number;
  lost: number;
  duplicates: number;
  reordered: number;
  jitter_ms: number | null;
  duration_ms: number;
  started_at: string;
  ended_at: string;
  lost_ours: number;
  use: string;
  reason: string | null;
}

export interface Recording {
  id: string;
  kind: string;
  segment: number;
  started_at: string;
  state: string;
  container: string | null;
  codec: string | null;
  channels: number | null;
  channel_legs: number[][];
  sample_rate: number | null;
  duration_ms: number | null;
  bytes: number | null;
  sha256: string | null;
}

/** Missing samples; `recording`, `stream` and `leg` are indices, `at_ms` counts from the recording's start. */
export interface Gap {
  recording: number | null;
  stream: number | null;
  leg: number | null;
  at_ms: number;
  duration_ms: number;
  cause: string;
}

export interface CallEvent {
  at: string;
  kind: string;
  leg: number | null;
  stream: number | null;
  by: string | null;
  detail: string | null;
}

export interface Link {
  relation: string;
  call: string;
  basis: string;
}

/** A call with everything that is known about it: a line of `calls.jsonl`. */
export interface Call {
  id: string;
  revision: number;
  protocol: string;
  call_ids: string[];
  source: { kind: string; sensor: string; interfaces: string[]; realm: number };
  direction: string;
  from: Party;
  to: Party;
  dialled: { uri: string | null; number: string | null };
  diversions: { uri: string | null; number: string | null; reason: string | null }[];
  headers: Record<string, string[]>;
  state: string;
  status: number | null;
  started_at: string;
  answered_at: string | null;
  ended_at: string | null;
  end: { cause: string; leg: number | null; reason: string | null } | null;
  begun_before_capture: boolean;
  decision: { action: string; rule: string | null; reason: string | null };
  marks: string[];
  correlation: { kind: string; value: string }[];
  legs: Leg[];
  streams: Stream[];
  recordings: Recording[];
  gaps: Gap[];
  events: CallEvent[];
  links: Link[];
}

/** Why a request failed: `status` is 0 when control could not be reached at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds to wait before the next try, when control said so. */
  readonly retryAfter: number | null;

  constructor(status: number, code: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** How far control's clock is ahead of this machine's, ms; taken from the last answer's date. */
let clockAheadMs = 0;

/** Control's time now, ms since the epoch: what a live call's duration is counted by. */
export function serverNow(): number {
  return Date.now() + clockAheadMs;
}

function noteClock(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  // The header counts whole seconds: a smaller difference says nothing.
  const ahead = date + 500 - Date.now();
  clockAheadMs = Math.abs(ahead) > 2000 ? ahead : 0;
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: body === undefined ? { accept: 'application/json' } : { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'unreachable', 'Nightjar cannot be reached.');
  }
  noteClock(response);
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<ApiError> {
  const retryAfter = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
  const wait = Number.isNaN(retryAfter) ? null : retryAfter;
  try {
    const { error } = (await response.json()) as Schemas['ErrorBody'];
    return new ApiError(response.status, error.code, error.message, wait);
  } catch {
    return new ApiError(response.status, 'unexpected', `Nightjar answered with status ${response.status}.`, wait);
  }
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send('GET', path, undefined, signal);
  return (await response.json()) as T;
}

/** Control hands a row on as its sensor wrote it, and the schema lets a writer leave out what is empty. */
function whole(row: Partial<Call>): Call {
  const nobody: Party = { uri: null, number: null, name: null };
  const empty = {
    from: nobody,
    to: nobody,
    dialled: { uri: null, number: null },
    call_ids: [],
    diversions: [],
    marks: [],
    correlation: [],
    legs: [],
    streams: [],
    recordings: [],
    gaps: [],
    events: [],
    links: [],
    status: null,
    answered_at: null,
    ended_at: null,
    end: null,
  };
  return { ...empty, ...row } as Call;
}

export const api = {
  session: (): Promise<Session> => get('/api/session'),

  async signIn(username: string, password: string): Promise<Session> {
    const response = await send('POST', '/api/session', { username, password });
    return (await response.json()) as Session;
  },

  async signOut(): Promise<void> {
    await send('DELETE', '/api/session');
  },

  calls: (query: URLSearchParams, signal?: AbortSignal): Promise<CallPage> => get(`/api/calls?${query}`, signal),

  async call(id: string, signal?: AbortSignal): Promise<Call> {
    return whole(await get<Partial<Call>>(`/api/calls/${encodeURIComponent(id)}`, signal));
  },

  summary: (): Promise<Summary> => get('/api/summary'),

  /** The waveform, or null while control has not computed it yet. */
  async peaks(recording: string, points: number, signal?: AbortSignal): Promise<Peaks | null> {
    const path = `/api/recordings/${encodeURIComponent(recording)}/peaks?points=${points}`;
    const response = await send('GET', path, undefined, signal);
    return response.status === 202 ? null : ((await response.json()) as Peaks);
  },

  audioUrl: (recording: string): string => `/api/recordings/${encodeURIComponent(recording)}/audio`,
  downloadUrl: (recording: string): string => `/api/recordings/${encodeURIComponent(recording)}/audio?download=1`,
};
