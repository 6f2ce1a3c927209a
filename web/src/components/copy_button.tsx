import { useEffect, useState } from 'preact/hooks';
import { copyText } from '../clipboard';
import { CheckIcon, CopyIcon } from './icons';

const SHOWN_MS = 1600;

export function CopyButton({ text, label }: { text: string; label: string }) {
    const [copied, setCopied] = useState(false);
    useEffect(() => {
        if (!copied) return;
        const timer = window.setTimeout(() => setCopied(false), SHOWN_MS);
        return () => window.clearTimeout(timer);
    }, [copied]);
    return (
        <button type="button" class="icon-button" aria-label={copied ? 'Copied' : label} title={copied ? 'Copied' : label}
            onClick={() => void copyText(text).then(setCopied)}>
            {copied ? <CheckIcon /> : <CopyIcon />}
        </button>
    );
}
