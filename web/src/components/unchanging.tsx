import { Component, type ComponentType } from 'preact';

/** The same component, rendered again only for another prop: one growing answer leaves the others alone. */
export function unchanging<Props extends object>(Inner: ComponentType<Props>) {
    return class Unchanging extends Component<Props> {
        override shouldComponentUpdate(next: Props): boolean {
            const props = this.props as Readonly<Props>;
            return (Object.keys(next) as (keyof Props)[]).some((name) => next[name] !== props[name]);
        }

        override render() {
            return <Inner {...this.props} />;
        }
    };
}
