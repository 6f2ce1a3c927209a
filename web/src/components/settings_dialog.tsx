import { useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { Theme } from '../settings';
import { useStore } from '../store';
import { Modal } from './modal';

const themes: [Theme, string][] = [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']];

interface NumberProps {
    name: string;
    hint: string;
    least: number;
    most: number;
    isWhole?: boolean;
    value: number | null;
    change: (value: number | null) => void;
}

/** A number that may be left to the server. What is out of its range is not used, and said to be. */
function NumberField({ name, hint, least, most, isWhole = false, value, change }: NumberProps) {
    const [wrong, setWrong] = useState(false);
    const typed = (field: HTMLInputElement) => {
        setWrong(!field.validity.valid);
        if (field.validity.valid) change(field.value.trim() ? field.valueAsNumber : null);
    };
    return (
        <label class="field">
            <span>{name}</span>
            <input type="number" min={least} max={most} step={isWhole ? 1 : 'any'} inputMode={isWhole ? 'numeric' : 'decimal'}
                placeholder="Server’s own" defaultValue={value ?? ''} aria-invalid={wrong} onInput={(event) => typed(event.currentTarget)} />
            <small class={wrong ? 'wrong' : ''} aria-live="polite">
                {wrong
                    ? `This must be a ${isWhole ? 'whole ' : ''}number from ${least} to ${most.toLocaleString('en')}. ${value === null ? 'The server’s own' : value.toLocaleString('en')} is still used.`
                    : hint}
            </small>
        </label>
    );
}

export function SettingsDialog({ chat, isOpen, close }: { chat: Chat; isOpen: boolean; close: () => void }) {
    const settings = useStore(chat.store, (state) => state.settings);
    const isKept = useStore(chat.store, (state) => state.keeping.settings);
    const system = useStore(chat.store, (state) => state.current.system);
    return (
        <Modal isOpen={isOpen} title="Settings" close={close}>
            <label class="field">
                <span>System prompt</span>
                <textarea rows={4} dir="auto" value={system} placeholder="How the model should behave, and what it should know"
                    onInput={(event) => chat.setSystem(event.currentTarget.value)} />
                <small>For this conversation, from the next message on.</small>
            </label>
            <div class="field-row">
                <NumberField name="Temperature" hint="0 is always the likeliest word; up to 2." least={0} most={2}
                    value={settings.temperature} change={(temperature) => chat.setSettings({ temperature })} />
                <NumberField name="Longest answer" hint="In tokens." least={1} most={1_000_000} isWhole
                    value={settings.maxTokens} change={(maxTokens) => chat.setSettings({ maxTokens })} />
            </div>
            <fieldset class="field">
                <legend>Appearance</legend>
                <div class="segments">
                    {themes.map(([theme, name]) => (
                        <label key={theme}>
                            <input type="radio" name="theme" checked={settings.theme === theme} onChange={() => chat.setSettings({ theme })} />
                            <span>{name}</span>
                        </label>
                    ))}
                </div>
            </fieldset>
            {!isKept && <p class="wrong" role="alert">The browser’s storage is full: these settings hold only until the page is closed.</p>}
            <div class="modal-buttons">
                <button type="button" class="button primary" onClick={close}>Done</button>
            </div>
        </Modal>
    );
}
