// What the explorer's own functions say of a packed history: `node explorer_answers.mjs MODULE PACKED QUESTIONS`.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , module, packed, questions] = process.argv;
const ek = await import(pathToFileURL(module).href);
const past = await ek.unpack(new Uint8Array(readFileSync(packed)));
const asked = JSON.parse(readFileSync(questions, "utf8"));
const [track] = past.tracks;
const plain = (value) => (value === undefined ? null : value);

const answers = {
  at: (position) => ek.statesAt(track, ek.momentAt(past, position)),
  other: (moment) => ek.statesAt(past.tracks[1], moment),
  one: (moment) => ek.statesAt(track, moment),
  wander(positions) {
    const stand = new ek.Stand(track);
    return positions.map((position) => {
      stand.to(ek.momentAt(past, position));
      return [stand.alive, past.keys.map((_, key) => stand.row(key))];
    });
  },
  fresh: (positions) => positions.map((position) => {
    const stand = new ek.Stand(track).to(ek.momentAt(past, position));
    return [stand.alive, past.keys.map((_, key) => stand.row(key))];
  }),
  diff([before, after]) {
    const [from, to] = [before, after].map((position) => new ek.Stand(track).to(ek.momentAt(past, position)));
    const { rows, keys } = ek.difference(track, from, to);
    return { keys, rows: rows.map((one) => [past.keys[one.key], one.name, one.set < 0 ? null : position(one.set)]) };
  },
  blame([key, at]) {
    const row = new ek.Stand(track).to(ek.momentAt(past, at)).row(past.keys.indexOf(key));
    return ek.reasons(track, row).map(({ name, set }) => [name, position(set)]);
  },
  event(at) {
    const { data, metadata, ...rest } = ek.eventOf(past, at - 1);
    const told = (fields) => fields && Object.fromEntries(fields.map(({ name, value, column }) => [name,
      plain(ek.plain(past, { ...column, kind: column.kind, at: () => value }, 0))]));
    return { ...rest, version: ek.versionOf(past, at - 1), data: told(data), metadata: told(metadata), time: ek.isoText(past, past.time[at - 1]) };
  },
  search(text) {
    try {
      return Array.from(ek.search(past, track, text).moments, (moment) => ek.positionAt(past, moment));
    } catch (error) {
      return error.message;
    }
  },
  parting: () => ek.parting(past),
  times: () => Array.from(past.time, (us) => ek.isoText(past, us)),
  said: () => Array.from(past.time, (us) => ek.timeText(past, us)),
  ticks: ([from, to, most]) => ek.timeTicks(past, from, to, most).map(({ at, text }) => [ek.isoText(past, at), text]),
  positions: ([from, to, most]) => ek.positionTicks(from, to, most).map(({ at }) => at),
  looks: () => Object.fromEntries(track.fields.map(({ name, column }) => [name, column.look])),
  density([width, bin]) {
    const scale = new ek.Scale(past, true);
    scale.width = width;
    const { counts, whole } = ek.density(scale, past.types.map((_, type) => type), past.types.length, bin);
    return { types: counts.map((one) => one.reduce((sum, count) => sum + count, 0)), whole: Array.from(whole) };
  },
  header: () => past.header,
};
const position = (row) => ek.positionAt(past, (track.entry ? track.entry[row] : row) + 1);

console.log(JSON.stringify(asked.map(([name, argument]) => answers[name](argument) ?? null)));
