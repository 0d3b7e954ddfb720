// What a page does when control or its audio is away for a while, and how it shows that a sensor is.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getter, launch, newPage, picture, signIn } from './chromium.mjs';
import { eventually, finishedCall, PATIENCE_MS, url } from './system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test('at 360 px a quiet sensor is pointed out without pushing anything aside', async () => {
  const page = await newPage(browser, { viewport: { width: 360, height: 740 } });
  const sensors = [
    { name: 'a', last_seen_at: null },
    { name: 'b', last_seen_at: null },
  ];
  await page.route('**/api/summary', (route) => route.fulfill({ json: { live: 12, today: 34_567, total: 123_456, sensors } }));
  await signIn(page);
  const figure = page.locator('.figure.sensors');
  await figure.getByText('quiet').waitFor();
  await picture(page, 'quiet-sensors-360');
  const right = await figure.evaluate((element) => element.getBoundingClientRect().right);
  const signOut = await page.getByRole('button', { name: 'Sign out' }).evaluate((element) => element.getBoundingClientRect().left);
  assert.ok(right <= signOut, `the figures end at ${right} px, the button begins at ${signOut} px`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the window');
});

test('a sensor is quiet when it was not heard for a minute, and not because control is away', async () => {
  const page = await newPage(browser);
  let unheardMs = 40_000;
  let away = false;
  await page.route('**/api/summary', (route) => {
    const sensors = [{ name: 'a', last_seen_at: new Date(Date.now() - unheardMs).toISOString() }];
    return away ? route.abort() : route.fulfill({ json: { live: 0, today: 0, total: 0, sensors } });
  });
  await page.clock.install();
  await signIn(page);
  const sensor = page.locator('.figure.sensors dd');
  const turns = async (word) => {
    // Until after the figures are asked for again.
    await page.clock.runFor(16_000);
    await sensor.getByText(word, { exact: true }).waitFor();
  };
  await sensor.getByText('up', { exact: true }).waitFor();
  unheardMs = 70_000;
  await turns('quiet');
  unheardMs = 0;
  await turns('up');
  away = true;
  await page.clock.runFor(180_000);
  assert.equal(await sensor.textContent(), 'up');
});

test('a duration is not changed under the fingers of somebody who types slowly', async () => {
  const page = await newPage(browser);
  await signIn(page);
  await page.getByRole('button', { name: 'Filters' }).click();
  const least = page.getByLabel('At least (minutes:seconds)');
  await least.press('9');
  await page.waitForURL('**/?min=9');
  await least.press('0');
  await page.waitForURL('**/?min=90');
  assert.equal(await least.getAttribute('aria-invalid'), 'false');
});

test('a call that could not be loaded comes by itself when control is back', { timeout: 2 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await signIn(page);
  const call = await finishedCall(getter(page));
  let away = true;
  await page.route(`**/api/calls/${call.id}`, (route) => (away ? route.abort() : route.continue()));
  // A live connection that ends at once and is opened again, as a control that restarts lets one see it.
  await page.route('**/api/live', (route) => route.fulfill({ contentType: 'text/event-stream', body: 'retry: 300\n\n: alive\n\n' }));
  await page.goto(`${url}/calls/${call.id}`);
  await page.getByRole('heading', { name: 'The call could not be loaded' }).waitFor();
  away = false;
  await page.getByRole('button', { name: 'Play' }).waitFor();
});

test('audio that could not be had is asked for again with the next press of play', { timeout: 2 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await signIn(page);
  const call = await finishedCall(getter(page));
  let away = true;
  await page.route('**/api/recordings/*/audio', (route) => (away ? route.fulfill({ status: 500, json: {} }) : route.continue()));
  await page.goto(`${url}/calls/${call.id}`);
  const refusal = page.getByRole('alert').getByText('could not be played');
  await refusal.waitFor();
  await page.getByRole('button', { name: 'Play' }).click();
  await refusal.waitFor();
  away = false;
  await page.getByRole('button', { name: 'Play' }).click();
  await eventually('it plays', () => page.locator('audio').evaluate((element) => element.currentTime > 0.3));
  assert.equal(await refusal.count(), 0, 'the refusal stays on the page');
});
