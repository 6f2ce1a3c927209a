// What a dropped or pasted file holds, if it is text that a message can carry.

/** More than the largest context of these models holds. */
export const MAX_FILE_BYTES = 256 * 1024;

export type FileContent = { text: string } | { problem: string };

function sizeText(bytes: number): string {
    return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function decode(bytes: Uint8Array): string | null {
    const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
    try {
        const text = new TextDecoder(isWide ? 'utf-16le' : 'utf-8', { fatal: true }).decode(bytes);
        return text.includes('\0') ? null : text.replace(/\r\n?/g, '\n');
    } catch {
        return null;
    }
}

export async function readTextFile(file: File): Promise<FileContent> {
    const name = `“${file.name || 'The file'}”`;
    if (file.type.startsWith('image/')) return { problem: `${name} is an image. The model reads only text.` };
    if (/^(?:audio|video)\//.test(file.type)) return { problem: `${name} is a recording. The model reads only text.` };
    if (file.size === 0) return { problem: `${name} is empty.` };
    if (file.size > MAX_FILE_BYTES) {
        return { problem: `${name} has ${sizeText(file.size)}. A file may have at most ${sizeText(MAX_FILE_BYTES)} of text.` };
    }
    try {
        const text = decode(new Uint8Array(await file.arrayBuffer()));
        return text === null ? { problem: `${name} is not a text file. The model reads only text.` } : { text };
    } catch {
        return { problem: `${name} cannot be read. A folder cannot be sent.` };
    }
}
