// The same in Firefox (Debian's, by WebDriver BiDi): signing in, a live list, a call that plays and is heard.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { assertApart, AUDIBLE, decodeTones, hear, isTone, listenIn } from './ear.mjs';
import { eventually, finishedCall, leftOut, out, password, PATIENCE_MS, tones, url, user } from './system.mjs';

const executablePath = process.env.NIGHTJAR_FIREFOX ?? '/usr/bin/firefox-esr';
const skip = existsSync(executablePath) ? false : `${executablePath} is not there`;
if (skip) leftOut('firefox', skip);

let browser;
before(async () => {
  if (skip) return;
  const extraPrefsFirefox = { 'media.autoplay.default': 0 };
  browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true, extraPrefsFirefox });
});
after(() => browser?.close());

test('Firefox signs in, lists calls and plays one', { skip, timeout: 3 * PATIENCE_MS }, async (t) => {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.setViewport({ width: 1280, height: 800 });
  await page.evaluateOnNewDocument(listenIn);
  await page.goto(url);
  await page.locator('#username').fill(user);
  await page.locator('#password').fill(password);
  await page.locator('button[type=submit]').click();
  await page.locator('.row.call').wait();
  await page.screenshot({ path: `${out}/firefox-calls.png` });

  const call = await finishedCall((path) => page.evaluate(async (from) => (await fetch(from)).json(), path));
  await page.goto(`${url}/calls/${call.id}`);
  await page.locator('button[aria-label=Play]').click();
  await eventually('time advances', () => page.$eval('audio', (audio) => audio.currentTime > 1));
  const decoded = await page.evaluate(decodeTones, { path: `/api/recordings/${call.recording_id}/audio`, tones });
  assertApart(decoded, tones);
  t.diagnostic(`decoded: ${JSON.stringify(decoded)}`);
  await listen(page, t);
  await page.screenshot({ path: `${out}/firefox-call.png` });
  assert.equal(await page.$eval('audio', (audio) => audio.error), null);
});

/** Firefox runs no audio graph on a machine without a sound device: there, decoding and time have to do. */
async function listen(page, t) {
  const running = await page.evaluate(() => window.nightjarEars?.[0]?.context.state === 'running');
  if (!running) return t.diagnostic('no sound device: Firefox was not listened to, only its decoder was');
  const heard = [[], []];
  await eventually('sound', async () => {
    (await page.evaluate(hear)).forEach(({ level, hz }, ear) => level > AUDIBLE && heard[ear].push(hz));
    if (await page.$eval('audio', (audio) => audio.ended)) await page.locator('button[aria-label=Play]').click();
    return heard.every((ear) => ear.length > 0) && tones.every((tone, ear) => heard[ear].some((hz) => isTone(hz, tone)));
  });
}
