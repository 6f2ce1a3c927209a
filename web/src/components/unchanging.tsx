import { Component, type ComponentChildren } from 'preact';

interface Props {
    of: unknown;
    children: ComponentChildren;
}

/** Renders its children again only when `of` is another value: one growing answer leaves the others alone. */
export class Unchanging extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
        return next.of !== this.props.of;
    }

    override render() {
        return this.props.children;
    }
}
