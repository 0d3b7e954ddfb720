// Starts the pages.
import { render } from 'preact';
import { App } from './App.tsx';
import './style/tokens.css';
import './style/shell.css';
import './style/controls.css';
import './style/calls.css';
import './style/call.css';
import './style/player.css';

const root = document.getElementById('app');
if (!root) throw new Error('index.html has no #app');
render(<App />, root);
