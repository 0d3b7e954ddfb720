// The list: live calls come by themselves, finished ones are found.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getter, launch, newPage, picture, signIn } from './chromium.mjs';
import { eventually, finishedCall, PATIENCE_MS } from './system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const links = (page) => page.locator('.row.call a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));

test('a call that begins now appears among the live ones without a reload', { timeout: 2 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await signIn(page);
  await page.getByRole('grid', { name: 'Calls' }).waitFor();
  await page.evaluate(() => (window.notReloaded = true));
  const before = new Set(await links(page));
  const fresh = await eventually('a new live call', async () => {
    const live = page.locator('.row.call', { has: page.locator('.badge.live, .badge.ringing') });
    const hrefs = await live.locator('a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    return hrefs.find((href) => !before.has(href));
  });
  assert.ok(fresh.startsWith('/calls/'));
  assert.equal(await page.evaluate(() => window.notReloaded), true, 'the page was loaded again');
  await picture(page, 'calls');

  const row = page.locator('.row.call', { has: page.locator(`a[href="${fresh}"]`) });
  const first = await row.locator('.running').textContent();
  await eventually('its clock ticks', async () => (await row.locator('.running').textContent()) !== first);
  assert.deepEqual(page.faults, []);
});

test('calls that come do not move what is being read, and the keyboard stays on its line', { timeout: 2 * PATIENCE_MS }, async () => {
  const page = await newPage(browser, { viewport: { width: 1280, height: 420 } });
  await signIn(page);
  const get = getter(page);
  await eventually('a list that is longer than the window', () => page.evaluate(() => document.documentElement.scrollHeight > innerHeight + 400));
  await page.evaluate(() => window.scrollTo(0, 380));
  // The first finished call that is wholly in view, below the sticky head.
  const read = await eventually('a finished call in view', () =>
    page.evaluate(() => {
      const rows = [...document.querySelectorAll('.row.call')].filter((row) => !row.querySelector('.running'));
      const link = rows.find((row) => row.getBoundingClientRect().top > 60)?.querySelector('a');
      link?.focus({ preventScroll: true });
      return link?.getAttribute('href');
    }),
  );
  const top = () => page.locator('.row.call', { has: page.locator(`a[href="${read}"]`) }).evaluate((row) => row.getBoundingClientRect().top);
  const before = await top();
  const known = new Set((await get('/api/calls?limit=200')).calls.map(({ id }) => id));
  const fresh = await eventually('a new call', async () => (await get('/api/calls?limit=5')).calls.find(({ id }) => !known.has(id)));
  // Far above the window it is not drawn: the number of lines tells that it has come.
  const lines = () => page.getByRole('grid').evaluate((grid) => grid.querySelector('.rows').style.height);
  const height = await lines();
  await eventually('the page knows of it', async () => (await lines()) !== height || (await page.locator(`a[href="/calls/${fresh.id}"]`).count()) > 0);
  assert.ok(Math.abs((await top()) - before) <= 1, 'the line that was read has moved');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('href')), read, 'the focus has moved');
});

test('a live call turns into a finished one in place', { timeout: 3 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await signIn(page);
  const live = await eventually('a live call', async () => {
    const row = page.locator('.row.call', { has: page.locator('.running') }).last();
    return (await row.count()) > 0 && row.locator('a').getAttribute('href');
  });
  const row = page.locator('.row.call', { has: page.locator(`a[href="${live}"]`) });
  await eventually('its end', async () => (await row.count()) > 0 && (await row.locator('.running').count()) === 0, 2 * PATIENCE_MS);
  assert.doesNotMatch(await row.locator('.state').textContent(), /Live|Ringing/);
});

test('a finished call is found by its number, and the address keeps the search', { timeout: 2 * PATIENCE_MS }, async () => {
  const page = await newPage(browser);
  await signIn(page);
  const call = await finishedCall(getter(page));
  await page.getByRole('searchbox', { name: 'Search calls' }).fill(call.from.number);
  await page.waitForURL(`**/?q=${encodeURIComponent(call.from.number).replaceAll('%20', '+')}`);
  await page.locator(`a[href="/calls/${call.id}"]`).waitFor();
  const matching = await getter(page)(`/api/calls?limit=200&q=${encodeURIComponent(call.from.number)}`);
  const expected = new Set(matching.calls.map(({ id }) => `/calls/${id}`));
  // A call may begin between the two questions: what is shown is part of what control finds now.
  for (const href of await links(page)) assert.ok(expected.has(href), `${href} does not match`);
  await page.reload();
  await page.locator(`a[href="/calls/${call.id}"]`).waitFor();
  await picture(page, 'calls-searched');

  await page.getByRole('button', { name: 'Filters' }).click();
  await page.getByLabel('State').selectOption('failed');
  await page.waitForURL('**state=failed**');
  await eventually('only failed calls', async () => {
    const states = await page.locator('.row.call .state').allTextContents();
    return states.every((state) => state === 'Failed');
  });
  await page.goBack();
  await page.locator(`a[href="/calls/${call.id}"]`).waitFor();
  assert.deepEqual(page.faults, []);
});
