// The words between a node and this page, as hexad-api (module `node`) serialises them. Bytes and rates are whole numbers, times are
// seconds since 1970, and what is not known is left out.

export type Problem = { message: string; hint?: string };
export type Page<T> = { total: number; offset: number; items: T[] };

export const NETWORKS = ['bittorrent', 'chord', 'freenet', 'gnutella', 'kazaa', 'napster'] as const;
export type NetworkName = (typeof NETWORKS)[number];

export type Limits = { down_bytes_per_s: number; up_bytes_per_s: number };

export type Totals = {
  version: string;
  uptime_s: number;
  down_bytes_per_s: number;
  up_bytes_per_s: number;
  /** What all networks together may move; 0 is no limit. */
  limits?: Limits;
  downloads: { active: number; queued?: number; complete: number; failed: number; total: number };
  library: { shares: number; bytes: number; hashing: number };
  memory_bytes: number;
  download_dir: string;
};
export type Status = Totals & { networks: NetworkStatus[] };

export type NetworkState = 'joining' | 'joined' | 'failed' | 'left';
export type NetworkStatus = {
  name: NetworkName;
  state: NetworkState;
  peers: number;
  figures: Record<string, number>;
  doors: { address: string; purpose: string }[];
  problem?: Problem;
  abilities: { search: boolean; lookup: boolean; publish: boolean; fetch: boolean };
  overlay?: Overlay;
};

export type OverlayKind = 'swarm' | 'ring' | 'neighbourhood' | 'mesh' | 'tiers' | 'index';
export type Overlay = { kind: OverlayKind; me: Neighbour; peers: Neighbour[] };
export type Neighbour = {
  id: string;
  address?: string;
  /** finger, successor, predecessor, supernode, leaf, ultrapeer, neighbour, server, peer, seed or self. */
  role: string;
  /** 0 to 1, on a ring or a circle of locations. */
  place?: number;
  latency_ms?: number;
};

export type NewSearch = {
  words: string[];
  on?: string[];
  results_max?: number;
  timeout_s?: number;
  at_least_bytes?: number;
  at_most_bytes?: number;
};
export type SearchState = 'running' | 'done' | 'failed';
export type Search = { id: number; words: string[]; on: string[]; state: SearchState; results: number; problem?: Problem };
export type MediaKind = 'audio' | 'video' | 'image' | 'text' | 'archive' | 'program' | 'other';
export type Result = {
  result: number;
  name: string;
  size_bytes?: number;
  link: string;
  proven: boolean;
  networks: string[];
  sources: number;
  kind?: MediaKind;
  bitrate_kbps?: number;
  seconds?: number;
  rank: number;
};
export type SearchDetail = Omit<Search, 'results'> & { total?: number; offset?: number; results: Result[] };

/** How a download is carried out; patterns of files are indices, ranges of them, or globs. */
export type How = {
  limits: Limits;
  sequential: boolean;
  first: string[];
  last: string[];
  super_seed: boolean;
  ratio_percent?: number;
  seed_s?: number;
};
export type NewDownload = {
  source: string;
  on?: string[];
  into?: string;
  peers?: string[];
  select?: string[];
  seed?: boolean;
  how?: How;
  /** Find out what it holds and rest then, so that files can be chosen first. */
  choose?: boolean;
};
/** What is left out stays as it is; `into` is the full name of another folder. */
export type DownloadChange = { how?: How; select?: string[]; seed?: boolean; into?: string; queue?: QueueMove };
/** Where it goes in the queue; `now` begins it whoever else is active. */
export type QueueMove = 'top' | 'up' | 'down' | 'bottom' | 'now';
export type DownloadState = 'queued' | 'looking' | 'checking' | 'fetching' | 'seeding' | 'complete' | 'paused' | 'failed';
export type Download = {
  id: number;
  name: string;
  state: DownloadState;
  source: string;
  on: string[];
  into: string;
  /** The folder to which it is on its way. */
  moving_to?: string;
  wanted_bytes: number;
  verified_bytes: number;
  down_bytes_per_s: number;
  up_bytes_per_s: number;
  /** Of this download alone. */
  limits?: Limits;
  downloaded_bytes: number;
  uploaded_bytes: number;
  peers?: number;
  seeds?: number;
  eta_s?: number;
  /** Whoever has the least is active first. */
  place?: number;
  added_s: number;
  completed_s?: number;
  path?: string;
  /** Which version of a link that its owner can change it is, once that is known. */
  seq?: number;
  /** The download of a newer version of the same link. */
  newer?: number;
  unproven: boolean;
  problem?: Problem;
};
export type RateAt = { at_s: number; down_bytes_per_s: number; up_bytes_per_s: number };
export type DownloadFile = {
  index: number;
  path: string;
  length_bytes: number;
  verified_bytes?: number;
  wanted: boolean;
  turn: 'first' | 'usual' | 'last';
};
export type DownloadDetail = Download & {
  /** How many it has, wanted or not; 0 until that is known. */
  files: number;
  wanted_files: number;
  select: string[];
  seed: boolean;
  how: How;
  by_network: { name: string; bytes: number; peers?: number; problem?: Problem }[];
  /** Up to 400 parts in order, each 0 to 100: how much of it is verified. */
  blocks: number[];
  rates: RateAt[];
  warnings: string[];
};

export type ShareState = 'hashing' | 'offered' | 'missing' | 'failed';
export type Share = {
  id: number;
  name: string;
  path: string;
  bytes: number;
  files: number;
  state: ShareState;
  hashed_bytes: number;
  link?: string;
  networks: string[];
  /** The folder to which it is on its way, and how much of it is there. */
  moving_to?: string;
  moved_bytes?: number;
  problem?: Problem;
};
/** What is to be different; what is not said stays. */
export type ShareChange = { mutable?: string; into?: string };
/** What a link that its owner can change leads to. */
export type LinkVersion = { seq: number; info_hash: string };
/** Where such a link stands: what this node has it lead to, and what the network says that somebody else has. */
export type MutableLink = { link: string; now: LinkVersion; newer?: LinkVersion };
/** How others reach a share on one network. */
export type ShareWay = { network: string; names: string[]; link?: string; by_words: boolean };
export type ShareDetail = Share & { how: ShareWay[]; mutable?: MutableLink };
export type Folder = { path: string; shares: number; problem?: Problem };

export type UpSettings = {
  download_dir: string;
  shared_dirs: string[];
  seed: boolean;
  networks: Record<string, boolean>;
  limits?: Limits;
  schedule?: TimedLimits[];
  /** How many may be active at a time; 0 is no limit. */
  active_downloads?: number;
  active_seeds?: number;
  restart?: string[];
};
/** Limits in place of the usual ones: `mon-fri`, `08:00-18:30`. */
export type TimedLimits = { days: string; hours: string; down_bytes_per_s: number; up_bytes_per_s: number };

export type LabParameter = { name: string; default: string; help: string };
export type LabScenario = {
  name: string;
  about: string;
  parameters: LabParameter[];
  claims: string[];
  /** What to set so that it takes seconds, where the lab says so. */
  small?: Record<string, string>;
};
export type LabEvent =
  | { event: 'scenario'; name: string }
  | { event: 'phase'; name: string }
  | { event: 'step'; done: number; events: number };
export type LabCell = number | string | null;
export type LabColumn = { name: string; unit: string };
export type LabTable = { name: string; title: string; columns: LabColumn[]; rows: LabCell[][] };
export type LabVerdict = {
  claim: string;
  source?: string;
  row: string;
  expected: string;
  tolerance: string;
  measured: number | null;
  least: number | null;
  most: number | null;
  interval: number;
  seeds: number;
  holds: boolean;
  remarks?: string[];
};
export type LabPhase = { name: string; events: number; wall_s: number; cpu_s: number; events_per_cpu_s: number };
export type LabReport = {
  line: string;
  scenario: string;
  seed: number;
  nodes: number;
  events: number;
  virtual_s: number;
  wall_s: number;
  cpu_s: number;
  events_per_cpu_s: number;
  peak_memory_bytes: number;
  memory_before_bytes: number;
  digest: string;
  phases: LabPhase[];
  tables: LabTable[];
  findings: LabVerdict[];
  remarks: string[];
  written: string[];
  same?: boolean;
};
export type LabRun = {
  id: number;
  state: 'running' | 'done' | 'failed';
  phase?: string;
  progress?: number;
  report?: LabReport;
  problem?: Problem;
};

export type Change =
  | { kind: 'hello'; version: string }
  | { kind: 'status'; status: Totals }
  | { kind: 'network'; network: NetworkStatus }
  | { kind: 'overlay'; name: NetworkName; overlay: Overlay }
  | { kind: 'download'; download: Download }
  | { kind: 'download_removed'; id: number }
  | { kind: 'search'; search: Search }
  | { kind: 'result'; search: number; result: Result }
  | { kind: 'share'; share: Share }
  | { kind: 'share_removed'; id: number }
  | { kind: 'lab'; run: number; event: LabEvent }
  | { kind: 'warning'; message: string };

export const CHANGES: Change['kind'][] = [
  'hello', 'status', 'network', 'overlay', 'download', 'download_removed', 'search', 'result', 'share', 'share_removed', 'lab', 'warning',
];
