// A value, its listeners, and a hook that renders a component when the part it reads has changed.
import { useEffect, useReducer, useRef } from 'preact/hooks';

export class Store<State> {
    private readonly listeners = new Set<() => void>();

    constructor(private value: State) {}

    get(): State {
        return this.value;
    }

    set(change: Partial<State>): void {
        this.value = { ...this.value, ...change };
        for (const listener of [...this.listeners]) listener();
    }

    subscribe(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }
}

export function useStore<State, Part>(store: Store<State>, select: (state: State) => Part): Part {
    const [, render] = useReducer((count: number, _: undefined) => count + 1, 0);
    const part = select(store.get());
    const shown = useRef({ part, select });
    shown.current = { part, select };
    useEffect(() => {
        const compare = () => {
            if (shown.current.select(store.get()) !== shown.current.part) render(undefined);
        };
        compare();
        return store.subscribe(compare);
    }, [store]);
    return part;
}
