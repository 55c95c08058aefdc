// Figures for people. Decimal units, as disks and networks are sold; one place for all of them.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const THIN = '\u202f';

/** `4.2 MB`; a dash when not known. */
export function bytes(count: number | undefined): string {
  if (count === undefined || !Number.isFinite(count)) return '–';
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${THIN}${UNITS[unit]}`;
}

/** `1.3 MB/s`; nothing at all when it stands still. */
export function rate(perSecond: number): string {
  return perSecond > 0 ? `${bytes(perSecond)}/s` : '';
}

/** `1.3 MB/s of 2.0 MB/s`: how fast it goes, and how fast it may where there is a limit. */
export function paced(perSecond: number, limit: number | undefined): string {
  return `${rate(perSecond) || '0'}${limit ? ` of ${rate(limit)}` : ''}`;
}

/** `1 234 567`, in groups. */
export function count(number: number): string {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** `3 h 12 min`: the two largest units that say something. */
export function span(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return '–';
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${THIN}s`;
  if (whole < 3600) {
    const rest = whole % 60;
    return whole < 600 && rest > 0 ? `${Math.floor(whole / 60)}${THIN}min ${rest}${THIN}s` : `${Math.round(whole / 60)}${THIN}min`;
  }
  if (whole < 86_400) {
    const minutes = Math.floor((whole % 3600) / 60);
    return minutes > 0 ? `${Math.floor(whole / 3600)}${THIN}h ${minutes}${THIN}min` : `${Math.floor(whole / 3600)}${THIN}h`;
  }
  const hours = Math.floor((whole % 86_400) / 3600);
  return hours > 0 ? `${Math.floor(whole / 86_400)}${THIN}d ${hours}${THIN}h` : `${Math.floor(whole / 86_400)}${THIN}d`;
}

/** `4:07`, `1:02:30`: how long a song or a film is. */
export function playing(seconds: number): string {
  const two = (number: number) => number.toString().padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), Math.floor(seconds % 60)];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** A version of a link that can be changed. Hexad counts them by the milliseconds since 1970, others as they like. */
export function version(seq: number): string {
  const isTime = seq >= 1.2e12 && seq < 4.2e12;
  return isTime ? moment(seq / 1000) : count(seq);
}

/** Whole percents, and 100 only for the whole: what lacks one byte is not done. */
export function percent(part: number, whole: number): number {
  if (whole <= 0) return 0;
  return part >= whole ? 100 : Math.min(99, Math.floor((part / whole) * 100));
}

/** `14:05`, with the day when it is not today. */
export function moment(at_s: number, now = new Date()): string {
  const at = new Date(at_s * 1000);
  const time = `${at.getHours().toString().padStart(2, '0')}:${at.getMinutes().toString().padStart(2, '0')}`;
  if (at.toDateString() === now.toDateString()) return time;
  const day = `${at.getFullYear()}-${(at.getMonth() + 1).toString().padStart(2, '0')}-${at.getDate().toString().padStart(2, '0')}`;
  return `${day} ${time}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** As short as it can be told apart: `14:05` today, `26 Nov` this year, `Nov 2025` before. */
export function day(at_s: number, now = new Date()): string {
  const at = new Date(at_s * 1000);
  if (at.toDateString() === now.toDateString()) return moment(at_s, now);
  const month = MONTHS[at.getMonth()];
  return at.getFullYear() === now.getFullYear() ? `${at.getDate()}${THIN}${month}` : `${month} ${at.getFullYear()}`;
}

/** A figure of a network with its words: `214 items held`, `885 kB held`. */
export function named(name: string, number: number): { number: string; words: string } {
  return name.startsWith('bytes_') ? { number: bytes(number), words: words(name.slice(6)) } : { number: count(number), words: words(name) };
}

/** `1 source`, `3 sources`. */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** A fragment of the node's as a sentence: `there is no run 7` → `There is no run 7.`; a command stays as it is typed. */
export function sentence(text: string): string {
  const line = text.trim();
  if (line === '') return '';
  const begun = /^[a-z][a-z']*([ ,.;:]|$)/.test(line) && !line.startsWith('hexad ') ? line.charAt(0).toUpperCase() + line.slice(1) : line;
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** `nodes_estimated` → `nodes estimated`. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** A figure of the lab with as many digits as a reader wants, as the command line writes it. */
export function figure(number: number): string {
  const size = Math.abs(number);
  if (Number.isInteger(number) && size < 1e15) return count(number).replace(`-${THIN}`, '-');
  if (size >= 1000) return count(number);
  const text = size >= 100 ? number.toFixed(1) : size >= 1 ? number.toFixed(2) : size >= 0.001 ? number.toFixed(4) : number.toExponential(2);
  return text.includes('e') ? text : text.replace(/\.?0+$/, '');
}
