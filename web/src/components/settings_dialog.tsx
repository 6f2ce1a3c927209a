import type { Chat } from '../chat';
import type { Theme } from '../settings';
import { useStore } from '../store';
import { Modal } from './modal';

const themes: [Theme, string][] = [['system', 'System'], ['light', 'Light'], ['dark', 'Dark']];

/** The number in a field, or null where it is empty or out of its range. */
function numberIn(field: HTMLInputElement): number | null {
    return field.value.trim() && field.validity.valid ? field.valueAsNumber : null;
}

export function SettingsDialog({ chat, isOpen, close }: { chat: Chat; isOpen: boolean; close: () => void }) {
    const settings = useStore(chat.store, (state) => state.settings);
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
                <label class="field">
                    <span>Temperature</span>
                    <input type="number" min="0" max="2" step="any" inputMode="decimal" placeholder="Server’s own" defaultValue={settings.temperature ?? ''}
                        onInput={(event) => chat.setSettings({ temperature: numberIn(event.currentTarget) })} />
                    <small>0 is always the likeliest word; up to 2.</small>
                </label>
                <label class="field">
                    <span>Longest answer</span>
                    <input type="number" min="1" max="1000000" step="1" inputMode="numeric" placeholder="Server’s own" defaultValue={settings.maxTokens ?? ''}
                        onInput={(event) => chat.setSettings({ maxTokens: numberIn(event.currentTarget) })} />
                    <small>In tokens.</small>
                </label>
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
            <div class="modal-buttons">
                <button type="button" class="button primary" onClick={close}>Done</button>
            </div>
        </Modal>
    );
}
