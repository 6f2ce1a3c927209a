// Messages half written, by conversation. They survive a reload where the browser has room for them.
import { useReducer } from 'preact/hooks';

const memory = new Map<string, string>();

function read(name: string): string {
    const known = memory.get(name);
    if (known !== undefined) return known;
    try {
        return sessionStorage.getItem(`smollm.draft.${name}`) ?? '';
    } catch {
        return '';
    }
}

function write(name: string, text: string): void {
    memory.set(name, text);
    try {
        if (text) sessionStorage.setItem(`smollm.draft.${name}`, text);
        else sessionStorage.removeItem(`smollm.draft.${name}`);
    } catch {
        // The draft then lives in the page alone.
    }
}

interface Draft {
    text: string;
    change: (text: string) => void;
    /** Takes out what was sent; what was typed since stays. */
    sent: (text: string) => void;
}

export function useDraft(name: string): Draft {
    const [, again] = useReducer((count: number, _: undefined) => count + 1, 0);
    const change = (text: string) => {
        write(name, text);
        again(undefined);
    };
    return {
        text: read(name),
        change,
        sent: (text) => {
            const now = read(name);
            if (now.startsWith(text)) change(now.slice(text.length));
        },
    };
}
