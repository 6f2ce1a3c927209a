// Imports a file of web/src/ into Node, for the tests that need no browser.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { build } = require('esbuild');

export async function load(name) {
    const result = await build({
        entryPoints: [fileURLToPath(new URL(`../../web/src/${name}`, import.meta.url))],
        bundle: true, write: false, format: 'esm', platform: 'neutral', mainFields: ['module', 'main'], logLevel: 'error',
    });
    return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].contents).toString('base64')}`);
}
