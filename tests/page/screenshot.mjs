// The picture in docs/images: node screenshot.mjs http://127.0.0.1:8080/ page.png, with a server at that address.
import { ask, launch, openPage } from './browser.mjs';

const [url, path] = process.argv.slice(2);
const browser = await launch();
const { page, close } = await openPage(browser, url, { viewport: { width: 1180, height: 800 } });
await page.getByRole('button', { name: 'Settings' }).click();
await page.getByLabel('Temperature').fill('0');
await page.getByLabel('Longest answer').fill('240');
await page.keyboard.press('Escape');
page.setDefaultTimeout(60_000);
const conversations = [['Give me three tips for baking bread'], ['Why is the sky blue?'], ['What is photosynthesis?', 'Write a Python function that adds two numbers.']];
for (const questions of conversations) {
    await page.getByRole('button', { name: 'New conversation' }).first().click();
    for (const question of questions) await ask(page, question);
}
await page.mouse.move(700, 20);
await page.waitForTimeout(500);
await page.screenshot({ path });
await close();
await browser.close();
