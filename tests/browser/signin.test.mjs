// Signing in and out.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, newPage, picture, signIn, signInByForm } from './chromium.mjs';
import { url } from './system.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test('a wrong password is refused in words and leaves the form', async () => {
  const page = await newPage(browser);
  await page.goto(url);
  await page.getByLabel('User name').fill('nobody-of-this-name');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('do not match').waitFor();
  await picture(page, 'sign-in-refused');
  assert.equal(await page.getByLabel('Password').isVisible(), true);
  assert.deepEqual(page.faults, []);
});

test('a deep link survives signing in, and signing out ends the session', async () => {
  const page = await newPage(browser);
  await signInByForm(page, '/?q=no-call-has-this-text');
  await page.getByRole('heading', { name: 'No call matches' }).waitFor();
  assert.equal(await page.getByRole('searchbox', { name: 'Search calls' }).inputValue(), 'no-call-has-this-text');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Password').waitFor();
  await page.reload();
  await page.getByLabel('Password').waitFor();
  assert.equal((await page.context().request.get(`${url}/api/calls`)).status(), 401);
  assert.deepEqual(page.faults, []);
});

test('the pages load nothing from anywhere else', async () => {
  const page = await newPage(browser);
  const foreign = [];
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) foreign.push(request.url());
  });
  await signIn(page);
  await page.getByRole('grid', { name: 'Calls' }).waitFor();
  assert.deepEqual(foreign, []);
});
