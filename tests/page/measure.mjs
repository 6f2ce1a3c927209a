// What long answers cost the browser: node measure.mjs [code|long|prose-500 ...]. Prints a table; nothing here passes or fails.
//   code       one block of 20 kB of Python
//   long       many blocks of all kinds
//   prose-500  the same, with 500 conversations in the list
import { ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

const scenes = process.argv.length > 2 ? process.argv.slice(2) : ['code', 'long', 'prose-500'];
const browser = await launch();
const server = await startFakeServer();

async function fill(page, count) {
    await page.evaluate(async (count) => {
        const database = await new Promise((resolve) => (indexedDB.open('smollm', 1).onsuccess = (event) => resolve(event.target.result)));
        const transaction = database.transaction('conversations', 'readwrite');
        for (let index = 0; index < count; index++) {
            transaction.objectStore('conversations').put({
                id: `c${index}`, title: '', updated: Date.now() - index * 3_600_000, system: '', thinking: true,
                turns: [{ role: 'user', id: `q${index}`, text: `Question number ${index} about bread` }],
            });
        }
        await new Promise((resolve) => (transaction.oncomplete = resolve));
    }, count);
    await page.reload();
    await until(async () => (await page.locator('.entry').count()) === count, 'the list');
}

console.log('scene        seconds  script s  layout s  long tasks  longest ms  sum ms  heap MB');
for (const scene of scenes) {
    const { page, close } = await openPage(browser, server.url);
    page.setDefaultTimeout(120_000);
    if (scene.endsWith('-500')) await fill(page, 500);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    const metric = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
    await page.evaluate(() => {
        window.longTasks = [];
        new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask' });
    });
    const [start, from] = [await metric(), Date.now()];
    await send(page, scene === 'code' ? 'code' : 'long');
    await page.locator('.question').waitFor();
    await ended(page);
    const [end, seconds] = [await metric(), (Date.now() - from) / 1000];
    const tasks = await page.evaluate(() => window.longTasks);
    await session.send('HeapProfiler.collectGarbage');
    const heap = (await metric()).JSHeapUsedSize / 1e6;
    const sum = tasks.reduce((total, task) => total + task, 0);
    console.log([
        scene.padEnd(11), seconds.toFixed(1).padStart(8), (end.ScriptDuration - start.ScriptDuration).toFixed(2).padStart(9),
        (end.LayoutDuration + end.RecalcStyleDuration - start.LayoutDuration - start.RecalcStyleDuration).toFixed(2).padStart(9),
        String(tasks.length).padStart(11), Math.max(0, ...tasks).toFixed(0).padStart(11), sum.toFixed(0).padStart(7), heap.toFixed(1).padStart(8),
    ].join(' '));
    await close();
}
await browser.close();
await server.close();
