// What the page asks a server about itself: which model, how long a context, whether the model can think.

export interface ServerInfo {
    model: string;
    contextTokens: number | null;
    canThink: boolean;
}

export type ServerState = { status: 'unknown' } | { status: 'offline' } | { status: 'locked' } | { status: 'ready'; info: ServerInfo };

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

export async function askServer(key: string | null, base = ''): Promise<ServerState> {
    const ask = (path: string) =>
        fetch(base + path, { headers: key ? { Authorization: `Bearer ${key}` } : {}, credentials: 'omit', cache: 'no-store' });
    try {
        const [models, props] = await Promise.all([ask('v1/models'), ask('props')]);
        if (models.status === 401 || props.status === 401) return { status: 'locked' };
        if (!models.ok) return { status: 'offline' };
        const list = (await models.json()) as { data?: { id?: string }[] };
        const about = props.ok ? ((await props.json()) as Props) : {};
        return {
            status: 'ready',
            info: {
                model: about.model_alias || list.data?.[0]?.id || 'model',
                contextTokens: about.default_generation_settings?.n_ctx ?? about.n_ctx ?? null,
                canThink: canThink(about),
            },
        };
    } catch {
        return { status: 'offline' };
    }
}
