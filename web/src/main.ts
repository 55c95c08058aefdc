import 'uplot/dist/uPlot.min.css';
import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { node } from './model/node.svelte';
import { screen } from './model/screen.svelte';

screen.show();
node.begin();
const target = document.getElementById('page');
if (target) mount(App, { target });
