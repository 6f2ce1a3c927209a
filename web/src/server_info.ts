// What the page asks a server about itself: whether it is there and ready, which model, how long a context, whether the
// model can think.

export interface ServerInfo {
    model: string;
    contextTokens: number | null;
    canThink: boolean;
    /** The server's list of models as it came: another list means another server behind the same address. */
    models: string;
}

export type ServerState =
    | { status: 'unknown' }
    | { status: 'offline' }
    | { status: 'locked' }
    /** `progress` from 0 to 1, or null where the server does not tell. */
    | { status: 'loading'; progress: number | null }
    | { status: 'ready'; info: ServerInfo };

interface Health {
    status?: string;
    progress?: number;
}

interface Props {
    model_alias?: string;
    chat_template?: string;
    chat_format_has_thinking?: boolean;
    default_generation_settings?: { n_ctx?: number };
    n_ctx?: number;
}

/** smollm says it outright; of llama-server only the template tells. */
function canThink(props: Props): boolean {
    return props.chat_format_has_thinking ?? (props.chat_template ?? '').includes('enable_thinking');
}

async function loadingState(health: Response): Promise<ServerState | null> {
    if (health.status !== 503) return null;
    const { status, progress } = (await health.json().catch(() => ({}))) as Health;
    if (status === 'error') return { status: 'offline' };
    const isKnown = typeof progress === 'number' && progress >= 0 && progress <= 1;
    return { status: 'loading', progress: isKnown ? progress : null };
}

/** Where `known` is still true, it is what is returned: only two small requests are then made. */
export async function askServer(key: string | null, known: ServerState = { status: 'unknown' }, base = ''): Promise<ServerState> {
    const ask = (path: string) =>
        fetch(base + path, { headers: key ? { Authorization: `Bearer ${key}` } : {}, credentials: 'omit', cache: 'no-store' });
    try {
        const loading = await loadingState(await ask('health'));
        if (loading) return loading;
        const models = await ask('v1/models');
        if (models.status === 401) return { status: 'locked' };
        if (!models.ok) return { status: 'offline' };
        const text = await models.text();
        if (known.status === 'ready' && known.info.models === text) return known;
        const list = JSON.parse(text) as { data?: { id?: string }[] };
        const props = await ask('props');
        if (props.status === 401) return { status: 'locked' };
        const about = props.ok ? ((await props.json()) as Props) : {};
        return {
            status: 'ready',
            info: {
                model: about.model_alias || list.data?.[0]?.id || 'model',
                contextTokens: about.default_generation_settings?.n_ctx ?? about.n_ctx ?? null,
                canThink: canThink(about),
                models: text,
            },
        };
    } catch {
        return { status: 'offline' };
    }
}
