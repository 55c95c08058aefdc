// A lab that draws what a real one would: few scenarios, figures of the right shape, a phase at a time.

const figure = (name, value, help) => ({ name, default: value, help });

const WHOLE = [
  { name: 'bittorrent/swarm', about: 'A swarm from one seed: how long until everybody has the file, and who gave it', claims: ['M-B9', 'M-B11'], parameters: [figure('nodes', '200', 'peers, the seed included'), figure('seed', '1', 'where all randomness comes from'), figure('pieces', '128', 'pieces of 256 KiB')] },
  { name: 'chord/hops', about: 'Hops of a lookup by the size of the ring', claims: ['M-C18'], parameters: [figure('nodes', '4096', 'nodes of the largest ring'), figure('seed', '1', 'where all randomness comes from'), figure('lookups', '4000', 'lookups for each size')] },
  { name: 'chord/failures', about: 'Half of the nodes die at once: lookups meanwhile and afterwards', claims: ['M-C17'], parameters: [figure('nodes', '1000', 'nodes'), figure('seed', '1', 'where all randomness comes from'), figure('dead', '0.1,0.3,0.5', 'shares that die')] },
  { name: 'freenet/learning', about: 'Requests find their way in fewer hops the longer the network runs', claims: ['M-F17'], parameters: [figure('nodes', '600', 'nodes'), figure('seed', '1', 'where all randomness comes from')] },
  { name: 'gnutella/flood', about: 'Messages of one search by hops-to-live and by degree', claims: ['M-Q9'], parameters: [figure('nodes', '2000', 'nodes'), figure('seed', '1', 'where all randomness comes from'), figure('htl', '7', 'hops to live, at most')] },
  { name: 'kazaa/search', about: 'Messages of a search when only supernodes flood', claims: ['M-K5'], parameters: [figure('nodes', '5000', 'nodes'), figure('seed', '1', 'where all randomness comes from')] },
  { name: 'napster/scale', about: 'What one server holds and does by the number of users', claims: ['M-N7'], parameters: [figure('nodes', '1000', 'users'), figure('seed', '1', 'where all randomness comes from')] },
];

export const SCENARIOS = WHOLE.map((one) => ({ ...one, small: { nodes: '512' } }));

const PHASES = ['set-up', 'join', 'lookups', 'count'];

function report(scenario, set, seed) {
  const nodes = Number(set.nodes ?? scenario.parameters[0].default) || 1000;
  const sizes = [];
  for (let n = 64; n <= Math.max(256, nodes); n *= 2) sizes.push(n);
  const rows = sizes.map((n, at) => [n, 0.5 * Math.log2(n) + 0.05 * Math.sin(at * 2), 0.5 * Math.log2(n), Math.log2(n) + 1.5 + (at % 2) * 0.5]);
  const column = (name, unit = '') => ({ name, unit });
  const events = nodes * 412;
  return {
    line: `hexad lab replay '${scenario.name} nodes=${nodes} seed=${seed} digest=9f3c1a77e0b2d415'`,
    scenario: scenario.name, seed, nodes, events, virtual_s: 1812, wall_s: 2.41, cpu_s: 2.4, events_per_cpu_s: Math.round(events / 2.4),
    peak_memory_bytes: 61_000_000 + nodes * 900, memory_before_bytes: 44_000_000, digest: '9f3c1a77e0b2d415',
    phases: PHASES.map((name) => ({ name, events: Math.round(events / 4), wall_s: 0.6, cpu_s: 0.6, events_per_cpu_s: 690000 })),
    tables: [
      { name: 'hops-by-size', title: 'Hops of a lookup by nodes', columns: [column('nodes'), column('mean', 'hops'), column('expected', 'hops'), column('99th percentile', 'hops')], rows },
      { name: 'messages', title: 'What was sent', columns: [column('message'), column('sent'), column('mean size', 'bytes')], rows: [['find_successor', nodes * 14, 62], ['notify', nodes * 9, 48], ['get_predecessor', nodes * 9, 41.5]] },
    ],
    findings: scenario.claims.map((claim, at) => ({ claim, row: 'mean hops over ½ log₂ N', expected: '1', tolerance: '±5%', measured: at === 0 ? 1.013 : 1.09, least: 1.002, most: 1.021, interval: 0.008, seeds: 3, holds: at === 0 })),
    remarks: ['Latencies are drawn from a synthetic space of 40 cities; every node runs the shipping state machine.'],
    written: [],
  };
}

export class Laboratory {
  constructor(tell) {
    this.tell = tell;
    this.runs = new Map();
  }

  begin({ scenario: name, set = {} }) {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (!scenario) return { problem: { message: `There is no scenario “${name}”.`, hint: 'GET api/lab/scenarios lists them.' } };
    const unknown = Object.keys(set).find((key) => !scenario.parameters.some((one) => one.name === key));
    if (unknown) return { problem: { message: `${name} has no parameter “${unknown}”.` } };
    const id = this.runs.size + 1;
    this.runs.set(id, { id, state: 'running', phase: PHASES[0], progress: 0, at: 0, scenario, set });
    this.tell({ kind: 'lab', run: id, event: { event: 'scenario', name } });
    return { id };
  }

  run(id) {
    const { at, scenario, set, ...run } = this.runs.get(id) ?? {};
    return run.id === undefined ? undefined : run;
  }

  tick() {
    for (const run of this.runs.values()) {
      if (run.state !== 'running') continue;
      run.at += 0.25;
      const phase = Math.floor(run.at);
      if (phase >= PHASES.length) {
        Object.assign(run, { state: 'done', progress: 1, report: report(run.scenario, run.set, Number(run.set.seed ?? 1)) });
        continue;
      }
      if (run.phase !== PHASES[phase]) this.tell({ kind: 'lab', run: run.id, event: { event: 'phase', name: PHASES[phase] } });
      run.phase = PHASES[phase];
      run.progress = run.at - phase;
      this.tell({ kind: 'lab', run: run.id, event: { event: 'step', done: run.progress, events: Math.round(run.at * 200000) } });
    }
  }
}
