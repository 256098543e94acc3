// Sums, classes and the smoothed surface: everything that is reckoned in the page, from its counts.

/** One set of areas with its counts: sparse, by category, then month, then area. */
class Ground {
  constructor(told, { categories, months }) {
    Object.assign(this, told);
    this.size = told.codes.length;
    this.months = months.length;
    this.categories = categories;
    const { gaps, cases } = told.counts;
    this.cases = cases;
    this.area = new Uint32Array(gaps.length);
    // Where each category's month begins, and where the last one ends.
    this.begins = new Uint32Array(categories.length * this.months + 1);
    let place = -1;
    let slice = 0;
    for (let i = 0; i < gaps.length; i += 1) {
      place += gaps[i] + 1;
      const here = Math.floor(place / this.size);
      while (slice < here) this.begins[slice += 1] = i;
      this.area[i] = place - here * this.size;
    }
    this.begins.fill(gaps.length, slice + 1);
  }

  /** Call back with area, cases and month for the cases meant; months are inclusive. */
  each(chosen, first, last, callback) {
    for (const category of chosen) {
      const row = category * this.months;
      for (let month = first; month <= last; month += 1) {
        const end = this.begins[row + month + 1];
        for (let i = this.begins[row + month]; i < end; i += 1) callback(this.area[i], this.cases[i], month);
      }
    }
  }

  /** Cases of each area. */
  totals(chosen, first, last) {
    const sums = new Float64Array(this.size);
    this.each(chosen, first, last, (area, cases) => { sums[area] += cases; });
    return sums;
  }

  /** Cases of one area in each month. */
  history(chosen, wanted) {
    const sums = new Float64Array(this.months);
    this.each(chosen, 0, this.months - 1, (area, cases, month) => { if (area === wanted) sums[month] += cases; });
    return sums;
  }
}

/** Which categories a choice means: its code is the beginning of theirs; "" is all of them. */
function meant(categories, choice) {
  const all = categories.map((_, index) => index);
  return choice === "" ? all : all.filter((i) => categories[i].code?.startsWith(choice));
}

/** A number of the form 1, 2 or 5 times a power of ten, not less than the one given. */
function roundUp(value) {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value) + 1e-12);
  return [1, 1.5, 2, 3, 5, 7, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

/** Upper ends of the classes for values above 0: about as many areas in each, round numbers. */
function breaks(values, count) {
  const sorted = Float64Array.from(values).filter((value) => value > 0).sort();
  if (!sorted.length) return [];
  const ends = new Set();
  for (let i = 1; i < count; i += 1) ends.add(roundUp(sorted[Math.floor((sorted.length - 1) * (i / count))]));
  const top = sorted.at(-1);
  return [...[...ends].filter((end) => end < top).sort((a, b) => a - b), top];
}

/** Number of the class of a value: 0 is none, then 1, 2 … */
function classOf(value, ends) {
  if (value <= 0) return 0;
  const found = ends.findIndex((end) => value <= end);
  return found === -1 ? ends.length : found + 1;
}

const EARTH_M_PER_DEG = Math.PI * 6371008.8 / 180;

/**
 * Cases per km2 on a raster in longitude and latitude: a product normal kernel over the counts of
 * cells, each count at its cell's centre. The kernel is the same in every direction, so that the
 * raster need not lie along the axes of the storage CRS. Counting by cells has widened the cases by
 * cell**2 / 12 already; the kernel is narrower by that.
 */
function smooth(centres, sums, { bandwidth_m: bandwidth, cell_m: cell }) {
  const { bounds, width, height } = raster(centres, bandwidth);
  const [west, south, east, north] = bounds;
  const metresX = ((east - west) / width) * EARTH_M_PER_DEG * Math.cos(((south + north) / 2) * Math.PI / 180);
  const metresY = ((north - south) / height) * EARTH_M_PER_DEG;
  const spread = Math.sqrt(Math.max(bandwidth ** 2 - cell ** 2 / 12, 1));
  let values = new Float64Array(width * height);
  for (let i = 0; i < sums.length; i += 1) {
    if (sums[i]) drop(values, width, (centres[i][0] - west) / (east - west) * width - 0.5,
      (centres[i][1] - south) / (north - south) * height - 0.5, sums[i]);
  }
  values = blur(values, width, height, kernel(spread / metresX), 1, width);
  values = blur(values, height, width, kernel(spread / metresY), width, 1);
  const km2 = metresX * metresY / 1e6;
  for (let i = 0; i < values.length; i += 1) values[i] /= km2;
  return { values, width, height, bounds };
}

/** A raster round the centres, four bandwidths wider, with a twelfth of a bandwidth for a pixel. */
function raster(centres, bandwidth) {
  const lon = centres.map((c) => c[0]);
  const lat = centres.map((c) => c[1]);
  const least = (values) => values.reduce((a, b) => Math.min(a, b));
  const most = (values) => values.reduce((a, b) => Math.max(a, b));
  const edgeY = 4 * bandwidth / EARTH_M_PER_DEG;
  const edgeX = edgeY / Math.cos(lat[0] * Math.PI / 180);
  const bounds = [least(lon) - edgeX, least(lat) - edgeY, most(lon) + edgeX, most(lat) + edgeY];
  const pixels = (degrees, edge) => Math.min(Math.ceil(degrees / edge * 48), 900);
  return { bounds, width: pixels(bounds[2] - bounds[0], edgeX), height: pixels(bounds[3] - bounds[1], edgeY) };
}

/** Share a count among the four pixels round its place, so that none jumps. */
function drop(values, width, x, y, count) {
  const left = Math.floor(x);
  const below = Math.floor(y);
  const right = x - left;
  const above = y - below;
  const at = below * width + left;
  values[at] += count * (1 - right) * (1 - above);
  values[at + 1] += count * right * (1 - above);
  values[at + width] += count * (1 - right) * above;
  values[at + width + 1] += count * right * above;
}

function kernel(spread) {
  const half = Math.ceil(spread * 4);
  const weights = Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-((i - half) ** 2) / (2 * spread ** 2)));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

/** Smooth along one axis: `length` values `step` apart, in `lines` lines `stride` apart. */
function blur(values, length, lines, weights, step, stride) {
  const out = new Float64Array(values.length);
  const half = (weights.length - 1) / 2;
  for (let line = 0; line < lines; line += 1) {
    const start = line * stride;
    for (let i = 0; i < length; i += 1) {
      const value = values[start + i * step];
      if (!value) continue;
      const from = Math.max(i - half, 0);
      const to = Math.min(i + half, length - 1);
      for (let j = from; j <= to; j += 1) out[start + j * step] += value * weights[j - i + half];
    }
  }
  return out;
}
