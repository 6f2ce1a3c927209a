import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
    isOpen: boolean;
    title: string;
    close: () => void;
    children: ComponentChildren;
}

/** The browser's own dialog: it keeps the focus inside and closes with Esc. A press beside it closes it too. */
export function Modal({ isOpen, title, close, children }: Props) {
    const dialog = useRef<HTMLDialogElement>(null);
    const toldLater = useRef(0); // closings of ours that the browser has not told of yet
    useLayoutEffect(() => {
        if (isOpen && !dialog.current?.open) dialog.current?.showModal();
        if (!isOpen && dialog.current?.open) {
            toldLater.current += 1;
            dialog.current.close();
        }
    }, [isOpen]);
    const closed = () => {
        if (toldLater.current > 0) toldLater.current -= 1;
        else if (!dialog.current?.open) close();
    };
    return (
        <dialog ref={dialog} class="modal" aria-label={title} onClose={closed}
            onMouseDown={(event) => { if (event.target === dialog.current) close(); }}>
            {isOpen && <div class="modal-body"><h2>{title}</h2>{children}</div>}
        </dialog>
    );
}
