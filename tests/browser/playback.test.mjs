// A finished call is played: time advances, and what is heard is what was said.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getter, launch, newPage, picture, signIn } from './chromium.mjs';
import { assertApart, AUDIBLE, BLEED, decodeTones, hear, isTone, listenIn } from './ear.mjs';
import { eventually, finishedCall, leftOut, PATIENCE_MS, tones } from './system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const at = (page) => page.locator('audio').evaluate((audio) => audio.currentTime);

async function openPlayer() {
  const page = await newPage(browser);
  await page.addInitScript(listenIn);
  await signIn(page);
  const call = await finishedCall(getter(page));
  await page.goto(page.url().replace(/\/[^/]*$/, `/calls/${call.id}`));
  await page.getByRole('button', { name: 'Play' }).waitFor();
  return { page, call };
}

/** What each ear hears, as level and strongest frequency, until `enough` says so of what was heard so far. */
function heardUntil(page, what, enough) {
  const heard = [[], []];
  return eventually(what, async () => {
    const now = await page.evaluate(hear);
    now.forEach(({ level, hz }, ear) => level > AUDIBLE && heard[ear].push({ level, hz }));
    // A short call is played again.
    if (await page.locator('audio').evaluate((audio) => audio.ended)) await page.getByRole('button', { name: 'Play' }).click();
    return enough(heard) && heard;
  });
}

test('a finished call is heard, each party on its side', { timeout: 3 * PATIENCE_MS }, async () => {
  const { page } = await openPlayer();
  await page.getByRole('button', { name: 'Play' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  const first = await at(page);
  await eventually('time advances', async () => (await at(page)) > first + 1);
  await heardUntil(page, 'sound in each ear', (heard) => heard.every((ear) => ear.length > 0));
  for (const [ear, tone] of tones.entries()) {
    await heardUntil(page, `${tone} Hz in ear ${ear}`, (heard) => heard[ear].some(({ hz }) => isTone(hz, tone)));
  }
  await picture(page, 'call-playing');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Play' }).waitFor();
  const stopped = await at(page);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
  assert.equal(await at(page), stopped);
  assert.deepEqual(page.faults, []);
});

test('decoded, each channel holds its own party alone, to the millisecond as long as its waveform', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const { page, call } = await openPlayer();
  const decoded = await page.evaluate(decodeTones, { path: `/api/recordings/${call.recording_id}/audio`, tones });
  t.diagnostic(`decoded: ${JSON.stringify(decoded)}`);
  assertApart(decoded, tones);
  const waveform = await eventually('the waveform', async () => {
    const answer = await getter(page)(`/api/recordings/${call.recording_id}/peaks`);
    return answer.peaks && answer;
  });
  assert.equal(waveform.peaks.length, 2);
  for (const lane of waveform.peaks) assert.ok(Math.max(...lane) > AUDIBLE);
  // Whole milliseconds, rounded down.
  const behind = decoded.seconds * 1000 - waveform.duration_ms;
  assert.ok(behind >= -0.01 && behind < 1.01, `${decoded.seconds} s, ${waveform.duration_ms} ms`);
});

test('one party alone is heard in both ears, the other in none', { timeout: 3 * PATIENCE_MS }, async (t) => {
  const { page } = await openPlayer();
  const solo = page.getByRole('button', { name: /^Solo/ });
  const missing = (await solo.count()) < 2 ? 'the recording is mono' : tones.length < 2 && 'NIGHTJAR_TONE_HZ does not name a tone per party';
  if (missing) {
    leftOut('solo', missing);
    return t.skip(missing);
  }
  await solo.nth(1).click();
  await page.getByRole('button', { name: 'Play' }).click();
  const heard = await heardUntil(page, 'the second party', (all) => all.every((ear) => ear.filter(({ hz }) => isTone(hz, tones[1])).length > 4));
  const loudest = (ear, tone) => Math.max(0, ...ear.filter(({ hz }) => isTone(hz, tone)).map(({ level }) => level));
  for (const ear of heard) assert.ok(loudest(ear, tones[0]) < loudest(ear, tones[1]) * BLEED, 'the muted party was heard');
});

test('the waveform is drawn, and pressing it seeks', { timeout: 2 * PATIENCE_MS }, async () => {
  const { page } = await openPlayer();
  const lane = page.locator('canvas.wave').first();
  await eventually('drawn bars', () =>
    lane.evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, Math.floor(canvas.height / 3));
      // The upper third is empty but for loud bars and the playhead at the very left.
      let inked = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked += 1;
      return inked > canvas.height;
    }),
  );
  const box = await lane.boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const duration = await page.locator('audio').evaluate((audio) => audio.duration);
  const middle = await at(page);
  assert.ok(Math.abs(middle - duration / 2) < duration * 0.05 + 0.5, `${middle} of ${duration}`);
  await page.mouse.move(box.x + box.width / 2, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 4, box.y + 5, { steps: 5 });
  await page.mouse.up();
  assert.ok((await at(page)) < middle, 'dragging to the left seeks back');
});

test('the recording can be downloaded as a file', { timeout: 2 * PATIENCE_MS }, async () => {
  const { page } = await openPlayer();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()]);
  assert.match(download.suggestedFilename(), /\.(ogg|opus|wav)$/);
});
