import type { Chat } from '../chat';
import { useStore } from '../store';

export function Toast({ chat }: { chat: Chat }) {
    const offer = useStore(chat.store, (state) => state.offer);
    return (
        <div class="toasts" role="status">
            {offer && (
                <div class="toast">
                    <span>{offer.text}</span>
                    {offer.undo && <button type="button" onClick={() => chat.acceptOffer()}>Undo</button>}
                </div>
            )}
        </div>
    );
}
