import { render } from 'preact';
import { Chat } from './chat';
import { App } from './components/app';

const chat = new Chat();
const page = document.getElementById('page');
if (page) render(<App chat={chat} />, page);
void chat.start();

// Safari does not shrink the page for its keyboard; the height that is left keeps the composer in sight.
const viewport = window.visualViewport;
viewport?.addEventListener('resize', () => {
    document.documentElement.style.setProperty('--visible-height', `${viewport.height}px`);
});
