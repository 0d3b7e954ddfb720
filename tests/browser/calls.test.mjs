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
