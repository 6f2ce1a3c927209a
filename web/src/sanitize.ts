// The second wall behind markdown-it: HTML becomes elements only through DOMPurify.
import DOMPurify from 'dompurify';

/** The layout that temml asks for in style attributes, which the page's policy forbids, and only that. */
const MATH_STYLES = /^(?:math-style|math-depth|margin|margin-(?:left|right|top|bottom)|padding|padding-(?:left|right|top|bottom)|text-align|vertical-align|border(?:-(?:left|right|top|bottom|width|style))*|color|background-color|width|height|min-width|font-weight|font-style|font-size|line-height|display)$/;

function applyMathStyles(root: DocumentFragment): void {
    for (const element of root.querySelectorAll<MathMLElement>('math [data-style], math[data-style]')) {
        for (const declaration of (element.dataset.style ?? '').split(';')) {
            const colon = declaration.indexOf(':');
            const name = declaration.slice(0, colon).trim();
            const value = declaration.slice(colon + 1).trim();
            if (MATH_STYLES.test(name) && !/url|\\/i.test(value)) element.style.setProperty(name, value);
        }
    }
}

// Whatever wrote the link: it leads to http or https, opens apart from the page and tells nothing of it.
DOMPurify.addHook('afterSanitizeAttributes', (element) => {
    const target = element.getAttribute('href');
    if (target === null) return;
    if (!/^https?:\/\//i.test(target)) element.removeAttribute('href');
    element.setAttribute('target', '_blank');
    element.setAttribute('rel', 'noopener noreferrer nofollow');
});

export function sanitize(html: string): DocumentFragment {
    const fragment = DOMPurify.sanitize(html, {
        USE_PROFILES: { html: true, mathMl: true },
        FORBID_TAGS: ['img', 'picture', 'video', 'audio', 'source', 'track', 'style', 'form', 'input', 'textarea', 'select', 'map', 'area', 'dialog'],
        FORBID_ATTR: ['style', 'src', 'srcset', 'background', 'poster', 'id', 'name', 'action', 'xlink:href'],
        RETURN_DOM_FRAGMENT: true,
    });
    applyMathStyles(fragment);
    return fragment;
}
