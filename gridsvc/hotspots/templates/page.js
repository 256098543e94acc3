// The page: what is chosen, and what that shows. Shown numbers are sums of the counts it came with.

/* global map_hotspots, layer_control_hotspots, feature_group_counts, feature_group_rates,
   feature_group_significance, feature_group_patterns, feature_group_density, feature_group_outlines,
   feature_group_hotspots, feature_group_chronic */

const LOOKS = JSON.parse(byId("looks").textContent);
const CLASSES = LOOKS.sequence.length;
const LISTED = 12;
// A popup leaves the buttons for zooming free.
const BESIDE = { autoPanPaddingTopLeft: [56, 8] };

const map = map_hotspots;
const VIEWS = {
  counts: feature_group_counts, rates: feature_group_rates, significance: feature_group_significance,
  patterns: feature_group_patterns, density: feature_group_density,
};
const OVERLAYS = { outlines: feature_group_outlines, hotspots: feature_group_hotspots, chronic: feature_group_chronic };

let data;
let grounds;
const chosen = { view: "counts", ground: 0, category: "", period: "all", from: 0, to: 0, month: 0 };
let drawn = null;
let playing = null;
let city = null;
let cityShape = null;

// What is chosen.

/** The months of the period: numbers of the first and the last. */
function period() {
  const last = data.months.length - 1;
  if (chosen.period === "own") return [Math.min(chosen.from, chosen.to), Math.max(chosen.from, chosen.to)];
  if (chosen.period === "last12") return [Math.max(last - 11, 0), last];
  if (chosen.period === "all") return [0, last];
  const within = data.months.map((month, i) => (month.startsWith(chosen.period) ? i : -1)).filter((i) => i >= 0);
  return [within[0], within.at(-1)];
}

/** The months shown: one of the period, or all of it. */
function shownMonths() {
  const [first, last] = period();
  return chosen.month ? [first + chosen.month - 1, first + chosen.month - 1] : [first, last];
}

const ground = () => grounds[chosen.ground];

const categories = () => meant(data.categories, chosen.category);

/** What was found for the choice, if it was tested. */
function finding([first, last]) {
  return ground().findings.find((it) => it.category === chosen.category && it.first === first && it.last === last);
}

function whenName([first, last]) {
  if (first === last) return monthName(data.months[first]);
  if (!first && last === data.months.length - 1) return `${w().whole}, ${data.months[first]} – ${data.months[last]}`;
  return `${data.months[first]} – ${data.months[last]}`;
}

function categoryName() {
  if (chosen.category === "") return w().all;
  const told = [...data.groups, ...data.categories].find(({ code }) => code === chosen.category);
  return `${title(told)} ${told.code === title(told) ? "" : told.code}`.trim();
}

// Areas, whatever they show.

function polygonsOf(it) {
  it.polygons ??= it.latlngs.map((latlngs, area) => L.polygon(latlngs, { ...EDGE, smoothFactor: 0.5 })
    .on("click", ({ latlng }) => openArea(area, latlng)));
  return it.polygons;
}

/** Gi* of each area for what is shown: the sum over it and its neighbours, in standard deviations. */
function zScores(it, values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
  return values.map((own, area) => {
    const near = it.near[area];
    if (!near.length || near.length + 1 === n || !deviation) return NaN;
    const size = near.length + 1;
    const sum = near.reduce((total, other) => total + values[other], own);
    return (sum - mean * size) / (deviation * Math.sqrt(size * (n - size) / (n - 1)));
  });
}

/** Work out what is shown. */
function reckon() {
  const months = shownMonths();
  const it = ground();
  const sums = it.totals(categories(), ...months);
  const found = finding(months);
  const kinds = Array(it.size).fill(found ? "none" : "unknown");
  const q = Array(it.size).fill(null);
  if (found) {
    it.near.forEach((near, area) => { if (!near.length) kinds[area] = "untested"; });
    found.areas.forEach((area, i) => {
      kinds[area] = LOOKS.kindOrder[found.kinds[i]];
      q[area] = found.q[i] / 1e3;
    });
  }
  // Of a layer, whose areas differ in size, cases per km² are tested.
  const tested = it.cell_m ? sums : sums.map((sum, area) => sum / it.km2[area]);
  return { it, months, sums, found, kinds, q, z: zScores(it, tested), total: sums.reduce((a, b) => a + b, 0) };
}

/** The ends of classes are those of single months while one slides through them. */
function classEnds(value) {
  const [first, last] = period();
  if (!chosen.month) return breaks(drawn.sums.map(value), CLASSES);
  const all = [];
  for (let month = first; month <= last; month += 1) {
    ground().totals(categories(), month, month).forEach((sum, area) => { if (sum) all.push(value(sum, area)); });
  }
  return breaks(all, CLASSES);
}

const perKm2 = (sum, area) => (ground().km2[area] ? sum / ground().km2[area] : 0);

const rateText = (sum, area) => (ground().km2[area] ? figure(perKm2(sum, area)) : "—");

const views = {
  counts() {
    const ends = classEnds((sum) => sum);
    paint((area) => sequential(classOf(drawn.sums[area], ends)));
    return [steps(w().countKey, ends)];
  },
  rates() {
    const ends = classEnds(perKm2);
    paint((area) => (ground().km2[area] ? sequential(classOf(perKm2(drawn.sums[area], area), ends)) : hatched("unknown")));
    return [steps(w().rateKey, ends)];
  },
  significance() {
    paint((area) => hatched(drawn.kinds[area]));
    const told = key(w().significanceKey, []);
    if (!drawn.found) return [told, h("p", { class: "quiet" }, w().untestedWhy(data.method.least_cases))];
    return [kindsKey(w().significanceKey, LOOKS.kinds, new Set([...Object.keys(LOOKS.kinds).filter((kind) => kind !== "untested"), ...drawn.kinds]))];
  },
  patterns() {
    const found = ground().patterns.find(({ category }) => category === chosen.category);
    if (!found) {
      paint(() => hatched("unknown"));
      return [key(w().patternKey, []), h("p", { class: "quiet" }, w().noPatterns)];
    }
    const names = Array.from(found.patterns, (index) => LOOKS.patternOrder[index]);
    drawn.patterns = names;
    paint((area) => hatched(names[area]));
    return [kindsKey(w().patternKey, LOOKS.patterns, new Set(["none", ...names]))];
  },
  density() {
    const cells = grounds.find(({ cell_m: cell }) => cell) ?? ground();
    const sums = cells.totals(categories(), ...drawn.months);
    const told = smooth(cells.centres, sums, { bandwidth_m: data.method.bandwidth_m, cell_m: cells.cell_m ?? 0 });
    const top = told.values.reduce((a, b) => Math.max(a, b), 0);
    const head = w().densityKey(data.method.bandwidth_m);
    if (!top) return [key(head, [])];
    const ends = Array.from({ length: CLASSES }, (_, i) => top * ((i + 1) / CLASSES));
    VIEWS.density.addLayer(surface(told, ends, cityShape ?? cells.latlngs));
    return [key(head, ends.map((end, i) => [swatch(LOOKS.sequence[i]),
      w().upTo(figure(i ? ends[i - 1] : ends[0] / 4), figure(end))]))];
  },
};

/** Put the areas into the layer group that is shown, each with its look. */
function paint(style) {
  const group = VIEWS[chosen.view];
  polygonsOf(ground()).forEach((polygon, area) => {
    polygon.setStyle(style(area));
    if (!group.hasLayer(polygon)) group.addLayer(polygon);
  });
}

function draw() {
  drawn = reckon();
  for (const [name, group] of Object.entries(VIEWS)) {
    if (name !== chosen.view || name === "density" || group.ground !== ground()) group.clearLayers();
    group.ground = ground();
  }
  const legend = views[chosen.view]();
  drawMarks();
  byId("legend").replaceChildren(...legend, marksKey());
  byId("shown").textContent = w().shown(number(drawn.total), categoryName(), whenName(drawn.months));
  listMost();
  listHotspots();
  listChronic();
  remember();
}

// Marks over the areas.

const chronicShown = () => data.chronic.filter(({ category }) => chosen.category === "" || category?.startsWith(chosen.category));

function drawMarks() {
  OVERLAYS.hotspots.clearLayers();
  hotspotsShown().forEach((place) => {
    place.mark = L.marker([place.lat, place.lon], { icon: rankMark(place.rank), alt: w().hotspot(place.rank), zIndexOffset: 800 })
      .bindPopup(() => hotspotPopup(place), { maxWidth: 340, ...BESIDE });
    OVERLAYS.hotspots.addLayer(place.mark);
  });
  chronicShown().forEach((place) => {
    place.mark = L.marker([place.lat, place.lon], {
      icon: chronicMark(place), alt: `${title(data.categories[place.kind])}: ${w().chronic(place.cases)}`, zIndexOffset: 500,
    }).bindPopup(() => chronicPopup(place), { maxWidth: 400, ...BESIDE });
  });
  thinOut();
}

const APART_PX = 20;

/** Show the marks that have room, the highest score first; zooming in makes room for the others. */
function thinOut() {
  const taken = [];
  OVERLAYS.chronic.clearLayers();
  chronicShown().forEach((place) => {
    const at = map.latLngToLayerPoint([place.lat, place.lon]);
    const isFree = taken.every((other) => other.distanceTo(at) > APART_PX);
    if (!isFree && !place.mark.isPopupOpen()) return;
    taken.push(at);
    OVERLAYS.chronic.addLayer(place.mark);
  });
}

const hotspotsShown = () => drawn.found?.places ?? [];

function marksKey() {
  const rows = [];
  if (map.hasLayer(OVERLAYS.hotspots)) {
    rows.push([s("svg", { viewBox: "0 0 36 20", "aria-hidden": "true" }, s("circle", { cx: 18, cy: 10, r: 8, fill: "#fff", stroke: "#1c2733", "stroke-width": 2 })), w().rankKey]);
  }
  if (map.hasLayer(OVERLAYS.chronic)) {
    const drawing = diamond(20);
    drawing.setAttribute("aria-hidden", "true");
    rows.push([drawing, w().chronicKey]);
  }
  if (map.hasLayer(OVERLAYS.outlines)) {
    data.outlines.forEach((told, depth) => rows.push([
      s("svg", { viewBox: "0 0 36 20", "aria-hidden": "true" }, s("path", { d: "M0 10H36", stroke: "#1c2733", "stroke-width": 3 - depth, fill: "none" })),
      `${w().outlineKey} ${title(told.title)}`,
    ]));
  }
  return h("div", { class: "key" }, rows.map(([drawing, text]) => [drawing, h("span", {}, text)]));
}

function drawOutlines() {
  data.outlines.forEach((told, depth) => {
    const latlngs = shapes(told.shape, data);
    cityShape ??= latlngs;
    latlngs.forEach((rings) => L.polygon(rings, {
      color: "#1c2733", weight: 3 - depth, fill: false, interactive: false, pane: "outlines", smoothFactor: 0.5,
    }).addTo(OVERLAYS.outlines));
    if (depth !== data.outlines.length - 1 || latlngs.length > 60) return;
    told.labels.forEach(([lon, lat], area) => {
      const name = h("div", {}, h("span", {}, told.names[area]));
      L.marker([lat, lon], { icon: L.divIcon({ className: "place-name", html: name, iconSize: [0, 0] }), interactive: false, keyboard: false, pane: "outlines" })
        .addTo(OVERLAYS.outlines);
    });
  });
}

// Popups.

function verdict(area) {
  const kind = drawn.kinds[area];
  return kind === "unknown" ? w().untestedHere : title(LOOKS.kinds[kind]);
}

const qText = (q) => (q < 0.001 ? "< 0.001" : q.toFixed(3));

function areaPopup(area) {
  const it = ground();
  const sum = drawn.sums[area];
  const history = it.history(categories(), area);
  return h("div", { class: "area", "data-code": it.codes[area] },
    h("h3", {}, it.names[area] || it.codes[area]),
    it.names[area] && it.names[area] !== it.codes[area] && h("p", { class: "quiet" }, it.codes[area]),
    h("p", { class: "quiet" }, `${categoryName()} · ${whenName(drawn.months)}`),
    h("dl", {},
      h("dt", {}, w().cases), h("dd", { class: "cases" }, number(sum)),
      pair(w().perKm2, rateText(sum, area)),
      drawn.total > 0 && pair(w().ofThem, `${figure(sum / drawn.total * 100)}%`),
      h("dt", {}, w().verdict), h("dd", { class: "verdict", "data-kind": drawn.kinds[area] }, verdict(area)),
      Number.isFinite(drawn.z[area]) && pair(w().z, drawn.z[area].toFixed(2)),
      drawn.q[area] !== null && pair(w().q, qText(drawn.q[area])),
      chosen.view === "patterns" && drawn.patterns && pair(w().patternKey, title(LOOKS.patterns[drawn.patterns[area]]))),
    bars(history, data.months, ...drawn.months));
}

function openArea(area, latlng) {
  const polygon = polygonsOf(ground())[area];
  L.popup({ maxWidth: 320, ...BESIDE }).setLatLng(latlng ?? polygon.getBounds().getCenter()).setContent(areaPopup(area)).openOn(map);
}

function when(day) {
  return h("time", { datetime: day }, day);
}

/** A day as the survey counts them, from the first one on. */
function dayOf(count) {
  return new Date(Date.parse(data.first_day) + count * 864e5).toISOString().slice(0, 10);
}

const partyName = (index) => (index < 0 ? "—" : [title(data.parties[index]), data.parties[index].code].filter((t, i, all) => t && all.indexOf(t) === i).join(" "));

function chronicPopup(place) {
  const { opened, open_days: openDays, parties } = place.visits;
  const rows = Array.from(opened, (day, i) => {
    const closed = openDays[i] < 0 ? null : day + openDays[i];
    const before = i && openDays[i - 1] >= 0 ? day - (opened[i - 1] + openDays[i - 1]) : null;
    const photos = place.photos[i] ?? [];
    return h("tr", {}, h("td", {}, when(dayOf(day))), h("td", {}, closed === null ? w().open : when(dayOf(closed))),
      h("td", {}, before === null || before < 0 ? "—" : w().days(before)), h("td", {}, partyName(parties[i])),
      h("td", {}, photos.map((address, n) => h("a", { href: address, target: "_blank", rel: "noopener noreferrer", title: w().newWindow }, `${w().photo(n + 1)} `))));
  }).reverse();
  const hasPhotos = Object.keys(place.photos).length > 0;
  if (!hasPhotos) rows.forEach((row) => row.lastChild.remove());
  return h("div", { class: "chronic" },
    h("h3", {}, title(data.categories[place.kind])),
    h("p", {}, w().chronic(place.cases)),
    h("dl", {}, pair(w().score, number(place.score)), place.median_days !== null && pair(w().median, w().days(figure(place.median_days))),
      place.trend && pair(w().tendency, w().trend[place.trend]),
      pair(w().spread, `${figure(place.spread_m)} m`)),
    place.round_days && h("p", {}, w().rounds(figure(place.round_days))),
    h("div", { class: "visits", tabindex: 0, role: "region", "aria-label": w().visitsName },
      h("table", {}, h("thead", {}, h("tr", {}, [w().opened, w().closed, w().sinceClosing, w().answered, ...(hasPhotos ? [w().photos] : [])].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows))));
}

function peaksText(peaks) {
  if (!peaks?.length) return null;
  const told = peaks.map(([day, from, to]) => `${w().weekdays[day]} ${from}:00–${to}:00`);
  return h("p", {}, `${w().peaks}: ${told.join(w().and)}`);
}

/** Its rank in the month before, where a single month with one before it is shown. */
function movedText(place) {
  if (!chosen.month || !drawn.months[0]) return null;
  return pair(w().previous, place.previous ? number(place.previous) : w().fresh);
}

function hotspotPopup(place) {
  const it = ground();
  return h("div", { class: "hotspot" }, h("h3", {}, w().hotspot(place.rank)),
    h("p", { class: "quiet" }, `${categoryName()} · ${whenName(drawn.months)}`),
    h("dl", {}, pair(w().cases, number(place.cases)), pair(w().expected, figure(place.expected)),
      pair(w().z, drawn.z[place.areas[0]].toFixed(2)), pair(w().q, qText(place.q)),
      movedText(place)),
    place.parties?.length > 0 && h("p", {}, `${w().parties}: ${place.parties.map(partyName).join(w().and)}`),
    peaksText(place.peaks),
    h("p", { class: "quiet" }, `${w().areas}: ${Array.from(place.areas, (area) => it.names[area] || it.codes[area]).join(w().and)}`));
}

// Lists beside the map: the same for who cannot point.

function listMost() {
  const it = ground();
  const order = Array.from(drawn.sums.keys());
  const strength = chosen.view === "significance" ? drawn.z : chosen.view === "rates" ? drawn.sums.map(perKm2) : drawn.sums;
  order.sort((a, b) => (strength[b] || 0) - (strength[a] || 0) || a - b);
  byId("most").tBodies[0].replaceChildren(...order.slice(0, LISTED).filter((area) => drawn.sums[area]).map((area) => {
    const button = h("button", { type: "button", class: "link" }, it.names[area] || it.codes[area]);
    button.addEventListener("click", () => {
      map.fitBounds(polygonsOf(it)[area].getBounds(), { maxZoom: 15, animate: false });
      openArea(area);
      seeMap();
    });
    return h("tr", { "data-code": it.codes[area] }, h("td", {}, button, it.names[area] && h("small", {}, it.codes[area])), h("td", {}, number(drawn.sums[area])),
      h("td", {}, rateText(drawn.sums[area], area)), h("td", {}, verdict(area)));
  }));
}

/** Where the lists stand below the map, on a phone, what a click on them opens is out of sight. */
const seeMap = () => byId("map-part").scrollIntoView({ block: "nearest" });

function goTo(place, group) {
  if (!map.hasLayer(group)) map.addLayer(group);
  map.setView([place.lat, place.lon], Math.max(map.getZoom(), 15), { animate: false });
  if (!group.hasLayer(place.mark)) group.addLayer(place.mark);
  place.mark.openPopup();
  seeMap();
}

function entry(name, told, place, group) {
  const button = h("button", { type: "button", class: "link" }, name);
  button.addEventListener("click", () => goTo(place, group));
  return h("li", {}, button, h("span", { class: "quiet" }, told));
}

function listHotspots() {
  const rows = hotspotsShown().slice(0, LISTED).map((place) => {
    const told = `${number(place.cases)} / ${figure(place.expected)}`;
    return entry(w().hotspot(place.rank), `${w().cases} / ${w().expected}: ${told}`, place, OVERLAYS.hotspots);
  });
  byId("hotspots").replaceChildren(...(rows.length ? rows : [h("li", { class: "quiet" }, w().noHotspots)]));
}

let listAll = false;

function listChronic() {
  const places = chronicShown();
  const rows = places.slice(0, listAll ? places.length : LISTED).map((place) => entry(
    `${title(data.categories[place.kind])} · ${w().chronic(place.cases)}`,
    [`${w().score}: ${number(place.score)}`, place.median_days !== null && `${w().median}: ${w().days(figure(place.median_days))}`,
      place.round_days && w().rounds(figure(place.round_days))].filter(Boolean).join(" · "), place, OVERLAYS.chronic));
  byId("chronic").replaceChildren(...(rows.length ? rows : [h("li", { class: "quiet" }, w().noChronic)]));
  byId("more-chronic").hidden = listAll || places.length <= LISTED;
}

// Controls.

const option = (value, text) => h("option", { value }, text);

function fillCategories() {
  const grouped = data.groups.map((group) => {
    const inside = data.categories.filter(({ code }) => code?.startsWith(group.code));
    return h("optgroup", { label: `${group.code} ${title(group)}` }, option(group.code, `${group.code} ${title(group)}: ${w().all}`),
      inside.map((it) => option(it.code, `${it.code} ${title(it)}`)));
  });
  const loose = data.categories.filter(({ code }) => code && !data.groups.some((group) => code.startsWith(group.code)));
  byId("category").replaceChildren(option("", w().all), ...loose.map((it) => option(it.code, it.code === title(it) ? it.code : `${it.code} ${title(it)}`)), ...grouped);
  byId("category").value = chosen.category;
}

function fillPeriods() {
  const years = [...new Set(data.months.map((month) => month.slice(0, 4)))];
  const options = [option("all", w().whole)];
  if (data.months.length > 12) options.push(option("last12", w().last12));
  if (years.length > 1) options.push(...years.map((year) => option(year, w().year(year))));
  byId("period").replaceChildren(...options, option("own", w().own));
  byId("period").value = chosen.period;
  for (const name of ["from", "to"]) {
    byId(name).replaceChildren(...data.months.map((month, index) => option(index, monthName(month))));
    byId(name).value = chosen[name];
  }
}

function fill() {
  document.documentElement.lang = language;
  document.title = `${language === "zh" ? "热点地图" : "Hotspots"} · ${title(data.title)}`;
  byId("city").textContent = title(data.title);
  byId("language").textContent = w().other;
  byId("language").lang = w().otherCode;
  byId("ground").replaceChildren(...grounds.map((it, index) => option(index, title(it.title))));
  byId("ground").value = chosen.ground;
  fillCategories();
  fillPeriods();
  document.querySelectorAll("[data-fact]").forEach((it) => { it.textContent = number(data.method[it.dataset.fact] ?? 0, 2); });
  document.querySelectorAll("[data-needs]").forEach((it) => { it.hidden = data.method[it.dataset.needs] === null; });
  byId("record").textContent = w().record(data.revision, data.made_at.slice(0, 16).replace("T", " "), data.months[0], data.months.at(-1));
  for (const [selector, text] of [[".leaflet-control-zoom-in", w().zoomIn], [".leaflet-control-zoom-out", w().zoomOut]]) {
    const button = document.querySelector(selector);
    button.title = text;
    button.setAttribute("aria-label", text);
  }
}

function show() {
  const [first, last] = period();
  const count = last - first + 1;
  const slider = byId("month");
  chosen.month = Math.min(chosen.month, count);
  slider.max = count;
  slider.value = chosen.month;
  byId("own").hidden = chosen.period !== "own";
  const name = chosen.month ? monthName(data.months[first + chosen.month - 1]) : w().wholePeriod;
  byId("month-name").textContent = name;
  slider.setAttribute("aria-valuetext", name);
  byId("play").textContent = playing ? w().stop : w().play;
  byId("play").setAttribute("aria-pressed", String(Boolean(playing)));
  map.closePopup();
  draw();
}

function play() {
  if (playing) {
    clearInterval(playing);
    playing = null;
  } else {
    playing = setInterval(() => {
      chosen.month = chosen.month >= Number(byId("month").max) ? 1 : chosen.month + 1;
      show();
    }, 900);
  }
  show();
}

function listen() {
  for (const name of ["category", "period"]) {
    byId(name).addEventListener("change", () => { chosen[name] = byId(name).value; show(); });
  }
  for (const name of ["ground", "from", "to"]) {
    byId(name).addEventListener("change", () => { chosen[name] = Number(byId(name).value); show(); });
  }
  byId("month").addEventListener("input", () => { chosen.month = Number(byId("month").value); show(); });
  byId("play").addEventListener("click", play);
  byId("choices").addEventListener("submit", (event) => event.preventDefault());
  byId("more-chronic").addEventListener("click", () => { listAll = true; listChronic(); });
  byId("language").addEventListener("click", () => {
    language = w().otherCode;
    fill();
    show();
  });
  map.on("baselayerchange", ({ layer }) => {
    chosen.view = Object.keys(VIEWS).find((name) => VIEWS[name] === layer);
    show();
  });
  map.on("zoomend", thinOut);
  map.on("overlayadd overlayremove", () => byId("legend").lastChild.replaceWith(marksKey()));
  byId("print").addEventListener("click", () => window.print());
  addEventListener("beforeprint", layOutForPaper);
  addEventListener("afterprint", layOutForScreen);
}

// On paper: the map is measured at its printed size, and shows what the screen showed.

let seen = null;
let methodOpen = false;

function layOutForPaper() {
  seen = map.getBounds();
  map.closePopup();
  byId("side").scrollTop = 0;
  methodOpen = byId("method").open;
  byId("method").open = true;
  document.documentElement.classList.add("paper");
  map.invalidateSize({ animate: false, pan: false });
  map.fitBounds(within(seen, city), { animate: false });
}

/** The part of a box that lies in another, so that no paper is spent on ground beyond the city. */
function within(box, other) {
  if (!box.intersects(other)) return box;
  return L.latLngBounds(
    [Math.max(box.getSouth(), other.getSouth()), Math.max(box.getWest(), other.getWest())],
    [Math.min(box.getNorth(), other.getNorth()), Math.min(box.getEast(), other.getEast())],
  );
}

function layOutForScreen() {
  document.documentElement.classList.remove("paper");
  byId("method").open = methodOpen;
  map.invalidateSize({ animate: false, pan: false });
  map.fitBounds(seen, { animate: false });
}

// What is chosen lives in the address: a link repeats it, and no server logs it.

function remember() {
  const told = new URLSearchParams({ view: chosen.view, areas: ground().code, period: chosen.period, lang: language });
  if (chosen.category) told.set("category", chosen.category);
  if (chosen.period === "own") told.set("months", `${data.months[chosen.from]}..${data.months[chosen.to]}`);
  if (chosen.month) told.set("month", data.months[period()[0] + chosen.month - 1]);
  history.replaceState(null, "", `#${told}`);
}

function chooseLanguage() {
  const told = new URLSearchParams(location.hash.slice(1)).get("lang");
  const wanted = (navigator.languages ?? [navigator.language]).find((name) => /^(zh|en)/i.test(name)) ?? "zh";
  language = ["zh", "en"].includes(told) ? told : wanted.slice(0, 2).toLowerCase();
  document.documentElement.lang = language;
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  const known = (name, values) => (values.includes(told.get(name)) ? told.get(name) : null);
  chosen.view = known("view", Object.keys(VIEWS)) ?? chosen.view;
  chosen.ground = Math.max(grounds.findIndex(({ code }) => code === told.get("areas")), 0);
  chosen.category = known("category", [...data.groups, ...data.categories].map(({ code }) => code)) ?? "";
  chosen.to = data.months.length - 1;
  const years = data.months.map((month) => month.slice(0, 4));
  chosen.period = known("period", ["all", "last12", "own", ...years]) ?? "all";
  const ends = (told.get("months") ?? "").split("..").map((month) => data.months.indexOf(month));
  if (ends.length === 2 && ends.every((end) => end >= 0)) [chosen.from, chosen.to] = ends;
  const month = data.months.indexOf(told.get("month"));
  const [first, last] = period();
  chosen.month = month >= first && month <= last ? month - first + 1 : 0;
}

// The beginning.

function open(told) {
  data = told;
  grounds = data.grounds.map((it) => {
    const read = new Ground(it, data);
    read.latlngs = shapes(it.shape, data);
    read.centres = centres(read.latlngs);
    read.km2 = it.m2.map((m2) => m2 / 1e6);
    let at = 0;
    read.near = Array.from(it.neighbours.counts, (count) => {
      const near = it.neighbours.areas.slice(at, at + count);
      at += count;
      return near;
    });
    return read;
  });
  map.createPane("outlines").style.zIndex = 450;
  map.getPane("outlines").style.pointerEvents = "none";
  L.control.scale({ imperial: false }).addTo(map);
  byId("layers").append(layer_control_hotspots.getContainer());
  recall();
  fill();
  drawOutlines();
  city = L.latLngBounds(grounds[0].latlngs.flat(3));
  map.fitBounds(city, { animate: false });
  map.setMaxBounds(city.pad(1));
  listen();
  if (map.hasLayer(VIEWS[chosen.view])) show();
  else {
    map.removeLayer(VIEWS.counts);
    map.addLayer(VIEWS[chosen.view]);
    show();
  }
  byId("waiting").remove();
  document.documentElement.dataset.ready = Math.round(performance.now());
}

/** Ask for a key until one is accepted; it stays in the tab, as on the other pages. */
async function fetchSurvey() {
  for (;;) {
    const key = sessionStorage.getItem("gridsvc-key");
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const response = await fetch(`hotspots/survey${location.search}`, { headers });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    if (response.status !== 401 && response.status !== 403) {
      const { detail, title: told } = await response.json().catch(() => ({ title: response.statusText }));
      throw new Error(detail ?? told);
    }
    await askForKey(key);
  }
}

function askForKey(refused) {
  const dialog = byId("key-dialog");
  byId("key-problem").textContent = refused ? w().refused : "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem("gridsvc-key", byId("key").value);
      byId("key").value = "";
      dialog.close();
      resolve();
    }, { once: true });
  });
}

chooseLanguage();
const inline = byId("survey");
try {
  open(await unpack(inline ? fromBase64(inline.textContent) : await fetchSurvey()));
} catch (error) {
  byId("waiting").textContent = w().failed(error.message);
  throw error;
}
