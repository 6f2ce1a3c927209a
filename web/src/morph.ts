// Makes an element's children like those of `wanted`, keeping the nodes that are alike already: a selection, the scroll
// position of a code block and a pressed button all live through the next token.

function alike(one: Node, two: Node): boolean {
    if (one.nodeType !== two.nodeType || one.nodeName !== two.nodeName) return false;
    if (!(one instanceof Element) || !(two instanceof Element)) return true;
    if (one.attributes.length !== two.attributes.length) return false;
    return Array.from(one.attributes).every((attribute) => two.getAttribute(attribute.name) === attribute.value);
}

export function morph(parent: Node, wanted: Node): void {
    let old = parent.firstChild;
    for (const node of Array.from(wanted.childNodes)) {
        if (!old) {
            parent.appendChild(node);
            continue;
        }
        const next: ChildNode | null = old.nextSibling;
        if (!alike(old, node)) parent.replaceChild(node, old);
        else if (old instanceof CharacterData) appendData(old, (node as CharacterData).data);
        else morph(old, node);
        old = next;
    }
    while (old) {
        const next: ChildNode | null = old.nextSibling;
        parent.removeChild(old);
        old = next;
    }
}

/** Text that only grew is appended to, which moves no selection. */
function appendData(old: CharacterData, data: string): void {
    if (old.data === data) return;
    if (data.startsWith(old.data)) old.appendData(data.slice(old.data.length));
    else old.data = data;
}
