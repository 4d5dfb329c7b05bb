/**
 * The explorer: a history, the log under it, and every state there was, to be travelled through.
 *
 * One module for two places: the saved page holds it as its script, and in a notebook it is an anywidget. It first
 * unpacks what Python packed (see packing.py), then come pure functions over that, and at the end the view.
 *
 * Words: an *entry* is an event of the log, counted from 0. A *moment* m is what is after m entries: 0 is before the
 * first, so entry e happened at moment e + 1. A *row* is a handled event with the state it led to, of one *track* (a
 * history). All times are microseconds from `past.epoch`.
 */

// -- unpacking -------------------------------------------------------------------------------------------------------

const GZIP = 0x8b1f;

/** Bytes as they were before base64. */
export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text.trim());
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** What Python packed: the header, and the columns as typed arrays. */
export async function unpack(given) {
  let bytes = given instanceof Uint8Array ? given : new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  if ((bytes[0] | (bytes[1] << 8)) === GZIP) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  return pastOf(header, bytes.subarray(4 + size));
}

/** Whole numbers of some bytes each, all first bytes before all second ones. */
function planes(blob, { n, width, at }) {
  const out = width < 4 ? new Int32Array(n) : new Float64Array(n);
  for (let plane = 0; plane < width; plane++, at += n)
    if (width < 4) for (let i = 0, by = 8 * plane; i < n; i++) out[i] |= blob[at + i] << by;
    else for (let i = 0, by = 256 ** plane; i < n; i++) out[i] += blob[at + i] * by;
  return out;
}

/** A column of whole numbers; `previous` says for each place which one it may be counted from. */
export function ints(blob, described, previous) {
  const raw = planes(blob, described);
  const { base, unit, n } = described;
  if ("delta" in described || described.follows) {
    const out = new Float64Array(n);
    if (described.follows) for (let i = 0; i < n; i++) out[i] = raw[i] * unit + base + (previous[i] < 0 ? 0 : out[previous[i]]);
    else for (let i = 0, sum = described.delta; i < n; i++) out[i] = sum += i && raw[i] * unit + base;
    return out;
  }
  if (base === 0 && unit === 1) return raw;
  const out = raw instanceof Float64Array || Math.abs(base) + unit * 256 ** described.width < 2 ** 31 ? raw : new Float64Array(n);
  for (let i = 0; i < n; i++) out[i] = raw[i] * unit + base;
  return out;
}

const json = (blob, { at, size }) => JSON.parse(new TextDecoder().decode(blob.subarray(at, at + size)));

/** Texts, of which each shares its beginning with the one before. */
function texts(blob, described) {
  const shared = ints(blob, described.shared);
  const out = json(blob, described.rests);
  for (let i = 1; i < out.length; i++) if (shared[i]) out[i] = out[i - 1].slice(0, shared[i]) + out[i];
  return out;
}

/** A column of values: `at(row)` gives one as JSON has it, null where it is empty, undefined where it is absent. */
export class Column {
  constructor(blob, described, previous) {
    this.kind = described.kind; this.by = described.by ?? 1; this.count = described.count ?? 0;
    if (this.kind === "float" && !("width" in described)) {
      const raw = planes64(blob, described);
      this.numbers = raw; this.by = 0;
    } else this.numbers = ints(blob, described, previous);
    this.packed = described.values && { blob, described: described.values };
    if (described.holes) {
      this.holes = new Uint8Array(described.n);
      const place = ints(blob, described.holes.place);
      const absent = ints(blob, described.holes.absent);
      for (let i = 0; i < place.length; i++) this.holes[place[i]] = 1 + absent[i];
    }
  }

  /** The values that the codes stand for. */
  get values() {
    if (this.packed) [this.told, this.packed] = [json(this.packed.blob, this.packed.described), undefined];
    return this.told;
  }
  at(row) {
    const hole = this.holes ? this.holes[row] : 0;
    if (hole) return hole === 1 ? null : undefined;
    const number = this.numbers[row];
    if (this.kind === "coded") return this.values[number];
    if (this.kind === "time") return { $: "time", us: number };
    return this.by > 1 ? number / this.by : number;
  }

  /** The value as a number; NaN where it is none. */
  number(row) {
    if (this.holes && this.holes[row]) return NaN;
    if (this.kind !== "coded") return this.by > 1 ? this.numbers[row] / this.by : this.numbers[row];
    return numberOf(this.values[this.numbers[row]]);
  }

  /** Whether two rows have the same value here. */
  same(a, b) {
    if (this.holes && (this.holes[a] || this.holes[b])) return this.holes[a] === this.holes[b];
    const one = this.numbers[a];
    const other = this.numbers[b];
    return one === other || (one !== one && other !== other);
  }

  /** How it is shown: number, flag, time, category, text or nested. */
  get look() {
    if (this.looks === undefined) this.looks = lookOf(this);
    return this.looks;
  }
}

/** Floats by their eight bytes, all first ones before all second ones. */
function planes64(blob, { at, n }) {
  const bytes = new Uint8Array(8 * n);
  for (let plane = 0; plane < 8; plane++)
    for (let i = 0; i < n; i++) bytes[8 * i + plane] = blob[at + plane * n + i];
  return new Float64Array(bytes.buffer);
}

function numberOf(value) {
  if (typeof value === "number") return value;
  return value && value.$ === "number" ? Number(value.v.replace("inf", "Infinity")) : NaN;
}

function lookOf(column) {
  if (column.kind === "int" || column.kind === "float") return "number";
  if (column.kind === "time") return "time";
  const kinds = new Set(column.values.map((value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "boolean") return "flag";
    if (typeof value === "number" || value.$ === "number") return "number";
    if (typeof value === "string" || value.$ === "text" || value.$ === "bytes") return "text";
    return value.$ === "time" ? "text" : "nested";
  }));
  kinds.delete("");
  if (kinds.size > 1) return kinds.has("nested") ? "nested" : "text";
  const [kind] = kinds.size ? kinds : ["text"];
  return kind === "text" && column.count <= 40 ? "category" : kind;
}

/** Header and columns put together. */
function pastOf(header, blob) {
  const past = { header, blob, entries: header.entries, epoch: BigInt(header.epoch), types: header.types };
  past.time = ints(blob, header.time); past.stream = ints(blob, header.stream);
  past.type = ints(blob, header.type); past.streams = texts(blob, header.streams);
  past.keys = header.keys ? texts(blob, header.keys) : past.streams;
  past.places = header.places && header.places.map((one) => ints(blob, one));
  past.detail = ints(blob, header.detail);
  past.tracks = header.tracks.map((one) => trackOf(past, one));
  return past;
}

function trackOf(past, described) {
  const { blob, entries } = past;
  const count = described.rows;
  const track = { past, name: described.name, rows: count, keys: past.keys.length, skipped: described.skipped ?? 0, begins: described.begins ?? false };
  track.entry = described.entry ? ints(blob, described.entry) : null;
  if (described.key) track.key = ints(blob, described.key);
  else if (!track.entry) track.key = past.stream.length === count ? past.stream : past.stream.subarray(0, entries);
  else track.key = Int32Array.from(track.entry, (entry) => past.stream[entry]);
  track.previous = new Int32Array(count); track.final = new Int32Array(track.keys).fill(-1);
  for (let row = 0; row < count; row++) {
    const key = track.key[row];
    track.previous[row] = track.final[key]; track.final[key] = row;
  }
  track.gone = null;
  if (described.gone) {
    track.gone = new Uint8Array(count);
    for (const row of ints(blob, described.gone)) track.gone[row] = 1;
  }
  track.fields = described.fields.map(([name, one]) => ({ name, column: new Column(blob, one, track.previous) }));
  return track;
}

// -- moments ---------------------------------------------------------------------------------------------------------

/** The first place in a rising column whose number is at least `limit`. */
export function lowerBound(column, limit, low = 0, high = column.length) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first place in a rising column whose number is above `limit`. */
export const upperBound = (column, limit) => lowerBound(column, Math.floor(limit) + 1); // they are whole numbers

/** How many rows of a track there are at a moment. */
export function rowsAt(track, moment) {
  return track.entry ? lowerBound(track.entry, moment) : Math.min(moment, track.rows);
}

const entryOf = (track, row) => (track.entry ? track.entry[row] : row);

/** The position in a store's log as of a moment; `side` 1 is the other store's, where there are two. */
export function positionAt(past, moment, side = 0) {
  const store = past.header.stores[side];
  if (!past.places) return store.start + moment;
  return store.start + lowerBound(past.places[side], moment);
}

/** The moment at which a store's log stood at a position. */
export function momentAt(past, position, side = 0) {
  const { start } = past.header.stores[side];
  const count = Math.max(0, position - start);
  if (!past.places) return Math.min(count, past.entries);
  const places = past.places[side];
  if (count >= places.length) return past.entries;
  return count ? places[count - 1] + 1 : 0;
}

/** The last row of each key at a moment, moved from one moment to another by the rows between. */
export class Stand {
  constructor(track) {
    this.track = track; this.rows = 0; this.alive = 0; this.last = new Int32Array(track.keys).fill(-1);
  }
  to(moment) {
    const { key, previous, gone } = this.track;
    const target = rowsAt(this.track, moment);
    const { last } = this;
    const lives = (row) => row >= 0 && !(gone && gone[row]);
    let { alive } = this;
    for (let row = this.rows; row < target; row++) {
      const before = last[key[row]];
      alive += gone ? lives(row) - lives(before) : before < 0;
      last[key[row]] = row;
    }
    for (let row = this.rows - 1; row >= target; row--) {
      const before = previous[row];
      alive -= gone ? lives(row) - lives(before) : before < 0;
      last[key[row]] = before;
    }
    this.rows = target; this.alive = alive;
    return this;
  }

  /** The row with a key's state, or -1 where it has none. */
  row(key) {
    const row = this.last[key];
    return row < 0 || (this.track.gone && this.track.gone[row]) ? -1 : row;
  }
}

/** All states at a moment, as plain objects by key: what `history.at` gives. */
export function statesAt(track, moment) {
  const stand = new Stand(track).to(moment);
  const found = {};
  track.past.keys.forEach((name, key) => {
    const row = stand.row(key);
    const state = row < 0 ? [] : track.fields.map((field) => [field.name, plain(track.past, field.column, row)]);
    if (row >= 0) found[name] = Object.fromEntries(state.filter(([, value]) => value !== undefined));
  });
  return found;
}

const alive = (track, row) => row >= 0 && !(track.gone && track.gone[row]);

/** Which fields, by number, a row's event has changed. */
export function changedBy(track, row) {
  const before = track.previous[row];
  const found = [];
  if (!alive(track, row)) return found;
  track.fields.forEach(({ column }, field) => {
    if (!alive(track, before) ? column.at(row) !== undefined : !column.same(row, before)) found.push(field);
  });
  return found;
}

/** For each field of a row's state, the row whose event gave it its value: what `history.blame` gives. */
export function reasons(track, row) {
  const found = [];
  track.fields.forEach(({ name, column }, field) => {
    if (column.at(row) !== undefined) found.push({ name, field, set: setterOf(track, column, row) });
  });
  return found;
}

/** The row whose event gave a field the value that it has at a row. */
function setterOf(track, column, row) {
  let set = row;
  const first = track.begins ? 1 : 0; // no event led to the state with which it begins
  for (let before = track.previous[set]; before >= first && alive(track, before) && column.same(set, before); before = track.previous[set]) set = before;
  return set;
}

/** What differs between two moments, key by key: what `history.diff` gives. At most `limit` rows, and of how many keys.
 */
export function difference(track, before, after, limit = Infinity) {
  const seen = new Set();
  const [from, to] = [Math.min(before.rows, after.rows), Math.max(before.rows, after.rows)];
  const found = [];
  let keys = 0;
  for (let at = to - 1; at >= from; at--) {
    const key = track.key[at];
    if (seen.has(key)) continue;
    seen.add(key);
    const rows = found.length < limit ? differences(track, key, before.last[key], after.last[key]) : [];
    const differs = found.length < limit ? rows.length : differ(track, track, before.row(key), after.row(key));
    if (differs) keys += 1;
    for (const one of rows) if (found.length < limit) found.push(one);
  }
  return { rows: found, keys };
}

function differences(track, key, was, now) {
  const found = [];
  const [had, has] = [alive(track, was), alive(track, now)];
  if (!had && !has) return found;
  track.fields.forEach(({ name, column }, field) => {
    const before = had ? column.at(was) : undefined;
    const after = has ? column.at(now) : undefined;
    if (before === undefined && after === undefined) return;
    if (had && has && column.same(was, now)) return;
    found.push({ key, name, field, before, after, set: has ? setterOf(track, column, now) : now });
  });
  return found;
}

/** Whether the states of one key in two tracks differ. */
export function differ(one, other, row, otherRow) {
  if (row < 0 || otherRow < 0) return row >= 0 || otherRow >= 0;
  if (one === other) return one.fields.some(({ column }) => !column.same(row, otherRow));
  const there = new Map(other.fields.map(({ name, column }) => [name, column]));
  const text = (column, at) => (column ? JSON.stringify(plain(one.past, column, at)) : undefined);
  for (const { name, column } of one.fields)
    if (text(column, row) !== text(there.get(name), otherRow)) return true;
  return other.fields.some(({ name, column }) =>
    column.at(otherRow) !== undefined && !one.fields.some((field) => field.name === name));
}

/** A value with its kind, so that 1 and 1.0 differ whichever way they were packed. */
export function plain(past, column, row) {
  const value = column.at(row);
  if (value && value.$ === "time" && "us" in value) return { $: "time", v: isoText(past, value.us) };
  if (column.kind !== "float" || typeof value !== "number" || (Number.isFinite(value) && !Number.isInteger(value))) return value;
  return { $: "number", v: pythonFloat(value) };
}

/** A whole or an infinite number as Python writes a float. */
function pythonFloat(value) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Math.abs(value) >= 1e16 ? value.toExponential() : Object.is(value, -0) ? "-0.0" : value.toFixed(1);
}

/** The moment at which two tracks part: after the entries of one time, at which some key differs first; or -1. */
export function parting(past) {
  const [one, other] = past.tracks;
  const [here, there] = [new Stand(one), new Stand(other)];
  let moment = 0;
  while (moment < past.entries) {
    let next = moment + 1;
    while (next < past.entries && past.time[next] === past.time[next - 1]) next++;
    const rows = [here.rows, there.rows];
    here.to(next);
    there.to(next);
    for (const [stand, from] of [[here, rows[0]], [there, rows[1]]])
      for (let row = from; row < stand.rows; row++) {
        const key = stand.track.key[row];
        if (differ(one, other, here.row(key), there.row(key))) return next;
      }
    moment = next;
  }
  return -1;
}

// -- events ----------------------------------------------------------------------------------------------------------

const MASK = (1n << 64n) - 1n;

/** An event's id, made as records/ids.py makes it, or as it was supplied. */
export function idOf(past, entry) {
  const side = sideOf(past, entry);
  const supplied = extrasOf(past, "supplied")[side];
  if (supplied) {
    const place = lowerBound(supplied.entry, entry);
    if (supplied.entry[place] === entry) {
      const { at } = supplied.ids;
      return dashed(Array.from(past.blob.subarray(at + 16 * place, at + 16 * place + 16),
        (byte) => byte.toString(16).padStart(2, "0")).join(""));
    }
  }
  const store = past.header.stores[side];
  const row = past.places ? lowerBound(past.places[side], entry) : entry;
  const position = BigInt(store.start + row + 1);
  let key = 0n;
  for (const [from, one] of store.ids) if (from <= row) key = BigInt(one);
  const us = past.epoch + BigInt(past.time[entry]);
  let ms = (us - (((us % 1000n) + 1000n) % 1000n)) / 1000n;
  if (ms < 0n) ms = 0n;
  let x = (key + position * 0x9e3779b97f4a7c15n) & MASK;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  const high = (ms << 16n) | 0x7000n | (position >> 30n);
  const low = (1n << 63n) | ((position & ((1n << 30n) - 1n)) << 32n) | (x >> 32n);
  return dashed(high.toString(16).padStart(16, "0") + low.toString(16).padStart(16, "0"));
}

const dashed = (hex) => [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");

/** Of which store an entry is told: 0, or 1 where only the other has it. */
export function sideOf(past, entry) {
  if (!past.places) return 0;
  const place = lowerBound(past.places[0], entry);
  return past.places[0][place] === entry ? 0 : 1;
}

/** What only some events have, by store, unpacked when first asked for. */
function extrasOf(past, name) {
  past.extras ??= {};
  past.extras[name] ??= (past.header[name] ?? []).map((one) => one && {
    ...one,
    entry: ints(past.blob, one.entry),
    us: one.us && ints(past.blob, one.us),
    tags: one.tags && new Column(past.blob, one.tags),
  });
  return past.extras[name];
}

function extra(past, name, entry) {
  const own = extrasOf(past, name)[sideOf(past, entry)];
  const place = own ? lowerBound(own.entry, entry) : -1;
  return own && own.entry[place] === entry ? { own, place } : null;
}

/** An event: what the log says of it, and its data and metadata where these are here. */
export function eventOf(past, entry) {
  const type = past.type[entry];
  const side = sideOf(past, entry);
  const event = {
    entry,
    side,
    id: idOf(past, entry),
    type: past.types[type][0],
    schemaVersion: past.types[type][1],
    stream: past.streams[past.stream[entry]],
    position: positionAt(past, entry + 1, side),
    us: past.time[entry],
  };
  const occurred = extra(past, "occurred", entry);
  if (occurred) event.occurredUs = past.time[entry] + occurred.own.us[occurred.place];
  const tags = extra(past, "tags", entry);
  if (tags) event.tags = tags.own.tags.at(tags.place);
  const place = lowerBound(past.detail, entry);
  if (past.detail[place] !== entry) return event;
  event.data = fieldsOf(dataOf(past, type), ranks(past)[place]);
  event.metadata = fieldsOf(metadataOf(past), place);
  return event;
}

/** For each event shown in full, its place among those of its type. */
function ranks(past) {
  if (!past.ranks) {
    const counts = new Int32Array(past.types.length);
    past.ranks = Int32Array.from(past.detail, (entry) => counts[past.type[entry]]++);
  }
  return past.ranks;
}

function dataOf(past, type) {
  past.data ??= new Map(past.header.data.map((group) => [group.type, group.fields]));
  const fields = past.data.get(type) ?? [];
  if (fields.length && Array.isArray(fields[0]))
    past.data.set(type, fields.map(([name, one]) => ({ name, column: new Column(past.blob, one) })));
  return past.data.get(type) ?? [];
}

function metadataOf(past) {
  past.metadata ??= (past.header.metadata ?? []).map(([name, one]) => ({ name, column: new Column(past.blob, one) }));
  return past.metadata;
}

const fieldsOf = (fields, row) =>
  fields.map(({ name, column }) => ({ name, column, value: column.at(row) })).filter(({ value }) => value !== undefined);

/** The version of an event in its stream: how many of the stream there are up to it; 0 where that is not known. */
export function versionOf(past, entry) {
  if (past.places || past.header.stores[0].start) return 0;
  let version = 0;
  const stream = past.stream[entry];
  for (let i = 0; i <= entry; i++) if (past.stream[i] === stream) version++;
  return version;
}

// -- questions -------------------------------------------------------------------------------------------------------

const OPERATORS = ["<=", ">=", "!=", "==", "=", "<", ">", "~"];

/** A condition such as `balance < 0 and status = "open"`, taken apart: alternatives, each of comparisons that all hold.
 *  Text without an operator is one that is looked for. Throws an Error that says what is wrong.
 */
export function parse(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|'[^']*'|<=|>=|!=|==|[=<>~]|[^\s=<>~!"']+|!/g) ?? [];
  if (!tokens.some((token) => OPERATORS.includes(token))) return [[{ name: "", operator: "~", value: unquoted(text.trim()) }]];
  const alternatives = [[]];
  let words = [];
  const finish = () => {
    const at = words.findIndex((word) => OPERATORS.includes(word));
    if (at < 1 || at === words.length - 1)
      throw new Error(`“${words.join(" ") || text}” is no comparison; write for example balance < 0`);
    const operator = words[at] === "==" ? "=" : words[at];
    const value = words.slice(at + 1).join(" ");
    alternatives.at(-1).push({ name: unquoted(words.slice(0, at).join(" ")), operator, value: literal(value) });
    words = [];
  };
  for (const token of tokens) {
    if (token === "and" || token === "or") {
      finish();
      if (token === "or") alternatives.push([]);
    } else words.push(token);
  }
  finish();
  return alternatives;
}

const unquoted = (text) => (/^(["']).*\1$/s.test(text) ? text.slice(1, -1) : text);

function literal(text) {
  if (/^(["']).*\1$/s.test(text)) return text.slice(1, -1);
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  if (/^(null|none)$/i.test(text)) return null;
  if (/^[-+]?(\d[\d_,]*)?\.?\d+(e[-+]?\d+)?$/i.test(text)) return Number(text.replace(/[_,]/g, ""));
  return text;
}

/** A value as the words that a search looks through. */
export function plainText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  if (value.$ === "number" || value.$ === "text" || value.$ === "bytes" || value.$ === "time") return String(value.v ?? value.us);
  return JSON.stringify(value.$ ? value.v : value);
}

function compared(operator, wanted) {
  const needle = String(wanted).toLowerCase();
  const time = typeof wanted === "string" && /^\d{4}-\d\d-\d\d/.test(wanted) ? Date.parse(wanted) : NaN;
  return (value, past) => {
    if (value === undefined) return false;
    if (operator === "~") return plainText(value).toLowerCase().includes(needle);
    let [one, other] = [value, wanted];
    if (value && value.$ === "time" && !Number.isNaN(time)) {
      one = "us" in value ? Number(past.epoch / 1000n) + value.us / 1000 : Date.parse(value.v);
      other = time;
    } else if (typeof wanted === "number") {
      one = typeof value === "boolean" ? NaN : numberOf(value);
    } else if (value !== null && typeof value === "object") one = plainText(value);
    if (operator === "=") return one === other;
    if (operator === "!=") return one !== other;
    if (one === null || other === null || typeof one !== typeof other) return false;
    return operator === "<" ? one < other : operator === ">" ? one > other : operator === "<=" ? one <= other : one >= other;
  };
}

/** What a name in a condition stands for: a function of an entry, or of a row. Throws an Error for one that is nothing. */
function meant(past, track, name) {
  const stem = name.toLowerCase();
  const field = track.fields.find((one) => one.name === name) ?? track.fields.find((one) => one.name.toLowerCase() === stem)
    ?? (track.fields.length === 1 && [track.name.toLowerCase(), "state"].includes(stem) ? track.fields[0] : undefined);
  if (field) return { ofRow: (row) => (alive(track, row) ? field.column.at(row) : undefined), column: field.column };
  if (stem === "key") return { ofRow: (row) => past.keys[track.key[row]] };
  if (stem === "type") return { ofEntry: (entry) => past.types[past.type[entry]][0] };
  if (stem === "stream") return { ofEntry: (entry) => past.streams[past.stream[entry]] };
  if (stem === "position") return { ofEntry: (entry) => positionAt(past, entry + 1, sideOf(past, entry)) };
  if (stem === "time" || stem === "recorded_at") return { ofEntry: (entry) => ({ $: "time", us: past.time[entry] }) };
  const [, part, own] = /^(data|metadata)\.(.+)$/.exec(name) ?? [];
  if (part) return { ofEntry: (entry) => eventOf(past, entry)[part]?.find((one) => one.name === own)?.value };
  const names = [...track.fields.map((one) => one.name), "key", "type", "stream", "position", "time", "data.…"];
  throw new Error(`there is no “${name}”; there are ${names.join(", ")}`);
}

/** The moments at which a condition holds for the state that an event led to, or for the event: rising, with the key
 *  of each (-1 for an event that led to no state).
 */
export function search(past, track, text) {
  const alternatives = parse(text).map((comparisons) => comparisons.map(({ name, operator, value }) => {
    const test = compared(operator, value);
    if (name) return { ...meant(past, track, name), test };
    const hits = (texts) => Uint8Array.from(texts, (one) => +one.toLowerCase().includes(String(value).toLowerCase()));
    const [types, streams, keys] = [hits(past.types.map(([own]) => own)), hits(past.streams), hits(past.keys)];
    return { ofBoth: (entry, row) => types[past.type[entry]] || streams[past.stream[entry]] || (row >= 0 && keys[track.key[row]]), test: Boolean };
  }));
  const ofRows = alternatives.flat().some((one) => one.ofRow);
  const holds = (entry, row) => alternatives.some((all) => all.every(({ ofRow, ofEntry, ofBoth, test }) =>
    test(ofRow ? (row < 0 ? undefined : ofRow(row)) : ofEntry ? ofEntry(entry) : ofBoth(entry, row), past)));
  const moments = [];
  const keys = [];
  const found = (entry, key) => {
    if (moments.at(-1) === entry + 1) return;
    moments.push(entry + 1);
    keys.push(key);
  };
  if (ofRows) {
    for (let row = rowsAt(track, 0); row < track.rows; row++)
      if (holds(entryOf(track, row), row)) found(entryOf(track, row), track.key[row]);
  } else {
    let row = rowsAt(track, 0);
    for (let entry = 0; entry < past.entries; entry++) {
      const own = row < track.rows && entryOf(track, row) === entry ? row : -1;
      while (row < track.rows && entryOf(track, row) === entry) row++;
      if (holds(entry, own)) found(entry, own < 0 ? -1 : track.key[own]);
    }
  }
  return { moments: Int32Array.from(moments), keys: Int32Array.from(keys) };
}

// -- words -----------------------------------------------------------------------------------------------------------

const pad = (number, digits = 2) => String(number).padStart(digits, "0");
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const grouped = (number) => whole.format(number);
export const counted = (count, thing) => `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`;

/** A time's parts, in UTC or in the viewer's zone, microseconds included. */
function partsOf(past, us, local) {
  const absolute = past.epoch + BigInt(Math.round(us));
  const micros = Number(((absolute % 1_000_000n) + 1_000_000n) % 1_000_000n);
  const date = new Date(Number((absolute - BigInt(micros)) / 1000n));
  const get = (name) => date[`get${local ? "" : "UTC"}${name}`]();
  return { date, micros, year: get("FullYear"), month: get("Month"), day: get("Date"), weekday: get("Day"),
    hour: get("Hours"), minute: get("Minutes"), second: get("Seconds") };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** A time as people read it: `Mon 5 Jan 2026 09:12:33.25`; without what is zero behind the second. */
export function timeText(past, us, local = false) {
  const part = partsOf(past, us, local);
  const fine = part.micros ? `.${pad(part.micros, 6).replace(/0+$/, "")}` : "";
  const clock = `${pad(part.hour)}:${pad(part.minute)}:${pad(part.second)}${fine}`;
  return `${DAYS[part.weekday]} ${part.day} ${MONTHS[part.month]} ${part.year} ${clock}`;
}

/** A time as it can be typed again, in UTC: what Python's `isoformat` gives, with Z. */
export function isoText(past, us) {
  const part = partsOf(past, us, false);
  const fine = part.micros ? `.${pad(part.micros, 6)}` : "";
  return `${pad(part.year, 4)}-${pad(part.month + 1)}-${pad(part.day)}T${pad(part.hour)}:${pad(part.minute)}:${pad(part.second)}${fine}Z`;
}

/** How long something lasts, in the largest two units that say it. */
export function spanText(us) {
  const units = [["y", 31_557_600e6], ["d", 86_400e6], ["h", 3600e6], ["min", 60e6], ["s", 1e6], ["ms", 1000], ["µs", 1]];
  const at = units.findIndex(([, size]) => us >= size);
  if (at < 0) return "0 s";
  const [unit, size] = units[at];
  const whole = Math.floor(us / size);
  const rest = units[at + 1] ? Math.floor((us - whole * size) / units[at + 1][1]) : 0;
  return rest && whole < 100 ? `${whole} ${unit} ${rest} ${units[at + 1][0]}` : `${whole} ${unit}`;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 10e6, 15e6, 30e6,
  60e6, 120e6, 300e6, 600e6, 900e6, 1800e6, 3600e6, 7200e6, 10800e6, 21600e6, 43200e6, 86400e6, 172800e6, 604800e6];

/** Ticks of an axis of times, no more than `most`: where they stand, and in the shortest text that names each. */
export function timeTicks(past, from, to, most, local = false) {
  const wanted = (to - from) / Math.max(1, most);
  const step = STEPS.find((one) => one >= wanted);
  const ticks = [];
  if (step) {
    const { date } = partsOf(past, from, local);
    const shift = local ? date.getTimezoneOffset() * -60e6 : 0;
    const origin = Number(((past.epoch + BigInt(shift)) % BigInt(step) + BigInt(step)) % BigInt(step));
    const monday = step === 604800e6 ? 4 * 86400e6 : 0; // 1970 began on a Thursday
    for (let at = Math.ceil((from + origin - monday) / step) * step - origin + monday; at <= to; at += step)
      ticks.push({ at, text: tickText(past, at, step, local) });
    return ticks;
  }
  const months = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000].find((one) => one * 2_629_800e6 >= wanted) ?? 12000;
  const first = partsOf(past, from, local);
  for (let month = Math.floor((first.year * 12 + first.month) / months) * months; ; month += months) {
    const [year, rest] = [Math.floor(month / 12), ((month % 12) + 12) % 12];
    const date = local ? new Date(year, rest, 1) : new Date(Date.UTC(year, rest, 1));
    if (year >= 0 && year < 100) (local ? date.setFullYear(year) : date.setUTCFullYear(year));
    const at = Number(BigInt(date.getTime()) * 1000n - past.epoch);
    if (!(at <= to)) return ticks;
    if (at >= from) ticks.push({ at, text: months >= 12 || rest === 0 ? String(year) : `${MONTHS[rest]} ${year}` });
  }
}

function tickText(past, at, step, local) {
  const part = partsOf(past, at, local);
  if (step < 1e6 && part.micros) {
    const fine = pad(part.micros, 6).replace(/0+$/, "");
    return `${pad(part.second)}.${fine}`;
  }
  if (part.second || part.micros) return `${pad(part.hour)}:${pad(part.minute)}:${pad(part.second)}`;
  if (part.hour || part.minute || step < 60e6) return `${pad(part.hour)}:${pad(part.minute)}`;
  return part.month || part.day > 1 ? `${part.day} ${MONTHS[part.month]}` : String(part.year);
}

/** Ticks of an axis of positions: whole numbers, no more than `most`. */
export function positionTicks(from, to, most) {
  const wanted = Math.max(1, (to - from) / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = Math.max(1, [1, 2, 5, 10].find((one) => one * power >= wanted) * power);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push({ at, text: grouped(at) });
  return ticks;
}

/** A value as text, for one line. */
export function valueText(past, value, column, local = false) {
  if (value === undefined) return "";
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "number") return numberText(value, column);
  if (typeof value === "string") return value;
  if (value.$ === "time") return "us" in value ? `${timeText(past, value.us, local)}` : value.v;
  if (value.$ === "number" || value.$ === "text") return value.v;
  if (value.$ === "bytes") return value.v ? `0x${value.v}` : "no bytes";
  if (value.$ === "set") return `{${value.v.map((one) => innerText(past, one)).join(", ")}}`;
  if (value.$ === "map") return `{${value.v.map(([name, one]) => `${innerText(past, name)}: ${innerText(past, one)}`).join(", ")}}`;
  if (Array.isArray(value)) return `[${value.map((one) => innerText(past, one)).join(", ")}]`;
  return Object.entries(value).map(([name, one]) => `${name}: ${innerText(past, one)}`).join(", ") || "{}";
}

function innerText(past, value) {
  const text = valueText(past, value);
  return typeof value === "object" && value && !value.$ && !Array.isArray(value) ? `{${text}}` : text;
}

function numberText(value, column) {
  if (!column || column.kind !== "float") return Number.isInteger(value) ? whole.format(value) : String(value);
  if (!Number.isFinite(value)) return pythonFloat(value);
  if (!column.by && value && Math.abs(value) < 1e-4) return value.toExponential(3);
  const digits = Math.max(1, Math.log10(column.by));
  column.format ??= new Intl.NumberFormat("en-US", column.by ? { minimumFractionDigits: digits, maximumFractionDigits: digits } : { maximumSignificantDigits: 8 });
  return column.format.format(value);
}

// -- drawing ---------------------------------------------------------------------------------------------------------

const OTHERS = "#a3aeb9";
const LANE = 28;
const NARROW = 640;
const CELL = { number: 104, flag: 64, time: 176, category: 120, text: 150, nested: 190 };

/** The scale of the stage: from times, or from entries, to pixels. */
export class Scale {
  constructor(past, byTime) {
    this.past = past; this.byTime = byTime;
    const [first, last] = byTime && past.entries ? [past.time[0], past.time[past.entries - 1]] : [0, Math.max(past.entries, 1)];
    const room = byTime ? Math.max((last - first) * 0.015, last > first ? 0 : 1) : past.entries * 0.01 + 0.2;
    this.least = first - room; this.most = last + room; this.from = this.least; this.to = this.most;
    this.width = 1;
  }

  /** The unit in which a moment stands on the axis. */
  unit(moment) {
    if (!this.byTime) return moment;
    return moment > 0 ? this.past.time[moment - 1] : this.least + (this.past.time[0] - this.least) * 0.3;
  }
  x(moment) { return this.pixel(this.unit(moment)); }
  pixel(unit) { return ((unit - this.from) / (this.to - this.from)) * this.width; }
  at(x) { return this.from + (x / this.width) * (this.to - this.from); }

  /** The moment at, or last before, a place on the axis. */
  moment(x) {
    const unit = this.at(x);
    if (!this.byTime) return Math.max(0, Math.min(this.past.entries, Math.round(unit)));
    return upperBound(this.past.time, unit);
  }

  /** Show from one unit to another; keeps within the whole, and apart. */
  show(from, to) {
    const least = this.byTime ? 2 : 1;
    const span = Math.min(Math.max(to - from, least), this.most - this.least);
    this.from = Math.max(this.least, Math.min(from, this.most - span)); this.to = this.from + span;
  }

  /** Make what is seen so many times smaller, around a place that stays. */
  zoom(by, x) {
    const around = this.at(x);
    this.show(around - (around - this.from) / by, around + (this.to - around) / by);
  }
  get isWhole() { return this.from <= this.least && this.to >= this.most; }
}

/** How many entries of each colour fall into each bin of pixels: one array a colour, and the most in one bin. */
export function density(scale, colorOf, colors, bin) {
  const { past, width } = scale;
  const bins = Math.max(1, Math.ceil(width / bin));
  const counts = Array.from({ length: colors }, () => new Uint32Array(bins));
  const whole = new Uint32Array(bins);
  const first = Math.max(0, scale.moment(0) - 1);
  const last = Math.min(past.entries, scale.moment(width) + 1);
  const [from, by] = [scale.from, width / bin / (scale.to - scale.from)];
  const byTime = scale.byTime;
  for (let entry = first; entry < last; entry++) {
    const place = Math.floor(((byTime ? past.time[entry] : entry + 1) - from) * by);
    if (place < 0 || place >= bins) continue;
    counts[colorOf[past.type[entry]]][place]++;
    whole[place]++;
  }
  let most = 0;
  for (const count of whole) if (count > most) most = count;
  return { counts, whole, most, bins };
}

function canvasOf(parent, width, height) {
  const canvas = parent.querySelector("canvas") ?? parent.appendChild(document.createElement("canvas"));
  const ratio = globalThis.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0); context.clearRect(0, 0, width, height);
  return context;
}

/** The rows of a key that are seen, rising, with the one before: `edge` stands at the end of what is seen. */
function seenRows(track, edge, key, scale) {
  const rows = [];
  const from = scale.from;
  const { past, byTime } = scale;
  for (let row = edge.last[key]; row >= 0; row = track.previous[row]) {
    rows.push(row);
    const entry = entryOf(track, row);
    if (entry < 0 || (byTime ? past.time[entry] : entry + 1) < from) break;
  }
  return rows.reverse();
}

const rowX = (scale, track, row) => {
  const entry = entryOf(track, row);
  return entry < 0 ? -2 : scale.pixel(scale.byTime ? scale.past.time[entry] : entry + 1);
};

/** A key's lane: how a field of its state went. */
function drawLane(context, view, track, key, top, height) {
  const { scale, theme } = view;
  const rows = seenRows(track, view.edges.get(track), key, scale);
  if (!rows.length) return;
  const field = view.focusOf(track);
  const column = field && field.column;
  const xs = rows.map((row) => Math.max(-2, rowX(scale, track, row)));
  xs.push(scale.width + 2);
  context.fillStyle = context.strokeStyle = track === view.past.tracks[0] ? theme.accent : theme.second;
  if (column && column.look === "number") drawNumbers(context, view, track, column, rows, xs, top, height);
  else drawIntervals(context, view, track, column, rows, xs, top, height);
  if (rows.length > scale.width / 12) return;
  const marks = track.fields.length === 0 || !column || column.look !== "number";
  rows.forEach((row, at) => {
    if (xs[at] < 0) return;
    const y = marks ? top + Math.min(height - 3, height / 2 + 14) : view.yOf(column, column.number(row), top, height);
    context.fillStyle = view.typeColor(view.past.type[entryOf(track, row)]); context.beginPath();
    context.arc(xs[at], Number.isFinite(y) ? y : top + height / 2, marks ? 2 : 2.4, 0, 7); context.fill();
    if (track.gone && track.gone[row]) {
      context.strokeStyle = theme.pale; context.lineWidth = 1.5; context.beginPath();
      context.moveTo(xs[at], top + 5); context.lineTo(xs[at], top + height - 5); context.stroke();
    }
  });
}

function drawNumbers(context, view, track, column, rows, xs, top, height) {
  const zero = view.yOf(column, 0, top, height);
  context.lineWidth = 1.4;
  const path = new Path2D();
  let [on, drawn, low, high] = [false, -9, NaN, NaN];
  context.globalAlpha = 0.16;
  rows.forEach((row, at) => {
    const y = alive(track, row) ? view.yOf(column, column.number(row), top, height) : NaN;
    const [x, next] = [xs[at], xs[at + 1]];
    if (!Number.isFinite(y)) {
      on = false;
      return;
    }
    if (next - x >= 0.5) context.fillRect(x, Math.min(y, zero), next - x, Math.abs(zero - y));
    if (x - drawn < 0.5 && on) {
      if (y < low) [low] = [y];
      if (y > high) [high] = [y];
      if (next - x < 0.5) return;
      path.moveTo(x, low); path.lineTo(x, high); path.moveTo(x, y);
    } else if (on) path.lineTo(x, y);
    else path.moveTo(x, y);
    path.lineTo(next, y);
    [on, drawn, low, high] = [true, x, y, y];
  });
  context.globalAlpha = 1; context.stroke(path);
}

function drawIntervals(context, view, track, column, rows, xs, top, height) {
  const { theme, past } = view;
  const [category, flag] = ["category", "flag"].map((look) => column && column.look === look);
  context.font = "11px system-ui, sans-serif"; context.textBaseline = "middle";
  let shade = 0;
  for (let at = 0; at < rows.length; ) {
    let next = at + 1;
    const row = rows[at];
    while (next < rows.length && alive(track, rows[next]) === alive(track, row) && (!column || column.same(rows[next], row))) next++;
    const [x, end] = [Math.max(xs[at], -2), xs[next]];
    const value = alive(track, row) && column ? column.at(row) : undefined;
    at = next;
    if (!alive(track, row)) continue;
    const width = Math.max(end - x - (end - x > 4 ? 1 : 0), 0.8);
    const color = flag && value !== null ? (value ? theme.flag : theme.faint) : category && value !== null ? view.categoryColor(column, value) : (shade++ % 2 ? theme.line : theme.bar);
    context.fillStyle = value === null || value === undefined ? theme.line : color;
    context.globalAlpha = category ? 0.82 : 1;
    const thick = flag ? (value ? 10 : 2) : Math.min(height - 8, 22);
    context.fillRect(x, top + (height - thick) / 2, width, thick); context.globalAlpha = 1;
    if (width < 26 || value === undefined || flag) continue;
    const text = valueText(past, value, column);
    context.save(); context.beginPath(); context.rect(x, top, width - 3, height); context.clip();
    context.fillStyle = category && value !== null ? inkOn(color) : theme.pale;
    context.fillText(text.slice(0, 80), Math.max(x, 0) + 5, top + height / 2 + 0.5); context.restore();
  }
}

/** Black or white, whichever is read better on a colour. */
function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
  return 0.3 * r + 0.59 * g + 0.11 * b > 0.58 ? "#1b232b" : "#ffffff";
}

// -- the view --------------------------------------------------------------------------------------------------------

/** An element, its attributes, and its children: text is text, whatever it looks like. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const KEYS = [
  ["← →", "one event back, one on"],
  ["shift ← →", "the same key's event before, or after"],
  ["home end", "before the first event, after the last"],
  ["page up, page down", "a tenth of what is seen"],
  ["space", "play, pause"],
  ["/", "find: text, or a condition such as balance < 0 and status = \"open\""],
  ["n, shift n", "the next, the one before of what was found"],
  ["c", "keep this moment as a second playhead, and see the difference; c again takes it away"],
  ["↑ ↓", "the key above, the key below"],
  ["+ − 0", "closer, farther, everything (or the wheel; or drag along the ruler)"],
  ["t", "times in UTC, or in your zone"],
  ["?", "this help; esc closes it"],
];
const SPEEDS = [0.5, 1, 2, 5, 10, 20, 50, 100];
const BEATS = 2; // events a second, "an event a beat"
const WHOLE_SECONDS = 60; // that everything seen takes at speed 1

export class View {
  /** Draw a past into an element. `host` hears of `moment(m)` and `key(k)`, which the person chose. */
  constructor(element, past, host = {}) {
    this.past = past; this.host = host; this.moment = past.entries; this.second = null;
    this.chosen = null; // the key that the person chose, else that of the last event
    this.local = false; this.query = null; this.filter = ""; this.focus = 0; this.playing = null;
    this.dark = globalThis.matchMedia("(prefers-color-scheme: dark)"); this.build(element); this.load(past);
    this.watch();
  }

  /** Take over a past: the first, or one that has grown. */
  load(past, keepScale) {
    const atEnd = !keepScale || this.moment === this.past.entries;
    this.past = past;
    this.stands = past.tracks.map((track) => new Stand(track));
    this.seconds = past.tracks.map((track) => new Stand(track));
    this.edges = new Map(past.tracks.map((track) => [track, new Stand(track)]));
    this.domains = new Map(); this.part = past.tracks.length > 1 ? parting(past) : null;
    const counts = new Uint32Array(past.types.length);
    for (let entry = 0; entry < past.entries; entry++) counts[past.type[entry]]++;
    this.typeCounts = counts;
    const byTime = keepScale ? this.scale.byTime : past.entries > 0 && past.time[past.entries - 1] > past.time[0];
    const old = this.scale;
    this.scale = new Scale(past, byTime);
    if (keepScale && !old.isWhole) this.scale.show(old.from, old.to);
    if (atEnd) this.moment = past.entries;
    this.order ??= past.tracks.length > 1 ? "differ" : past.keys.length <= 60 ? "appearance" : "recent";
    this.sorted = null;
    if (this.query) this.query = { ...this.query, ...search(past, past.tracks[0], this.query.text) };
    this.rows.clear(); this.space.textContent = ""; this.describe(); this.measure();
  }

  // -- what it is made of
  build(element) {
    const button = (text, label, act, more = {}) => make("button", { type: "button", "aria-label": label, title: label, onclick: act, ...more }, text);
    const root = make("div", { class: "ek", role: "region", tabindex: "-1", "data-lm-suppress-shortcuts": "true" });
    this.root = root; this.name = make("b"); this.about = make("div");
    this.finder = make("input", { type: "search", placeholder: "find: balance < 0, or any text", "aria-label": "Find a state or an event", spellcheck: "false",
      oninput: () => this.find(this.finder.value), onkeydown: (event) => this.findKey(event) });
    this.found = make("span", { class: "found", role: "status" });
    this.axisButton = button("", "", () => this.setAxis(!this.scale.byTime));
    this.zoneButton = button("", "", () => this.setZone(!this.local));
    this.compareButton = button("compare", "Keep this moment and see the difference (c)", () => this.compare(), { "aria-pressed": "false" });
    this.finding = make("div", { class: "find" }, this.finder, this.found,
      button("‹", "The one before of what was found (shift n)", () => this.step("found", -1)), button("›", "The next of what was found (n)", () => this.step("found", 1)));
    root.append(make("div", { class: "head" }, make("div", { class: "title" }, this.name, this.about),
      make("div", { class: "tools" }, this.finding, this.axisButton, this.zoneButton, this.compareButton, button("?", "Help (?)", () => this.help(true)))));
    this.where = make("span", { class: "where" });
    this.when = make("span", { class: "when" });
    this.what = make("span", { class: "what" });
    this.go = button("▶ play", "Play (space)", () => this.play(), { class: "go" });
    this.speed = make("select", { "aria-label": "Speed", title: "Speed", onchange: () => this.tellSpeed() },
      make("option", { value: "beat" }, "an event a beat"), ...SPEEDS.map((one) => make("option", { value: String(one) }, `${one} ×`)));
    this.speed.value = "beat";
    root.append(make("div", { class: "now" },
      make("div", { class: "play" }, button("⇤", "Before the first event (home)", () => this.to(0)), button("←", "One event back (left)", () => this.step("event", -1)),
        this.go, button("→", "One event on (right)", () => this.step("event", 1)), button("⇥", "After the last event (end)", () => this.to(this.past.entries)), this.speed),
      this.where, this.when, this.what));
    this.legend = make("div", { class: "legend", "aria-hidden": "true" });
    this.strip = make("div", { class: "strip", role: "slider", tabindex: "0", "aria-label": "Moment", "aria-orientation": "horizontal" });
    this.brush = make("div", { class: "brush" });
    this.ruler = make("div", { class: "ruler", "aria-hidden": "true", title: "drag to look closer" });
    this.thumb = make("div", { class: "thumb" });
    this.window = make("div", { class: "window", "aria-hidden": "true", title: "what of the whole is seen" }, this.thumb);
    this.sort = make("select", { "aria-label": "Order of the keys", onchange: () => this.setOrder(this.sort.value) });
    this.filterer = make("input", { type: "search", class: "filter", placeholder: "keys with …", "aria-label": "Show keys with this text", spellcheck: "false",
      oninput: () => this.setFilter(this.filterer.value) });
    this.columns = make("div", { class: "columns" });
    this.rowsBox = make("div", { class: "rows", role: "grid", "aria-label": "States at this moment", tabindex: "0" });
    this.space = make("div", { class: "space", role: "rowgroup" });
    this.rowsBox.append(this.space);
    this.future = make("div", { class: "future" });
    this.line = make("div", { class: "line" });
    this.lineSecond = make("div", { class: "line second" });
    this.linePart = make("div", { class: "line part" });
    this.over = make("div", { class: "over", "aria-hidden": "true" }, this.future, this.linePart, this.lineSecond, this.line);
    this.track = make("div", { class: "track" }, this.strip, this.ruler, this.window, this.brush);
    this.stage = make("div", { class: "stage" },
      make("div", { class: "top" }, this.legend, this.track, make("div", { class: "side" }, make("div", { class: "sort" }, this.sort, this.filterer), this.columns)), this.rowsBox, this.over);
    root.append(this.stage);
    this.panels = ["What happened", "Why", "Difference"].map((title) => make("section", { class: "panel", tabindex: "0", "aria-label": title }));
    root.append(make("div", { class: "panels" }, ...this.panels));
    this.notes = make("div", { class: "notes" });
    this.live = make("div", { class: "sr", role: "status", "aria-live": "polite" });
    const table = make("table", {}, ...KEYS.map(([keys, does]) => make("tr", {}, make("td", {}, make("kbd", {}, keys)), make("td", {}, does))));
    this.helper = make("div", { class: "help", role: "dialog", "aria-modal": "true", "aria-label": "Help", onclick: () => this.help(false) },
      make("div", {}, make("h2", {}, "Travel through the log"), table, button("close", "Close the help", () => this.help(false))));
    root.append(this.notes, this.live, this.helper);
    this.rows = new Map();
    element.append(root);
  }

  /** What stays the same at every moment. */
  describe() {
    const { past } = this;
    const [store, other] = past.header.stores;
    setText(this.name, past.tracks.map((track) => track.name).filter((name, at, all) => all.indexOf(name) === at).join(" and "));
    const parts = [counted(past.entries, "event"), counted(past.keys.length, "key"), `store ${store.id.slice(0, 8)}`, `position ${grouped(store.position)}`, `digest ${store.digest.slice(0, 12)}`];
    if (other && other.id !== store.id) parts.push(`and store ${other.id.slice(0, 8)}`, `position ${grouped(other.position)}`, `digest ${other.digest.slice(0, 12)}`);
    setText(this.about, parts.join(" · "));
    this.about.title = past.header.stores.map((one) => `store ${one.id}, position ${one.position}, digest ${one.digest}`).join("\n");
    this.root.setAttribute("aria-label", `Explorer of ${this.name.textContent}`);
    const notes = [...past.header.notes];
    if (this.part === -1) notes.unshift("the two never differ");
    setText(this.notes, notes.join(" · "));
    this.notes.title = notes.join("\n"); this.notes.style.display = notes.length ? "" : "none";
    const often = [...past.types.keys()].sort((a, b) => this.typeCounts[b] - this.typeCounts[a]);
    this.colors = past.types.map(([name]) => past.header.colors[name] ?? OTHERS);
    this.palette = [...new Set(this.colors)].sort((a, b) => (a === OTHERS) - (b === OTHERS));
    this.colorOf = Uint8Array.from(this.colors, (color) => this.palette.indexOf(color));
    const shown = often.length > 4 ? often.slice(0, 3) : often;
    this.legend.replaceChildren(...shown.map((type) => make("div", { title: past.types[type][0] }, this.dot(type), make("span", { class: "name" }, past.types[type][0]), make("span", { class: "count" }, grouped(this.typeCounts[type])))),
      ...(often.length > shown.length ? [make("div", { class: "quiet", title: often.slice(3).map((type) => past.types[type][0]).join("\n") }, `and ${often.length - shown.length} more types`)] : []));
    const orders = [["appearance", "in order of appearance"], ["recent", "last changed first"], ["most", "most events first"], ["name", "by name"]];
    if (past.tracks.length > 1) orders.unshift(["differ", "those that differ first"]);
    const numeric = past.tracks[0].fields.filter(({ column }) => column.look === "number");
    orders.push(...numeric.map(({ name }) => [`high:${name}`, `highest ${name} first`]), ...numeric.map(({ name }) => [`low:${name}`, `lowest ${name} first`]));
    this.sort.replaceChildren(...orders.map(([value, text]) => make("option", { value }, text)));
    this.sort.value = this.order; this.filterer.style.display = past.keys.length > 12 ? "" : "none";
    this.sort.style.display = past.keys.length > 1 ? "" : "none";
    this.categories = new Map(Object.entries(past.header.categories)); this.setZone(this.local, true);
  }
  dot(type) {
    const dot = make("span", { class: "dot" });
    dot.style.background = this.colors[type];
    return dot;
  }
  typeColor(type) { return this.colors[type]; }
  categoryColor(column, value) {
    const text = typeof value === "string" ? value : plainText(value);
    return this.categories.get(text) ?? OTHERS;
  }
  focusOf(track) {
    const name = this.past.tracks[0].fields[this.focus]?.name;
    return track.fields.find((field) => field.name === name) ?? track.fields[0];
  }

  /** The least and the most of a column's numbers, 0 included. */
  domain(column) {
    if (!this.domains.has(column)) {
      let [low, high] = [0, 0];
      for (let row = 0; row < column.numbers.length; row++) {
        const value = column.number(row);
        if (value < low && value > -Infinity) low = value;
        if (value > high && value < Infinity) high = value;
      }
      this.domains.set(column, [low, high > low ? high : low + 1]);
    }
    return this.domains.get(column);
  }

  /** A field's name; the only one of a state that has none is called as the projection. */
  fieldName(name) {
    return name === "state" && this.past.tracks[0].fields.length === 1 ? this.past.tracks[0].name : name;
  }
  yOf(column, value, top, height) {
    const [low, high] = this.domain(column);
    return top + height - 4 - ((value - low) / (high - low)) * (height - 8);
  }

  // -- size and colours
  watch() {
    this.resizes = new ResizeObserver(() => this.measure());
    this.resizes.observe(this.root);
    this.themed = () => this.paint();
    this.dark.addEventListener("change", this.themed); this.themes = new MutationObserver(this.themed);
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-vscode-theme-kind"] });
    this.listen();
  }
  close() {
    this.pause(); this.resizes.disconnect(); this.themes.disconnect();
    this.dark.removeEventListener("change", this.themed);
  }
  isDark() {
    const { body } = document;
    if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
    if (body.dataset.vscodeThemeKind) return /dark|high-contrast$/.test(body.dataset.vscodeThemeKind);
    return this.dark.matches;
  }
  measure() {
    const width = this.root.clientWidth;
    if (!width) return;
    const narrow = width < NARROW;
    this.root.classList.toggle("narrow", narrow); this.narrow = narrow;
    this.seenHeight = narrow ? 336 : this.rowsBox.clientHeight;
    const room = this.seenHeight / Math.max(1, Math.min(this.past.keys.length, this.listed(99).count || 1));
    this.laneHeight = narrow ? LANE : Math.round(Math.min(Math.max(room, LANE), 3 * LANE));
    this.rowHeight = narrow ? 2 * LANE : this.laneHeight;
    this.root.style.setProperty("--r", `${this.rowHeight}px`);
    const fields = this.past.tracks[0].fields;
    const wanted = fields.reduce((sum, { column }) => sum + CELL[column.look] * (this.past.tracks.length > 1 ? 1.6 : 1) + 8, 30);
    const label = narrow ? 0 : Math.min(210, Math.max(120, Math.round(width * 0.16)));
    const state = narrow ? width : Math.round(Math.min(Math.max(wanted, 200), width * (fields.length > 2 ? 0.46 : 0.36)));
    const lane = narrow ? width - 24 : width - label - state;
    for (const [name, value] of [["--l", label], ["--w", lane], ["--s", state]]) this.root.style.setProperty(name, `${value}px`);
    (narrow ? this.track : this.stage).append(this.over);
    this.scale.width = lane; this.stateWidth = narrow ? width * 0.6 - 12 : state - 30; this.head();
    this.paint();
  }

  /** The heads of the columns: as many fields as there is room for, the one in the lanes first. */
  head() {
    const { fields } = this.past.tracks[0];
    const order = [this.focus, ...fields.keys()].filter((field, at, all) => all.indexOf(field) === at && fields[field]);
    let room = this.stateWidth;
    this.shown = [];
    for (const field of order) {
      const width = CELL[fields[field].column.look] * (this.past.tracks.length > 1 ? 1.6 : 1);
      if (this.shown.length && room < width) break;
      this.shown.push({ field, width: Math.min(width, Math.max(room, 60)) });
      room -= width + 8;
    }
    const left = order.length - this.shown.length;
    this.columns.replaceChildren(...this.shown.map(({ field, width }) => {
      const head = make("button", { type: "button", "aria-pressed": String(field === this.focus), title: `draw ${fields[field].name} in the lanes`,
        onclick: () => this.setFocus(field) }, this.fieldName(fields[field].name));
      head.style.flex = `0 0 ${width}px`;
      head.style.textAlign = fields[field].column.look === "number" ? "right" : "left";
      return head;
    }));
    if (left > 0) {
      const choice = make("select", { "aria-label": "Other fields", onchange: (event) => this.setFocus(Number(event.target.value)) }, make("option", { value: "" }, `+${left}`),
        ...order.slice(this.shown.length).map((field) => make("option", { value: String(field) }, fields[field].name)));
      choice.style.cssText = "height:20px;padding:0;border:0;font-size:12px";
      this.columns.append(choice);
    }
    for (const row of this.rows.values()) row.element.remove();
    this.rows.clear();
  }

  /** Everything, anew. */
  paint() {
    if (!this.rowHeight) return;
    this.root.classList.toggle("dark", this.isDark());
    const style = getComputedStyle(this.root);
    this.theme = Object.fromEntries(["ground", "ink", "pale", "faint", "line", "accent", "bar", "flag", "second", "lit-line"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.rescale();
  }

  /** What hangs on the scale. */
  rescale() {
    const end = this.scale.moment(this.scale.width + 1);
    for (const edge of this.edges.values()) edge.to(end);
    this.version = (this.version ?? 0) + 1; this.drawStrip(); this.drawRuler();
    const { least, most, from, to } = this.scale;
    this.window.style.visibility = this.scale.isWhole ? "hidden" : "";
    this.thumb.style.left = `${((from - least) / (most - least)) * 100}%`;
    this.thumb.style.width = `${((to - from) / (most - least)) * 100}%`;
    this.draw();
  }
  drawStrip() {
    const { scale, theme } = this;
    const height = 76;
    const context = canvasOf(this.strip, scale.width, height);
    const bin = 3;
    const { counts, whole, most, bins } = density(scale, this.colorOf, this.palette.length, bin);
    const floor = height - 4;
    const tall = (count) => (count ? Math.max(4, Math.sqrt(count / most) * (height - 22)) : 0);
    for (let at = 0; at < bins; at++) {
      let y = floor;
      const size = tall(whole[at]);
      for (let color = 0; color < this.palette.length && size; color++) {
        const part = (counts[color][at] / whole[at]) * size;
        if (!part) continue;
        context.fillStyle = this.palette[color];
        context.fillRect(at * bin, y - part, bin - (most > 1 || bins < 400 ? 0.6 : 0), part);
        y -= part;
      }
    }
    context.fillStyle = theme.line; context.fillRect(0, floor + 1, scale.width, 1);
    if (!this.query || !this.query.moments) return;
    context.fillStyle = theme["lit-line"];
    let before = -9;
    const { moments } = this.query;
    for (let at = lowerBound(moments, scale.moment(0)); at < moments.length; at++) {
      const x = scale.x(moments[at]);
      if (x > scale.width) break;
      if (x - before < 1) continue;
      context.fillRect(x - 1, 14, 2.5, 5);
      before = x;
    }
  }
  drawRuler() {
    const { scale, theme, past } = this;
    const context = canvasOf(this.ruler, scale.width, 20);
    context.font = "11px system-ui, sans-serif"; context.fillStyle = theme.pale;
    context.textBaseline = "middle";
    const most = Math.max(2, Math.floor(scale.width / 92));
    const start = past.header.stores[0].start;
    const ticks = !past.entries ? [] : scale.byTime ? timeTicks(past, Math.max(scale.from, past.time[0] - 1), Math.min(scale.to, past.time[past.entries - 1] + 1), most, this.local)
      : positionTicks(scale.from + start, scale.to + start, most).map(({ at, text }) => ({ at: at - start, text }));
    let free = -1;
    for (const { at, text } of ticks) {
      const x = scale.pixel(at);
      const width = context.measureText(text).width;
      const left = Math.min(Math.max(x - width / 2, 0), scale.width - width);
      if (left < free) continue;
      context.fillText(text, left, 11); context.fillRect(x, 0, 1, 3);
      free = left + width + 14;
    }
  }

  // -- what goes by the moment

  /** The key that is spoken of: the chosen one, else the last event's. */
  get key() {
    if (this.chosen !== null) return this.chosen;
    return this.keyAt(this.moment);
  }

  /** The key that the event before a moment changed, else the one changed last. */
  keyAt(moment) {
    for (const track of this.past.tracks) {
      const row = rowsAt(track, moment) - 1;
      if (row >= 0) return track.key[row];
    }
    return null;
  }

  /** The rows that the last event led to, by track. */
  litRows() {
    return this.past.tracks.map((track) => {
      const found = [];
      for (let row = rowsAt(track, this.moment) - 1; row >= 0 && entryOf(track, row) === this.moment - 1; row--) found.push(row);
      return found;
    });
  }

  /** Go to a moment. */
  to(moment, { tell = true, follow = true, say = false } = {}) {
    const target = Math.max(0, Math.min(this.past.entries, Math.round(moment)));
    const moved = target !== this.moment;
    this.moment = target;
    if (follow && !this.scale.isWhole) this.keepSeen();
    this.draw();
    if (moved && tell) this.told();
    if (say) this.say();
  }
  keepSeen() {
    const { scale } = this;
    const unit = scale.unit(this.moment);
    if (unit >= scale.from && unit <= scale.to) return;
    const span = scale.to - scale.from;
    scale.show(unit - span / 2, unit + span / 2);
    this.rescale();
  }
  told() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      this.host.moment?.(this.moment); this.host.key?.(this.key);
    }, 60);
  }
  draw() {
    if (!this.theme) return;
    for (const stand of this.stands) stand.to(this.moment);
    if (this.second !== null) for (const stand of this.seconds) stand.to(this.second);
    const x = this.scale.x(this.moment);
    this.line.style.transform = `translateX(${x}px)`;
    this.future.style.transform = `translateX(${Math.min(x, this.scale.width)}px)`;
    if (this.narrow) this.root.style.setProperty("--x", `${Math.max(0, Math.min(x, this.scale.width))}px`);
    this.lineSecond.style.display = this.second === null ? "" : "block";
    if (this.second !== null) this.lineSecond.style.transform = `translateX(${this.scale.x(this.second)}px)`;
    this.linePart.style.display = this.part > 0 ? "block" : "";
    if (this.part > 0) this.linePart.style.transform = `translateX(${this.scale.x(this.part)}px)`;
    this.drawNow(); this.drawRows(); this.drawPanels();
  }

  /** The words for a moment: position, time, and what happened. */
  momentWords() {
    const { past, moment } = this;
    if (!moment) return { position: positionAt(past, 0), when: "before the first event here", type: "", key: "" };
    const entry = moment - 1;
    const zone = this.local ? zoneName() : "UTC";
    return { position: positionAt(past, moment), when: `${timeText(past, past.time[entry], this.local)} ${zone}`, type: past.types[past.type[entry]][0], stream: past.streams[past.stream[entry]], entry };
  }
  drawNow() {
    const { past } = this;
    const words = this.momentWords();
    const last = past.header.stores[0].position;
    this.where.replaceChildren("position ", make("b", {}, grouped(words.position)), make("span", { class: "quiet" }, ` of ${grouped(last)}`));
    setText(this.when, words.when);
    this.what.replaceChildren(...(words.type ? [this.dot(past.type[words.entry]), words.type, make("span", { class: "quiet" }, ` in ${words.stream}`)] : []));
    this.strip.setAttribute("aria-valuemin", String(positionAt(past, 0)));
    this.strip.setAttribute("aria-valuemax", String(last));
    this.strip.setAttribute("aria-valuenow", String(words.position));
    this.strip.setAttribute("aria-valuetext", this.spoken());
    if (this.query && this.query.moments) {
      const at = upperBound(this.query.moments, this.moment);
      const on = at && this.query.moments[at - 1] === this.moment;
      setText(this.found, this.query.moments.length ? `${on ? `${grouped(at)} of ` : ""}${grouped(this.query.moments.length)}` : "none");
    }
  }
  spoken() {
    const words = this.momentWords();
    return `position ${words.position}, ${words.when}${words.type ? `, ${words.type} in ${words.stream}` : ""}`;
  }

  /** Say where one is, once it has come to rest. */
  say() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      const key = this.key;
      const row = key === null ? -1 : this.stands[0].row(key);
      const state = row < 0 ? "" : `; ${this.past.keys[key]}: ${this.past.tracks[0].fields.map(({ name, column }) => `${this.fieldName(name)} ${valueText(this.past, column.at(row), column, this.local)}`).join(", ")}`;
      setText(this.live, this.spoken() + state);
    }, 250);
  }

  // -- the states

  /** The keys in the order in which they are listed, as far as `upto`; and how many there are. */
  listed(upto) {
    const { past, filter, order } = this;
    if (order === "recent" && !filter && past.tracks.length === 1) {
      const [stand] = this.stands;
      const found = [];
      const { key, gone } = stand.track;
      for (let row = stand.rows - 1; row >= 0 && found.length < upto; row--)
        if (stand.last[key[row]] === row && !(gone && gone[row])) found.push(key[row]);
      return { keys: found, count: stand.alive };
    }
    const moving = order === "recent" || order === "differ" || order.includes(":");
    if (!this.sorted || this.sorted.order !== order || this.sorted.filter !== filter || (moving && this.sorted.moment !== this.moment))
      this.sorted = { order, filter, moment: this.moment, keys: this.arranged() };
    return { keys: this.sorted.keys, count: this.sorted.keys.length };
  }
  arranged() {
    const { past, order } = this;
    const needle = this.filter.toLowerCase();
    const known = past.tracks.map((track) => track.final);
    let keys = [];
    past.keys.forEach((name, key) => {
      if (known.some((final) => final[key] >= 0) && (!needle || name.toLowerCase().includes(needle))) keys.push(key);
    });
    const [track] = past.tracks;
    const [stand] = this.stands;
    const by = (score) => {
      const scores = new Float64Array(past.keys.length);
      for (const key of keys) scores[key] = score(key);
      keys.sort((a, b) => scores[b] - scores[a] || a - b);
    };
    if (order === "name") keys.sort((a, b) => (past.keys[a] < past.keys[b] ? -1 : 1));
    if (order === "most") {
      const counts = new Uint32Array(past.keys.length);
      for (const one of past.tracks) for (let row = 0; row < one.rows; row++) counts[one.key[row]]++;
      by((key) => counts[key]);
    }
    if (order === "recent") by((key) => stand.last[key]);
    if (order === "differ") by((key) => +differ(...past.tracks, this.stands[0].row(key), this.stands[1].row(key)));
    const [, way, name] = /^(high|low):(.*)$/s.exec(order) ?? [];
    const field = way && track.fields.find((one) => one.name === name);
    if (field) by((key) => {
      const row = stand.row(key);
      const value = row < 0 ? NaN : field.column.number(row);
      return Number.isNaN(value) ? -Infinity : way === "high" ? value : -value;
    });
    if (order === "recent" || order.includes(":")) keys = keys.filter((key) => this.stands.some((one) => one.row(key) >= 0));
    return keys;
  }
  drawRows() {
    const height = this.rowHeight;
    const top = this.scrolled ?? 0; // both are noted when they change: to ask here would lay out everything anew
    const first = Math.max(0, Math.floor(top / height) - 1);
    const last = Math.ceil((top + this.seenHeight) / height) + 1;
    const { keys, count } = this.listed(last);
    const whole = `${Math.min(count * height, 30_000_000)}px`;
    if (this.space.style.height !== whole) this.space.style.height = whole;
    const lit = this.litRows();
    const litKeys = new Set(lit.flatMap((rows, at) => rows.map((row) => this.past.tracks[at].key[row])));
    const changed = new Map(lit.flatMap((rows, at) => rows.map((row) => [`${at} ${row}`, new Set(changedBy(this.past.tracks[at], row))])));
    const seen = keys.slice(first, last);
    const spare = [...this.rows.keys()].filter((key) => !seen.includes(key)); // their elements are taken for other keys
    seen.forEach((key, place) => {
      const row = this.rows.get(key) ?? this.rowFor(key, spare.pop());
      const [at, top] = [first + place, `translateY(${(first + place) * height}px)`];
      if (row.top !== top) row.element.style.transform = row.top = top;
      if (row.index !== at) row.element.setAttribute("aria-rowindex", String((row.index = at) + 1));
      this.drawRow(row, litKeys.has(key), changed);
    });
    for (const key of spare) {
      this.rows.get(key).element.remove();
      this.rows.delete(key);
    }
    const nothing = !count;
    if (nothing !== Boolean(this.nothing)) {
      this.nothing?.remove();
      this.nothing = nothing ? this.rowsBox.appendChild(make("div", { class: "nothing" })) : null;
    }
    if (nothing) setText(this.nothing, this.filter ? `no key has “${this.filter}” in it` : this.past.entries ? "nothing yet: no event before this moment led to a state" : "an empty log");
    this.rowsBox.setAttribute("aria-rowcount", String(count));
  }
  rowFor(key, other) {
    const row = other === undefined ? this.newRow() : this.rows.get(other);
    this.rows.delete(other);
    this.rows.set(key, Object.assign(row, { key, version: 0 }));
    for (const cell of row.cells) cell.mark = "";
    setText(row.name, shortened(this.past.keys[key]));
    row.name.title = this.past.keys[key];
    return row;
  }
  newRow() {
    const cells = this.shown.map(({ field, width }) => {
      const [fill, text] = [make("span", { class: "fill" }), make("span", { class: "text" })];
      const element = make("div", { class: "cell", role: "gridcell" }, fill, text);
      element.style.width = `${width}px`;
      return { field, element, fill, text, width };
    });
    const [lane, name] = [make("div", { class: "lane", "aria-hidden": "true" }), make("div", { class: "key", role: "rowheader" })];
    const element = make("div", { class: "row", role: "row", onclick: () => this.choose(this.chosen === row.key ? null : row.key) },
      name, lane, make("div", { class: "cells", role: "presentation" }, ...cells.map((cell) => cell.element)));
    const row = { element, lane, name, cells };
    this.space.append(element);
    return row;
  }
  drawRow(row, isLit, changed) {
    const { key } = row;
    const rows = this.stands.map((stand) => stand.row(key));
    const state = `row${isLit ? " lit" : ""}${this.key === key ? " chosen" : ""}${rows.every((one) => one < 0) ? " none" : ""}`;
    if (row.element.className !== state) row.element.className = state;
    const chosen = String(this.key === key);
    if (row.selected !== chosen) row.element.setAttribute("aria-selected", (row.selected = chosen));
    if (row.version !== this.version) {
      row.version = this.version;
      const context = canvasOf(row.lane, this.scale.width, this.laneHeight - 1);
      const height = (this.laneHeight - 1) / this.past.tracks.length;
      this.past.tracks.forEach((track, at) => drawLane(context, this, track, key, at * height, height));
    }
    for (const cell of row.cells) this.drawCell(cell, rows, changed);
  }
  drawCell(cell, rows, changed) {
    const [track, other] = this.past.tracks;
    const { name, column } = track.fields[cell.field];
    const [at] = rows;
    const value = at < 0 ? undefined : column.at(at);
    const beside = other && other.fields.find((field) => field.name === name)?.column;
    const theirs = beside && rows[1] >= 0 ? beside.at(rows[1]) : undefined;
    const differs = Boolean(other) && JSON.stringify(at < 0 ? null : plain(this.past, column, at)) !== JSON.stringify(rows[1] >= 0 && beside ? plain(this.past, beside, rows[1]) : null);
    const isLit = at >= 0 && changed.get(`0 ${at}`)?.has(cell.field);
    const mark = `${at} ${rows[1]} ${isLit} ${this.local} ${this.version}`;
    if (cell.mark === mark) return;
    cell.mark = mark;
    const { look } = column;
    const kind = value === undefined || value === null ? " empty" : look === "flag" ? (value ? " yes" : " no") : "";
    cell.element.className = `cell ${look}${kind}${isLit ? " changed" : ""}`;
    let text = value === undefined ? "" : look === "flag" && typeof value === "boolean" ? (value ? "● yes" : "○ no") : valueText(this.past, value, column, this.local);
    if (text.length > 400) text = `${text.slice(0, 400)}…`;
    if (look === "category" && value !== undefined && value !== null) {
      const dot = make("span", { class: "dot" });
      dot.style.background = this.categoryColor(column, value);
      cell.text.replaceChildren(dot, text);
    } else setText(cell.text, text);
    if (differs) cell.text.append(make("span", { class: "other" }, `| ${theirs === undefined ? "–" : valueText(this.past, theirs, beside, this.local)}`));
    cell.element.title = value !== undefined && text.length > 12 ? text : "";
    this.drawBar(cell, look === "number" && value !== undefined ? column.number(at) : NaN, column);
  }
  drawBar(cell, number, column) {
    const { fill } = cell;
    if (!Number.isFinite(number)) {
      fill.style.transform = "scaleX(0)";
      return;
    }
    const [low, high] = this.domain(column);
    const [zero, end] = [-low / (high - low), (number - low) / (high - low)];
    fill.style.transform = `translateX(${Math.min(zero, end) * 100}%) scaleX(${Math.abs(end - zero)})`;
    fill.classList.toggle("minus", number < 0);
  }

  // -- the panels
  drawPanels() {
    const { past, moment } = this;
    const [happened, why, difference] = this.panels;
    happened.replaceChildren(...(moment ? this.eventPanel(moment - 1) : [make("h2", {}, "What happened"), make("p", { class: "quiet" }, "Nothing yet. → is the first event.")]));
    why.replaceChildren(...this.whyPanel());
    const differs = this.second !== null || past.tracks.length > 1;
    difference.style.display = differs ? "" : "none";
    if (differs) difference.replaceChildren(...(this.second !== null ? this.differencePanel() : this.twoPanel()));
  }
  eventPanel(entry) {
    const { past } = this;
    const event = eventOf(past, entry);
    const zone = this.local ? zoneName() : "UTC";
    const facts = [`position ${grouped(event.position)}`, event.stream, `${timeText(past, event.us, this.local)} ${zone}`];
    if (event.occurredUs !== undefined) facts.push(`occurred ${timeText(past, event.occurredUs, this.local)} ${zone}`);
    if (event.schemaVersion > 1) facts.push(`schema version ${event.schemaVersion}`);
    if (event.tags) facts.push(`tags ${event.tags.join(", ")}`);
    if (past.places) facts.push(event.side ? "in the other log" : past.places[1][lowerBound(past.places[1], entry)] === entry ? "in both logs" : "in one log");
    const parts = [make("h2", {}, "What happened"), make("h3", {}, this.dot(past.type[entry]), event.type), make("p", { class: "facts" }, facts.join(" · "))];
    if (event.data?.length) parts.push(this.tree(event.data));
    if (event.metadata?.length) parts.push(make("h2", {}, "Metadata"), this.tree(event.metadata));
    if (!event.data) parts.push(make("p", { class: "quiet" }, past.detail.length ? "Its data is not among what is here." : "Data is not here."));
    parts.push(make("p", { class: "facts mono", title: "the event's id" }, event.id));
    return parts;
  }

  /** Fields, each with its value; nested ones below each other. */
  tree(fields) {
    return make("table", {}, ...fields.map(({ name, value, column }) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, this.nested(value, column)))));
  }
  nested(value, column, depth = 0) {
    const inner = value && typeof value === "object" && (Array.isArray(value) || !value.$ || value.$ === "map");
    if (!inner || depth > 6) return document.createTextNode(valueText(this.past, value, column, this.local));
    const entries = Array.isArray(value) ? value.map((one, at) => [String(at), one]) : value.$ === "map" ? value.v.map(([name, one]) => [valueText(this.past, name), one]) : Object.entries(value);
    if (!entries.length) return document.createTextNode(Array.isArray(value) ? "[]" : "{}");
    if (Array.isArray(value) && value.every((one) => one === null || typeof one !== "object")) return document.createTextNode(valueText(this.past, value));
    const shown = entries.slice(0, 200);
    return make("div", { class: "nest" }, ...shown.map(([name, one]) => make("div", {}, make("span", { class: "quiet" }, `${name}: `), this.nested(one, undefined, depth + 1))),
      entries.length > shown.length ? make("div", { class: "quiet" }, `… and ${grouped(entries.length - shown.length)} more`) : undefined);
  }

  /** A link to the event of a row. */
  linkTo(track, row) {
    const { past } = this;
    const entry = entryOf(track, row);
    if (entry < 0) return document.createTextNode(track.begins ? "the first state" : "before this span");
    const side = sideOf(past, entry);
    const text = `${grouped(positionAt(past, entry + 1, side))} · ${past.types[past.type[entry]][0]}`;
    return make("button", { type: "button", class: "link", title: `${timeText(past, past.time[entry], this.local)}: go there`, onclick: () => this.to(entry + 1, { say: true }) }, text);
  }
  whyPanel() {
    const { past, key } = this;
    const title = make("h2", {}, "Why");
    if (key === null) return [title, make("p", { class: "quiet" }, "No state yet.")];
    const parts = [title, make("h3", {}, past.keys[key])];
    past.tracks.forEach((track, at) => {
      const row = this.stands[at].row(key);
      if (past.tracks.length > 1) parts.push(make("p", { class: "facts" }, `${at ? "the other" : "one"}: ${track.name}`));
      if (row < 0) {
        const ended = this.stands[at].last[key];
        parts.push(make("p", { class: "quiet" }, ended >= 0 ? "It has ended: " : "It has not begun yet.", ended >= 0 ? this.linkTo(track, ended) : ""));
        return;
      }
      const isLit = entryOf(track, row) === this.moment - 1 && this.moment > 0;
      const changed = new Set(isLit ? changedBy(track, row) : []);
      const before = track.previous[row];
      parts.push(make("table", {}, ...reasons(track, row).map(({ name, field, set }) => {
        const { column } = track.fields[field];
        const was = changed.has(field) && alive(track, before) && column.at(before) !== undefined ? make("span", { class: "was" }, valueText(past, column.at(before), column, this.local)) : undefined;
        return make("tr", { class: changed.has(field) ? "changed" : "" }, make("th", { scope: "row" }, this.fieldName(name)), make("td", { class: column.look }, make("div", { class: "value" }, was, this.nested(column.at(row), column))),
          make("td", { class: "set" }, this.linkTo(track, set)));
      })));
    });
    if (this.chosen !== null) parts.push(make("button", { type: "button", class: "link", onclick: () => this.choose(null) }, "follow the events again"));
    return parts;
  }
  differencePanel() {
    const { past } = this;
    const [early, late] = this.second <= this.moment ? [this.seconds[0], this.stands[0]] : [this.stands[0], this.seconds[0]];
    const [track] = past.tracks;
    const { rows, keys } = difference(track, early, late, 200);
    const [from, to] = [Math.min(this.second, this.moment), Math.max(this.second, this.moment)];
    const parts = [make("h2", {}, "Difference"), make("p", { class: "facts" }, `from position ${grouped(positionAt(past, from))} to ${grouped(positionAt(past, to))}: `
      + `${counted(to - from, "event")}, ${counted(keys, "key")} changed${from && to ? `, ${spanText(past.time[to - 1] - past.time[from - 1])}` : ""}`)];
    if (!rows.length) parts.push(make("p", { class: "quiet" }, from === to ? "Both playheads are here; move one." : "Nothing differs."));
    parts.push(make("table", {}, ...rows.slice(0, 200).map((one) => {
      const { column } = track.fields[one.field];
      const show = (value) => (value === undefined ? "–" : valueText(past, value, column, this.local));
      return make("tr", {}, make("th", { scope: "row" }, make("button", { type: "button", class: "link", onclick: () => this.choose(one.key) }, past.keys[one.key]), track.fields.length > 1 ? ` ${one.name}` : ""),
        make("td", { class: "value" }, make("span", { class: "was" }, show(one.before)), show(one.after)), make("td", { class: "set" }, one.set >= 0 ? this.linkTo(track, one.set) : ""));
    })));
    if (rows.length >= 200) parts.push(make("p", { class: "quiet" }, "… and more"));
    return parts;
  }

  /** Of two histories, what differs at this moment, and where they part. */
  twoPanel() {
    const { past, part } = this;
    const parts = [make("h2", {}, "Where they part")];
    if (part < 0) return [...parts, make("p", {}, "They never differ.")];
    const at = `position ${grouped(positionAt(past, part))}, ${timeText(past, past.time[part - 1], this.local)} ${this.local ? zoneName() : "UTC"}`;
    parts.push(make("p", { class: "facts" }, make("button", { type: "button", class: "link", onclick: () => this.to(part, { say: true }) }, at)));
    const [one, other] = past.tracks;
    const found = [];
    let keys = 0;
    for (let key = 0; key < past.keys.length; key++) {
      const rows = this.stands.map((stand) => stand.row(key));
      if (!differ(one, other, ...rows)) continue;
      keys += 1;
      if (found.length >= 100) continue;
      for (const name of new Set([...one.fields, ...other.fields].map((field) => field.name))) {
        const [here, there] = past.tracks.map((track, side) => {
          const column = track.fields.find((field) => field.name === name)?.column;
          return column && rows[side] >= 0 ? { column, value: column.at(rows[side]), told: JSON.stringify(plain(past, column, rows[side])) } : { value: undefined };
        });
        if (here.told === there.told) continue;
        const show = ({ value, column }) => (value === undefined ? "–" : valueText(past, value, column, this.local));
        found.push(make("tr", {}, make("th", { scope: "row" }, make("button", { type: "button", class: "link", onclick: () => this.choose(key) }, past.keys[key]), name === "state" ? "" : ` ${name}`),
          make("td", { class: "value" }, show(here)), make("td", { class: "value other" }, show(there))));
      }
    }
    parts.push(make("p", { class: "facts" }, keys ? `${counted(keys, "key")} ${keys === 1 ? "differs" : "differ"} at this moment` : "At this moment they are equal."), make("table", {}, ...found));
    return parts;
  }

  // -- what the person does
  listen() {
    const { root, strip, ruler } = this;
    root.addEventListener("keydown", (event) => this.pressed(event));
    if (this.host.wholePage) document.addEventListener("keydown", (event) => { if (!root.contains(event.target)) this.pressed(event); });
    this.rowsBox.addEventListener("scroll", () => this.soon(() => { this.scrolled = this.rowsBox.scrollTop; this.drawRows(); }));
    const drag = (element, start) => element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const box = this.track.getBoundingClientRect();
      const move = start(event.clientX - box.left, event);
      if (!move) return;
      element.setPointerCapture(event.pointerId);
      const moved = (next) => this.soon(() => move(next.clientX - box.left));
      const end = (last) => {
        element.removeEventListener("pointermove", moved);
        element.removeEventListener("pointerup", end);
        element.removeEventListener("pointercancel", end);
        move(last.clientX - box.left, true);
      };
      element.addEventListener("pointermove", moved);
      element.addEventListener("pointerup", end);
      element.addEventListener("pointercancel", end);
    });
    drag(strip, (x, event) => {
      this.pause();
      strip.focus({ preventScroll: true });
      const near = this.second !== null && Math.abs(x - this.scale.x(this.second)) < 7 && Math.abs(x - this.scale.x(this.moment)) > 7;
      const go = (place, done) => {
        const moment = this.scale.moment(Math.max(0, Math.min(this.scale.width, place)));
        if (near || event.shiftKey) {
          this.second = moment; this.compareButton.setAttribute("aria-pressed", "true"); this.draw();
        } else this.to(moment, { say: done, follow: false });
      };
      go(x);
      return go;
    });
    drag(ruler, (x) => (place, done) => {
      const [from, to] = [Math.max(0, Math.min(x, place)), Math.min(this.scale.width, Math.max(x, place))];
      Object.assign(this.brush.style, { display: done ? "none" : "block", left: `${from}px`, width: `${to - from}px` });
      if (!done || to - from < 4) return;
      this.scale.show(this.scale.at(from), this.scale.at(to)); this.rescale();
    });
    drag(this.thumb, (x, event) => {
      const { least, most, from, to } = this.scale;
      const box = this.thumb.getBoundingClientRect();
      const part = event.clientX - box.left < 8 ? "from" : box.right - event.clientX < 8 ? "to" : "both";
      return (place) => {
        const by = ((place - x) / this.scale.width) * (most - least);
        if (part === "from") this.scale.show(Math.min(from + by, to - 1), to);
        else if (part === "to") this.scale.show(from, Math.max(to + by, from + 1));
        else this.scale.show(from + by, to + by);
        this.rescale();
      };
    });
    const wheel = (event) => {
      const across = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (event.currentTarget !== this.track && !event.ctrlKey && !across) return;
      event.preventDefault();
      const x = event.clientX - this.track.getBoundingClientRect().left;
      if (across) {
        const by = (event.deltaX / this.scale.width) * (this.scale.to - this.scale.from);
        this.scale.show(this.scale.from + by, this.scale.to + by);
      } else this.scale.zoom(Math.exp(-event.deltaY * 0.002), x);
      this.soon(() => this.rescale());
    };
    this.track.addEventListener("wheel", wheel, { passive: false });
    this.rowsBox.addEventListener("wheel", wheel, { passive: false });
    this.track.addEventListener("dblclick", () => this.seeAll());
  }

  /** Once, before the next picture. */
  soon(act) {
    const idle = !this.waiting;
    this.waiting = act;
    if (idle) requestAnimationFrame(() => {
      const next = this.waiting;
      this.waiting = null;
      next();
    });
  }
  pressed(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = target.matches?.("input, select, textarea");
    if (this.helper.classList.contains("open")) {
      if (key === "Escape" || key === "?") this.help(false);
      else if (key !== "Tab") return;
      else event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (typing && key === "Escape") target.blur();
    if (typing) {
      event.stopPropagation();
      return;
    }
    if ((key === " " || key === "Enter") && target.matches?.("button")) return;
    const page = Math.max(1, Math.round((this.scale.moment(this.scale.width) - this.scale.moment(0)) / 10));
    const acts = {
      ArrowRight: () => this.step(event.shiftKey ? "key" : "event", 1),
      ArrowLeft: () => this.step(event.shiftKey ? "key" : "event", -1), ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1), Home: () => this.to(0, { say: true }),
      End: () => this.to(this.past.entries, { say: true }), PageUp: () => this.to(this.moment - page, { say: true }),
      PageDown: () => this.to(this.moment + page, { say: true }), " ": () => this.play(),
      "/": () => this.finder.select(), n: () => this.step("found", 1), N: () => this.step("found", -1),
      c: () => this.compare(), t: () => this.setZone(!this.local), "+": () => this.zoom(1.6),
      "=": () => this.zoom(1.6), "-": () => this.zoom(1 / 1.6), "−": () => this.zoom(1 / 1.6), 0: () => this.seeAll(),
      "?": () => this.help(true), Escape: () => (this.second !== null ? this.compare() : this.choose(null)),
    };
    if (!acts[key]) return;
    acts[key]();
    event.preventDefault();
    event.stopPropagation();
  }
  step(what, by) {
    this.pause();
    if (what === "event") this.to(this.moment + by, { say: true });
    else if (what === "key") this.stepKey(by);
    else if (this.query && this.query.moments && this.query.moments.length) {
      const { moments, keys } = this.query;
      const at = by > 0 ? upperBound(moments, this.moment) : lowerBound(moments, this.moment) - 1;
      const place = (at + moments.length) % moments.length; // after the last comes the first
      if (this.chosen !== null) this.chosen = keys[place] < 0 ? null : keys[place];
      this.to(moments[place], { say: true });
    }
  }

  /** To the event before, or after, of the key that is spoken of, which stays chosen. */
  stepKey(by) {
    const { key } = this;
    if (key === null) return this.step("event", by);
    this.chosen = key;
    const moments = this.past.tracks.map((track, at) => {
      let row = this.stands[at].last[key];
      if (by > 0) {
        let next = -1;
        for (let later = track.final[key]; later > row; later = track.previous[later]) next = later;
        row = next;
      } else if (row >= 0 && entryOf(track, row) + 1 >= this.moment) row = track.previous[row];
      return row < 0 || entryOf(track, row) < 0 ? null : entryOf(track, row) + 1;
    }).filter((moment) => moment !== null);
    if (moments.length) this.to(by > 0 ? Math.min(...moments) : Math.max(...moments), { say: true });
    else this.draw();
  }
  choose(key) {
    this.chosen = key; this.draw(); this.told();
  }

  /** To the key above or below in the list. */
  move(by) {
    const { keys } = this.listed(Infinity);
    if (!keys.length) return;
    const at = Math.max(0, Math.min(keys.length - 1, keys.indexOf(this.key) + by));
    const top = at * this.rowHeight;
    if (top < this.rowsBox.scrollTop) this.rowsBox.scrollTop = top;
    else if (top + this.rowHeight > this.rowsBox.scrollTop + this.rowsBox.clientHeight) this.rowsBox.scrollTop = top + this.rowHeight - this.rowsBox.clientHeight;
    this.choose(keys[at]); this.say();
  }
  compare() {
    this.second = this.second === null ? this.moment : null;
    this.compareButton.setAttribute("aria-pressed", String(this.second !== null)); this.draw();
  }
  find(text) {
    if (!text.trim()) {
      this.query = null;
      setText(this.found, "");
      this.found.classList.remove("wrong");
    } else {
      try {
        this.query = { text, ...search(this.past, this.past.tracks[0], text) };
        this.found.classList.remove("wrong");
      } catch (error) {
        this.query = { text };
        setText(this.found, error.message);
        this.found.classList.add("wrong");
      }
    }
    this.drawStrip(); this.drawNow();
  }
  findKey(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (!this.query?.moments) return;
    if (this.query.went !== this.query.text) {
      this.query.went = this.query.text;
      if (this.query.moments.length) this.to(this.query.moments[0], { say: true });
    } else this.step("found", event.shiftKey ? -1 : 1);
  }
  setAxis(byTime) {
    const width = this.scale.width;
    this.scale = new Scale(this.past, byTime); this.scale.width = width; this.tellAxis(); this.rescale();
  }
  tellAxis() {
    setText(this.axisButton, this.scale.byTime ? "by time" : "by event");
    this.axisButton.title = this.scale.byTime ? "Events lie at their times; click for one beside the other" : "Events lie one beside the other; click for their times";
    this.axisButton.setAttribute("aria-label", this.axisButton.title); this.tellSpeed();
  }
  setZone(local, quiet) {
    this.local = local;
    setText(this.zoneButton, local ? zoneName() : "UTC");
    this.zoneButton.title = local ? `Times are in your zone, ${zoneName()}; click for UTC (t)` : `Times are in UTC; click for your zone, ${zoneName()} (t)`;
    this.zoneButton.setAttribute("aria-label", this.zoneButton.title); this.tellAxis();
    if (quiet || !this.theme) return;
    this.drawRuler(); this.draw();
  }
  setOrder(order) {
    this.order = order; this.rowsBox.scrollTop = this.scrolled = 0; this.drawRows();
  }
  setFilter(text) {
    this.filter = text; this.rowsBox.scrollTop = this.scrolled = 0; this.drawRows();
  }
  setFocus(field) {
    if (!this.past.tracks[0].fields[field]) return;
    this.focus = field; this.head(); this.rescale();
  }
  zoom(by) {
    const x = this.scale.x(this.moment);
    this.scale.zoom(by, x >= 0 && x <= this.scale.width ? x : this.scale.width / 2); this.rescale();
  }
  seeAll() {
    this.scale.show(this.scale.least, this.scale.most); this.rescale();
  }
  help(open) {
    this.helper.classList.toggle("open", open);
    if (open) {
      this.before = document.activeElement; this.helper.querySelector("button").focus();
    } else this.before?.focus?.();
  }

  // -- playing
  tellSpeed() {
    const beat = this.speed.value === "beat";
    const second = ((this.scale.to - this.scale.from) / WHOLE_SECONDS) * (beat ? 1 : Number(this.speed.value));
    this.speed.title = beat ? `${BEATS} events a second` : `a second is ${this.scale.byTime ? spanText(second) : counted(Math.max(1, Math.round(second)), "event")}`;
  }
  play() {
    if (this.playing) return this.pause();
    if (this.moment >= this.past.entries) this.to(0);
    setText(this.go, "❚❚ pause");
    this.go.setAttribute("aria-label", "Pause (space)");
    let before = performance.now();
    let unit = this.scale.unit(this.moment);
    const tick = (now) => {
      if (this.moment >= this.past.entries) return this.pause();
      const passed = Math.min(now - before, 250) / 1000;
      if (this.speed.value === "beat") {
        if (now - before >= 1000 / BEATS) {
          before = now;
          this.to(this.moment + 1);
        }
      } else {
        before = now;
        unit += ((this.scale.to - this.scale.from) / WHOLE_SECONDS) * Number(this.speed.value) * passed;
        const moment = this.scale.byTime ? upperBound(this.past.time, unit) : Math.floor(unit);
        if (moment !== this.moment) this.to(moment);
      }
      this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
  }
  pause() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = null;
    setText(this.go, "▶ play");
    this.go.setAttribute("aria-label", "Play (space)"); this.say();
  }
}

/** A long name, cut within: the ends of long names tell them apart. */
function shortened(name) { return name.length > 28 ? `${name.slice(0, 9)}…${name.slice(-17)}` : name; }

function zoneName() { return Intl.DateTimeFormat().resolvedOptions().timeZone || "your zone"; }

// -- the two places --------------------------------------------------------------------------------------------------

/** In a saved page: what the page holds, opened at the position that its address names. */
async function openPage(element) {
  const past = await unpack(fromBase64(element.textContent));
  element.remove();
  const view = new View(document.body, past, {
    wholePage: true,
    moment: (moment) => history.replaceState(null, "", `#position=${positionAt(past, moment)}`),
  });
  const go = () => {
    const [, position] = /position=(\d+)/.exec(location.hash) ?? [];
    if (position) view.to(momentAt(past, Number(position)), { tell: false });
  };
  addEventListener("hashchange", go);
  go();
  globalThis.ek = {
    view,
    get moment() { return positionAt(past, view.moment); },
    set moment(position) {
      view.to(momentAt(past, Math.max(0, Math.min(Number(position), past.header.stores[0].position))), { tell: false });
    },
  };
  performance.mark("ek-ready");
}

/** In a notebook: an anywidget, whose model holds what Python packed, the position and the key. */
async function render({ model, el }) {
  let view = null;
  const quietly = (act) => {
    try {
      act();
    } catch {
      // the kernel is gone; what is here is here
    }
  };
  const host = {
    moment: (moment) => quietly(() => { model.set("_position", positionAt(view.past, moment)); model.save_changes(); }),
    key: (key) => quietly(() => { model.set("_key", view.chosen === null ? -1 : key); model.save_changes(); }),
  };
  const load = async () => {
    const past = await unpack(model.get("_packed"));
    if (view) view.load(past, true);
    else {
      view = new View(el, past, host);
      view.to(momentAt(past, model.get("_position")), { tell: false });
      performance.mark("ek-ready");
    }
  };
  await load();
  model.on("change:_packed", load);
  model.on("change:_position", () => view.to(momentAt(view.past, model.get("_position")), { tell: false }));
  model.on("change:_key", () => { view.chosen = model.get("_key") < 0 ? null : model.get("_key"); view.draw(); });
  return () => view.close();
}

const held = globalThis.document?.getElementById("ek-packed");
if (held) openPage(held);

export default { render };
