// The running system that the tests use: where it is, who signs in, which of its calls can be played.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const wanted = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: tests/browser/run says what it needs`);
  return value;
};

/** Where control answers, without a slash at its end. */
export const url = wanted('NIGHTJAR_URL').replace(/\/+$/, '');
export const user = wanted('NIGHTJAR_USER');
export const password = wanted('NIGHTJAR_PASSWORD');

/** The tone of each channel in Hz, in the order of channels; empty where the calls carry something else. */
export const tones = (process.env.NIGHTJAR_TONE_HZ ?? '')
  .split(',')
  .filter(Boolean)
  .map(Number);

/** Where the pictures go. */
export const out = process.env.NIGHTJAR_BROWSER_OUT ?? fileURLToPath(new URL('out', import.meta.url));
mkdirSync(out, { recursive: true });

/** Says that a test is left out, so that it is listed. */
export const leftOut = (name, why) => console.log(`SKIPPED: ${name}: ${why}`);

/** How long something that the system will surely do may take, ms: a bound, no measurement. */
export const PATIENCE_MS = 120_000;

/** Asks until `ask` gives something. */
export async function eventually(what, ask, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not seen within ${patience / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** A finished call of at least `leastMs` whose audio control has, by control's own word; `get` is a signed-in request. */
export function finishedCall(get, leastMs = 4000) {
  return eventually(`a finished call of ${leastMs / 1000} s with audio`, async () => {
    const { calls } = await get(`/api/calls?state=completed&min_duration_ms=${leastMs}&limit=200`);
    return calls.find((call) => call.has_audio && call.from.number && call.from.number.length >= 3);
  });
}
