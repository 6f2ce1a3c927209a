import type { Chat } from '../chat';
import { useStore } from '../store';
import { Modal } from './modal';

export function KeyDialog({ chat }: { chat: Chat }) {
    const asks = useStore(chat.store, (state) => state.asksKey);
    const submit = (event: SubmitEvent) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget as HTMLFormElement);
        const key = String(form.get('key') ?? '').trim();
        if (key) chat.useKey(key, form.has('remember'));
    };
    return (
        <Modal isOpen={asks !== 'no'} title="This server asks for a key" close={() => chat.dismissKey()}>
            <form onSubmit={submit}>
                {asks === 'wrong' && <p class="wrong" role="alert">The server did not accept that key.</p>}
                <label class="field">
                    <span>Key</span>
                    <input type="password" name="key" required autocomplete="off" spellcheck={false} autofocus />
                    <small>The one that smollm was started with (--api-key).</small>
                </label>
                <label class="check"><input type="checkbox" name="remember" /> Remember it in this browser</label>
                <div class="modal-buttons">
                    <button type="button" class="button" onClick={() => chat.dismissKey()}>Not now</button>
                    <button type="submit" class="button primary">Continue</button>
                </div>
            </form>
        </Modal>
    );
}
