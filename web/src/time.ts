// Times and durations as people read them: local time, its zone named, 24 hours.

const two = (n: number): string => String(n).padStart(2, '0');

/** A length as on a clock: `0:07`, `3:12`, `1:02:33`. Whole seconds, rounded down, as a running clock shows them. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(seconds / 3600);
  const m = Math.floor(seconds / 60) % 60;
  const s = seconds % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** A length in words: `40 ms`, `0.8 s`, `7 s`, `3 min 12 s`, `1 h 2 min`. */
export function words(ms: number): string {
  if (ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${trimZero((ms / 1000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const wholeMinutes = Math.round(seconds / 60);
  const rest = wholeMinutes % 60;
  return rest ? `${Math.floor(wholeMinutes / 60)} h ${rest} min` : `${Math.floor(wholeMinutes / 60)} h`;
}

function trimZero(text: string): string {
  return text.endsWith('.0') ? text.slice(0, -2) : text;
}

/** An ISO 8601 length for `<time datetime>`: `PT192.5S`. */
export function machineDuration(ms: number): string {
  return `PT${Math.max(0, ms) / 1000}S`;
}

/** Local time of day: `13:04:22`. */
export function timeOfDay(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Local date: `2026-11-20`. */
export function isoDay(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Local date and time, unambiguous everywhere: `2026-11-20 13:04:22`. */
export function dateTime(at: Date): string {
  return `${isoDay(at)} ${timeOfDay(at)}`;
}

/** Local time to the minute, as `<input type="datetime-local">` takes it: `2026-11-20T13:04`, in any year. */
export function inputTime(at: Date): string {
  return `${isoDay(at).padStart(10, '0')}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** A day as a heading: `Today`, `Yesterday`, `Wed 18 Nov 2026`. */
export function dayName(at: Date, now: Date): string {
  const day = isoDay(at);
  if (day === isoDay(now)) return 'Today';
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (day === isoDay(yesterday)) return 'Yesterday';
  const format = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
  return format.format(at).replace(',', '');
}

/** A day without its year: `18 Nov`. */
export function dayDate(at: Date): string {
  return new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' }).format(at);
}

/** The zone that every time is shown in: `Europe/Berlin, UTC+1`. */
export function zone(at: Date): string {
  const offset = -at.getTimezoneOffset();
  const sign = offset < 0 ? '−' : '+';
  const hours = Math.floor(Math.abs(offset) / 60);
  const minutes = Math.abs(offset) % 60;
  const utc = offset === 0 ? 'UTC' : `UTC${sign}${hours}${minutes ? `:${two(minutes)}` : ''}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name && name !== 'UTC' ? `${name}, ${utc}` : utc;
}

/** How long ago: `now`, `40 s ago`, `3 min ago`, `2 h ago`, `5 days ago`. */
export function ago(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 10) return 'now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? '1 day ago' : `${days} days ago`;
}

/** A length that somebody typed, in ms: `90`, `90s`, `1:30`, `1:02:33`, `2m`, `2 min`, `1h`; null when it is none. */
export function parseDuration(text: string): number | null {
  const plain = text.trim().toLowerCase();
  const parts = /^(?:(\d+):)?(\d+):(\d{1,2})$/.exec(plain);
  if (parts) {
    const [h, m, s] = [Number(parts[1] ?? 0), Number(parts[2]), Number(parts[3])];
    return s < 60 ? ((h * 60 + m) * 60 + s) * 1000 : null;
  }
  const one = /^(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)?$/.exec(plain);
  if (!one) return null;
  const unit = one[2]?.[0] ?? 's';
  return Math.round(Number(one[1]) * (unit === 'h' ? 3_600_000 : unit === 'm' ? 60_000 : 1000));
}
