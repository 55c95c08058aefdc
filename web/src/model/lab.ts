// How large a run from the page is at first: seconds, not minutes.

import type { LabScenario } from '../api/types';

const NODES_MAX = 1000;

/** Whole numbers as the lab writes them: `4096`, `10k`, `1M`. */
export function wholeNumber(text: string): number | undefined {
  const match = /^(\d[\d_]*)([kM]?)$/.exec(text.trim());
  return match ? Number(match[1]?.replaceAll('_', '')) * ({ '': 1, k: 1e3, M: 1e6 }[match[2] ?? ''] ?? 1) : undefined;
}

/** What to set so that a run takes seconds: what the scenario says itself, or else not too many nodes. */
export function small(scenario: LabScenario): Record<string, string> {
  if (scenario.small !== undefined) return { ...scenario.small };
  const nodes = scenario.parameters.find((parameter) => parameter.name === 'nodes');
  return (wholeNumber(nodes?.default ?? '') ?? 0) > NODES_MAX ? { nodes: String(NODES_MAX) } : {};
}
