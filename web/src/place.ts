// A place in the server's queue, in words.

function waitText(seconds: number): string {
    const whole = Math.max(1, Math.ceil(seconds));
    return whole < 100 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

/** `seconds` is an estimate, or null where the server does not know. */
export function placeText(ahead: number, seconds: number | null): string {
    const place = ahead === 0 ? 'your request is next' : ahead === 1 ? '1 request before yours' : `${ahead.toLocaleString('en')} requests before yours`;
    return `Waiting: ${place}${seconds === null ? '' : `, about ${waitText(seconds)}`}`;
}
