import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface Props {
    isOpen: boolean;
    title: string;
    close: () => void;
    children: ComponentChildren;
}

/** The browser's own dialog: it keeps the focus inside and closes with Esc. A press beside it closes it too. */
export function Modal({ isOpen, title, close, children }: Props) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        if (isOpen && !dialog.current?.open) dialog.current?.showModal();
        if (!isOpen) dialog.current?.close();
    }, [isOpen]);
    // The browser tells of a closing later: by then the dialog may have been opened again, and stays open.
    const closed = () => { if (!dialog.current?.open) close(); };
    return (
        <dialog ref={dialog} class="modal" aria-label={title} onClose={closed}
            onMouseDown={(event) => { if (event.target === dialog.current) close(); }}>
            {isOpen && <div class="modal-body"><h2>{title}</h2>{children}</div>}
        </dialog>
    );
}
