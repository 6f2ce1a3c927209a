// Syntax colours for the languages that people ask small models about.
import highlighter from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const languages = { bash, c, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) highlighter.registerLanguage(name, language);
highlighter.registerAliases(['shell', 'console', 'zsh'], { languageName: 'bash' });

/** Beyond this, colouring would be felt. */
const MAX_CODE = 40_000;
const CACHED = 200;
const cache = new Map<string, string>();

/** How much code has been coloured so far, for the tests. */
export const coloured = { characters: 0 };

/** HTML with every character of the code escaped, or null where the language is not known. Code that `grows` is not seen again. */
export function highlight(code: string, language: string, grows = false): string | null {
    if (code.length > MAX_CODE || !highlighter.getLanguage(language)) return null;
    if (grows) return colour(code, language);
    const key = `${language}\n${code}`;
    let html = cache.get(key);
    if (html === undefined) {
        html = colour(code, language);
        const oldest = cache.size >= CACHED ? cache.keys().next().value : undefined;
        if (oldest !== undefined) cache.delete(oldest);
        cache.set(key, html);
    }
    return html;
}

function colour(code: string, language: string): string {
    coloured.characters += code.length;
    return highlighter.highlight(code, { language, ignoreIllegals: true }).value;
}
