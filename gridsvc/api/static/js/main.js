// One question at a time: the newest click wins, and the address bar always repeats what is shown.

import { get, onKeyNeeded, Problem } from "./api.js";
import { City, showAnswer, showProblem } from "./answer.js";
import { Boundaries } from "./boundaries.js";
import { byId, h } from "./dom.js";
import {
  fromWallClock, instant, metres, t, title, toggle, translatePage, wallClock,
} from "./i18n.js";
import { ACROSS, ANSWER, ERROR_CIRCLE, firstLayers, mainChain, NEAREST, POINT } from "./looks.js";
import * as url from "./state.js";

const CLOSE_ZOOM = 17;

// `at` is the instant chosen, undefined for now; `pinned` the instant of the answer shown.
let asked = {};
let shown = null;
let city = null;
let map;
let boundaries;
let marks;
let abort = null;
let ready = false;
const layerStates = new Map();

const signed = (degrees) => degrees.toFixed(6);

function startMap() {
  map = L.map("map", {
    preferCanvas: true, attributionControl: false, zoomControl: false, zoomSnap: 0.5, minZoom: 3, maxZoom: 21,
  });
  L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  map.createPane("answer").style.zIndex = 400;
  map.getPane("markerPane").style.zIndex = 390;
  const renderer = L.canvas({ pane: "answer", padding: 0.2 });
  marks = L.featureGroup([], { pane: "answer" }).addTo(map);
  marks.style = (style) => ({ ...style, pane: "answer", renderer, interactive: false });
  map.on("click", ({ latlng }) => {
    const { lng: lon, lat } = latlng.wrap();
    ask({ lon, lat });
  });
  map.on("moveend", remember);
  byId("map").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== byId("map")) return;
    event.preventDefault();
    const { lng: lon, lat } = map.getCenter();
    ask({ lon, lat });
  });
}

function remember() {
  // Until the layers are switched on, the fragment that was opened stands.
  if (!ready) return;
  const { lon, lat, category, accuracy_m } = asked;
  const hasPoint = lon !== undefined;
  url.write({
    lon: hasPoint ? signed(lon) : undefined, lat: hasPoint ? signed(lat) : undefined,
    zoom: hasPoint ? map.getZoom() : undefined,
    layers: boundaries?.on.join(","),
    category, accuracy_m,
    // A link repeats this answer, not whichever one holds when it is opened.
    at: asked.at ?? shown?.at,
  });
}

/** Ask about a point, or again about the last one; the newest question wins. */
async function ask(change = {}) {
  if (!boundaries) return undefined;
  asked = { ...asked, ...change };
  renderChosen();
  // What is asked is what the link says: six decimals, about 0.1 m.
  if (asked.lon === undefined) return remember();
  asked.lon = Number(signed(asked.lon));
  asked.lat = Number(signed(asked.lat));
  abort?.abort();
  abort = new AbortController();
  const { signal } = abort;
  const { lon, lat, category, at, accuracy_m } = asked;
  shown = null;
  byId("place").value = `${signed(lon)}, ${signed(lat)}`;
  byId("place").setCustomValidity("");
  marks.clearLayers();
  mark();
  boundaries.keepClear(L.latLng(lat, lon));
  byId("answer").setAttribute("aria-busy", "true");
  const slow = setTimeout(() => byId("answer").replaceChildren(h("p", { class: "note" }, t("asking"))), 400);
  try {
    const parameters = { lon: signed(lon), lat: signed(lat), crs: "EPSG:4326", category, at, accuracy_m };
    const answer = await get("v1/responsible", parameters, { signal });
    shown = { answer, at: answer.at };
    outline(answer.responsible?.area ?? answer.edge?.of, ANSWER, signal);
    outline(answer.edge?.across, ACROSS, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    shown = { problem: error.body };
    if (error.body.nearest) outline(error.body.nearest, NEAREST, signal);
  } finally {
    clearTimeout(slow);
  }
  render();
  remember();
}

function mark() {
  const { lon, lat, accuracy_m } = asked;
  if (accuracy_m > 0) marks.addLayer(L.circle([lat, lon], marks.style({ ...ERROR_CIRCLE, radius: accuracy_m })));
  marks.addLayer(L.circleMarker([lat, lon], marks.style(POINT)));
}

/** Draw one area's outline below the point. */
async function outline(area, style, signal) {
  if (!area) return;
  try {
    const feature = await boundaries.one(area, { signal });
    if (signal.aborted) return;
    marks.addLayer(L.geoJSON(feature, marks.style({ style })));
    marks.eachLayer((layer) => { if (layer instanceof L.CircleMarker) layer.bringToFront(); });
  } catch (error) {
    // The answer stands without its outline.
    if (error.name !== "AbortError" && !(error instanceof Problem)) throw error;
  }
}

function render() {
  const place = byId("answer");
  place.removeAttribute("aria-busy");
  const [copy, print] = [byId("copy"), byId("print")];
  copy.hidden = print.hidden = !shown;
  if (shown?.answer) place.replaceChildren(showAnswer(city, shown.answer));
  else if (shown?.problem) place.replaceChildren(showProblem(city, shown.problem));
  else place.replaceChildren(h("div", { class: "intro" }, h("p", {}, t("intro")), h("p", { class: "note" }, t("introKeys"))));
}

function renderLayers() {
  const group = (kind) => {
    const layers = city.layers.filter((l) => l.kind === kind);
    if (!layers.length) return null;
    return h("fieldset", {}, h("legend", {}, t(kind)), layers.map((layer) => {
      const box = h("input", { type: "checkbox", value: layer.code });
      box.checked = boundaries.layers.get(layer.code).on;
      box.addEventListener("change", () => {
        boundaries.set([layer.code], box.checked);
        remember();
      });
      const swatch = h("i", { class: `swatch ${kind}` });
      swatch.style.setProperty("--colour", boundaries.swatch(layer.code));
      return h("label", { "data-layer": layer.code }, box, swatch, h("span", {}, title(layer.title) || layer.code),
        h("small", { class: "state" }));
    }));
  };
  byId("layer-list").replaceChildren(...[group("tiling"), group("overlay")].filter(Boolean));
  for (const [code, state] of layerStates) tellLayer(code, state);
}

function tellLayer(code, state) {
  layerStates.set(code, state);
  const label = document.querySelector(`#layer-list [data-layer="${CSS.escape(code)}"]`);
  if (!label) return;
  label.dataset.state = state;
  label.querySelector(".state").textContent = { many: t("tooMany"), failed: t("layersFailed") }[state] ?? "";
}

/** Say beside the folded fields what they hold. */
function renderChosen() {
  const { category, at, accuracy_m } = asked;
  byId("chosen").textContent = [
    category && city.category(category), at && instant(at, city.timeZone), accuracy_m && `± ${metres(accuracy_m)}`,
  ].filter(Boolean).join(" · ");
}

function renderForm() {
  const select = byId("category");
  const { categories } = city;
  const option = ({ code, title: name }) => h("option", { value: code }, `${code} ${title(name)}`);
  const kinds = ["event", "component"].map((kind) => [kind, categories.filter((c) => c.kind === kind)]);
  select.replaceChildren(h("option", { value: "" }, t("anyCategory")),
    ...kinds.filter(([, list]) => list.length)
      .map(([kind, list]) => h("optgroup", { label: t(kind) }, list.map(option))));
  // A link may name a category that is gone; the service says so, the page keeps it.
  if (asked.category && !categories.some((c) => c.code === asked.category)) {
    select.append(h("option", { value: asked.category }, asked.category));
  }
  select.value = asked.category ?? "";
  select.closest("label").hidden = !categories.length && !asked.category;
  byId("at").value = asked.at ? wallClock(asked.at, city.timeZone) : "";
  byId("now").disabled = !asked.at;
  byId("accuracy").value = asked.accuracy_m ?? "";
  renderChosen();
}

function translate() {
  translatePage();
  const button = byId("language");
  button.textContent = t("other");
  button.lang = t("otherCode");
  if (!city) return;
  byId("city").textContent = title(city.name);
  document.title = `${t("title")} · ${title(city.name)}`;
  map.zoomControl?.remove();
  map.zoomControl = L.control.zoom({ position: "bottomright", zoomInTitle: t("zoomIn"), zoomOutTitle: t("zoomOut") }).addTo(map);
  renderForm();
  renderLayers();
  render();
}

function listen() {
  byId("language").addEventListener("click", () => { toggle(); translate(); });
  byId("print").addEventListener("click", () => window.print());
  byId("copy").addEventListener("click", async () => {
    // Without https the clipboard is closed to pages; the address bar holds the same link.
    await navigator.clipboard?.writeText(location.href).catch(() => {});
    byId("copy").textContent = t("copied");
    setTimeout(() => { byId("copy").textContent = t("copy"); }, 1500);
  });
  byId("question").addEventListener("submit", (event) => {
    event.preventDefault();
    const place = byId("place");
    const numbers = place.value.trim().split(/[\s,，;]+/).map(Number);
    if (numbers.length !== 2 || !numbers.every(Number.isFinite)) {
      place.setCustomValidity(t("placeBad"));
      place.reportValidity();
      return;
    }
    const [lon, lat] = numbers;
    if (Math.abs(lat) <= 90) map.setView([lat, lon], Math.max(map.getZoom(), CLOSE_ZOOM));
    ask({ lon, lat });
  });
  byId("place").addEventListener("input", () => byId("place").setCustomValidity(""));
  byId("category").addEventListener("change", ({ target }) => ask({ category: target.value || undefined }));
  byId("accuracy").addEventListener("change", ({ target }) => {
    if (target.reportValidity()) ask({ accuracy_m: target.value === "" ? undefined : Number(target.value) });
  });
  const setAt = (at) => {
    byId("now").disabled = !at;
    boundaries.setAt(at);
    ask({ at });
  };
  byId("at").addEventListener("change", ({ target }) => {
    setAt(target.value ? fromWallClock(target.value, city.timeZone) : undefined);
  });
  byId("now").addEventListener("click", () => { byId("at").value = ""; setAt(undefined); });
  // The fragment holds the question, so the skip link must not overwrite it.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("answer").focus();
  });
  window.addEventListener("hashchange", () => location.reload());
  onKeyNeeded(() => new Promise((resolve) => {
    const dialog = byId("key-dialog");
    const done = (key) => { byId("key").value = ""; resolve(key); };
    byId("key-form").onsubmit = () => done(byId("key").value.trim());
    byId("key-cancel").onclick = () => dialog.close();
    dialog.onclose = () => done(null);
    dialog.showModal();
  }));
}

async function start() {
  const state = url.read();
  asked = { lon: state.lon, lat: state.lat, category: state.category, at: state.at, accuracy_m: state.accuracy_m };
  if (asked.lon === undefined || asked.lat === undefined) asked.lon = asked.lat = undefined;
  byId("layers").open = matchMedia("(min-width: 90rem)").matches;
  translate();
  startMap();
  listen();
  byId("answer").replaceChildren(h("p", { class: "note" }, t("loading")));
  try {
    const [found, facts] = await Promise.all([get("v1/layers"), get("maps/city.json")]);
    city = new City(found, facts);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const again = h("button", { type: "button" }, t("reload"));
    again.addEventListener("click", () => location.reload());
    byId("answer").replaceChildren(showProblem(null, error.body), again);
    return;
  }
  boundaries = new Boundaries(map, city.layers, tellLayer);
  const [west, south, east, north] = city.extent;
  const extent = L.latLngBounds([south, west], [north, east]);
  map.setMaxBounds(extent.pad(1));
  boundaries.at = asked.at;
  byId("question").inert = false;
  const hasPoint = asked.lon !== undefined;
  if (hasPoint && Math.abs(asked.lat) <= 90) map.setView([asked.lat, asked.lon], state.zoom ?? CLOSE_ZOOM);
  else map.fitBounds(extent);
  translate();
  if (hasPoint) ask();
  const on = state.layers ?? firstLayers(city.layers);
  const outer = mainChain(city.layers)[0]?.code;
  // The outermost layer first: the view fits the city itself, then the rest is asked once.
  if (!hasPoint && on.includes(outer)) {
    await boundaries.set([outer], true);
    const bounds = boundaries.bounds(outer);
    const list = byId("layers");
    const right = list.open ? list.offsetWidth : 0;
    if (bounds) map.fitBounds(bounds, { animate: false, paddingTopLeft: [16, 16], paddingBottomRight: [16 + right, 16] });
  }
  const drawn = boundaries.set(on, true);
  renderLayers();
  ready = true;
  remember();
  await drawn;
}

start();
