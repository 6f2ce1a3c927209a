// One stroke width, 20 by 20, drawn in the colour of the text beside them.
import type { ComponentChildren } from 'preact';

function icon(children: ComponentChildren) {
    return () => (
        <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            {children}
        </svg>
    );
}

export const MenuIcon = icon(<path d="M3 6h14M3 10h14M3 14h9" />);
export const CloseIcon = icon(<path d="m5 5 10 10M15 5 5 15" />);
export const NewIcon = icon(<path d="M10 4v12M4 10h12" />);
export const SendIcon = icon(<path d="M10 16V4M5 9l5-5 5 5" />);
export const StopIcon = icon(<rect class="filled" x="5.5" y="5.5" width="9" height="9" rx="1.5" />);
export const CopyIcon = icon(<path d="M7 7V4.5A1.5 1.5 0 0 1 8.5 3h7A1.5 1.5 0 0 1 17 4.5v7a1.5 1.5 0 0 1-1.5 1.5H13M4.5 7h7A1.5 1.5 0 0 1 13 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 15.5v-7A1.5 1.5 0 0 1 4.5 7z" />);
export const CheckIcon = icon(<path d="m4 10.5 4 4 8-9" />);
export const AgainIcon = icon(<path d="M16 10a6 6 0 1 1-1.8-4.3L16 7.5M16 3.5v4h-4" />);
export const EditIcon = icon(<path d="M4 16l.8-3.4L13.3 4a1.6 1.6 0 0 1 2.3 0l.4.4a1.6 1.6 0 0 1 0 2.3L7.4 15.2 4 16zM11.8 5.6l2.6 2.6" />);
export const DeleteIcon = icon(<path d="M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6M8.7 9v4.5M11.3 9v4.5" />);
export const SettingsIcon = icon(<path d="M3 6.5h7M14 6.5h3M3 13.5h3M10 13.5h7M12 4.5v4M8 11.5v4" />);
export const DownIcon = icon(<path d="M10 4v12M5 11l5 5 5-5" />);
export const ThinkIcon = icon(<path d="M7.5 15h5M8.5 17.5h3M10 2.5a5 5 0 0 0-3 9c.6.5.9 1.1.9 1.8v.2h4.2v-.2c0-.7.3-1.3.9-1.8a5 5 0 0 0-3-9z" />);
export const ChevronIcon = icon(<path d="m7.5 5 5 5-5 5" />);
