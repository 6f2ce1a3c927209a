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

/** False where the browser does not keep them: they hold until the page is closed. */
export function saveSettings(settings: Settings): boolean {
    try {
        localStorage.setItem(SETTINGS, JSON.stringify(settings));
        return true;
    } catch {
        return false;
    }
}

/** Another tab has changed them: this one follows, and does not write the former ones over them. */
export function onSettingsElsewhere(listener: (settings: Settings) => void): void {
    window.addEventListener('storage', (event) => { if (event.key === SETTINGS) listener(loadSettings()); });
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

/** Kept until the tab is closed, or in this browser if `remember`. False where it serves only until the page is closed. */
export function saveKey(key: string, remember: boolean): boolean {
    try {
        localStorage.removeItem(KEY);
        sessionStorage.setItem(KEY, key);
        if (remember) localStorage.setItem(KEY, key);
        return true;
    } catch {
        return false;
    }
}
