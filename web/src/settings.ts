// Choices that hold for every conversation in this browser, and the server's key.

export type Theme = 'system' | 'light' | 'dark';

export interface Settings {
    theme: Theme;
    /** null: the server's own. */
    temperature: number | null;
    maxTokens: number | null;
    thinking: boolean;
}

const SETTINGS = 'smollm.settings';
const KEY = 'smollm.key';
const initial: Settings = { theme: 'system', temperature: null, maxTokens: null, thinking: true };

export function loadSettings(): Settings {
    try {
        return { ...initial, ...(JSON.parse(localStorage.getItem(SETTINGS) ?? '{}') as Partial<Settings>) };
    } catch {
        return initial;
    }
}

export function saveSettings(settings: Settings): void {
    try {
        localStorage.setItem(SETTINGS, JSON.stringify(settings));
    } catch {
        // A browser that keeps nothing still shows the choice until the page is closed.
    }
}

export function applyTheme(theme: Theme): void {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
}

export function loadKey(): string | null {
    try {
        return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
    } catch {
        return null;
    }
}

/** Kept until the tab is closed, or in this browser if `remember`. */
export function saveKey(key: string, remember: boolean): void {
    try {
        localStorage.removeItem(KEY);
        sessionStorage.setItem(KEY, key);
        if (remember) localStorage.setItem(KEY, key);
    } catch {
        // The key still serves until the page is closed: the chat holds it in memory.
    }
}
