// crypto.randomUUID is missing where the page is served over plain http from another machine; this is not.
export function newIdentifier(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
