// The whole way with the keyboard alone: sign in, find a call, open it, play it, go back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getter, launch, newPage, picture, signIn } from './chromium.mjs';
import { eventually, finishedCall, password, PATIENCE_MS, url, user } from './system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const audio = (page, property) => page.locator('audio').evaluate((element, name) => element[name], property);
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');

/** Presses Tab, or Shift and Tab, until what has the focus is accepted; each stop on the way must be seen to have it. */
async function tabTo(page, accept, key = 'Tab') {
  for (let stop = 0; stop < 40; stop += 1) {
    await page.keyboard.press(key);
    const shown = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return true;
      const seen = (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
      return seen(getComputedStyle(element)) || seen(getComputedStyle(element, '::after'));
    });
    assert.ok(shown, `the focus on “${await focused(page)}” cannot be seen`);
    if (accept(await focused(page))) return;
  }
  assert.fail('Tab does not lead there');
}

test('a call is found, opened and played without a pointer', { timeout: 3 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await page.goto(url);
  await page.getByLabel('User name').waitFor();
  await page.keyboard.type(user);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
  await page.getByRole('grid', { name: 'Calls' }).waitFor();
  const call = await finishedCall(getter(page), 12_000);

  await page.keyboard.press('/');
  assert.equal(await focused(page), 'Search calls');
  await page.keyboard.type(call.from.number);
  await page.keyboard.press('Enter');
  const link = page.locator(`a[href="/calls/${call.id}"]`);
  await link.waitFor();
  await tabTo(page, (name) => name.startsWith('Call from'));
  await page.keyboard.press('Home');
  await eventually('the arrow keys reach the call', async () => {
    if (await link.evaluate((element) => element === document.activeElement)) return true;
    await page.keyboard.press('ArrowDown');
    return false;
  });
  await picture(page, 'keyboard-list');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/calls/${call.id}`);
  await page.getByRole('button', { name: 'Play' }).waitFor();

  await page.keyboard.press('Space');
  await eventually('it plays', async () => (await audio(page, 'currentTime')) > 0.5);
  await page.keyboard.press('Space');
  await eventually('it pauses', () => audio(page, 'paused'));
  const before = await audio(page, 'currentTime');
  await page.keyboard.press('ArrowRight');
  assert.ok(Math.abs((await audio(page, 'currentTime')) - before - 5) < 0.3, 'right arrow: 5 s on');
  await page.keyboard.press('Shift+ArrowLeft');
  assert.equal(await audio(page, 'currentTime'), 0, 'shift and left arrow: 15 s back, not before the start');
  await page.keyboard.press('>');
  assert.equal(await audio(page, 'playbackRate'), 1.25);
  await page.keyboard.press('<');
  assert.equal(await audio(page, 'playbackRate'), 1);

  await tabTo(page, (name) => name === 'Position');
  await page.keyboard.press('End');
  const length = await audio(page, 'duration');
  assert.ok(Math.abs((await audio(page, 'currentTime')) - length) < 0.5, 'End: the end');
  await tabTo(page, (name) => name.trim() === 'Calls', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await link.waitFor();
  assert.equal(new URL(page.url()).searchParams.get('q'), call.from.number, 'back to the list as it was left');
  assert.deepEqual(page.faults, []);
});

test('the first stop of Tab skips to the content', async () => {
  const page = await newPage(browser);
  await signIn(page);
  await page.getByRole('grid', { name: 'Calls' }).waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press('Tab');
  assert.equal((await focused(page)).trim(), 'Skip to content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
});
