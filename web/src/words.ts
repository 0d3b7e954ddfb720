// What the schema's names mean to a supervisor, in plain words. A name that this version does not know is shown as it is.
import type { Call, CallEvent, CallSummary, Gap, Party, Stream } from './api.ts';
import { words as lengthInWords } from './time.ts';

type Names = Readonly<Record<string, string>>;

const named = (names: Names, name: string): string => names[name] ?? name.replaceAll('_', ' ');

const STATES: Names = {
  active: 'Live',
  completed: 'Completed',
  incomplete: 'End not seen',
  cancelled: 'Cancelled',
  rejected: 'Rejected',
  failed: 'Failed',
};

export function stateName(state: string): string {
  return named(STATES, state);
}

/** A live call that nobody has answered yet rings. */
export function liveName(call: Pick<CallSummary, 'answered_at' | 'protocol'>): string {
  return call.answered_at === null && call.protocol !== 'none' ? 'Ringing' : 'Live';
}

const STATUS: Readonly<Record<number, string>> = {
  400: 'the request was malformed',
  401: 'the caller did not authenticate',
  403: 'the call was refused',
  404: 'no such number',
  407: 'the caller did not authenticate',
  408: 'no answer in time',
  410: 'the number is gone',
  415: 'media not supported',
  480: 'unavailable',
  481: 'the call did not exist any more',
  482: 'a loop was found',
  483: 'too many hops',
  484: 'the number was incomplete',
  485: 'the number was ambiguous',
  486: 'busy',
  487: 'cancelled by the caller',
  488: 'no common codec',
  491: 'two requests crossed',
  500: 'server error',
  502: 'bad gateway',
  503: 'service unavailable',
  504: 'a server did not answer in time',
  600: 'busy everywhere',
  603: 'declined',
  604: 'no such number anywhere',
  606: 'not acceptable',
};

/** A final SIP code in words, `null` for a code without any. */
export function statusWords(status: number): string | null {
  return STATUS[status] ?? null;
}

const CAUSES: Names = {
  cancel: 'cancelled before an answer',
  media_timeout: 'its audio stopped and no BYE was seen',
  session_timer: 'its session timer ran out',
  shutdown: 'the sensor was stopped',
  crash: 'the sensor stopped unexpectedly',
  capture_end: 'the capture ended',
  evicted: 'the sensor’s tables were full',
};

/** How the call ended, as a sentence. */
export function howItEnded(call: Call): string {
  if (call.state === 'active') return call.answered_at ? 'In progress.' : 'Ringing.';
  const answered = call.answered_at ? afterRinging(call) : '';
  const code = call.status !== null && call.status >= 300 ? call.status : null;
  if (call.state === 'completed' || (call.state === 'incomplete' && call.end?.cause === 'bye')) {
    return `${answered}${hungUp(call)}`;
  }
  if (call.state === 'cancelled') return 'The caller gave up before anybody answered.';
  if (call.state === 'rejected' || call.state === 'failed') return refused(call, code);
  const cause = call.end ? CAUSES[call.end.cause] : undefined;
  return cause ? `${answered}Its end was not seen: ${cause}.` : `${answered}Its end was not seen.`;
}

function afterRinging(call: Call): string {
  const rang = Date.parse(call.answered_at ?? '') - Date.parse(call.started_at);
  return rang >= 1000 ? `Answered after ${lengthInWords(rang)}. ` : 'Answered. ';
}

function hungUp(call: Call): string {
  const leg = call.end?.leg;
  const role = leg === null || leg === undefined ? undefined : call.legs[leg]?.role;
  if (role === 'caller') return 'The caller hung up.';
  if (role === 'callee') return 'The called party hung up.';
  return 'Ended normally.';
}

function refused(call: Call, code: number | null): string {
  const verb = call.state === 'rejected' ? 'Not accepted' : 'Did not get through';
  const reason = call.end?.reason;
  if (code === null) return `${verb}: ${reason ?? 'no final answer was seen'}.`;
  const meaning = statusWords(code) ?? reason;
  return meaning ? `${verb}: ${meaning} (${code}).` : `${verb} (${code}).`;
}

const GAP_CAUSES: Names = {
  wire: 'Lost in the network, before the mirror port',
  nic: 'Lost by the network card',
  xdp: 'Lost in the packet filter',
  ring: 'Lost in a full receive ring',
  core: 'Lost by an overloaded core',
  disk: 'Lost by the disk',
  crash: 'Lost when the sensor stopped unexpectedly',
  sensor_down: 'No sensor was running',
};

export function gapCause(gap: Gap): string {
  return named(GAP_CAUSES, gap.cause);
}

const MARKS: Names = {
  one_sided: 'Only one side heard',
  no_signalling: 'No signalling seen',
  undecodable: 'Audio could not be decoded',
  no_key: 'Encrypted, no key',
  clock_jump: 'Sensor clock jumped',
};

export function markName(mark: string): string {
  const text = named(MARKS, mark);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const EVENTS: Names = {
  ring: 'Ringing',
  answer: 'Answered',
  hold: 'Put on hold',
  resume: 'Taken off hold',
  pause: 'Recording paused',
  unpause: 'Recording goes on',
  join: 'Joined',
  leave: 'Left',
  transfer: 'Transferred',
  park: 'Parked',
  dtmf: 'Key pressed',
  format: 'Audio format changed',
  media_start: 'Audio started',
  media_stop: 'Audio stopped',
  agent: 'Agent assigned',
  split: 'Recording split',
};

export function eventName(event: CallEvent): string {
  const text = named(EVENTS, event.kind);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const ROLES: Names = {
  caller: 'Caller',
  callee: 'Called',
  consulted: 'Consulted',
  transferee: 'Transferred to',
  conference: 'Conference',
  barge: 'Joined in',
  unknown: 'Party',
};

export function roleName(role: string): string {
  return named(ROLES, role);
}

const DIRECTIONS: Names = { inbound: 'Inbound', outbound: 'Outbound', internal: 'Internal' };

/** The direction, or null when it is unknown. */
export function directionName(direction: string): string | null {
  return direction === 'unknown' ? null : named(DIRECTIONS, direction);
}

const USES: Names = {
  mixed: 'In the recording',
  kept: 'Kept as it came',
  counted: 'Counted only',
  copy: 'Repeats another stream',
  refused: 'Not to be recorded',
};

export function useName(stream: Stream): string {
  return named(USES, stream.use);
}

const RELATIONS: Names = {
  transferred_from: 'Transferred from',
  consult_of: 'Consultation of',
  replaces: 'Replaces',
  pickup_of: 'Picked up from',
  forwarded_from: 'Forwarded from',
  conference_of: 'Conference of',
  split_of: 'Continues',
  same_conversation: 'Same conversation as',
  copy_of: 'Copy of',
};

export function relationName(relation: string): string {
  return named(RELATIONS, relation);
}

const PROTOCOLS: Names = { sip: 'SIP', sccp: 'SCCP', siprec: 'SIPREC', mgcp: 'MGCP', h323: 'H.323', iax2: 'IAX2', none: 'RTP only' };

export function protocolName(protocol: string): string {
  return named(PROTOCOLS, protocol);
}

/** Who a party is, in one line: its name, else its number, else its address. */
export function partyTitle(party: Party): string {
  return party.name || party.number || party.uri || 'Unknown';
}

/** What else is known of it, when the title is not all. */
export function partyDetail(party: Party): string | null {
  return party.name ? party.number || party.uri : null;
}

/** Lost packets of those that should have come, in per cent; null when none were expected. */
export function lossPercent(stream: Stream): number | null {
  const expected = stream.packets - stream.duplicates + stream.lost;
  return expected > 0 ? (100 * stream.lost) / expected : null;
}

/** A percentage with as many digits as it deserves: `0 %`, `0.04 %`, `1.3 %`, `12 %`. */
export function percent(value: number): string {
  if (value === 0) return '0 %';
  if (value < 0.01) return '< 0.01 %';
  if (value < 1) return `${value.toFixed(2)} %`;
  return value < 10 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}

/** A size: `734 B`, `12.3 kB`, `4.5 MB`. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}
